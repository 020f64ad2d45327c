"""`formatlab response RUNS`: how far the first update of RL moves each format's share, and why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from formatlab.errors import InputError

DESCRIPTION = """\
Say how far the first update of RL moves the share of each format, from the gradient at the base:
as AdamW scales it, and as plain gradient descent leaves it. RUNS are studies or run folders of
grpo, ppo or rloo under a correctness reward. A format gains by its advantage and by how large the
gradient usually is in the weights that decide on it, so equally right formats may part ways.

Runs write the response before their first step (response.json); of older runs it is measured, if
the model that they started from is still in the runs folder, and written beside the rest.

examples:
  formatlab response runs/forecasts
  formatlab response runs/forecasts runs/scale_attractors --output responses.csv
"""


@dataclass(frozen=True, kw_only=True)
class ResponseOptions:
    """Where to write."""

    output: Path | None = None
    """File of all numbers: .csv, .json or .parquet."""
    figure: Path | None = None
    """Figure of responses and what came: a .png, .svg or .pdf file."""
    overwrite: bool = False
    """Replace output and figure if they exist."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, measure, and print."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ResponseOptions):
        runs: Annotated[
            list[str], tyro.conf.Positional, tyro.conf.arg(metavar="RUNS", help_behavior_hint="")
        ]
        """Studies or run folders."""

    options = tyro.cli(Options, args=arguments, prog="formatlab response", description=DESCRIPTION)
    if not options.runs:
        raise InputError("name the runs: formatlab response RUNS")
    from formatlab.analysis.forecasts import on_policy_runs
    from formatlab.analysis.responses import FEWEST_ROLLOUTS, measured_responses, responses
    from formatlab.cli.shown_work import shown_work
    from formatlab.show.tables.responses import print_responses
    from formatlab.show.tables.table import TABLE_FILES, write_rows
    from formatlab.store.output_file import FIGURE_FILES, check_output

    inputs = [Path(word) for word in options.runs]
    for flag, path, kinds in (
        ("--output", options.output, TABLE_FILES),
        ("--figure", options.figure, FIGURE_FILES),
    ):
        if path is not None:
            check_output(flag, path, kinds=kinds, inputs=inputs, overwrite=options.overwrite)
    with shown_work("response") as track:
        runs = on_policy_runs(options.runs, track=track)
        found = responses(measured_responses(runs, track=track))
    # Files first: whoever reads the output, such as `head`, may stop.
    if options.output is not None:
        write_rows(options.output, found.rows)
    if options.figure is not None:
        from formatlab.show.figures.layout import save_figure
        from formatlab.show.figures.responses import response_figure

        figure = response_figure(found.rows, found.agreement, fewest=FEWEST_ROLLOUTS)
        save_figure(figure, options.figure)
    print_responses(found.rows, found.agreement, fewest=FEWEST_ROLLOUTS)
    for name in ("output", "figure"):
        if (path := getattr(options, name)) is not None:
            print(f"{name} {path}")
    return 0
