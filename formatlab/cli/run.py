"""`formatlab run EXPERIMENT`: every run of a study, then its table, figures and report."""

import os
import shlex
import sys
import tempfile
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

from formatlab.errors import InputError

DESCRIPTION = """\
Run an experiment: make the bases that are missing, train, measure, and write a report.
What is done is not done again; an interrupted study goes on when the command is repeated.

examples:
  formatlab run experiments/scale_attractors.py
  formatlab run experiments/scale_attractors.py --preset cpu --jobs 2
  formatlab run experiments/scale_attractors.py --scales 0.08M --seeds 0 1 2 --grpo.epochs 3
  formatlab run experiments/gsm8k.py --model smollm2-135m --problems gsm8k
  formatlab run experiments/scale_attractors.py --help     (all options of that study)
"""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every experiment, beside the fields of its study."""

    preset: str = ""
    """Which of the experiment's presets to start from (listed above); the first one if empty."""
    runs_dir: Path = Path("runs")
    """The runs folder."""
    jobs: int = 0
    """Runs side by side; 0: one for each core."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and run the experiment."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: formatlab run EXPERIMENT [OPTIONS]\n\n" + DESCRIPTION, end="")
        return 0
    import tyro
    from rich.console import Console

    from formatlab.launch.cores import available_cores
    from formatlab.launch.experiment import load_experiment, preset_of
    from formatlab.launch.idle_options import check_heeded
    from formatlab.launch.pool import run_all
    from formatlab.launch.together import processes, run_together
    from formatlab.show.report import write_report
    from formatlab.show.study import measured_study
    from formatlab.show.table import print_study
    from formatlab.store.run_folder import RunFolder

    path, rest = Path(arguments[0]), arguments[1:]
    if arguments[0].startswith("-"):
        raise InputError("name the experiment file first: formatlab run EXPERIMENT [OPTIONS]")
    docstring, presets = load_experiment(path)
    study = preset_of(rest, presets, path)
    options: Any = tyro.cli(
        _options(study),
        args=rest,
        prog=f"formatlab run {path}",
        description=f"{docstring}\n\npresets: {', '.join(presets)}",
    )
    check_heeded(options.study, study)
    runs = options.study.runs()
    if options.jobs < 0:
        raise InputError(f"--jobs is {options.jobs}; 0 (one for each core) or more")
    _check_writable(options.runs_dir)
    console = Console(soft_wrap=True)
    try:
        if processes() > 1:
            outcomes = run_together(runs, options.runs_dir, console=console)
        else:
            outcomes = run_all(
                runs,
                options.runs_dir,
                experiment=path,
                jobs=options.jobs or available_cores(),
                console=console,
            )
    except KeyboardInterrupt:
        console.print(
            "Interrupted. What is done is kept; the same command goes on from there:\n"
            f"  formatlab run {shlex.join(arguments)}",
            markup=False,
        )
        return 130
    finished = [outcome.folder for outcome in outcomes if outcome.folder is not None]
    if finished:
        folders = [RunFolder.open(folder) for folder in finished]
        report = write_report(options.runs_dir / options.study.name, folders)
        print_study(measured_study(folders))
        console.print(f"\nreport  {report}\nfigures {report.parent / 'figures'}", markup=False)
    status = 0
    for outcome in outcomes:
        if outcome.error is not None:
            print(f"formatlab run: {outcome.label}: {outcome.error}", file=sys.stderr)
            status = max(status, outcome.exit_status)
    return status


def _options(study: Any) -> Any:
    """`RunOptions` with the study's own fields beside them."""
    import tyro

    annotated = Annotated[type(study), tyro.conf.arg(name="")]
    return make_dataclass(
        "Options",
        [("study", annotated, field(default=study))],
        bases=(RunOptions,),
        frozen=True,
        kw_only=True,
    )


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the runs folder {folder}: {os.strerror(error.errno or 0)}; "
            "choose another with --runs-dir"
        ) from error
