"""The tagging report: what files say of their own rollouts, beside what we read, in words."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from formatlab.show.wording import percent_text

if TYPE_CHECKING:
    import numpy as np

    from formatlab.observe.files.layout import Layout
    from formatlab.observe.files.verdict_counts import VerdictCounts

AGREEMENT = 0.95
"""Share of the rows on which we and the file should agree; below it there is an alarm."""

_FEW = 3
"""Disagreements below which there is no alarm."""

_MOST_KINDS = 8
"""Kinds of disagreement that are shown; all are counted."""

_MEANINGS = {
    "": "answers that we find and call right",
    "wrong": "answers that we read as others than the right one",
    "no answer": "texts in which we find no answer",
    "malformed": "answers whose form is broken, such as a closing tag that is missing",
    "ambiguous": "texts with several answers that differ",
    "error": "code that ends in an error",
    "unsupported": "code that asks for what the sandbox lacks",
    "time": "answers that take too long to be run or compared",
    "memory": "answers that take too much memory to be run or compared",
    "fault": "texts over which formatlab itself fails",
}
_SHORT = {
    "error": "with code that ends in an error",
    "unsupported": "with code that the sandbox cannot run",
    "time": "took too long to be run or compared",
    "memory": "took too much memory",
    "fault": "over which formatlab itself failed",
}


def reasons_in_words(reasons: Mapping[str, int]) -> dict[str, int]:
    """Why graded rows are not correct, in words, with their numbers."""
    return {_SHORT.get(reason, reason): number for reason, number in reasons.items()}


def print_writings(counts: Counter[tuple[str, bool]]) -> None:
    """Print the scripts that the texts are written in, unless all are Latin.

    Args:
        counts: rows by script, empty for a text without letters, and by whether two are mixed.
    """
    if not any(mixed or script not in ("latin", "") for script, mixed in counts):
        return
    total = counts.total()
    scripts: Counter[str] = Counter()
    for (script, _), number in counts.items():
        scripts[script or "no letters"] += number
    shares = ", ".join(f"{name} {n / total:.1%}" for name, n in scripts.most_common())
    both = sum(number for (_, mixed), number in counts.items() if mixed)
    print(f"\nwritten in {shares}; two scripts share {both / total:.1%} of the texts")


def print_verdicts(
    counts: "VerdictCounts",
    layouts: "Collection[Layout]",
    by_tag: "Mapping[str, np.ndarray]",
    tags: Collection[str],
) -> None:
    """Print the files' own verdicts, rewards and truncations beside ours, as far as there are any.

    Args:
        counts: what was counted.
        layouts: those of the files, which name the columns.
        by_tag: `judged` and `called_right` -> rows by cluster of prompts and tag, (P, F).
        tags: F of them.
    """
    if counts.rows:
        _print_accuracy(by_tag, tags, _columns(layout.verdict for layout in layouts))
        _print_agreement(counts)
    if any(layout.reward != layout.verdict for layout in layouts) and counts.rewarded:
        named = _columns(layout.reward for layout in layouts)
        print(f"\nmean reward of the file ({named}): {_mean_rewards(counts)}")
    if total := counts.cut.total():
        same = sum(number for (file, text), number in counts.cut.items() if file == text)
        cut = sum(number for (file, _), number in counts.cut.items() if file)
        named = _columns(layout.truncated for layout in layouts)
        print(
            f"\ncut off: {cut:,} of {total:,} rows by the file's own word ({named}), which is what "
            f"is counted; the look of the texts says the same of {percent_text(same / total)}"
        )


def _mean_rewards(counts: "VerdictCounts") -> str:
    """The mean of each verdict of ours."""
    means = [
        f"{counts.rewards[ours] / counts.rewarded[ours]:.3g} where {said} "
        f"({counts.rewarded[ours]:,} rows)"
        for ours, said in ((True, "we call it right"), (False, "we do not"))
        if counts.rewarded[ours]
    ]
    if ungraded := counts.rewarded[None]:
        which = " that are not graded" if means else ""
        means.append(f"{counts.rewards[None] / ungraded:.3g} over {ungraded:,} rows{which}")
    return ", ".join(means)


def alarm(counts: "VerdictCounts") -> str | None:
    """The alarm in plain words, where we and the file part; None where we agree."""
    compared = {kind: n for kind, n in counts.rows.items() if kind.ours is not None}
    total = sum(compared.values())
    apart = counts.disagreements
    n_apart = sum(n for _, n in apart)
    if n_apart < _FEW or n_apart <= (1 - AGREEMENT) * total:
        return None
    theirs = sum(n for kind, n in compared.items() if kind.theirs)
    ours = sum(n for kind, n in compared.items() if kind.ours)
    by_reason: dict[str, int] = {}
    for kind, n in apart:
        by_reason[kind.reason] = by_reason.get(kind.reason, 0) + n
    reason, most = max(by_reason.items(), key=lambda item: item[1])
    file, we = (f"{n:,} right ({percent_text(n / total)})" for n in (theirs, ours))
    return (
        f"ALARM: of {total:,} rows the file calls {file} and we {we}; {most:,} of {n_apart:,} "
        f"disagreements are {_meaning(reason)}. Read the examples before you trust either."
    )


def _print_accuracy(
    by_tag: "Mapping[str, np.ndarray]", tags: Collection[str], columns: str
) -> None:
    from rich.console import Console
    from rich.table import Table

    from formatlab.measure.bootstrap import ratio_intervals
    from formatlab.show.wording import name_text

    judged, right = by_tag["judged"], by_tag["called_right"]
    whole = [cells.sum(axis=1, keepdims=True) for cells in (right, judged)]
    intervals = [*ratio_intervals(right, judged), *ratio_intervals(*whole)]
    n_judged = [*judged.sum(axis=0), judged.sum()]
    n_right = [*right.sum(axis=0), right.sum()]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("format", no_wrap=True)
    for name in ("rows", "right, %"):
        table.add_column(name, justify="right")
    for tag, n, hits, interval in zip([*tags, "all"], n_judged, n_right, intervals, strict=True):
        if n:
            bounds = f" [{', '.join(f'{100 * b:.1f}' for b in interval)}]" if interval else ""
            table.add_row(name_text(tag, 14), f"{int(n):,}", f"{100 * hits / n:.1f}{bounds}")
    print(f"\nright by the file's own verdict ({columns})")
    Console(highlight=False, markup=False, emoji=False).print(table)


def _print_agreement(counts: "VerdictCounts") -> None:
    from rich.console import Console
    from rich.table import Table

    from formatlab.show.wording import name_text

    total = sum(n for kind, n in counts.rows.items() if kind.ours is not None)
    if not total:
        return
    apart = counts.disagreements
    n_apart = sum(n for _, n in apart)
    same = sum(n for (theirs, ours), n in counts.flexible.items() if theirs == ours)
    flexible = f", with the flexible reading on {percent_text(same / total)}"
    print(
        f"\nwe agree with the file on {percent_text(1 - n_apart / total)} of {total:,} rows"
        + ("" if same == total - n_apart else flexible)
    )
    if not apart:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "format", "file", "we", "these are"):
        table.add_column(name, no_wrap=name != "these are")
    table.add_column("rows", justify="right", no_wrap=True)
    shown = apart[:_MOST_KINDS]
    for number, (kind, n) in enumerate(shown, start=1):
        file, we = _word(kind.theirs), _word(bool(kind.ours))
        table.add_row(
            f"{number}", name_text(kind.tag, 14), file, we, _meaning(kind.reason), f"{n:,}"
        )
    Console(highlight=False, markup=False, emoji=False).print(table)
    if len(apart) > len(shown):
        rest = sum(n for _, n in apart[_MOST_KINDS:])
        print(f"and {rest:,} rows of {len(apart) - len(shown)} more kinds")
    print("an example of each:")
    for number, (kind, _) in enumerate(shown, start=1):
        print(f"{number}  {counts.examples[kind]}")
    if said := alarm(counts):
        print(f"\n{said}")


def _word(right: bool) -> str:
    return "right" if right else "wrong"


def _meaning(reason: str) -> str:
    return _MEANINGS.get(reason, reason)


def _columns(names: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(repr(name) for name in names if name))
