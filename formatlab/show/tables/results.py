"""The result table of a study: on the terminal, as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from formatlab.measure import UNDECIDED
from formatlab.show.arm import Arm
from formatlab.show.palette import format_style
from formatlab.show.run_result import RunResult
from formatlab.show.settings_wording import trained_sentence
from formatlab.show.study import Study
from formatlab.show.tables.attractors import attractor_lines
from formatlab.show.tables.collapse import (
    collapse_headings,
    collapse_note,
    collapse_table,
    collapse_text,
    collapse_title,
)
from formatlab.show.tables.drift import drift_headings, drift_note, drift_table, drift_title
from formatlab.show.tables.grader import (
    GRADER_COMMAND,
    GRADER_HEADINGS,
    GRADER_NOTE,
    grader_cells,
    print_grader_errors,
)
from formatlab.show.wording import (
    fraction_text,
    interval_text,
    model_text,
    name_text,
    percent_text,
    rewards_sentence,
    shortened_text,
)

_RARE = 0.01
_WIDEST_ARM = 44
_WIDEST_WHOLE = 60


def result_rows(study: Study) -> list[dict[str, Any]]:
    """Return everything measured: one row a run and epoch of the probe, one column a number.

    Studies with another reward than correctness have its name in a column. What would be a collapse
    is in the column `drift_step` where the reward has no signal.
    """
    rows = []
    for arm in study.arms:
        for run in arm.runs:
            scale = run.config["scale"]
            for epoch in run.winners:
                formats = {of["tag"]: of for of in epoch["formats"]}
                row = {
                    "scale": scale["name"],
                    "parameters": scale["parameters"],
                    "non_embedding_parameters": scale["non_embedding_parameters"],
                    "setting": arm.setting,
                    "seed": run.seed,
                    "run": run.name,
                    "done": run.done,
                    "undertrained": run.undertrained,
                    **{name: value for name, value in epoch.items() if name != "formats"},
                }
                if not study.only_correctness:
                    row["reward"] = arm.reward
                if study.any_without_signal:
                    row["drift_step"] = None if arm.has_signal else row["collapse_step"]
                    row["collapse_step"] = row["collapse_step"] if arm.has_signal else None
                for tag in study.tags:
                    of = formats.get(tag, {"rollouts": 0, "share": 0.0})
                    for name in ("rollouts", "share", "share_low", "share_high"):
                        row[f"{name}_{tag}"] = of.get(name)
                    for name in ("accuracy", "accuracy_low", "accuracy_high"):
                        row[f"{name}_{tag}"] = of.get(name)
                rows.append(row)
    return rows


TABLE_NOTE = (
    "Each format: its share of the probe, then its accuracy. Margin: share of the leading format "
    "less that of the runner-up, in percentage points, with its 95% cluster-bootstrap interval "
    "over prompts; undecided where it covers 0. Collapse: first step from which one format keeps "
    "90% of the training rollouts to the end. Parameters: all, and without the embedding."
)
"""What the columns of `study_table` are."""

_DRIFT_SENTENCE = (
    " Drift: the same under a reward without signal, by which no format can win; its winner is "
    "only the format with the largest share."
)


def table_note(study: Study) -> str:
    """Return what the columns of `study_table` are in this study."""
    return TABLE_NOTE + _DRIFT_SENTENCE * study.any_without_signal


def head_text(study: Study) -> str:
    """Return what trained and rewarded the runs, as sentences; nothing if all of it is plain."""
    return " ".join(filter(None, [trained_sentence(study.runs), rewards_sentence(study.rewards)]))


def winner_heading(study: Study) -> str:
    """Return the heading of the column of winners: without signal a format only leads."""
    if not study.any_without_signal:
        return "winner"
    drift = "leads (drift)"
    return f"wins or {drift}" if any(arm.has_signal for arm in study.arms) else drift


def study_table(study: Study) -> tuple[list[str], list[list[str]]]:
    """Return the headings and cells of the result table: the base and whole epochs of every run.

    Formats that never reach 1% at one of these epochs have no column.
    """
    tags = _shown_tags(study)
    headings = ["scale", "parameters", "seed", "epoch", *(name_text(tag, 14) for tag in tags)]
    headings += [winner_heading(study), "margin [95%]", "collapse"]
    rows = []
    for arm in study.arms:
        for run in arm.runs:
            counts = run.config["scale"]
            first = [
                ", ".join(filter(None, [model_text(arm.scale), arm.setting])),
                f"{counts['parameters']:,} ({counts['non_embedding_parameters']:,})",
                f"{run.seed}{' *' if run.undertrained else ''}",
            ]
            epochs = _shown_epochs(run)
            if not epochs:
                rows.append([*first, "not probed", *[""] * (len(headings) - 4)])
            for epoch in epochs:
                rows.append([*first, *_cells(arm, run, epoch, tags, last=epoch is epochs[-1])])
                first = ["", "", ""]
    return headings, rows


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
    """Print the result table and what each scale ends in.

    Args:
        study: the study.
        file: where to; the standard output by default.
    """
    # As wide as the table needs: rich would cut numbers to fit a narrow terminal.
    console = Console(file=file, highlight=False, width=400)
    headings, rows = study_table(study)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for index, heading in enumerate(headings):
        right = 1 <= index < len(headings) - 3 or index == len(headings) - 1
        table.add_column(Text(heading), justify="right" if right else "left", no_wrap=index > 0)
    winner = headings.index(winner_heading(study))
    short = _shortened_arms(rows)
    in_full = [f"{name} in full: {label}." for label, name in short.items()]
    for number, row in enumerate(rows):
        if number and row[0]:
            table.add_section()
        cells = [Text(cell) for cell in (short.get(row[0], row[0]), *row[1:])]
        if row[winner] and not row[winner].startswith(UNDECIDED):
            cells[winner].stylize(format_style(row[winner]).colour)
        table.add_row(*cells)
    console.print(table)
    if any(run.undertrained for run in study.runs):
        console.print(Text("* undertrained base: shown, not counted"))
    print_grader_errors(graded_tags(study), console)
    head = [*in_full, *filter(None, [head_text(study)])]
    for line in [*head, *notes(study), "", *attractor_lines(study)]:
        console.print(Text(line), soft_wrap=True)


def _shortened_arms(rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return short names for the arms whose words would take up half of the terminal."""
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
    """Return what is missing in the study, one line a run that lacks something."""
    lines = []
    for arm in study.arms:
        for run in arm.runs:
            if run.notes:
                lines.append(f"{arm.label}, seed {run.seed}: {' '.join(run.notes)}")
    return lines


