"""The report of a study: its tables and figures as files, and one offline HTML page with all.

Texts of models and data sets are untrusted: the template escapes them, the page embeds the figures
as images, and its content security policy forbids scripts and requests.
"""

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from formatlab.errors import InputError, RunError
from formatlab.measure import UNDECIDED
from formatlab.show.arm import Arm
from formatlab.show.figures.accuracy_by_scale import ACCURACY_BY_SCALE
from formatlab.show.figures.gain_over_training import GAIN_OVER_TRAINING
from formatlab.show.figures.layout import StudyFigure, save_figure
from formatlab.show.figures.share_over_training import SHARE_OVER_TRAINING
from formatlab.show.figures.training_signals import TRAINING_SIGNALS
from formatlab.show.figures.winner_by_scale import WINNER_BY_SCALE
from formatlab.show.palette import format_style, ink_on
from formatlab.show.report.examples import examples_of
from formatlab.show.study import Study, measured_study
from formatlab.show.tables.attractors import attractor_lines, attractor_rows
from formatlab.show.tables.collapse import collapse_rows
from formatlab.show.tables.drift import drift_rows
from formatlab.show.tables.gain import gain_lines, gain_rows
from formatlab.show.tables.grader import (
    GRADER_COMMAND,
    GRADER_HEADINGS,
    GRADER_NOTE,
    grader_cells,
    grader_rows,
)
from formatlab.show.tables.results import (
    WINNER_COLUMN,
    further_tables,
    graded_tags,
    head_text,
    markdown,
    notes,
    result_rows,
    study_table,
)
from formatlab.show.tables.table import csv_text
from formatlab.show.wording import visible_text
from formatlab.store import RunFolder
from formatlab.store.atomic_file import explained_os_errors, write_text_atomically
from formatlab.store.integrity import LeftOut, reportable_runs
from formatlab.store.runs_folder import explained_reading
from formatlab.store.track import Track, untracked

FIGURES: list[StudyFigure] = [
    SHARE_OVER_TRAINING,
    WINNER_BY_SCALE,
    ACCURACY_BY_SCALE,
    GAIN_OVER_TRAINING,
    TRAINING_SIGNALS,
]
"""The figures of a study, in the order of the report. A new figure is added here."""

_COPIED = ("figures", "tables")
"""Folders of a study that a gallery has copies of."""

_TEMPLATE_NAME = "report.html.jinja"


def report_folder(
    folder: Path,
    *,
    gallery: Path | None = None,
    overwrite: bool = False,
    track: Track = untracked,
) -> tuple[Study, Path, Sequence[LeftOut]]:
    """Write the report of a study from the run folders in its folder, without damaged ones.

    Args:
        folder: of the study, in a runs folder.
        gallery: folder that the figures and tables are copied to as well.
        overwrite: whether figures and tables that the gallery has may be replaced.
        track: shows how far it is.

    Returns:
        The study, the path of `report.html`, and the run folders that were left out.

    Raises:
        InputError: there are no run folders, the gallery has figures or tables that may not be
            replaced or is the study's own folder, or no permission to write.
        RunError: all run folders are damaged, or no space is left.
    """
    with explained_reading(folder):
        if (folder / "config.json").exists():
            raise InputError(f"{folder} is one run; give the folder of its study, which holds it")
    if gallery is not None:
        _check_gallery(gallery, folder, overwrite=overwrite)
    with explained_reading(folder):
        found = reportable_runs(folder, track=track)
    if not found.runs:
        raise RunError(f"{folder}: {'; '.join(left.words for left in found.left_out)}")
    study = measured_study(found.runs, track=track)
    report = write_report(folder, found.runs, study=study, track=track)
    if gallery is not None:
        with explained_os_errors(gallery):
            for kind in _COPIED:
                shutil.copytree(folder / kind, gallery / kind, dirs_exist_ok=True)
    return study, report, found.left_out


