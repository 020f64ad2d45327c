"""`formatlab clean`: show what can be removed from a runs folder, and remove it on demand."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.filesize import decimal

from formatlab.errors import FormatlabError

if TYPE_CHECKING:
    from formatlab.launch.clean import Kind, Removable

DESCRIPTION = """\
Show what can be removed from a runs folder, and with --yes remove it. Always safe to remove are
temporary files in which nothing changed for an hour, checkpoints of finished runs, and merged
policies that no planned run needs. Results are removed only where an option asks for it. What a
live process holds stays, and so does everything behind symbolic links.

examples:
  formatlab clean
  formatlab clean runs --failed --yes
"""

_SHOWN = 8
"""Lines that list a kind of garbage; the rest are counted."""

_WORDS: "dict[Kind, str]" = {
    "temporary": "temporary files of writers that were killed",
    "checkpoints": "checkpoints of finished runs",
    "merged": "merged policies that no planned run starts from, made again when needed",
    "failed": "runs and bases that failed",
    "unplanned": "runs that no last command asked for, bases and corpora that no run comes of",
    "aside": "damaged or outdated folders that were put aside",
}


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """What to remove."""

    yes: bool = False
    """Remove what is shown."""
    failed: bool = False
    """Also the folders of runs and bases that failed."""
    unplanned: bool = False
    """Also runs that the last command of their study did not ask for, then bases and corpora that
    no run comes of. A study without a plan keeps all of its runs."""
    aside: bool = False
    """Also folders that were put aside, damaged or outdated."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, show, and remove."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(CleanOptions):
        runs: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="[RUNS]")] = Path("runs")
        """The runs folder."""

    options = tyro.cli(Options, args=arguments, prog="formatlab clean", description=DESCRIPTION)
    from formatlab.cli.shown_work import shown_work
    from formatlab.launch.clean import BY_OPTION, GARBAGE, find_removable

    runs = options.runs
    asked: list[Kind] = [kind for kind in BY_OPTION if getattr(options, kind)]
    further: list[Kind] = [kind for kind in BY_OPTION if kind not in asked]
    sought: list[list[Kind]] = [[*GARBAGE, *asked], *([*asked, kind] for kind in further)]
    with shown_work("clean") as track:
        found, *rest = [
            find_removable(runs, kinds)
            for kinds in track(sought, "looking through the runs folder")
        ]
    others = dict(zip(further, rest, strict=True))
    if not found:
        print(f"nothing to clean in {runs}")
    status = _remove(found, runs) if options.yes else _show(found, runs)
    hints = [
        f"--{kind} {len(of_kind)} ({_amount(of_kind)})"
        for kind, items in others.items()
        if (of_kind := [item for item in items if item.kind == kind])
    ]
    if hints:
        print(f"more by option: {', '.join(hints)}")
    return status


def _show(found: "Sequence[Removable]", runs: Path) -> int:
    from formatlab.launch.clean import GARBAGE

    for kind, words in _WORDS.items():
        items = [item for item in found if item.kind == kind]
        if not items:
            continue
        print(f"{words}: {len(items)}, {_amount(items)}")
        shown = items[:_SHOWN] if kind in GARBAGE else items
        for item in shown:
            print(f"  {decimal(item.size):>9}  {_place(item, runs)}{', finished' * item.done}")
        if len(items) > len(shown):
            print(f"             and {len(items) - len(shown)} more")
    if found:
        total = decimal(sum(item.size for item in found))
        print(f"in all {total}; nothing was removed, --yes removes it")
    return 0


def _remove(found: "Sequence[Removable]", runs: Path) -> int:
    from formatlab.cli.shown_work import shown_work
    from formatlab.launch.clean import remove
    from formatlab.store.lock import Held

    gone: list[Removable] = []
    status = 0
    with shown_work("clean") as track:
        for item in track(found, "removing"):
            try:
                if remove(item):
                    gone.append(item)
            except FormatlabError as error:
                print(f"formatlab clean: {_place(item, runs)} is left: {error}", file=sys.stderr)
                status = status if isinstance(error, Held) else 1
    for kind, words in _WORDS.items():
        items = [item for item in gone if item.kind == kind]
        if items:
            print(f"removed {words}: {len(items)}, {decimal(sum(item.size for item in items))}")
    if found:
        print(f"freed {decimal(sum(item.size for item in gone))}")
    return status


def _place(item: "Removable", runs: Path) -> str:
    from formatlab.show.wording import visible_text

    return visible_text(str(item.path.relative_to(runs)))


def _amount(items: "Sequence[Removable]") -> str:
    """How large they are, and how many of them are finished runs or bases."""
    size, finished = decimal(sum(item.size for item in items)), sum(i.done for i in items)
    return f"{size}, {finished} finished" if finished else size
