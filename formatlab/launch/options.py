"""Options of the launchers: where tasks run, and what each run asks for."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from formatlab.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """Options of sbatch for each job."""

    partition: str = ""
    """Partition; the cluster's own default if empty."""
    account: str = ""
    """Account that is charged."""
    minutes: int = 240
    """Time limit of a job; a run that takes longer is queued again and goes on."""
    options: tuple[str, ...] = ()
    """Other options of sbatch, as name=value: constraint=a100 qos=low."""
    cluster: Literal["slurm", "local"] = "slurm"
    """local: submitit's stand-in for Slurm, processes of this machine."""


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """Where tasks run."""

    runs_dir: str = "runs"
    """The runs folder: a path or, with --launcher ray or slurm, an address such as
    s3://bucket/runs."""
    jobs: int = 0
    """Runs side by side; 0: one for each core, or as many as the cluster has room for."""
    runs_per_gpu: int = 0
    """Local launcher: runs that share a GPU; 0: as many as fit by their estimated memory."""
    launcher: Literal["local", "ray", "slurm"] = "local"
    """local: processes of this machine; ray: tasks of a Ray cluster; slurm: jobs through sbatch."""
    address: str = "auto"
    """Ray: host:port of the head; auto: the cluster that this machine belongs to; local: a cluster
    started on this machine."""
    cpus_per_run: int = 1
    """Ray and Slurm: CPUs of each run, and its threads of torch, if it can use so many."""
    gpus_per_run: float | None = None
    """Ray: GPUs of each run; 0.2 lets five runs share one; by default 1 if the cluster has GPUs.
    Slurm: GPUs of each job; by default none."""
    memory_gb_per_run: float | None = None
    """Ray and Slurm: memory reserved for each run."""
    retries: int = 3
    """Ray and Slurm: how often a run is submitted again after its process or machine was lost."""
    scratch: Path | None = None
    """Ray and Slurm with --runs-dir at an address: a folder on each machine for the tasks."""
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    """Options of sbatch."""

    def check_launcher(self, processes: int) -> None:
        """Check that the options go together.

        Args:
            processes: how many `accelerate launch` started.

        Raises:
            InputError: they do not.
        """
        default = LaunchOptions()
        changed = {
            of.name for of in fields(default) if vars(self)[of.name] != vars(default)[of.name]
        }
        idle = changed & _IDLE[self.launcher]
        if not is_address(self.runs_dir):
            idle |= changed & {"scratch"}
        elif self.launcher == "local":
            raise InputError(
                f"--runs-dir {self.runs_dir}: the local launcher works in a folder of this "
                "machine; add --launcher ray --address local, which works here too"
            )
        if idle:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(idle))
            raise InputError(
                f"{options} has no effect with --launcher {self.launcher} and --runs-dir "
                f"{self.runs_dir}"
            )
        if self.launcher != "local" and processes > 1:
            raise InputError(
                f"--launcher {self.launcher} does many runs side by side, and accelerate launch "
                "one run with several processes; use one of them"
            )
        if self.jobs < 0:
            raise InputError(f"--jobs is {self.jobs}; 0 (one for each core) or more")
        if self.runs_per_gpu < 0:
            raise InputError(f"--runs-per-gpu is {self.runs_per_gpu}; 0 (by memory) or more")
        if self.cpus_per_run < 1 or self.retries < 0 or self.slurm.minutes < 1:
            raise InputError(
                "--cpus-per-run and --slurm.minutes are 1 or more, --retries 0 or more"
            )
        gpus = self.gpus_per_run or 0.0
        if gpus < 0 or (gpus != int(gpus) and (gpus > 1 or self.launcher == "slurm")):
            raise InputError(
                f"--gpus-per-run {gpus:g}: a whole number, or, with --launcher ray, a part of one"
            )


_LOCAL = {"runs_dir", "jobs", "runs_per_gpu", "launcher"}
"""Options that the local launcher reads."""
_IDLE = {
    "local": {of.name for of in fields(LaunchOptions)} - _LOCAL,
    "ray": {"slurm", "runs_per_gpu"},
    "slurm": {"address", "runs_per_gpu"},
}
"""Options that a launcher does not read."""


def is_address(runs_dir: str) -> bool:
    """Whether `--runs-dir` is an address rather than a path."""
    return "://" in runs_dir
