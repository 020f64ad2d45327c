"""`formatlab competence STUDY`: does scale decide the winner, or what the base has learned?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

DESCRIPTION = """\
Ask what decides which kind of format wins, executed (an interpreter does the arithmetic) or worked:
the size of a base, or what it has learned. The runs of STUDY start from bases of several scales,
best from intermediate ones too (experiments/competence.py).

Regressions of the kind that leads at the end, and of the share of worked formats, on log
parameters, on the base's accuracies and shares, and on both; and how often pairs of runs end alike,
by whether their scales and accuracies are alike. Intervals are over pretrainings. The numbers go to
tables/competence*.csv and the figure to figures/competence.png and .svg, in the study's folder.

examples:
  formatlab competence runs/competence
  formatlab competence runs/scale_attractors --output plots/competence
"""


@dataclass(frozen=True, kw_only=True)
class CompetenceOptions:
    """Where to write."""

    output: Path | None = None
    """Folder of the tables and figures; by default the study's own."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, compute, and print."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(CompetenceOptions):
        study: Annotated[Path, tyro.conf.Positional]
        """Folder of a study in the runs folder."""

    options = tyro.cli(
        Options, args=arguments, prog="formatlab competence", description=DESCRIPTION
    )
    from formatlab.analysis.competence import TOLERANCE, competence
    from formatlab.analysis.sides import sound_runs
    from formatlab.cli.shown_work import shown_work
    from formatlab.show.figures.competence import competence_figure
    from formatlab.show.figures.layout import save_figure
    from formatlab.show.study import measured_study
    from formatlab.show.tables.competence import print_competence
    from formatlab.show.tables.table import write_rows

    with shown_work("competence") as track:
        found = competence(measured_study(sound_runs(options.study, track=track), track=track))
    output = options.output or options.study
    # The files first: whoever reads the output, such as `head`, may stop.
    write_rows(output / "tables" / "competence_runs.csv", found.runs)
    write_rows(output / "tables" / "competence.csv", found.coefficients)
    write_rows(output / "tables" / "competence_pairs.csv", found.pairs)
    rows = (found.runs, found.coefficients, found.pairs)
    figure = competence_figure(*rows, tolerance=TOLERANCE)
    for kind in ("png", "svg"):
        save_figure(figure, output / "figures" / f"competence.{kind}")
    print_competence(found.coefficients, found.pairs)
    for reason, count in found.left_out.items():
        print(f"\nnot counted: {count} {reason}")
    print(f"\ntables {output / 'tables'}/competence*.csv")
    print(f"figure {output / 'figures'}/competence.png")
    return 0
