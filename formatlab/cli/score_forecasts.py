"""`formatlab score-forecasts RUNS`: how good forecasts of the winner are, out of sample."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from formatlab.errors import InputError

if TYPE_CHECKING:
    from formatlab.forecast.case import Case
    from formatlab.forecast.method import Fits
    from formatlab.forecast.scoring import Scored
    from formatlab.store.track import Track

DESCRIPTION = """\
Score forecasts of the format that leads after RL, made from the probe of the base and the settings
of the run. RUNS are studies, run folders, or a benchmark (plots/forecasts), which needs no RL.

Every method is fitted on some runs and scored on others: leaving out one base at a time (with all
its runs), one scale, one mixture, one fidelity, or one algorithm. What is a rule, such as the
largest share, becomes probabilities through a temperature fitted on the same runs as the models;
`chosen` is the method that is best on the runs of the fit. Of every forecast, yours too, .01 is
spread evenly. Scores are of the last probe of each run, with 95% intervals of a bootstrap over
bases. Where the winner was undecided, forecasts are scored by how often each format leads over
resamples.

examples:
  formatlab score-forecasts plots/forecasts
  formatlab score-forecasts plots/forecasts --held-out
  formatlab score-forecasts plots/forecasts --method mine.py --output scores.csv
  formatlab score-forecasts runs/forecasts --recorded

