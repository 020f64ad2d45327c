"""`formatlab doctor`: check this machine for what formatlab needs, and advise on what is missing.

Nothing is changed: no file is made beyond a temporary one that shows whether the runs folder can be
written, no model is loaded and no network is used.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from formatlab import __version__
from formatlab.errors import InputError
from formatlab.models.source import PACKAGED_MODELS, find_model
from formatlab.world.cores import available_cores

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from rich.console import Console

LOW_DISK_BYTES = 2 * 1024**3  # a demo keeps a few hundred MB of checkpoints and rollouts


_COLOURS = {"ok": "green", "note": "yellow", "missing": "bold red"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one check."""

    part: str
    """What was checked."""
    found: str
    """What is there."""
    state: Literal["ok", "note", "missing"] = "ok"
    """note: works, but something may be chosen or added; missing: without it, runs fail."""
    advice: str = ""
    """What to do about it, in one line; empty if there is nothing to do."""


DESCRIPTION = """\
Say what was found on this machine (versions, devices, threads, optional parts, real models), and
what to do about what is missing. Exit status 1 when a core part is missing.

examples:
  formatlab doctor
  formatlab doctor --runs-dir scratch/runs
"""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """What to check."""

    runs_dir: Path = Path("runs")
    """The runs folder to be used; it need not exist yet."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and run the checks."""
    import tyro
    from rich.console import Console

    options = tyro.cli(
        DoctorOptions, args=arguments, prog="formatlab doctor", description=DESCRIPTION
    )
    return doctor(Console(), runs_folder=options.runs_dir)


def doctor(console: Console, *, runs_folder: Path = Path("runs")) -> int:
    """Print the result of every check, with advice on what is missing.

    Args:
        console: where to print.
        runs_folder: where runs will be written; it need not exist yet.

    Returns:
        0 if the core works, 1 if a core part is missing.
    """
    sections = {
        "This machine": _machine(),
        "Packages": _packages(),
        "Packages for training": _training_packages(),
        "Devices": _devices(),
        "Optional parts": _optional_parts(),
        "Files and network": _places(runs_folder),
    }
    missing = 0
    for title, findings in sections.items():
        console.print(f"\n{title}", style="bold", highlight=False)
        for finding in findings:
            missing += finding.state == "missing"
            _print(console, finding)
    if missing:
        verdict = f"{missing} core part{'s' if missing > 1 else ''} missing: see the lines above."
    else:
        verdict = "The core works."
    console.print(f"\n{verdict}", style="bold", highlight=False)
    return 1 if missing else 0


def _print(console: Console, finding: Finding) -> None:
    from rich.text import Text

    line = Text("  ")
    line.append(f"{finding.state:<8}", style=_COLOURS[finding.state])
    line.append(f"{finding.part:<20} {finding.found}")
    console.print(line, soft_wrap=True)
    if finding.advice:
        console.print(Text(f"{'':10}-> {finding.advice}"), soft_wrap=True)


def _machine() -> Iterator[Finding]:
    yield Finding(part="formatlab", found=__version__)
    yield Finding(part="Python", found=platform.python_version())
    yield Finding(part="system", found=platform.platform())


def _packages() -> Iterator[Finding]:
    """Compare each declared dependency of the core with the installed version."""
    try:
        declared = importlib.metadata.requires("formatlab") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            part="formatlab",
            found="not installed as a package",
            state="missing",
            advice="run `make env`, or `pip install --editable .` in the repository",
        )
        return
    from packaging.requirements import Requirement

    for requirement in map(Requirement, declared):
        # Dependencies of an extra are reported with the optional parts.
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)


def _training_packages() -> Iterator[Finding]:
    """Compare the packages of the extra `train` with what is installed, if anything of it is."""
    from packaging.requirements import Requirement

    try:
        declared = map(Requirement, importlib.metadata.requires("formatlab") or [])
    except importlib.metadata.PackageNotFoundError:
        return  # told under the packages
    needed = [of for of in declared if of.marker and of.marker.evaluate({"extra": "train"})]
    if any(_installed_version(requirement.name) for requirement in needed):
        yield from map(_package, needed)
    else:
        yield Finding(
            part="train",
            found="not installed; the verbs run and probe, and FormatRecorder, need it",
            state="note",
            advice="`make env`, or `pip install 'formatlab[train]'`",
        )


