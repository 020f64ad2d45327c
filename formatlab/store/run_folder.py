"""The run folder: everything a run leaves behind.

```
<scale>-<mixture>-<algorithm>-s<seed>-<hash8>/
  config.json      everything that decides the result
  env.json         versions, device, start time, schema version
  response.json    how far the first update moves the share of each format
  forecast.json    forecasts of the winner, written before the first step of RL
  metrics.jsonl    one line a step
  rollouts/split=train/epoch=000.parquet      every training rollout; where they are many, an
                                              epoch goes on in epoch=000-part=001.parquet
  rollouts/split=probe/epoch=000.125.parquet  probe rollouts; epoch 0 is the base
  winners.parquet  one row an epoch
  resumes.jsonl    one line for each time that the run was resumed
  checkpoints/
  DONE | FAILED    written last; FAILED holds the reason
```
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from formatlab.errors import InputError
from formatlab.store.atomic_file import (
    TEMPORARY_PREFIX,
    explained_os_errors,
    write_atomically,
    write_json_atomically,
    write_text_atomically,
)
from formatlab.store.config import config_differences
from formatlab.store.metrics_log import MetricsLog
from formatlab.store.rollout import (
    READABLE_VERSIONS,
    ROLLOUT_SCHEMA,
    SCHEMA_VERSION,
    Rollout,
    Split,
    rollouts_to_table,
)
from formatlab.store.rollout_file import (
    explained_damage,
    read_rollout_file,
    rollout_file_batches,
    rollout_file_name,
    rollout_files,
    rollout_schema,
    write_rollout_file,
)


class RunFolder:
    """Reads and writes one run folder. Made by `RunFolder.create` or `RunFolder.open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics = MetricsLog(path / "metrics.jsonl")
        self._resumes = MetricsLog(path / "resumes.jsonl")

    @classmethod
    def create(cls, path: Path, *, config: Mapping[str, Any], env: Mapping[str, Any]) -> Self:
        """Make a run folder, or reopen the one that is there if its configuration is equal.

        A reopened folder keeps the `env.json` of its first start. What a killed writer left half
        written is removed: only one process at a time may write to a run folder.

        Args:
            path: the folder; parents are made.
            config: everything that decides the result; JSON values only.
            env: versions, device and start time; JSON values only.

        Raises:
            InputError: the folder belongs to another configuration, holds something else, or
                cannot be written to.
            RunError: no space left, or another failure of the file system.
        """
        run = cls(Path(path))
        if run._config_path.exists():
            run = cls.open(path)
            run._check_equal(config)
            run._remove_unfinished()
            run.checkpoints.mkdir(exist_ok=True)
            return run
        with explained_os_errors(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
            run._check_empty()
            run.checkpoints.mkdir(exist_ok=True)
        write_json_atomically(run._env_path, {"schema_version": SCHEMA_VERSION, **env})
        # Written last, because it is config.json that makes a folder a run folder.
        write_json_atomically(run._config_path, config)
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing run folder.

        Raises:
            InputError: not a run folder, or one of another schema version.
        """
        run = cls(Path(path))
        if not run._config_path.exists():
            raise InputError(
                f"{path} is not a run folder: it has no config.json. Give the folder of one run, "
                "for example runs/<study>/<run>."
            )
        version = run.env.get("schema_version")
        if version not in READABLE_VERSIONS:
            raise InputError(
                f"{path} is a run folder of schema version {version}, and this formatlab reads "
                f"versions {', '.join(map(str, READABLE_VERSIONS))}. Read it with the formatlab "
                "that wrote it."
            )
        return run

    @property
    def name(self) -> str:
        """The folder's own name, which is the run's id."""
        return self.path.name

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result."""
        config = _read_json(self._config_path)
        if "arm" in config:  # as `chain` was called once
            config["chain"] = config.pop("arm")
        return config

    @property
    def env(self) -> dict[str, Any]:
        """Versions, device, start time, schema version."""
        return _read_json(self._env_path)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def write_rollouts(
        self, split: Split, epoch: float, rows: Sequence[Rollout], *, part: int = 0
    ) -> Path:
        """Write the rollouts of an epoch, replacing the file if there is one.

        Args:
            split: train or probe.
            epoch: see `Rollout`.
            rows: all of that split, epoch and part, kept in this order.
            part: number of the file, from 0, where an epoch is too large for one.

        Returns:
            The file written.

        Raises:
            ValueError: a row of another split or epoch.
            InputError: no permission.
            RunError: no space left, or another failure of the file system.
        """
        for row in rows:
            if row.split != split or row.epoch != epoch:
                raise ValueError(
                    f"a rollout of split {row.split}, epoch {row.epoch} among those of split "
                    f"{split}, epoch {epoch}"
                )
        path = self._rollout_folder(split) / rollout_file_name(epoch, part)
        write_rollout_file(path, rollouts_to_table(rows))
        return path

    def rollouts(
        self,
        split: Split,
        *,
        epoch: float | None = None,
        part: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read rollouts, in order of epoch and as written inside one.

        Args:
            split: train or probe.
            epoch: only this epoch; None for all.
            part: only this part of each epoch; None for all.
            columns: only these columns; None for all.

        Returns:
            A table with the columns of `ROLLOUT_SCHEMA`, empty if there are no such rollouts.

        Raises:
            RunError: a file is damaged or of another schema version.
        """
        tables = [
            read_rollout_file(file.path, columns)
            for file in rollout_files(self._rollout_folder(split))
            if epoch in (None, file.epoch) and part in (None, file.part)
        ]
        if tables:
            return pa.concat_tables(tables)
        names = ROLLOUT_SCHEMA.names if columns is None else columns
        return rollout_schema(names).empty_table()

    def count_rollouts(self, split: Split) -> int:
        """Return the number of rollouts of a split, without reading any."""
        files = rollout_files(self._rollout_folder(split))
        return sum(pq.read_metadata(file.path).num_rows for file in files)

    def rollout_batches(
        self, split: Split, *, epoch: float | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Read the rows that `rollouts` gives, as tables of a few thousand at a time.

        Memory does not grow with the number of rollouts.

        Args:
            split: train or probe.
            epoch: only this epoch; None for all.
            columns: only these columns; None for all.

        Raises:
            RunError: a file is damaged or of another schema version; raised on reaching it.
        """
        for file in rollout_files(self._rollout_folder(split)):
            if epoch in (None, file.epoch):
                yield from rollout_file_batches(file.path, columns)

    def epochs(self, split: Split) -> list[float]:
        """Return the epochs that have a rollout file, ascending."""
        files = rollout_files(self._rollout_folder(split))
        return list(dict.fromkeys(file.epoch for file in files))

    def last_part(self, split: Split, epoch: float) -> int:
        """Return the number of an epoch's last part, 0 where there is no file yet."""
        files = rollout_files(self._rollout_folder(split))
        return max((file.part for file in files if file.epoch == epoch), default=0)

    def drop_rollouts_from(self, step: int) -> None:
        """Remove the rollouts that a run resumed at a checkpoint of `step` steps will sample again.

        These are training rollouts with `row.step >= step`, and probe rollouts with
        `row.step > step`: those of `step` itself observed the checkpoint's own model. A file that
        loses all its rows is removed, one that loses some is replaced.
        """
        self._keep("train", pc.field("step") < step)
        self._keep("probe", pc.field("step") <= step)

    def append_metrics(self, *rows: Mapping[str, Any]) -> None:
        """Add lines to `metrics.jsonl`; numbers that are not finite are stored as null."""
        self._metrics.append(*rows)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of `metrics.jsonl`, without a last one that was not finished."""
        return self._metrics.rows()

    def drop_metrics_from(self, step: int) -> None:
        """Remove the metrics whose step is `step` or later."""
        self._metrics.drop_from(step)

    def note_resumed(self, *, step: int, lost: int) -> None:
        """Record that the run is resumed at `step` completed steps and repeats `lost` steps."""
        self._resumes.append({"step": step, "lost": lost})

    def resumes(self) -> list[dict[str, Any]]:
        """Return a row for each time that the run was resumed: step, lost."""
        return self._resumes.rows()

    def write_winners(self, table: pa.Table) -> Path:
        """Write or replace `winners.parquet`."""
        write_atomically(self._winners_path, lambda temporary: pq.write_table(table, temporary))
        return self._winners_path

    def winners(self) -> pa.Table | None:
        """Return `winners.parquet`, or None if it is not written yet.

        Raises:
            RunError: the file is damaged.
        """
        if not self._winners_path.exists():
            return None
        with explained_damage(self._winners_path, "remove it; it is made again from the rollouts"):
            return pq.ParquetFile(self._winners_path).read()

    def write_forecast(self, content: Mapping[str, Any]) -> None:
        """Write `forecast.json`, once and before the first step.

        Raises:
            ValueError: there is one, or the run has made a step.
        """
        if self._forecast_path.exists() or self.metrics():
            raise ValueError(f"{self.path}: a forecast is written once, before the first step")
        write_json_atomically(self._forecast_path, content)

    def forecast(self) -> dict[str, Any] | None:
        """Return `forecast.json`, or None if there is none."""
        return _read_json(self._forecast_path) if self._forecast_path.exists() else None

    def write_response(self, content: Mapping[str, Mapping[str, float]]) -> None:
        """Write `response.json`: format -> how far the first update moves its share."""
        write_json_atomically(self._response_path, content)

    def response(self) -> dict[str, dict[str, float]] | None:
        """Return `response.json`, or None if there is none."""
        return _read_json(self._response_path) if self._response_path.exists() else None

    @property
    def done(self) -> bool:
        """Whether the run is finished."""
        return self._done_path.exists()

    @property
    def summary(self) -> dict[str, Any] | None:
        """What `mark_done` was given, or None if the run is not done."""
        return _read_json(self._done_path) if self.done else None

    @property
    def failed(self) -> str | None:
        """Why it failed, up to an empty line; None if it did not fail, or was done since."""
        if self.done or not self._failed_path.exists():
            return None
        return self._failed_path.read_text(encoding="utf-8").rstrip("\n").partition("\n\n")[0]

    def mark_done(self, summary: Mapping[str, Any]) -> None:
        """Write `DONE`, the last file of a run."""
        write_json_atomically(self._done_path, summary)
        self.clear_failed()

    def mark_failed(self, reason: str) -> None:
        """Write `FAILED` with the reason, and perhaps an empty line and a traceback below it."""
        write_text_atomically(self._failed_path, reason + "\n")

    def clear_failed(self) -> None:
        """Remove `FAILED`, when the run is tried again."""
        with explained_os_errors(self._failed_path):
            self._failed_path.unlink(missing_ok=True)

    def reopen(self) -> None:
        """Remove `DONE` and `FAILED`, when the run goes on after its end."""
        self.clear_failed()
        with explained_os_errors(self._done_path):
            self._done_path.unlink(missing_ok=True)

    def remove_checkpoints(self) -> None:
        """Remove all checkpoints, once the run is done."""
        with explained_os_errors(self.checkpoints):
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            self.checkpoints.mkdir(exist_ok=True)

    @property
    def _config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def _env_path(self) -> Path:
        return self.path / "env.json"

    @property
    def _forecast_path(self) -> Path:
        return self.path / "forecast.json"

    @property
    def _response_path(self) -> Path:
        return self.path / "response.json"

    @property
    def _winners_path(self) -> Path:
        return self.path / "winners.parquet"

    @property
    def _done_path(self) -> Path:
        return self.path / "DONE"

    @property
    def _failed_path(self) -> Path:
        return self.path / "FAILED"

    def _rollout_folder(self, split: Split) -> Path:
        return self.path / "rollouts" / f"split={split}"

    def _keep(self, split: Split, condition: pc.Expression) -> None:
        for file in rollout_files(self._rollout_folder(split)):
            table = read_rollout_file(file.path)
            kept = table.filter(condition)
            if kept.num_rows == 0:
                with explained_os_errors(file.path):
                    file.path.unlink()
            elif kept.num_rows < table.num_rows:
                write_rollout_file(file.path, kept)

    def _remove_unfinished(self) -> None:
        for pattern in (f"{TEMPORARY_PREFIX}*", f"rollouts/*/{TEMPORARY_PREFIX}*"):
            for path in self.path.glob(pattern):
                with explained_os_errors(path):
                    path.unlink()

    def _check_equal(self, config: Mapping[str, Any]) -> None:
        differences = config_differences(self.config, json.loads(json.dumps(config)))
        if differences:
            raise InputError(
                f"{self.path} was made by another configuration: {'; '.join(differences)}. "
                "Choose another runs folder, or remove this one if it is not needed."
            )

    def _check_empty(self) -> None:
        # A creation killed before its last file may have left these.
        ours = {self._env_path.name, self._failed_path.name, self.checkpoints.name}
        others = sorted(
            path.name
            for path in self.path.iterdir()
            if path.name not in ours and not path.name.startswith(TEMPORARY_PREFIX)
        )
        if others:
            raise InputError(
                f"{self.path} exists and is not a run folder (it holds {', '.join(others[:3])}). "
                "Choose another folder."
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"Cannot read {path}: {error}. If the folder is that of a run, it is damaged, and the "
            "same `formatlab run` makes it again."
        ) from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object, so this is not a run folder.")
    return value
