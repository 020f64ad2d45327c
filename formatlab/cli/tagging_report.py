"""The report of a tagging run: what was read and what not, tables, and the figure."""

import sys
from typing import TYPE_CHECKING

from formatlab.measure.bootstrap import ratio_intervals
from formatlab.observe.files.tagging import COUNTED, MOST_NAMED, TagCounts, TaggingRun
from formatlab.show.tables.grader import print_grader_errors
from formatlab.show.tables.tags import FormatRow, StepRow, format_table, step_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def print_tagging(run: TaggingRun) -> None:
    """Print what came of a run; what could not be read goes to the standard error."""
    from rich.console import Console

    for layout, files in run.reader.layouts.items():
        print(f"{layout} ({files[0] if len(files) == 1 else f'{len(files):,} files'})")
    _print_failures(run)
    print(f"{run.rows:,} rows in {run.seconds:.1f} s ({run.rows / run.seconds:,.0f} a second)\n")
    console = Console(highlight=False, markup=False, emoji=False)
    *rows, whole = format_rows(run.counts)
    console.print(format_table(rows, whole))
    if any(row.share_interval for row in rows):
        print(f"\n[low, high] is the {_interval_words(run)}")
    if whole.accuracy is None and run.job.grading:
        print("\nnot graded: no column is known to hold the right answer; name it with --gold")
    if whole.accuracy is not None:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in run.counts.reasons.most_common())
        print(f"not correct: {reasons or 'none'}")
        print_grader_errors(run.counts.tags, console)
    steps = step_rows(run.counts)
    if len(steps) > 1:
        counted = sum(step.rows for step in steps)
        some = "" if counted == run.rows else f", {counted:,} rows that have one"
        print(f"\nshare by step ({len(steps):,} steps{some})")
        console.print(step_table(steps, run.counts.tags))


def tagging_figure(run: TaggingRun) -> "Figure":
    """Draw the shares over the steps, or as bars where there are no two steps."""
    from formatlab.show.figures.tag_shares import share_bars, share_over_steps

    files = sum(map(len, run.reader.layouts.values()))
    what = f"{run.rows:,} completions of {files:,} file{'s' if files > 1 else ''}."
    steps = step_rows(run.counts)
    if len(steps) > 1:
        return share_over_steps(steps, caption=what)
    *rows, _ = format_rows(run.counts)
    return share_bars(rows, caption=f"{what} Whiskers: {_interval_words(run)}.")


def format_rows(counts: TagCounts) -> list[FormatRow]:
    """The numbers of each tag, most frequent first, and last those of all rows."""
    cells = counts.cluster_array()  # (6, P, F)
    totals = dict(zip(COUNTED, cells.sum(axis=1), strict=True))  # each (F,)
    rows = cells[COUNTED.index("rows")]  # (P, F)
    correct, graded = (cells[COUNTED.index(name)] for name in ("correct", "graded"))
    shares = ratio_intervals(rows, rows.sum(axis=1, keepdims=True))
    accuracies = ratio_intervals(correct, graded)
    (overall,) = ratio_intervals(
        correct.sum(axis=1, keepdims=True), graded.sum(axis=1, keepdims=True)
    )
    n_rows = totals["rows"].sum()
    made = [
        _format_row(
            tag,
            {name: numbers[i] for name, numbers in totals.items()},
            n_rows,
            shares[i],
            accuracies[i],
        )
        for i, tag in enumerate(counts.tags)
    ]
    sums = {name: numbers.sum() for name, numbers in totals.items()}
    return [*made, _format_row("all", sums, n_rows, None, overall)]


def _format_row(
    tag: str,
    numbers: dict[str, float],
    n_rows: float,
    share: tuple[float, float] | None,
    accuracy: tuple[float, float] | None,
) -> FormatRow:
    n, graded = numbers["rows"], numbers["graded"]
    return FormatRow(
        tag=tag,
        rows=int(n),
        share=n / n_rows,
        share_interval=share,
        well_formed=numbers["well_formed"] / n,
        mixed=numbers["mixed"] / n,
        truncated=numbers["truncated"] / n,
        accuracy=numbers["correct"] / graded if graded else None,
        accuracy_interval=accuracy if graded else None,
    )


def step_rows(counts: TagCounts) -> list[StepRow]:
    """The numbers of each step, ascending."""
    cells = dict(zip(COUNTED, counts.step_array(), strict=True))  # each (S, F)
    made = []
    for place, step in enumerate(counts.steps):
        n = cells["rows"][place]
        made.append(
            StepRow(
                step=step,
                rows=int(n.sum()),
                shares={tag: n[i] / n.sum() for i, tag in enumerate(counts.tags) if n[i]},
                graded=int(cells["graded"][place].sum()),
                correct=int(cells["correct"][place].sum()),
            )
        )
    return made


def _print_failures(run: TaggingRun) -> None:
    skipped = list(run.reader.skipped.values())
    for message in skipped[:MOST_NAMED]:
        print(f"skipped: {message}", file=sys.stderr)
    if len(skipped) > MOST_NAMED:
        print(f"skipped: {len(skipped):,} files in all", file=sys.stderr)
    for row in run.bad:
        print(f"bad row: {row}", file=sys.stderr)
    if run.n_bad:
        print(f"bad rows: {run.n_bad:,} in all, not in the output", file=sys.stderr)


def _interval_words(run: TaggingRun) -> str:
    prompts = {layout.prompt for layout in run.reader.layouts}
    of = "rows, as no column tells prompts apart" if prompts == {None} else "prompts"
    return f"95% interval of a cluster bootstrap over {of}"
