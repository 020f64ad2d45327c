"""`formatlab alarms RUNS`: which signal warns of a collapse, how early, and how often in vain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from formatlab.errors import InputError

DESCRIPTION = """\
Measure early warnings: whether the first steps of a run say that one format will take over. RUNS
are studies and run folders, of which some collapse (one format keeps 90% of the training rollouts
to the end) and some do not, such as those under a random reward. An alarm goes off at the first of
the first steps at which a signal passes a threshold. In a run that collapses it has to come before
the collapse; in any other run it is a false alarm. Thresholds are also fitted on all seeds but one
and tried on that one.

examples:
  formatlab alarms runs/scale_attractors runs/controls
  formatlab alarms runs/* --steps 8 --output alarms.csv --figure alarms.png

With --output a .csv, .json or .parquet file has a row a signal: its AUC, what it is behind the best
one, the threshold, and the shares of collapses warned of and of false alarms and the lead in steps,
of held-out seeds and (fitted_) of the runs that chose the threshold, with 95% intervals of a
bootstrap over bases. --curves has a row a threshold. The signals:
{words}
"""


@dataclass(frozen=True, kw_only=True)
class AlarmOptions:
    """What to read, and where to write."""

    steps: int = 16
    """First steps of a run that alarms may go off in."""
    output: Path | None = None
    """File of all numbers: .csv, .json or .parquet."""
    curves: Path | None = None
    """File of what each threshold gives: .csv, .json or .parquet."""
    figure: Path | None = None
    """Figure of the curves, leads and areas: a .png, .svg or .pdf file."""
    overwrite: bool = False
    """Replace output, curves and figure if they exist."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, measure, and print."""
    import tyro

    from formatlab.measure.alarms import SIGNALS
    from formatlab.measure.measures import words_in_lines

    @dataclass(frozen=True, kw_only=True)
    class Options(AlarmOptions):
        runs: Annotated[
            list[str], tyro.conf.Positional, tyro.conf.arg(metavar="RUNS", help_behavior_hint="")
        ]
        """Studies, or run folders."""

    words = DESCRIPTION.format(words=words_in_lines(SIGNALS))
    options = tyro.cli(Options, args=arguments, prog="formatlab alarms", description=words)
    if not options.runs:
        raise InputError("name what to measure: formatlab alarms RUNS")
    if options.steps < 1:
        raise InputError(f"--steps is {options.steps}; an alarm needs a step to go off at")
    _check(options, options.runs)
    _measure(options, options.runs)
    return 0


def _check(options: AlarmOptions, words: Sequence[str]) -> None:
    from formatlab.analysis.sides import inputs
    from formatlab.show.tables.table import TABLE_FILES
    from formatlab.store.output_file import FIGURE_FILES, check_output

    for flag, path, kinds in (
        ("--output", options.output, TABLE_FILES),
        ("--curves", options.curves, TABLE_FILES),
        ("--figure", options.figure, FIGURE_FILES),
    ):
        if path is not None:
            check_output(flag, path, kinds=kinds, inputs=inputs(words), overwrite=options.overwrite)


def _measure(options: AlarmOptions, words: Sequence[str]) -> None:
    from formatlab.analysis.alarms import left_out_text, watched_runs
    from formatlab.cli.shown_work import shown_work
    from formatlab.measure.alarms import alarms
    from formatlab.show.tables.alarms import alarm_rows, curve_rows, print_alarms
    from formatlab.show.tables.table import write_rows

    with shown_work("alarms") as track:
        watched = watched_runs(words, track=track)
        found = alarms(watched.runs, steps=options.steps)
    if not found.signals:
        raise InputError(
            f"{', '.join(words)}: no signal has a value in the first {options.steps} steps both of "
            "runs that collapse and of others; read more with --steps"
        )
    # Files first: whoever reads the output, such as `head`, may stop.
    if options.output is not None:
        write_rows(options.output, alarm_rows(found, options.steps))
    if options.curves is not None:
        write_rows(options.curves, curve_rows(found, options.steps))
    if options.figure is not None:
        from formatlab.show.figures.alarms import alarms_figure
        from formatlab.show.figures.layout import save_figure

        save_figure(alarms_figure(found, options.steps), options.figure)
    print_alarms(found, options.steps)
    collapsed = sum(run.collapse is not None for run in watched.runs)
    text = f"; {left_out_text(watched.left_out)}" if watched.left_out else ""
    print(f"\n{collapsed} of {len(watched.runs)} runs collapse{text}")
    for name in ("output", "curves", "figure"):
        if (path := getattr(options, name)) is not None:
            print(f"{name} {path}")