--method: a Python file with a function forecast(probe, settings, epoch), from the counts of the
base's probe and the run's settings (formatlab.forecast.known) to a dict of format -> probability.
--recorded: the forecasts that the runs wrote before their first step (forecast.json), as they are.
"""


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What to score, and where to write."""

    held_out: bool = False
    """Fit on the other runs and score those that were set aside beforehand. Without it, runs that
    were set aside are left out."""
    recorded: bool = False
    """Score the forecasts that runs wrote before their first step."""
    method: tuple[Path, ...] = ()
    """Python files with forecasts of your own."""
    output: Path | None = None
    """File of all scores, by epoch too: .csv, .json or .parquet."""
    figure: Path | None = None
    """Figure of scores and calibration: a .png, .svg or .pdf file."""
    overwrite: bool = False
    """Replace output and figure if they exist."""
    benchmark: Path | None = None
    """Folder to write the runs to as a benchmark."""
    set_aside: tuple[str, ...] = ()
    """Facts of runs that are set aside, such as mixture=nine or study=forecasts,seed=2."""
    fitted: Path | None = None
    """File to write what was fitted on all runs to, as the package's own forecasts read it."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, score, and print."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ScoreOptions):
        runs: Annotated[
            list[str], tyro.conf.Positional, tyro.conf.arg(metavar="RUNS", help_behavior_hint="")
        ]
        """Studies, run folders, or a benchmark."""

    options = tyro.cli(
        Options, args=arguments, prog="formatlab score-forecasts", description=DESCRIPTION
    )
    if not options.runs:
        raise InputError("name what to score: formatlab score-forecasts RUNS")
    _check(options, options.runs)
    _score(options, options.runs)
    return 0


def _check(options: ScoreOptions, words: Sequence[str]) -> None:
    from formatlab.show.tables.table import TABLE_FILES
    from formatlab.store.output_file import FIGURE_FILES, check_output

    inputs = [Path(word) for word in words]
    for flag, path, kinds in (
        ("--output", options.output, TABLE_FILES),
        ("--figure", options.figure, FIGURE_FILES),
        ("--fitted", options.fitted, (".json",)),
    ):
        if path is not None:
            check_output(flag, path, kinds=kinds, inputs=inputs, overwrite=options.overwrite)
    others = ("held_out", "method", "fitted", "benchmark", "set_aside")
    if options.recorded and any(getattr(options, name) for name in others):
        raise InputError(
            "--recorded scores forecasts as they were written, and nothing else: leave "
            f"{', '.join('--' + name.replace('_', '-') for name in others)} out"
        )
    if options.held_out and options.fitted:
        raise InputError("--fitted writes a fit on runs that were not set aside; --held-out is out")
    from formatlab.forecast import EARLY_SLOPES, METHODS
    from formatlab.forecast.scoring import CHOSEN

    names = [path.stem for path in options.method]
    for name in names:
        if name in {*METHODS, *EARLY_SLOPES, CHOSEN} or names.count(name) > 1:
            raise InputError(f"--method: {name}.py has the name of another method; rename it")


def _score(options: ScoreOptions, words: Sequence[str]) -> None:
    from formatlab.analysis.forecasts import cases, forecast_runs, marked, recorded
    from formatlab.cli.shown_work import shown_work
    from formatlab.forecast.benchmark import write_benchmark
    from formatlab.show.tables.forecasts import print_scores, score_rows
    from formatlab.show.tables.table import write_rows

    with shown_work("score-forecasts") as track:
        if options.recorded:
            by_method, refused = recorded(forecast_runs(words, track=track), track=track)
            by_axis = {"recorded": by_method}
            for reason in refused:
                print(f"formatlab score-forecasts: not scored: {reason}", file=sys.stderr)
        else:
            found = marked(cases(words, track=track), options.set_aside)
            if options.benchmark is not None:
                write_benchmark(options.benchmark, found)
            by_axis = _out_of_sample(options, found, track)
    # Files first: whoever reads the output, such as `head`, may stop.
    if options.output is not None:
        write_rows(options.output, score_rows(by_axis))
    if options.figure is not None:
        from formatlab.show.figures.forecasts import forecast_figure
        from formatlab.show.figures.layout import save_figure

        save_figure(forecast_figure(by_axis), options.figure)
    print_scores(by_axis)
    for name in ("output", "figure", "benchmark", "fitted"):
        if (path := getattr(options, name)) is not None:
            print(f"{name} {path}")


def _out_of_sample(
    options: ScoreOptions, found: "Sequence[Case]", track: "Track"
) -> "dict[str, dict[str, list[Scored]]]":
    """What was left out of the fit -> method -> its forecasts of it."""
    from formatlab.analysis.forecasts import own_forecasts
    from formatlab.forecast import EARLY_SLOPES, METHODS
    from formatlab.forecast.method import Fits
    from formatlab.forecast.scoring import (
        AXES,
        CHOSEN,
        check_set_aside,
        held_out,
        usable,
    )

    if options.held_out:
        check_set_aside(found)
    else:
        found = [case for case in found if not case.set_aside]
    scored = [case for case in found if case.set_aside or not options.held_out]
    axes = [axis for axis, group in AXES.items() if len({group(case) for case in found}) > 1]
    if not axes:
        raise InputError(
            "a fit needs runs from two bases at least, and there is one; name more runs"
            if found
            else "all runs were set aside; --held-out scores those"
        )
    own = {path.stem: own_forecasts(path, scored) for path in options.method}
    fits = {
        method.name: Fits(method, cases, track=track)
        for method in (*METHODS.values(), *EARLY_SLOPES.values())
        if (cases := usable(method, found))
    }
    if options.fitted is not None:
        _write_fitted(options.fitted, fits)
    # One is chosen among those that forecast the same runs.
    alike = len(fits["share"].cases)
    before_rl = [of for name, of in fits.items() if name in METHODS and len(of.cases) == alike]
    left_out = {"held out": None} if options.held_out else {axis: axis for axis in axes}
    return {
        words: {
            **{name: held_out([of], axis) for name, of in fits.items()},
            CHOSEN: held_out(before_rl, axis),
            **own,
        }
        for words, axis in left_out.items()
    }


def _write_fitted(path: Path, fits: "Mapping[str, Fits]") -> None:
    """Write what is best on all runs, for the forecasts that come with the package."""
    import numpy as np

    from formatlab.forecast import METHODS
    from formatlab.forecast.scoring import held_out, score
    from formatlab.store.atomic_file import write_text_atomically

    of_methods = {name: of for name, of in fits.items() if name in METHODS}
    scores = {name: score(held_out([of], "base"), "log_score") for name, of in of_methods.items()}
    some = next(iter(of_methods.values())).cases
    bases = len({case.base for case in some})
    content = {
        "on": f"{len(some)} runs from {bases} bases, {datetime.now(UTC):%Y-%m-%d}",
        "log_scores": {name: of.value for name, of in scores.items() if of is not None},
        "methods": {
            name: asdict(of.chosen(np.ones(len(of.cases), dtype=bool)))
            for name, of in of_methods.items()
        },
    }
    write_text_atomically(path, json.dumps(content, indent=1) + "\n")
