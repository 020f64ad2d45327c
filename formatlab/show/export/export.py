"""The export of studies: rollouts, tables and models in a folder that others can load."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.errors import InputError
from formatlab.show.export.data_card import SPLITS, ExportedData, data_card
from formatlab.show.export.exported_model import ExportedModel, exported_models
from formatlab.show.export.model_card import model_card
from formatlab.show.export.tables import metrics_table, runs_table, winners_table
from formatlab.show.run_result import measured_run
from formatlab.store import ROLLOUT_SCHEMA, RunFolder, Split
from formatlab.store.atomic_file import write_text_atomically
from formatlab.store.export_folder import CARD, export_folder


@dataclass(frozen=True, kw_only=True)
class StudyExport:
    """What was written."""

    data: ExportedData
    models: Sequence[ExportedModel]
    """Bases and policies; none where they were not asked for."""
    missing: Mapping[str, str]
    """Bases and runs whose model is not in it -> why."""


def write_export(
    output: Path,
    runs: Sequence[RunFolder],
    *,
    licence: str | None = None,
    models: bool = False,
    left_out: Mapping[str, str] | None = None,
    commands: Sequence[Sequence[str]] = (),
) -> StudyExport:
    """Write rollouts, the tables of runs, winners and metrics, cards, and models if asked for.

    Rollouts of older schema versions are upgraded. Files are read and written a few thousand rows
    at a time.

    Args:
        output: the folder; new, empty, or an earlier export, which is replaced at the end.
        runs: at least one, each once.
        licence: its identifier on the hub; None if the owner has not chosen one.
        models: whether to add bases and policies.
        left_out: folders that were named -> why they are not among the runs.
        commands: command lines that made the runs, as far as they are known.

    Raises:
        InputError: a run is there twice, there are no rollouts, or `output` holds other things or
            cannot be written to.
        RunError: a damaged rollout file, or no space left.
    """
    _check_once(runs)
    with export_folder(output) as folder:
        results = [measured_run(run) for run in runs]
        found, missing = exported_models(runs, results) if models else ([], {})
        tags = {run.name: _write_rollouts(folder, run) for run in runs}
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
        for model in found:
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


def _write_rollouts(folder: Path, run: RunFolder) -> dict[str, Counter[str]]:
    """Write the rollouts of a run, a file a split, and count them by tag."""
    counts: dict[str, Counter[str]] = {}
    for split in SPLITS:
        counts[split] = _write_split(
            folder / "rollouts" / split / f"{run.name}.parquet", run, split
        )
    return counts


def _write_split(path: Path, run: RunFolder, split: Split) -> Counter[str]:
    tags: Counter[str] = Counter()
    writer: pq.ParquetWriter | None = None
    try:
        for table in run.rollout_batches(split):
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(path, ROLLOUT_SCHEMA, compression="zstd")
            writer.write_table(table)
            tags.update(_counted(table))
    finally:
        if writer is not None:
            writer.close()
    return tags


def _counted(table: pa.Table) -> dict[str, int]:
    counted = table["tag"].value_counts()
    return {row["values"]: row["counts"] for row in counted.to_pylist()}


def _digest(folder: Path) -> str:
    """SHA-256 of all tables, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.parquet")):
        with path.open("rb") as file:
            while block := file.read(2**20):
                whole.update(block)
    return whole.hexdigest()
