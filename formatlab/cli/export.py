"""`formatlab export RUNS`: rollouts, tables and models of studies in a folder to be published."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from formatlab.errors import InputError

if TYPE_CHECKING:
    from formatlab.show.export.export import StudyExport

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


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `formatlab export`."""

    output: Path
    """Folder to write, new or empty."""
    overwrite: bool = False
    """Replace an earlier export in that folder."""
    models: bool = False
    """Whether to add the bases and policies, each with a model card."""
    licence: str | None = None
    """The licence you give, by its identifier on the hub, such as cc-by-4.0 or apache-2.0. Needed
    for real models and problems; what the controlled world wrote is exported without one too, and
    the card then says that none was chosen."""
    unfinished: bool = False
    """Whether to take runs that are not done as well."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, export, and print what was written."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ExportOptions):
        runs: Annotated[
            list[Path], tyro.conf.Positional, tyro.conf.arg(metavar="RUNS", help_behavior_hint="")
        ]
        """Folders of studies in the runs folder, or of single runs; the runs folder itself stands
        for all of its studies."""

    options = tyro.cli(Options, args=arguments, prog="formatlab export", description=DESCRIPTION)
    from formatlab.cli.shown_work import shown_work
    from formatlab.launch.plan import read_plan
    from formatlab.show.export.export import choose_runs, write_export

    if not options.runs:
        raise InputError("name the studies to export: formatlab export RUNS --output FOLDER")
    with shown_work("export") as track:
        chosen = choose_runs(
            options.runs,
            licence=options.licence,
            models=options.models,
            unfinished=options.unfinished,
            track=track,
        )
        plans = [read_plan(path) for path in dict.fromkeys(run.path.parent for run in chosen.runs)]
        export = write_export(
            options.output,
            chosen.runs,
            licence=options.licence,
            models=options.models,
            left_out=chosen.left_out,
            commands=[plan.command for plan in plans if plan is not None],
            overwrite=options.overwrite,
            track=track,
        )
    _print_export(export, options)
    for damaged in chosen.damaged:
        print(f"formatlab export: {damaged.words}", file=sys.stderr)
    return int(bool(chosen.damaged))


def _print_export(export: "StudyExport", options: ExportOptions) -> None:
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