def markdown(study: Study) -> str:
    """Return the tables as Markdown with their notes: results, grader's errors, collapse, drift."""
    undertrained = any(run.undertrained for run in study.runs)
    parts = list(filter(None, [head_text(study)]))
    parts += [_markdown_table(*study_table(study)), table_note(study)]
    parts += ["\\* undertrained base: shown, not counted."] * undertrained
    parts += [f"- {line}" for line in notes(study)]
    if cells := grader_cells(graded_tags(study)):
        parts += [_markdown_table(GRADER_HEADINGS, cells)]
        parts += [f"{GRADER_NOTE} Measured by `{GRADER_COMMAND}`."]
    collapses = _markdown_table(collapse_headings(study), collapse_table(study))
    parts += [f"## {collapse_title(study)}", collapses, collapse_note(study)]
    if drifts := drift_table(study):
        table = _markdown_table(drift_headings(study), drifts)
        parts += [f"## {drift_title(study)}", table, drift_note(study)]
    return "\n\n".join(parts) + "\n"


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows of equal keys as CSV; an absent number is an empty cell."""
    buffer = io.StringIO()
    if rows:
        writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return buffer.getvalue()


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


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(_markdown_cell, line))} |" for line in lines)


def _markdown_cell(text: str) -> str:
    for character in "\\|*_<`[":
        text = text.replace(character, "\\" + character)
    return text