def _package(requirement: Requirement) -> Finding:
    version = _installed_version(requirement.name)
    advice = f"run `make env`, or `pip install '{requirement}'`"
    if version is None:
        return Finding(part=requirement.name, found="not installed", state="missing", advice=advice)
    found = f"{version} (needs {requirement.specifier})"
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(part=requirement.name, found=found, state="missing", advice=advice)
    return Finding(part=requirement.name, found=found)


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> Iterator[Finding]:
    if _installed_version("torch") is None:
        return  # told under the packages for training
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library that cannot be loaded
        yield Finding(
            part="torch",
            found=f"cannot be imported: {str(error).splitlines()[0]}",
            state="missing",
            advice="reinstall it: delete .venv and run `make env`",
        )
        return

    cores, threads = available_cores(), torch.get_num_threads()
    crowded = threads > cores
    yield Finding(
        part="CPU",
        found=f"{cores} usable cores, torch uses {threads} threads",
        state="note" if crowded else "ok",
        advice=f"more threads than cores: set OMP_NUM_THREADS={cores}" if crowded else "",
    )
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        bf16 = "yes" if device.major >= 8 else "no"
        yield Finding(
            part=f"cuda:{index}",
            found=f"{device.name}, {device.total_memory / 1024**3:.0f} GiB, bf16 {bf16}",
        )
    if not torch.cuda.is_available():
        yield _without_cuda(torch.version.cuda)


def _without_cuda(built_for: str | None) -> Finding:
    """The finding where there is no CUDA device; `built_for` is the CUDA version of the build."""
    advice = "the demo and the small scales need none; large scales and real models want one"
    if built_for is None:
        advice += ", and a CUDA build of torch"
    return Finding(part="CUDA", found="no device", state="note", advice=advice)


_OPTIONAL = {
    "gguf": ("gguf", "it reads models in GGUF files"),
    "pandas": ("measure", "it reads studies as data frames"),
    "sacrebleu": ("measure", "it compares texts"),
    "ray": ("ray", "it runs studies on a Ray cluster"),
    "submitit": ("slurm", "it runs studies through Slurm"),
}
"""Packages beside the core -> the extra that installs each, and what it does."""


def _optional_parts() -> Iterator[Finding]:
    for package, (extra, what) in _OPTIONAL.items():
        version = _installed_version(package)
        if version is None:
            yield Finding(
                part=package,
                found=f"not installed; {what}",
                state="note",
                advice=f"`make env`, or `pip install 'formatlab[{extra}]'`",
            )
        else:
            yield Finding(part=package, found=version)
    yield from map(_real_model, PACKAGED_MODELS)


def _real_model(name: str) -> Finding:
    """Look for a real model that comes as a package, without loading it."""
    try:
        path = find_model(name).path
    except InputError as error:
        return Finding(
            part=name,
            found="not usable; a real model that needs no hub",
            state="note",
            advice=str(error),
        )
    assert path is not None  # only a model of the hub has none
    return Finding(part=name, found=f"{path} ({path.stat().st_size / 1e6:.0f} MB)")


def _places(runs_folder: Path) -> Iterator[Finding]:
    runs_folder = runs_folder.absolute()
    # os.path.exists, because Path.exists raises where a parent may not be searched.
    existing = next(path for path in (runs_folder, *runs_folder.parents) if os.path.exists(path))
    yield _writable(runs_folder, existing)
    yield _free_disk(existing)
    yield _hub()


def _writable(runs_folder: Path, existing: Path) -> Finding:
    """Try to write into `existing`, which is `runs_folder` or its nearest existing parent."""
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding(
            part="runs folder",
            found=f"{runs_folder}: cannot write to {existing} ({error.strerror})",
            state="missing",
            advice="change its permissions, or name another folder with --runs-dir",
        )
    there = "" if existing == runs_folder else ", will be made by the first run"
    return Finding(part="runs folder", found=f"{runs_folder} (writable{there})")


def _free_disk(existing: Path) -> Finding:
    free = shutil.disk_usage(existing).free
    low = free < LOW_DISK_BYTES
    return Finding(
        part="free disk",
        found=f"{free / 1024**3:.1f} GiB",
        state="note" if low else "ok",
        advice="checkpoints may not fit: free some, or use --runs-dir on another disk"
        if low
        else "",
    )


def _hub() -> Finding:
    """Report whether the hub is switched off, by the same rule as huggingface_hub."""
    name = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
    value = os.environ.get(name, "")
    if value.upper() in {"1", "ON", "YES", "TRUE"}:
        return Finding(
            part="Hugging Face hub",
            found=f"offline ({name}={value})",
            state="note",
            advice=f"models and data by hub id must be in the cache, or unset {name}",
        )
    return Finding(part="Hugging Face hub", found="may be used, only for what is named by a hub id")
