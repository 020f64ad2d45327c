"""Comparisons of sets of rollouts: one in full, or a row for each of several."""

import math
import os.path
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from formatlab.measure.attractor import seed_interval
from formatlab.measure.comparison import Comparison
from formatlab.measure.measures import FRACTIONS
from formatlab.show.wording import name_text

if TYPE_CHECKING:
    from rich.console import Console

_ANY_WIDTH = 10_000
"""Columns of what is no terminal: a file gets whole rows."""
_NAME_WIDTH = 60
_POINTS = FRACTIONS | {"gain", "gain_format", "gain_routing", "gain_skill_within"}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two sets of rollouts, and what differs."""

    a: str
    """What the first is called."""
    b: str
    found: Comparison
    arm: str = ""
    """Of a run of a study; empty of others."""
    seed: int | None = None
    """Of a run of a study."""
    counted: bool = True
    """Whether it counts for the mean of its arm: a finished run of a trained base."""


def comparison_rows(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the numbers: one row a comparison and measure, then those of the means over seeds."""
    rows = [
        {
            **{"a_name": one.a, "b_name": one.b, "arm": one.arm, "seed": one.seed, "n_seeds": 1},
            "paired": one.found.paired,
            **row,
        }
        for one in compared
        for row in one.found.differences.to_pylist()
    ]
    return rows + [dict.fromkeys(rows[0]) | row for row in arm_rows(compared)]


