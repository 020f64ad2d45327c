"""Comparisons of sets of rollouts: one alone, several, and means over the seeds of each arm."""

import math
import os.path
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, NamedTuple

from formatlab.measure.attractor import seed_interval
from formatlab.measure.comparison import Comparison
from formatlab.measure.measures import FRACTIONS
from formatlab.show.tables.table import wide_console
from formatlab.show.wording import name_text

_NAME_WIDTH = 60
_POINTS = (*FRACTIONS, "gain", "gain_format", "gain_routing", "gain_skill_within", "gain_skill")


class Key(NamedTuple):
    """A measure that is shown; all others are in the file of numbers."""

    measure: str
    subset: str
    label: str
    in_row: bool = False
    """Whether it is a column of the table of several comparisons."""


KEYS = (
    Key("accuracy", "all", "accuracy"),
    Key("pass@k", "all", "pass@k"),
    Key("maj@k", "all", "maj@k"),
    Key("gain", "all", "gain", in_row=True),
    Key("gain_format", "all", "gain by format", in_row=True),
    Key("gain_routing", "all", "gain by routing", in_row=True),
    Key("gain_skill_within", "all", "gain by skill", in_row=True),
    Key("js_divergence", "all", "JS divergence", in_row=True),
    Key("format_entropy_corrected", "all", "H(F)", in_row=True),
    Key("format_entropy_given_prompt_corrected", "all", "H(F|X)"),
    Key("format_information", "all", "I(F;X)"),
    Key("right_formats@k", "all", "right formats"),
    Key("answer_distinct@k", "all", "answers"),
    Key("text_distinct@k", "all", "texts"),
    Key("right_texts@k", "all", "right texts"),
    Key("chrf_clusters", "all", "chrF clusters"),
    Key("chrf_distance", "all", "chrF distance", in_row=True),
    Key("chrf_distance", "right", "chrF, right ones"),
    Key("chrf_distance_composition", "by format", "chrF, by formats", in_row=True),
    Key("chrf_distance_within", "by format", "chrF, in formats", in_row=True),
    Key("chrf_distance_of_prompts", "all", "chrF, of prompts"),
    Key("semantic_distance", "all", "semantic distance"),
    Key("semantic_distance", "right", "semantic, right ones"),
    Key("semantic_distance_of_prompts", "all", "semantic, of prompts"),
    Key("token_entropy", "all", "token entropy"),
    Key("tokens", "all", "tokens"),
    Key("truncated", "all", "truncated"),
)
"""The measures that are shown, in their order."""


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


Rows = Mapping[tuple[str, str], Mapping[str, Any]]
"""Measure and subset -> the row of its largest k."""


