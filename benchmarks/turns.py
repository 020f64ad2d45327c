"""Turns: contenders measured one after another, again and again, each in a process of its own.

Other work on the machine then falls on all alike, and a contender can be the package of another
checkout.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]

_PROGRAM = """
import importlib, json, sys
import benchmarks  # of this checkout, whichever the package comes from
checkout, module, function, asked = sys.argv[1:]
sys.path.insert(0, checkout)
found = getattr(importlib.import_module(module), function)(**json.loads(asked))
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one contender, over all of its turns."""

    what: str
    """What is compared; the rows of a comparison have it in common."""
    who: str
    """The contender; the one whose name begins with `lab` is what the others are compared with."""
    values: Sequence[float]
    """Every value measured; none where it was not."""
    more_is_better: bool = False
    """Whether the larger value wins, as with speeds."""
    note: str = ""
    """What else the reader has to know of it."""

    @property
    def median(self) -> float:
        """The middle one of the values."""
        return statistics.median(self.values)

    @property
    def is_lab(self) -> bool:
        """Whether the others are compared with it."""
        return self.who.startswith("lab")

    def ratio(self, lab: "Row") -> float:
        """How many times better the lab is, by medians."""
        better, worse = (lab, self) if self.more_is_better else (self, lab)
        return better.median / worse.median


def table(rows: Sequence[Row], *, values: str) -> str:
    """The rows as Markdown.

    Args:
        rows: those of a comparison hold one of the lab.
        values: what the values are, with their unit.
    """
    if not rows:
        return "Not measured."
    labs = {row.what: row for row in rows if row.is_lab and row.values}
    lines = [
        f"| what | contender | {values}, median (least to most) | n | the lab is better by |  |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lab, found, ratio = labs.get(row.what), "not measured", ""
        if row.values:
            spread = f"{_number(min(row.values))} to {_number(max(row.values))}"
            found = f"{_number(row.median)} ({spread})"
            ratio = "" if lab is None or row.is_lab else f"{row.ratio(lab):.1f}x"
        cells = [row.what, row.who, found, str(len(row.values)), ratio, row.note]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def in_process(
    function: Callable[..., Any], asked: Mapping[str, Any], checkout: Path | None = None
) -> Any:
    """Call a function of the benchmarks in a process of its own, on one thread.

    Args:
        function: at the top of its module; what it returns goes through JSON.
        asked: its arguments, ready for JSON.
        checkout: whose `formatlab` it uses; None: this one's.
    """
    words = [str((checkout or HERE).resolve()), function.__module__, function.__name__]
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM, *words, json.dumps(asked)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    # Not `ru_maxrss`, in which a child begins with what its parent had.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024


def commit(checkout: Path) -> str:
    """The commit of a checkout in short, with a plus sign where its files differ from it."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "an unknown commit"


def _number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