def arm_rows(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return means over seeds: one row an arm and measure, with Student's 95% intervals.

    A run without a measure is left out of its mean; `n_seeds` says how many are in it.
    """
    rows = []
    seeds = Counter(one.arm for one in compared if one.arm and one.counted)
    for arm in (arm for arm, number in seeds.items() if number > 1):
        by_key: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for one in compared:
            if one.arm == arm and one.counted:
                for row in one.found.differences.to_pylist():
                    key = (row["measure"], row["subset"], row["k"])
                    if row["difference"] is not None:
                        by_key.setdefault(key, []).append(row)
        for (measure, subset, k), of_seeds in by_key.items():
            change = seed_interval(
                [row["difference"] for row in of_seeds], lowest=-math.inf, highest=math.inf
            )
            means = {
                side: None if None in (values := [row[side] for row in of_seeds]) else mean(values)
                for side in ("a", "b")
            }
            rows.append(
                {
                    **{"arm": arm, "n_seeds": len(of_seeds), "measure": measure, "subset": subset},
                    **{"k": k, **means, "difference": change.mean},
                    **{"low": change.low, "high": change.high},
                    "n_prompts": min(row["n_prompts"] for row in of_seeds),
                }
            )
    return rows


def print_arms(compared: Sequence[Compared]) -> None:
    """Print what differs over the seeds of each arm."""
    from rich.table import Table

    rows = arm_rows(compared)
    if not rows:
        return
    table = Table("arm", "measure", "of", box=None, pad_edge=False)
    for heading in ("k", "a", "b", "b - a [95% over seeds]", "seeds"):
        table.add_column(heading, justify="right")
    most = max((row["k"] for row in rows if row["measure"] == "pass@k"), default=None)
    last = ""
    for row in rows:
        key = (row["measure"], row["subset"])
        if key not in _OF_ARMS or (row["measure"] == "pass@k" and row["k"] != most):
            continue
        table.add_row(
            "" if row["arm"] == last else row["arm"],
            row["measure"],
            row["subset"],
            "" if row["k"] is None else str(row["k"]),
            _number(row, "a"),
            _number(row, "b"),
            _difference(row),
            str(row["n_seeds"]),
        )
        last = row["arm"]
    print()
    wide_console().print(table)
    print("\nmeans over finished runs of a trained base, with Student's 95% interval over seeds")


def print_comparison(of: Compared) -> None:
    """Print all that differs between two sets of rollouts."""
    from rich.table import Table

    found, console = of.found, wide_console()
    print(f"a  {of.a}\nb  {of.b}")
    if found.paired:
        left_out = sum(found.left_out)
        more = f"; {left_out:,} that only one side has are left out" if left_out else ""
        print(f"{found.n_prompts[0]:,} prompts that both have, compared pair by pair{more}")
    else:
        print(
            f"no shared prompts ({found.n_prompts[0]:,} and {found.n_prompts[1]:,}): what differs "
            "may be the prompts, and there is no gain to split"
        )
    if found.samples > 1:
        print(f"diversity: of {found.samples} rollouts of each prompt")
    else:
        print("diversity within prompts: none, as most prompts have a single rollout")
    table = Table("measure", "of", box=None, pad_edge=False)
    for heading in ("k", "a", "b", "b - a [95%]"):
        table.add_column(heading, justify="right")
    table.add_column("prompts", justify="right")
    last = ""
    for row in found.differences.to_pylist():
        table.add_row(
            row["measure"] if row["measure"] != last else "",
            name_text(row["subset"]),
            "" if row["k"] is None else str(row["k"]),
            _number(row, "a"),
            _number(row, "b"),
            _difference(row),
            f"{row['n_prompts']:,}",
        )
        last = row["measure"]
    console.print()
    console.print(table)
    console.print()
    print(*comparison_lines(of), sep="\n")


def print_comparisons(compared: Sequence[Compared]) -> None:
    """Print a row for each of several comparisons."""
    from rich.table import Table

    names = short_names([name for one in compared for name in (one.a, one.b)])
    found = [_by_key(one.found) for one in compared]
    columns = [
        (heading, key)
        for heading, *key in _SHORT
        if any((row := of.get((key[0], key[1]))) and row["difference"] is not None for of in found)
    ]
    table = Table("a", "b", box=None, pad_edge=False)
    for heading in ("accuracy", *(heading for heading, _ in columns)):
        table.add_column(heading, justify="right")
    for one, rows in zip(compared, found, strict=True):
        accuracy = rows.get(("accuracy", "all"))
        table.add_row(
            name_text(names[one.a], _NAME_WIDTH),
            name_text(names[one.b], _NAME_WIDTH),
            "-" if accuracy is None else f"{_number(accuracy, 'a')} to {_number(accuracy, 'b')}",
            *(
                "-" if (row := rows.get((key[0], key[1]))) is None else _difference(row)
                for _, key in columns
            ),
        )
    wide_console().print(table)
    unpaired = sum(not one.found.paired for one in compared)
    prompts = sorted({min(one.found.n_prompts) for one in compared})
    print(
        f"\nb less a with 95% bootstrap intervals over {' or '.join(map(str, prompts))} prompts"
        f"{f'; {unpaired} without shared prompts' if unpaired else ', paired'}; accuracy and its "
        "gain in percentage points"
    )


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names of files and runs without the folder that all of them share."""
    folders = [name.rpartition("/")[0] for name in names]
    if not all(folders) or len({folder.startswith("/") for folder in folders}) > 1:
        return {name: name for name in names}
    common = os.path.commonpath(folders)
    return {name: os.path.relpath(name, common) if common else name for name in names}


_SHORT = (
    ("gain", "gain", "all"),
    ("format", "gain_format", "all"),
    ("routing", "gain_routing", "all"),
    ("skill", "gain_skill_within", "all"),
    ("JS, nats", "js_divergence", "all"),
    ("H(F), nats", "format_entropy", "all"),
    ("chrF distance", "chrf_distance", "all"),
    ("composition, by format", "chrf_distance composition", "by format"),
    ("within formats", "chrf_distance within", "by format"),
)
"""Columns of the table of several comparisons: heading, measure and subset."""

_OF_ARMS = {
    *((name, "all") for name in ("accuracy", "pass@k", "js_divergence", "token_entropy")),
    *((f"gain_{name}", "all") for name in ("format", "routing", "skill_within")),
    *((f"format_entropy{name}_corrected", "all") for name in ("", "_given_prompt")),
    *((name, "all") for name in ("format_information", "text_distinct@k", "chrf_distance")),
    *((name, "right") for name in ("text_distinct@k", "chrf_distance")),
    *((f"chrf_distance {part}", "by format") for part in ("composition", "within")),
}
"""Measure and subset of the rows that are printed of an arm."""


def comparison_lines(of: Compared) -> list[str]:
    """Return sentences on where a change in accuracy and a change in diversity come from."""
    rows = _by_key(of.found)
    lines = []
    if (gained := rows.get(("gain", "all"))) is not None:
        parts = {
            name: _difference(rows[f"gain_{name}", "all"])
            for name in ("format", "routing", "skill_within")
        }
        lines.append(
            f"accuracy {_difference(gained)} points: {parts['format']} by writing other formats, "
            f"{parts['routing']} by matching formats to prompts, {parts['skill_within']} by skill "
            "within formats"
        )
    for split in of.found.splits:
        if split.measure == "format_disagreement" or split.by != "format":
            continue
        change, composition, within = (
            _interval(found.value, found.low, found.high, points=False)
            for found in (split.change, split.composition, split.within)
        )
        lines.append(
            f"{split.measure.replace('_', ' ')} {change}: {composition} because more or fewer "
            f"pairs of rollouts share a format, {within} within such pairs"
        )
    return lines


def _by_key(found: Comparison) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(row["measure"], row["subset"]): row for row in found.differences.to_pylist()}


def _number(row: Mapping[str, Any], side: str) -> str:
    value = row[side]
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if row["measure"] in _POINTS else f"{value:.3f}"


def _difference(row: Mapping[str, Any]) -> str:
    points = row["measure"] in _POINTS
    return _interval(row["difference"], row["low"], row["high"], points=points)


def _interval(value: float | None, low: float | None, high: float | None, *, points: bool) -> str:
    """A difference with its interval, in percentage points or as it is."""
    if value is None:
        return "-"
    scale, decimals = (100, 1) if points else (1, 3)
    texts = [
        f"{round(scale * number, decimals) + 0.0:+.{decimals}f}"  # + 0.0: no -0
        for number in (value, low, high)
        if number is not None
    ]
    return texts[0] if len(texts) < 3 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def wide_console() -> "Console":
    """A console that writes whole rows where there is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _ANY_WIDTH
    return console
