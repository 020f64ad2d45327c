"""The result table of a study, on the terminal, as Markdown and as CSV."""

from collections.abc import Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from formatlab.measure import UNDECIDED
from formatlab.show.arm import Arm
from formatlab.show.palette import format_style
from formatlab.show.run_result import RunResult
from formatlab.show.settings_wording import rewards_sentence, trained_sentence
from formatlab.show.study import Study
from formatlab.show.tables.attractors import attractor_lines
from formatlab.show.tables.collapse import collapse_table, collapse_text
from formatlab.show.tables.drift import drift_table
from formatlab.show.tables.gain import gain_lines, gain_table
from formatlab.show.tables.grader import (
    GRADER_COMMAND,
    GRADER_HEADINGS,
    GRADER_NOTE,
    grader_cells,
    print_grader_errors,
)
from formatlab.show.tables.table import Table, escaped, markdown_table
from formatlab.show.wording import (
    fraction_text,
    interval_text,
    model_text,
    name_text,
    percent_text,
    shortened_text,
)

_RARE = 0.01
_WIDEST_ARM = 44
_WIDEST_WHOLE = 60


_NOTE = (
    "Each format: its share of the probe, then its accuracy. Margin: share of the leading format "
    "less that of the runner-up, in percentage points, with its 95% cluster-bootstrap interval "
    "over prompts; undecided where it covers 0. Collapse: first step from which one format keeps "
    "90% of the training rollouts to the end. Parameters: all, and without the embedding."
)

_DRIFT_SENTENCE = (
    " Drift: the same under a reward without signal, by which no format can win; its winner is "
    "only the format with the largest share."
)

WINNER_COLUMN = -3
"""Index of the column of winners in the result table."""


def result_rows(study: Study) -> list[dict[str, Any]]:
    """Return everything measured: one row a run and epoch of the probe, one column a number.

    The reward has a column if the study has another one than correctness. If the reward has no
    signal, the step of a collapse is in the column `drift_step`.
    """
    rows = []
    for arm in study.arms:
        for run in arm.runs:
            for epoch in run.winners:
                row = {
                    "scale": arm.scale,
                    "parameters": arm.parameters,
                    "non_embedding_parameters": run.facts.non_embedding_parameters,
                    "setting": arm.setting,
                    "seed": run.seed,
                    "run": run.name,
                    "done": run.done,
                    "undertrained": run.undertrained,
                    **{name: value for name, value in epoch.items() if name != "formats"},
                }
                if not study.only_correctness:
                    row["reward"] = arm.reward.name
                if study.any_without_signal:
                    signal, step = arm.reward.has_signal, row["collapse_step"]
                    row["drift_step"] = None if signal else step
                    row["collapse_step"] = step if signal else None
                rows.append(row | _format_columns(epoch["formats"], study.tags))
    return rows


def _format_columns(formats: Sequence[Any], tags: Sequence[str]) -> dict[str, Any]:
    by_tag = {of["tag"]: of for of in formats}
    names = (
        *("rollouts", "share", "share_low", "share_high"),
        *("accuracy", "accuracy_low", "accuracy_high"),
    )
    columns = {}
    for tag in tags:
        of = by_tag.get(tag, {"rollouts": 0, "share": 0.0})
        columns |= {f"{name}_{tag}": of.get(name) for name in names}
    return columns


def head_text(study: Study) -> str:
    """Return what trained and rewarded the runs, as sentences; empty if both are the defaults."""
    trained = trained_sentence([run.facts for run in study.runs])
    return " ".join(filter(None, [trained, rewards_sentence(study.rewards)]))


def study_table(study: Study) -> Table:
    """Return the result table: the base and whole epochs of every run.

    Formats whose share is below 1% at all these epochs have no column.
    """
    tags = _shown_tags(study)
    headings = ["scale", "parameters", "seed", "epoch", *(name_text(tag, 14) for tag in tags)]
    headings += [_winner_heading(study), "margin [95%]", "collapse"]
    rows = []
    for arm in study.arms:
        for run in arm.runs:
            first = [
                ", ".join(filter(None, [model_text(arm.scale), arm.setting])),
                f"{arm.parameters:,} ({run.facts.non_embedding_parameters:,})",
                f"{run.seed}{' *' if run.undertrained else ''}",
            ]
            epochs = _shown_epochs(run)
            if not epochs:
                rows.append([*first, "not probed", *[""] * (len(headings) - 4)])
            for epoch in epochs:
                rows.append([*first, *_cells(arm, run, epoch, tags, last=epoch is epochs[-1])])
                first = ["", "", ""]
    return Table(
        name="results",
        title="Results",
        headings=headings,
        rows=rows,
        note=_NOTE + _DRIFT_SENTENCE * study.any_without_signal,
    )


def _winner_heading(study: Study) -> str:
    """Return the heading of the column of winners; without signal a format only leads."""
    if not study.any_without_signal:
        return "winner"
    any_signal = any(arm.reward.has_signal for arm in study.arms)
    return "wins or leads (drift)" if any_signal else "leads (drift)"


