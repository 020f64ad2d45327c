"""`formatlab report STUDY`: tables, figures and report of a study, made again from its runs."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from formatlab.errors import InputError

DESCRIPTION = """\
Make the tables, figures and report of a study again from its run folders.

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
    from formatlab.show.report import write_report
    from formatlab.show.study import measured_study
    from formatlab.show.table import print_study
    from formatlab.store.atomic_file import explained_os_errors
    from formatlab.store.run_folder import RunFolder

    if not options.study.is_dir():
        raise InputError(f"there is no folder {options.study}; give one such as runs/<study>")
    if (options.study / "config.json").exists():
        raise InputError(
            f"{options.study} is one run; give the folder of its study, which holds it"
        )
    found = [RunFolder.open(path.parent) for path in sorted(options.study.glob("*/config.json"))]
    folders = [folder for folder in found if folder.config.get("kind") == "run"]
    if not folders:
        raise InputError(f"{options.study} holds no run folders; give one such as runs/<study>")
    study = measured_study(folders)
    report = write_report(options.study, folders, study=study)
    print_study(study)
    print(f"\nreport  {report}\nfigures {report.parent / 'figures'}")
    if options.gallery is not None:
        with explained_os_errors(options.gallery):
            for kind in ("figures", "tables"):
                shutil.copytree(options.study / kind, options.gallery / kind, dirs_exist_ok=True)
        print(f"gallery {options.gallery}")
    return 0
