"""`formatlab report STUDY`: tables, figures and report of a study, made again from its runs."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

DESCRIPTION = """\
Make the tables, figures and report of a study again from its run folders. Damaged ones are left
out, which is said, and the exit status is then 1.

examples:
  formatlab report runs/scale_attractors
  formatlab report runs/scale_attractors --gallery plots   (also copies figures and small tables)
"""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of `formatlab report`."""

    gallery: Path | None = None
    """Folder that figures and tables are copied to as well."""
    overwrite: bool = False
    """Replace the figures and tables that the gallery has."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and write the report."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ReportOptions):
        study: Annotated[Path, tyro.conf.Positional]
        """Folder of a study in the runs folder."""

    options = tyro.cli(Options, args=arguments, prog="formatlab report", description=DESCRIPTION)
    from formatlab.cli.shown_work import shown_work
    from formatlab.show.report.report import report_folder
    from formatlab.show.tables.results import print_study

    with shown_work("report") as track:
        study, report, left_out = report_folder(
            options.study, gallery=options.gallery, overwrite=options.overwrite, track=track
        )
    print_study(study)
    print(f"\nreport  {report}\nfigures {report.parent / 'figures'}")
    if options.gallery is not None:
        print(f"gallery {options.gallery}")
    for left in left_out:
        print(f"formatlab report: {left.words}", file=sys.stderr)
    return int(bool(left_out))