def graded_tags(study: Study) -> list[str]:
    """Return the formats that have a column with accuracies in the result table."""
    graded = {
        of["tag"]
        for run in study.runs
        for epoch in run.winners
        for of in epoch["formats"]
        if of["accuracy"] is not None
    }
    return [tag for tag in _shown_tags(study) if tag in graded]


def print_study(study: Study, file: IO[str] | None = None) -> None:
    """Print the result table, the grader's errors, notes, and attractor and gain of each arm.

    Args:
        study: the study.
        file: standard output by default.
    """
    # As wide as the table needs: rich would cut numbers to fit a narrow terminal.
    console = Console(file=file, highlight=False, width=400)
    results = study_table(study)
    table = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    last = len(results.headings) - 1
    for index, heading in enumerate(results.headings):
        right = 1 <= index < last - 2 or index == last
        table.add_column(Text(heading), justify="right" if right else "left", no_wrap=index > 0)
    short = _shortened_arms(results.rows)
    in_full = [f"{name} in full: {label}." for label, name in short.items()]
    for number, row in enumerate(results.rows):
        if number and row[0]:
            table.add_section()
        cells = [Text(cell) for cell in (short.get(row[0], row[0]), *row[1:])]
        winner = row[WINNER_COLUMN]
        if winner and not winner.startswith(UNDECIDED):
            cells[WINNER_COLUMN].stylize(format_style(winner).colour)
        table.add_row(*cells)
    console.print(table)
    if any(run.undertrained for run in study.runs):
        console.print(Text("* undertrained base: shown, not counted"))
    print_grader_errors(graded_tags(study), console)
    head = [*in_full, *filter(None, [head_text(study)])]
    for line in [*head, *notes(study), "", *attractor_lines(study), "", *gain_lines(study)]:
        console.print(Text(line), soft_wrap=True)


def _shortened_arms(rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return short names for the arms whose labels would fill half of the terminal."""
    labels = dict.fromkeys(row[0] for row in rows if row[0])
    short = {
        label: shortened_text(label, _WIDEST_ARM, mark="…")
        for label in labels
        if len(label) > _WIDEST_WHOLE
    }
    if len(set(short.values())) < len(short):
        return {label: f"arm {number}" for number, label in enumerate(short, start=1)}
    return short


def notes(study: Study) -> list[str]:
    """Return what runs lack and what limits their reading, one line for each such run."""
    return [
        f"{arm.label}, seed {run.seed}: {' '.join(run.notes)}"
        for arm in study.arms
        for run in arm.runs
        if run.notes
    ]


def further_tables(study: Study) -> list[Table]:
    """Return the tables that follow the results, without those that are empty."""
    tables = (collapse_table(study), drift_table(study), gain_table(study))
    return [table for table in tables if table.rows]


def markdown(study: Study) -> str:
    """Return the tables as Markdown with their notes: results, grader's errors, further tables."""
    results = study_table(study)
    undertrained = any(run.undertrained for run in study.runs)
    parts = list(filter(None, [head_text(study)]))
    parts += [_escaped_table(results.headings, results.rows), results.note]
    parts += ["\\* undertrained base: shown, not counted."] * undertrained
    parts += [f"- {line}" for line in notes(study)]
    if cells := grader_cells(graded_tags(study)):
        parts += [_escaped_table(GRADER_HEADINGS, cells)]
        parts += [f"{GRADER_NOTE} Measured by `{GRADER_COMMAND}`."]
    for table in further_tables(study):
        parts += [f"## {table.title}", _escaped_table(table.headings, table.rows), table.note]
    return "\n\n".join(parts) + "\n"


def _escaped_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown_table([*map(escaped, headings)], [[*map(escaped, row)] for row in rows])


def _shown_epochs(run: RunResult) -> list[Any]:
    whole = [epoch for epoch in run.winners if epoch["epoch"] == int(epoch["epoch"])]
    # An unfinished run may have nothing later than a fraction of the first epoch.
    if run.winners and run.winners[-1] not in whole:
        whole.append(run.winners[-1])
    return whole


def _shown_tags(study: Study) -> list[str]:
    common = {
        of["tag"]
        for run in study.runs
        for epoch in _shown_epochs(run)
        for of in epoch["formats"]
        if of["share"] >= _RARE
    }
    return [tag for tag in study.tags if tag in common]


def _cells(arm: Arm, run: RunResult, epoch: Any, tags: Sequence[str], *, last: bool) -> list[str]:
    formats = {of["tag"]: of for of in epoch["formats"]}
    cells = [run.epoch_text(epoch["epoch"])]
    for tag in tags:
        of = formats.get(tag)
        accuracy = fraction_text(of["accuracy"] if of else None)
        cells.append(f"{percent_text(of['share'] if of else 0.0)} {accuracy:>4}")
    return [
        *cells,
        name_text(epoch["winner"], 14),
        interval_text(epoch["margin"], epoch["margin_low"], epoch["margin_high"]),
        collapse_text(arm, epoch["collapse_step"]) if last else "",
    ]