def _check_gallery(gallery: Path, folder: Path, *, overwrite: bool) -> None:
    with explained_os_errors(gallery):
        if gallery.resolve() == folder.resolve():
            raise InputError(f"--gallery: {gallery} is the study's own folder; choose another")
        for kind in _COPIED:
            if not overwrite and (gallery / kind).exists() and any((gallery / kind).iterdir()):
                raise InputError(
                    f"--gallery: {gallery} has {kind} already; choose another folder, or replace "
                    "them with --overwrite"
                )
        gallery.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=gallery):
            pass


def write_report(
    study_folder: Path,
    runs: Sequence[RunFolder],
    *,
    study: Study | None = None,
    track: Track = untracked,
) -> Path:
    """Write the report, the figures and the tables of a study.

    Figures go to `figures/*.png` and `*.svg`, tables to `tables/*.csv` and `results.md`; the table
    with the name of a figure has its numbers. Runs may be unfinished or incomplete; the report says
    so. Equal runs give equal files.

    Args:
        study_folder: where to write; made if needed.
        runs: the runs of one study.
        study: the result of `measured_study` for these runs, if there is one already.
        track: shows how far it is.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: no runs, runs that do not belong together, or no permission to write.
        RunError: a damaged rollout file, or no space left.
    """
    study = study or measured_study(runs)
    images = {}
    tables = {
        "results": result_rows(study),
        "attractors": attractor_rows(study),
        "collapse": collapse_rows(study),
        "drift": drift_rows(study),
        "gain": gain_rows(study),
        "grader_errors": grader_rows(study.tags),
    }
    for figure in track(FIGURES, "drawing figures"):
        drawn, path = figure.draw(study), study_folder / "figures" / figure.name
        for kind in ("png", "svg"):
            save_figure(drawn, path.with_suffix(f".{kind}"))
        images[figure.name] = base64.b64encode(path.with_suffix(".svg").read_bytes()).decode()
        tables[figure.name] = figure.rows(study)
    for name, rows in tables.items():
        write_text_atomically(study_folder / "tables" / f"{name}.csv", csv_text(rows))
    write_text_atomically(study_folder / "tables" / "results.md", markdown(study))

    report = study_folder / "report.html"
    write_text_atomically(report, _page(study, runs, images, track))
    return report


def _page(study: Study, runs: Sequence[RunFolder], images: Mapping[str, str], track: Track) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_name = {run.name: run for run in runs}
    common, differing = _configuration(study)
    results = study_table(study)
    return environment.get_template(_TEMPLATE_NAME).render(
        title=visible_text(study.name),
        n_runs=len(study.runs),
        n_arms=len(study.arms),
        probe=study.probe_text,
        findings=[*attractor_lines(study), *gain_lines(study)],
        notes=notes(study),
        figures=FIGURES,
        images=images,
        results=results,
        winner_column=len(results.headings) + WINNER_COLUMN,
        undecided=UNDECIDED,
        trained=head_text(study),
        further=further_tables(study),
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
        arms=[
            _examples(arm, by_name[arm.runs[0].name])
            for arm in track(study.arms, "reading examples of arms")
        ],
        badge=_badge,
    )


def _examples(arm: Arm, folder: RunFolder) -> tuple[str, int, list[tuple[str, list]]]:
    """Return the label and seed of an arm's first run, and its examples for some epochs."""
    run = arm.runs[0]
    epochs = _example_epochs(run.winners)
    return arm.label, run.seed, [(run.epoch_text(of), examples_of(folder, of)) for of in epochs]


def _example_epochs(winners: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the base and whole epochs, or the first two and the last two of more than four."""
    whole = [row["epoch"] for row in winners if row["epoch"] == int(row["epoch"])]
    return whole if len(whole) <= 4 else [*whole[:2], *whole[-2:]]


def _badge(tag: str) -> str:
    """Return the CSS of a format's badge; its colours are those of the palette."""
    colour = format_style(tag).colour
    return f"background:{colour};color:{ink_on(colour)}"


def _configuration(study: Study) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the settings that all configurations share, and for each run the others."""
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
