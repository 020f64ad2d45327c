"""The report: one offline HTML file with the figures, the tables and rollouts to read.

Everything that came out of a model or a data set is untrusted: the template escapes all text, the
figures are embedded as images, and the page's content security policy forbids scripts and any
request.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from formatlab.measure import UNDECIDED
from formatlab.show.arm import Arm
from formatlab.show.figures import (
    accuracy_by_scale,
    share_over_training,
    training_signals,
    winner_by_scale,
)
from formatlab.show.figures.layout import save_figure
from formatlab.show.palette import FormatStyle, format_style, ink_on
from formatlab.show.report.example import specimen_trays
from formatlab.show.study import Study, measured_study
from formatlab.show.tables.attractors import attractor_lines, attractor_rows
from formatlab.show.tables.collapse import (
    collapse_headings,
    collapse_note,
    collapse_rows,
    collapse_table,
    collapse_title,
)
from formatlab.show.tables.drift import (
    drift_headings,
    drift_note,
    drift_rows,
    drift_table,
    drift_title,
)
from formatlab.show.tables.grader import (
    GRADER_COMMAND,
    GRADER_HEADINGS,
    GRADER_NOTE,
    grader_cells,
    grader_rows,
)
from formatlab.show.tables.results import (
    csv_text,
    graded_tags,
    head_text,
    markdown,
    notes,
    result_rows,
    study_table,
    table_note,
    winner_heading,
)
from formatlab.show.wording import visible_text
from formatlab.store import RunFolder
from formatlab.store.atomic_file import write_text_atomically

REPORT_NAME = "report.html"

_TEMPLATE_NAME = "report.html.jinja"

# name, title, what draws it, the numbers it draws
_FIGURES: tuple[tuple[str, str, Callable[[Study], Figure], Callable[[Study], list]], ...] = (
    (
        share_over_training.NAME,
        share_over_training.TITLE,
        share_over_training.share_over_training,
        share_over_training.share_rows,
    ),
    (
        winner_by_scale.NAME,
        winner_by_scale.TITLE,
        winner_by_scale.winner_by_scale,
        winner_by_scale.winner_rows,
    ),
    (
        accuracy_by_scale.NAME,
        accuracy_by_scale.TITLE,
        accuracy_by_scale.accuracy_by_scale,
        accuracy_by_scale.accuracy_rows,
    ),
    (
        training_signals.NAME,
        training_signals.TITLE,
        training_signals.training_signals,
        training_signals.signal_rows,
    ),
)


def write_report(
    study_folder: Path, runs: Sequence[RunFolder], *, study: Study | None = None
) -> Path:
    """Write the report, the figures and the tables of a study.

    Figures go to `figures/*.png` and `*.svg`, tables to `tables/*.csv` and `results.md`; each
    figure's numbers are in the table of its name. Runs may be unfinished or lack pieces; the
    report says so. Equal runs give equal files.

    Args:
        study_folder: where to write; made if needed.
        runs: the runs of one study.
        study: what `measured_study` gave for these runs, if they have been measured already.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: no runs, runs that do not belong together, or no permission to write.
        RunError: a damaged rollout file, or no space left.
    """
    study = study or measured_study(runs)
    images = {}
    for name, _, draw, rows in _FIGURES:
        files = save_figure(draw(study), study_folder / "figures", name)
        images[name] = base64.b64encode(files["svg"].read_bytes()).decode("ascii")
        write_text_atomically(study_folder / "tables" / f"{name}.csv", csv_text(rows(study)))
    for name, rows in (
        ("results", result_rows(study)),
        ("attractors", attractor_rows(study)),
        ("collapse", collapse_rows(study)),
        ("drift", drift_rows(study)),
        ("grader_errors", grader_rows(study.tags)),
    ):
        write_text_atomically(study_folder / "tables" / f"{name}.csv", csv_text(rows))
    write_text_atomically(study_folder / "tables" / "results.md", markdown(study))

    path = study_folder / REPORT_NAME
    write_text_atomically(path, _page(study, runs, images))
    return path


def _page(study: Study, runs: Sequence[RunFolder], images: Mapping[str, str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    headings, rows = study_table(study)
    by_name = {run.name: run for run in runs}
    common, differing = _configuration(study)
    return environment.get_template(_TEMPLATE_NAME).render(
        title=visible_text(study.name),
        n_runs=len(study.runs),
        n_arms=len(study.arms),
        probe=study.probe_text,
        findings=attractor_lines(study),
        notes=notes(study),
        figures=[
            {"title": title, "name": name, "image": images[name]} for name, title, _, _ in _FIGURES
        ],
        headings=headings,
        rows=rows,
        winner_column=headings.index(winner_heading(study)),
        undecided=UNDECIDED,
        table_note=table_note(study),
        trained=head_text(study),
        further=_further_tables(study),
        any_undertrained=any(run.undertrained for run in study.runs),
        grader_headings=GRADER_HEADINGS,
        grader=grader_cells(graded_tags(study)),
        grader_note=GRADER_NOTE,
        grader_command=GRADER_COMMAND,
        mixtures=study.mixtures_text.strip(),
        common=_json(common),
        differing=[
            (run.name, _json(own)) for run, own in zip(study.runs, differing, strict=True) if own
        ],
        environments=[(run.name, _json(run.env)) for run in study.runs],
        trays=[_trays(arm, by_name[arm.runs[0].name]) for arm in study.arms],
        badge=_badge,
    )


def _trays(arm: Arm, folder: RunFolder) -> tuple[str, int, list[tuple[str, list]]]:
    """Return label, seed and rollouts to read of an arm's first run, epoch by epoch."""
    run = arm.runs[0]
    epochs = _read_epochs(run.winners)
    of_epochs = [(run.epoch_text(epoch), specimen_trays(folder, epoch)) for epoch in epochs]
    return arm.label, run.seed, of_epochs


def _further_tables(study: Study) -> list[dict[str, Any]]:
    """Return the tables between the results and the figures, as the template needs them."""
    return [
        {
            "name": name,
            "title": title,
            "headings": headings,
            "rows": rows,
            "note": note,
        }
        for name, title, headings, rows, note in (
            (
                "collapse",
                collapse_title(study),
                collapse_headings(study),
                collapse_table(study),
                collapse_note(study),
            ),
            (
                "drift",
                drift_title(study),
                drift_headings(study),
                drift_table(study),
                drift_note(study),
            ),
        )
        if rows
    ]


def _read_epochs(winners: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the base and whole epochs, at most four of them: the first two and the last two."""
    whole = [row["epoch"] for row in winners if row["epoch"] == int(row["epoch"])]
    return whole if len(whole) <= 4 else [*whole[:2], *whole[-2:]]


def _badge(tag: str) -> str:
    """Return the CSS of a format's badge; only colours of the palette enter it."""
    style: FormatStyle = format_style(tag)
    return f"background:{style.colour};color:{ink_on(style.colour)}"


def _configuration(study: Study) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what all configurations have in common, and for each run what is its own."""
    configs = [run.config for run in study.runs]
    common = {
        key: value
        for key, value in configs[0].items()
        if all(key in config and config[key] == value for config in configs)
    }
    own = [{key: value for key, value in config.items() if key not in common} for config in configs]
    return common, own


def _json(value: Mapping[str, Any]) -> str:
    return visible_text(json.dumps(value, indent=2, ensure_ascii=False))
