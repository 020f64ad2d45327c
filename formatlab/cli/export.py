"""`formatlab export RUNS`: rollouts, tables and models of studies in a folder to be published."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from formatlab.errors import InputError, RunError

if TYPE_CHECKING:
    from formatlab.show.export.export import StudyExport
    from formatlab.store import RunFolder
    from formatlab.store.integrity import ReportableRuns

DESCRIPTION = """\
Write the rollouts of studies, and tables of their runs, winners and metrics, into a folder with a
data card, which the library datasets and pandas load; with --models also bases and policies, each
in a folder with a model card. Nothing is uploaded: that is for the owner to do, who reads the cards
before. Damaged runs are left out, which is said, and the exit status is then 1.

examples:
  formatlab export runs/scale_attractors --output published --licence cc-by-4.0
  formatlab export runs/scale_attractors runs/controls --output published
  formatlab export runs --output published    (all studies of the runs folder)
  formatlab export runs/scale_attractors --output published --models --licence apache-2.0
"""

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export, and where to."""

    output: Path
    """Folder to write: new, empty, or an earlier export, which is replaced."""
    models: bool = False
    """Whether to add the bases and policies, each with a model card."""
    licence: str | None = None
    """The licence you give, by its identifier on the hub, such as cc-by-4.0 or apache-2.0. Needed
    for real models and problems; what the controlled world wrote is exported without one too, and
    the card then says that none was chosen."""
    unfinished: bool = False
    """Whether to take runs that are not done as well."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, export, and say what was written."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ExportOptions):
        runs: Annotated[
            list[Path], tyro.conf.Positional, tyro.conf.arg(metavar="RUNS", help_behavior_hint="")
        ]
        """Folders of studies in the runs folder, or of single runs; the runs folder itself stands
        for all of its studies."""

    options = tyro.cli(Options, args=arguments, prog="formatlab export", description=DESCRIPTION)
    from formatlab.launch.plan import read_plan
    from formatlab.show.export.export import write_export

    if not options.runs:
        raise InputError("name the studies to export: formatlab export RUNS --output FOLDER")
    if options.licence is not None and not _LICENCE.fullmatch(options.licence):
        raise InputError(
            f"--licence is {options.licence!r}; give an identifier of the hub in small letters, "
            "such as cc-by-4.0, apache-2.0, mit or other"
        )
    found = [runs for path in options.runs for runs in _found(path, options.models)]
    folders = [run for of in found for run in of.runs]
    damaged = [left for of in found for left in of.left_out]
    taken = [run for run in folders if run.done or options.unfinished]
    left_out = {left.name: f"damaged ({left.reason})" for left in damaged}
    left_out |= {run.name: _reason(run) for run in folders if run not in taken}
    if not taken:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in [*left_out.items()][:3])
        if not folders:
            raise RunError(f"no run is whole ({reasons}); repeat its `formatlab run`")
        raise InputError(
            f"no run is finished ({reasons}); repeat its `formatlab run`, or take what is there "
            "with --unfinished"
        )
    _check_licence(options.licence, taken)
    plans = [read_plan(path) for path in dict.fromkeys(run.path.parent for run in taken)]
    export = write_export(
        options.output,
        taken,
        licence=options.licence,
        models=options.models,
        left_out=left_out,
        commands=[plan.command for plan in plans if plan is not None],
    )
    _say(export, options)
    for left in damaged:
        print(f"formatlab export: {left.words}", file=sys.stderr)
    return int(bool(damaged))


def _found(path: Path, models: bool) -> "Iterator[ReportableRuns]":
    """The runs of a study, or of all studies of a runs folder, or the one that the folder is."""
    from formatlab.store.integrity import reportable_runs
    from formatlab.store.runs_folder import studies_in

    is_run = (path / "config.json").exists()
    for folder in ([] if is_run else studies_in(path)) or [path]:
        yield reportable_runs(folder, models=models)


def _reason(run: "RunFolder") -> str:
    if run.failed is not None:
        return f"failed ({' '.join(run.failed.split())})"
    return f"not finished ({len(run.metrics()):,} steps so far)"


def _check_licence(licence: str | None, runs: "Sequence[RunFolder]") -> None:
    from formatlab.show.export.provenance import is_synthetic

    real = [run.name for run in runs if not is_synthetic(run.config)]
    if real and licence is None:
        raise InputError(
            f"{real[0]} is of a real model or real problems, whose licences hold for what was "
            "taken from them; look them up and give one that they allow with --licence"
        )


def _say(export: "StudyExport", options: ExportOptions) -> None:
    data, output = export.data, options.output
    rows = ", ".join(f"{data.count(split):,} {split} rollouts" for split in ("train", "probe"))
    print(f"rollouts {output} ({_number(len(data.runs), 'run')}: {rows})")
    if options.models:
        kinds = [model.kind for model in export.models]
        policies = _number(kinds.count("policy"), "policy").replace("policys", "policies")
        print(f"models   {output / 'models'} ({_number(kinds.count('base'), 'base')}, {policies})")
    for name, reason in {**data.left_out, **export.missing}.items():
        print(f"left out {name}: {reason}")
    print(f"card     {output / 'README.md'}")
    if options.licence is None:
        print("licence  none chosen, and the card says so; give one with --licence to publish")
    exclude = " --exclude 'models/*'" * options.models
    print(f"\nto publish: hf upload OWNER/NAME {output} --repo-type dataset{exclude}")
    if export.models:
        print(f"each model: hf upload OWNER/NAME {output / export.models[0].name}")


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
