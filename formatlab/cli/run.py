"""`formatlab run EXPERIMENT`: every run of a study, then its table, figures and report."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from formatlab.errors import InputError, check_training_packages
from formatlab.launch.options import LaunchOptions, is_address

if TYPE_CHECKING:
    from rich.console import Console

    from formatlab.launch.launcher import Command
    from formatlab.launch.schedule import Outcome

DESCRIPTION = """\
Run an experiment: make the bases that are missing, train, measure, and write a report.
What is done is not done again; an interrupted study goes on when the command is repeated.

examples:
  formatlab run experiments/scale_attractors.py
  formatlab run experiments/scale_attractors.py --preset cpu --jobs 2
  formatlab run experiments/scale_attractors.py --scales 0.08M --seeds 0 1 2 --grpo.epochs 3
  formatlab run experiments/scale_attractors.py --launcher ray --runs-dir s3://bucket/runs
  formatlab run experiments/gsm8k.py --model smollm2-135m --problems gsm8k
  formatlab run experiments/scale_attractors.py --help     (the options of that study)
"""

HELP = {"-h", "--help"}
"""Words that ask for help; `--help-all` asks for that of tyro."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(LaunchOptions):
    """Options of every experiment, beside the fields of its study."""

    preset: str = ""
    """Which of the experiment's presets to start from (listed above); the first one if empty."""
    only: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Part of the runs, as fact=value with commas between: scale=0.04M,seed=0. Several values of
    one fact mean any of them."""
    dry_run: bool = False
    """Say what would be done, with estimates of time, memory and disk, and do nothing. What a real
    model takes is unknown until a run of it is finished; with --launcher ray or slurm each task is
    told as on this machine."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and run the experiment."""
    if not arguments or arguments[0] in HELP:
        print("usage: formatlab run EXPERIMENT [OPTIONS]\n\n" + DESCRIPTION, end="")
        return 0
    from rich.console import Console

    from formatlab.cli.experiment_help import experiment_help
    from formatlab.cli.shown_work import shown_work
    from formatlab.launch.accelerate import processes
    from formatlab.launch.launcher import Command, exit_status_of_interrupt, launch, report
    from formatlab.launch.runs_root import runs_root
    from formatlab.study.experiment import check_options_used, load_experiment, preset_of
    from formatlab.study.selection import selected
    from formatlab.study.task import graph

    path, rest = Path(arguments[0]), arguments[1:]
    if arguments[0].startswith("-"):
        raise InputError("name the experiment file first: formatlab run EXPERIMENT [OPTIONS]")
    docstring, presets = load_experiment(path)
    preset = preset_of(rest, presets, path)
    usage = f"formatlab run {path}"
    options: Any = tyro.cli(
        _options(preset),
        args=["--help" if word == "--help-all" else word for word in rest if word not in HELP],
        prog=usage,
        description=f"{docstring}\n\npresets: {', '.join(presets)}",
    )
    if HELP & set(rest):
        print(experiment_help(options, usage=usage, docstring=docstring, presets=list(presets)))
        return 0
    options.check_launcher(processes())
    check_options_used(options.study, preset)
    runs = options.study.runs()
    # A base or a stage that several runs start from is one task, whatever part is selected.
    whole = {task.address: task for task in graph(runs)}
    command = Command(
        study=options.study.name,
        runs=runs,
        tasks=[whole[task.address] for task in graph(selected(runs, options.only))],
        experiment=path,
        options=options,
        words=["formatlab", "run", *arguments],
    )
    root, console = runs_root(options.runs_dir, options.scratch), Console(soft_wrap=True)
    with root.view() as view:
        _check_writable(view)
        if options.dry_run:
            _dry_run(command, view, console)
            return 0
        _check_inputs(command, view, console)
        try:
            outcomes = launch(command, root, view, console)
        except KeyboardInterrupt:
            console.print(
                "Interrupted. What is done is kept; the same command goes on from there:\n"
                f"  formatlab run {shlex.join(arguments)}",
                markup=False,
            )
            return exit_status_of_interrupt()
        if not outcomes:  # not the first of several processes
            return 0
        failed = _exit_status(outcomes)
        with shown_work("run", console) as track:
            results, left_out = report(command, root, view, track=track)
        if results is not None:
            from formatlab.show.tables.results import print_study

            print_study(results)
            there = f"{options.runs_dir.rstrip('/')}/{command.study}"
            console.print(f"\nreport  {there}/report.html\nfigures {there}/figures", markup=False)
        return max(failed, left_out)


def _check_inputs(command: Command, runs: Path, console: Console) -> None:
    """Tell early what tasks that are still to be done would stumble over.

    Raises:
        InputError: a package that trains is not installed, a format of a world does not hold
            together, a file of problems is missing or cannot be read, or a model lacks a tokenizer.
    """
    from formatlab.cli.shown_work import shown_work
    from formatlab.models.source import check_tokenizer, find_model
    from formatlab.observe.format_check import check_formats
    from formatlab.study.ladder_run import BaseTask
    from formatlab.study.model_run import ModelRun
    from formatlab.world.problem_set import find_problems, load_problems

    to_do = [task for task in command.tasks if not (runs / task.address / "DONE").exists()]
    if to_do:
        check_training_packages()
    bases = [task for task in to_do if isinstance(task, BaseTask)]
    with shown_work("run", console) as track:
        check_formats(of.base.world for of in track(bases, "checking the formats of bases"))
    real = [of for of in to_do if isinstance(of, ModelRun)]
    for model in {of.model for of in real}:
        check_tokenizer(find_model(model))
    sets = {(of.problems, "train") for of in real}
    for problems, split in sets | {(of.probe_problems, of.probe_split) for of in real}:
        if find_problems(problems, split=split) is not None:  # not one of the hub
            load_problems(problems, split=split)


def _dry_run(command: Command, view: Path, console: Console) -> None:
    from formatlab.cli.shown_work import shown_work
    from formatlab.launch.dry_run import print_dry_run

    options = command.options
    if is_address(options.runs_dir):
        console.print(f"as if nothing were at {options.runs_dir} yet:", markup=False)
    with shown_work("run", console) as track:
        print_dry_run(command.tasks, view, options=options, console=console, track=track)


def _exit_status(outcomes: Mapping[str, Outcome]) -> int:
    """Print what failed, and give the exit status."""
    failed = [outcome for outcome in outcomes.values() if outcome.error is not None]
    for outcome in failed:
        print(f"formatlab run: {outcome.label}: {outcome.error}", file=sys.stderr)
    return max((outcome.exit_status for outcome in failed), default=0)


def _options(study: Any) -> Any:
    """`RunOptions` with the study's own fields beside them."""
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
