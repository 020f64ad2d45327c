"""`formatlab report STUDY`: tables, figures and report of a study, made again from its runs."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from formatlab.errors import InputError, RunError

DESCRIPTION = """\
Make the tables, figures and report of a study again from its run folders. Damaged ones are left
out, which is said, and the exit status is then 1.

examples:
  formatlab report runs/scale_attractors
  formatlab report runs/scale_attractors --gallery plots   (also copies figures and small tables)
"""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What to make a report of."""

    gallery: Path | None = None
    """Folder that figures and tables are copied to as well."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and write the report."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ReportOptions):
        study: Annotated[Path, tyro.conf.Positional]
        """Folder of a study in the runs folder."""

    options = tyro.cli(Options, args=arguments, prog="formatlab report", description=DESCRIPTION)
    from formatlab.show.report.report import write_report
    from formatlab.show.study import measured_study
    from formatlab.show.tables.results import print_study
    from formatlab.store.atomic_file import explained_os_errors
    from formatlab.store.integrity import reportable_runs

    if (options.study / "config.json").exists():
        raise InputError(
            f"{options.study} is one run; give the folder of its study, which holds it"
        )
    found = reportable_runs(options.study)
    if not found.runs:
        raise RunError(f"{options.study}: {'; '.join(left.words for left in found.left_out)}")
    study = measured_study(found.runs)
    report = write_report(options.study, found.runs, study=study)
    print_study(study)
    print(f"\nreport  {report}\nfigures {report.parent / 'figures'}")
    if options.gallery is not None:
        with explained_os_errors(options.gallery):
            for kind in ("figures", "tables"):
                shutil.copytree(options.study / kind, options.gallery / kind, dirs_exist_ok=True)
        print(f"gallery {options.gallery}")
    for left in found.left_out:
        print(f"formatlab report: {left.words}", file=sys.stderr)
    return int(bool(found.left_out))