def rows_by_key(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """The row of each measure and subset; of several k the last, which is the largest."""
    return {(row["measure"], row["subset"]): row for row in rows}


def comparison_rows(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the numbers: one row a comparison and measure, then those of the means over seeds."""
    rows = [
        {
            "a_name": one.a,
            "b_name": one.b,
            "arm": one.arm,
            "seed": one.seed,
            "n_seeds": 1,
            "paired": one.found.paired,
        }
        | row
        for one in compared
        for row in one.found.differences.to_pylist()
    ]
    return rows + [dict.fromkeys(rows[0]) | row for row in arm_rows(compared)]


def arm_rows(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return means over seeds: one row an arm and measure, with Student's 95% intervals.

    A run without a measure is left out of its mean; `n_seeds` says how many are in it.
    """
    seeds = Counter(one.arm for one in compared if one.arm and one.counted)
    rows = []
    for arm, number in seeds.items():
        of_arm = [one for one in compared if one.arm == arm and one.counted]
        by_key: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for row in (row for one in of_arm for row in one.found.differences.to_pylist()):
            if number > 1 and row["difference"] is not None:
                by_key.setdefault((row["measure"], row["subset"], row["k"]), []).append(row)
        for (measure, *_), of_seeds in by_key.items():
            if measure == "share":  # runs that never write a tag have none of it
                none = {"a": 0.0, "b": 0.0, "difference": 0.0, "retained": None}
                of_seeds += [{**of_seeds[0], **none}] * (number - len(of_seeds))
            rows.append(_arm_row(arm, of_seeds))
    return rows


def _arm_row(arm: str, of_seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means of one measure over the runs of an arm."""
    first = of_seeds[0]
    row: dict[str, Any] = {"arm": arm, "n_seeds": len(of_seeds)}
    row |= {name: first[name] for name in ("measure", "subset", "k")}
    for side in ("a", "b"):
        values = [seed[side] for seed in of_seeds]
        row[side] = None if None in values else mean(values)
    furthest = 1.0 if first["measure"] in _POINTS else math.inf
    ratios = [seed["retained"] for seed in of_seeds]
    for name, prefix, values, lowest, highest in (
        ("difference", "", [seed["difference"] for seed in of_seeds], -furthest, furthest),
        ("retained", "retained_", [] if None in ratios else ratios, 0.0, math.inf),
    ):
        if values:
            found = seed_interval(values, lowest=lowest, highest=highest)
            row |= {name: found.mean, f"{prefix}low": found.low, f"{prefix}high": found.high}
        else:
            row |= dict.fromkeys((name, f"{prefix}low", f"{prefix}high"))
    return row | {"n_prompts": min(seed["n_prompts"] for seed in of_seeds)}


def print_comparison(one: Compared) -> None:
    """Print what differs between two sets of rollouts: sentences, shares and the key measures."""
    found = one.found
    print(f"a  {one.a}\nb  {one.b}")
    print(*_size_lines(found), sep="\n", end="\n\n")
    print(*comparison_lines(one), sep="\n")
    rows = found.differences.to_pylist()
    table = _table("measure", "k", "a", "b", "b - a [95%]", "b / a [95%]", "prompts")
    for row in rows:
        if row["measure"] == "share":
            table.add_row(f"share of {name_text(row['subset'])}", *_cells(row))
    for key, row in _shown(rows_by_key(rows)):
        table.add_row(key.label, *_cells(row))
        if key.measure == "accuracy":
            for of_tag in rows:
                if of_tag["measure"] == "accuracy" and of_tag["subset"] != "all":
                    table.add_row(f"  of {name_text(of_tag['subset'])}", *_cells(of_tag))
    print()
    wide_console().print(table)


def _size_lines(found: Comparison) -> Iterator[str]:
    a, b = found.n_prompts
    if found.paired:
        left_out = sum(found.left_out)
        more = f"; {left_out:,} that only one side has are left out" if left_out else ""
        yield f"{a:,} prompts that both have, compared pair by pair{more}"
    else:
        shared = f"only {found.shared} shared prompts" if found.shared else "no shared prompts"
        yield (
            f"{shared} ({a:,} and {b:,}): what differs may be the prompts, and there is no gain to "
            "split"
        )
    if found.k > 1:
        yield f"diversity: of {found.k} rollouts of each prompt"
    else:
        yield "diversity: between prompts alone, as more than one in ten has a single rollout"


def print_comparisons(compared: Sequence[Compared]) -> None:
    """Print a row for each of several comparisons; of the runs of a study, their arm and seed."""
    of_study = all(one.arm for one in compared)
    names = short_names([name for one in compared for name in (one.a, one.b)])
    found = [rows_by_key(one.found.differences.to_pylist()) for one in compared]
    keys = [key for key in KEYS if key.in_row and any(_known(rows, key) for rows in found)]
    table = _table(*(("arm", "seed") if of_study else ("a", "b")), "accuracy", text=1)
    for key in keys:
        table.add_column(key.label, justify="right")
    for one, rows in zip(compared, found, strict=True):
        accuracy = rows.get(("accuracy", "all"))
        table.add_row(
            one.arm if of_study else name_text(names[one.a], _NAME_WIDTH),
            str(one.seed) if of_study else name_text(names[one.b], _NAME_WIDTH),
            "-" if accuracy is None else f"{_number(accuracy, 'a')} to {_number(accuracy, 'b')}",
            *(_difference(rows[key[:2]]) if _known(rows, key) else "-" for key in keys),
        )
    wide_console().print(table)
    unpaired = sum(not one.found.paired for one in compared)
    prompts = sorted({min(one.found.n_prompts) for one in compared})
    print(
        f"\nb less a with 95% bootstrap intervals over {' or '.join(map(str, prompts))} prompts"
        f"{f'; {unpaired} without shared prompts' if unpaired else ', paired'}; accuracy and its "
        "gain in percentage points, entropies in nats"
    )


def print_arms(compared: Sequence[Compared]) -> None:
    """Print what differs over the seeds of each arm; nothing without an arm of several seeds."""
    rows = arm_rows(compared)
    if not rows:
        return
    table = _table("arm", "measure", "k", "a", "b", "b - a [95%]", "b / a [95%]", "seeds", text=2)
    for arm in dict.fromkeys(row["arm"] for row in rows):
        last = ""
        for key, row in _shown(rows_by_key([row for row in rows if row["arm"] == arm])):
            cells = _cells(row)[:-1]
            table.add_row("" if arm == last else arm, key.label, *cells, str(row["n_seeds"]))
            last = arm
    print()
    wide_console().print(table)
    print("\nmeans over finished runs of a trained base, with Student's 95% intervals over seeds")


def comparison_lines(one: Compared) -> list[str]:
    """Return sentences on where a change in accuracy and a change in diversity come from."""
    rows = rows_by_key(one.found.differences.to_pylist())
    lines = []
    if ("gain", "all") in rows:
        total, by_format, routing, skill = (
            _difference(rows[name, "all"])
            for name in ("gain", "gain_format", "gain_routing", "gain_skill_within")
        )
        lines.append(
            f"accuracy {total} points: {by_format} by writing other formats, {routing} by matching "
            f"formats to prompts, {skill} by skill within formats"
        )
    for name in ("chrf_distance", "semantic_distance"):
        if (f"{name}_within", "by format") in rows:
            total, composition, within = (
                _difference(rows[key])
                for key in (
                    (name, "all"),
                    (f"{name}_composition", "by format"),
                    (f"{name}_within", "by format"),
                )
            )
            lines.append(
                f"{name.replace('_', ' ')} {total}: {composition} because more or fewer pairs of "
                f"rollouts share a format, {within} within such pairs"
            )
    return lines


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names of files and runs without the folder that all of them share."""
    folders = [os.path.dirname(name) for name in names]
    if not all(folders) or len({folder.startswith("/") for folder in folders}) > 1:
        return {name: name for name in names}
    shared = os.path.commonpath(folders)
    return {name: os.path.relpath(name, shared) if shared else name for name in names}


def _shown(rows: Rows) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    return ((key, rows[key[:2]]) for key in KEYS if _known(rows, key))


def _known(rows: Rows, key: Key) -> bool:
    row = rows.get(key[:2])
    return row is not None and row["difference"] is not None


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """k, both numbers, their difference and ratio, and the prompts."""
    ratio = [row[name] for name in ("retained", "retained_low", "retained_high")]
    texts = [f"{100 * number:.0f}" for number in ratio if number is not None]
    kept = f"{texts[0]}%" if texts else ""
    return (
        "" if row["k"] is None else str(row["k"]),
        _number(row, "a"),
        _number(row, "b"),
        _difference(row),
        f"{kept} [{texts[1]}, {texts[2]}]" if len(texts) == 3 else kept,
        f"{row['n_prompts']:,}",
    )


def _number(row: Mapping[str, Any], side: str) -> str:
    value = row[side]
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if row["measure"] in _POINTS else f"{value:.3f}"


def _difference(row: Mapping[str, Any]) -> str:
    """A difference with its interval, in percentage points or as it is."""
    if row["difference"] is None:
        return "-"
    scale, decimals = (100, 1) if row["measure"] in _POINTS else (1, 3)
    texts = [
        f"{round(scale * row[name], decimals) + 0.0:+.{decimals}f}"  # + 0.0: no -0
        for name in ("difference", "low", "high")
        if row[name] is not None
    ]
    return texts[0] if len(texts) < 3 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _table(*headings: str, text: int = 1) -> "Any":
    """A table whose first columns are text, and the others numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < text else "right")
    return table
