"""The export of studies: rollouts, tables and models in a folder that others can load."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from formatlab.errors import InputError, RunError
from formatlab.show.export.data_card import SPLITS, ExportedData, data_card
from formatlab.show.export.exported_model import ExportedModel, exported_models
from formatlab.show.export.model_card import model_card
from formatlab.show.export.tables import metrics_table, runs_table, winners_table
from formatlab.show.run_facts import run_facts
from formatlab.show.run_result import measured_run
from formatlab.store import ROLLOUT_SCHEMA, RunFolder, Split
from formatlab.store.atomic_file import write_text_atomically
from formatlab.store.export_folder import CARD, export_folder
from formatlab.store.integrity import LeftOut, ReportableRuns, reportable_runs
from formatlab.store.runs_folder import explained_reading, studies_in
from formatlab.store.track import Track, untracked

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True, kw_only=True)
class ChosenRuns:
    """The runs to export, of those in the folders that the user named."""

    runs: Sequence[RunFolder]
    left_out: Mapping[str, str]
    """Name of each other run folder -> why it is not exported."""
    damaged: Sequence[LeftOut]
    """Those of the others that are damaged."""


def choose_runs(
    folders: Sequence[Path],
    *,
    licence: str | None,
    models: bool,
    unfinished: bool,
    track: Track = untracked,
) -> ChosenRuns:
    """Find the runs to export.

    Args:
        folders: of studies or single runs; a runs folder stands for all of its studies.
        licence: its identifier on the hub; real models and problems need one.
        models: whether the models of the runs have to be intact.
        unfinished: whether to export runs that are not finished.
        track: shows how far it is.

    Raises:
        InputError: no run folders or no finished run, or a licence that is missing or no
            identifier.
        RunError: all runs are damaged.
    """
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(
            f"--licence is {licence!r}; give an identifier of the hub in small letters, "
            "such as cc-by-4.0, apache-2.0, mit or other"
        )
    found = [runs for folder in folders for runs in _found(folder, models, track)]
    intact = [run for of in found for run in of.runs]
    damaged = [left for of in found for left in of.left_out]
    runs = [run for run in intact if run.done or unfinished]
    left_out = {left.name: f"damaged ({left.reason})" for left in damaged}
    left_out |= {run.name: _reason(run) for run in intact if run not in runs}
    if not runs:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in [*left_out.items()][:3])
        if not intact:
            raise RunError(f"no run is whole ({reasons}); repeat its `formatlab run`")
        raise InputError(
            f"no run is finished ({reasons}); repeat its `formatlab run`, or take what is there "
            "with --unfinished"
        )
    real = [run.name for run in runs if not run_facts(run.config).synthetic]
    if real and licence is None:
        raise InputError(
            f"{real[0]} is of a real model or real problems, whose licences hold for what was "
            "taken from them; look them up and give one that they allow with --licence"
        )
    return ChosenRuns(runs=runs, left_out=left_out, damaged=damaged)


def _found(folder: Path, models: bool, track: Track) -> Iterator[ReportableRuns]:
    with explained_reading(folder):
        is_run = (folder / "config.json").exists()
        for of in ([] if is_run else studies_in(folder)) or [folder]:
            yield reportable_runs(of, models=models, track=track)


def _reason(run: RunFolder) -> str:
    if run.failed is not None:
        return f"failed ({' '.join(run.failed.split())})"
    return f"not finished ({len(run.metrics()):,} steps so far)"


@dataclass(frozen=True, kw_only=True)
class StudyExport:
    """The contents of an export."""

    data: ExportedData
    models: Sequence[ExportedModel]
    """Bases and policies; none if not asked for."""
    missing: Mapping[str, str]
    """Name of each base or run whose model is missing -> why."""


def write_export(
    output: Path,
    runs: Sequence[RunFolder],
    *,
    licence: str | None = None,
    models: bool = False,
    left_out: Mapping[str, str] | None = None,
    commands: Sequence[Sequence[str]] = (),
    overwrite: bool = False,
    track: Track = untracked,
) -> StudyExport:
    """Write rollouts, the tables of runs, winners and metrics, cards, and models if asked for.

    Rollouts of older schema versions are upgraded. Files are read and written a few thousand rows
    at a time.

    Args:
        output: the folder; new or empty, or with `overwrite` an earlier export, which is replaced
            at the end.
        runs: at least one, each once.
        licence: its identifier on the hub; None if the owner has not chosen one.
        models: whether to add bases and policies.
        left_out: other run folders in the user's folders -> why they are not exported.
        commands: command lines that made the runs, if known.
        overwrite: whether an earlier export may be replaced.
        track: shows how far it is.

    Raises:
        InputError: a run is there twice, there are no rollouts, or `output` holds other things or
            cannot be written to.
        RunError: a damaged rollout file, or no space left.
    """
    _check_once(runs)
    with export_folder(output, overwrite=overwrite) as folder:
        results = [measured_run(run) for run in track(runs, "measuring runs")]
        found, missing = exported_models(runs, results, track=track) if models else ([], {})
        tags = {
            run.name: {
                split: _write_split(folder / "rollouts" / split / f"{run.name}.parquet", run, split)
                for split in SPLITS
            }
            for run in track(runs, "writing rollouts of runs")
        }
        counts = {
            name: {split: tags_of[split].total() for split in SPLITS}
            for name, tags_of in tags.items()
        }
        if not any(sum(of_run.values()) for of_run in counts.values()):
            raise InputError("the runs have no rollouts, so there is nothing to export")
        metrics = metrics_table(results)
        pq.write_table(runs_table(results, counts), folder / "runs.parquet")
        pq.write_table(winners_table(results), folder / "winners.parquet")
        pq.write_table(metrics, folder / "metrics.parquet")
        data = ExportedData(
            name=output.resolve().name,
            runs=results,
            tags=tags,
            metrics=metrics,
            digest=_digest(folder),
            left_out=left_out or {},
            commands=commands,
            licence=licence,
        )
        write_text_atomically(folder / CARD, data_card(data))
        for model in track(found, "copying models"):
            model.copy(folder / model.name)
            card = model_card(model, licence=licence, commands=commands)
            write_text_atomically(folder / model.name / CARD, card)
    return StudyExport(data=data, models=found, missing=missing)


def _check_once(runs: Sequence[RunFolder]) -> None:
    places: dict[str, Path] = {}
    for run in runs:
        if run.name in places:
            raise InputError(
                f"{places[run.name]} and {run.path} have the same name, by which their rollouts "
                "could not be told apart; name one of them"
            )
        places[run.name] = run.path


def _write_split(path: Path, run: RunFolder, split: Split) -> Counter[str]:
    """Write the rollouts of a split, unless there are none, and count them by tag."""
    tags: Counter[str] = Counter()
    writer: pq.ParquetWriter | None = None
    try:
        for table in run.rollout_batches(split):
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(path, ROLLOUT_SCHEMA, compression="zstd")
            writer.write_table(table)
            counted = table["tag"].value_counts().to_pylist()
            tags.update({row["values"]: row["counts"] for row in counted})
    finally:
        if writer is not None:
            writer.close()
    return tags


def _digest(folder: Path) -> str:
    """SHA-256 of all tables, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.parquet")):
        with path.open("rb") as file:
            while block := file.read(2**20):
                whole.update(block)
    return whole.hexdigest()
