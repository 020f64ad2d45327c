"""A study as data frames, for notebooks: `formatlab.study("runs/scale_attractors")`.

Each frame has the columns of its run in front, see `RUN_COLUMNS`, so that they can be grouped by
scale, algorithm or arm, and joined with one another by `run`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from formatlab.analysis.sides import Side, run_sides, sound_runs
from formatlab.errors import InputError, missing_package
from formatlab.measure import shares, winners_schema
from formatlab.measure.comparison import MEASURE_SCHEMA, compare, measures
from formatlab.measure.counts import SHARE_COLUMNS
from formatlab.measure.measures import Embed
from formatlab.show.arm import Arm
from formatlab.show.run_result import RunResult
from formatlab.show.study import measured_study
from formatlab.store import RunFolder
from formatlab.store.track import Track, untracked

if TYPE_CHECKING:
    import pandas as pd

RUN_COLUMNS = {
    "run": "name of the run folder",
    "arm": "the runs that differ in their seeds alone",
    "scale": "name of the model's size, or of the model",
    "parameters": "of the model, all of them",
    "algorithm": "what trained",
    "reward_name": "what rollouts were paid for",
    "seed": "in which the runs of an arm differ",
}
"""Columns that every frame begins with."""

_RUN_SCHEMA = pa.schema(
    [(of, pa.int64() if of in ("parameters", "seed") else pa.string()) for of in RUN_COLUMNS]
)
_EPOCH = pa.field("epoch", pa.float64())
_SPLITS = ("train", "probe")
_DIVERGENCE = "js_divergence"


class Study:
    """The runs of a study, and all that can be told of them, as data frames.

    Frames are made when they are first asked for, and kept.
    """

    def __init__(self, folder: str | PathLike[str], *, track: Track = untracked) -> None:
        """Check the run folders and measure the runs.

        Args:
            folder: of a study, or of one run.
            track: shows how far it is.

        Raises:
            InputError: it is not there, or holds no run folders.
            RunError: a run folder is damaged.
        """
        runs = sound_runs(Path(folder), track=track)
        self._folders = {run.name: run for run in runs}
        self._study = measured_study(runs, track=track)

    def __repr__(self) -> str:
        """Its name, and how many runs it has."""
        return f"<study {self._study.name}: {len(self._folders)} runs>"

    @cached_property
    def runs(self) -> "pd.DataFrame":
        """One row a run: `RUN_COLUMNS`, and whether it is done."""
        rows = [columns | {"done": run.done} for _, run, columns in self._runs()]
        return _frame(pa.Table.from_pylist(rows))

    @cached_property
    def rollouts(self) -> "pd.DataFrame":
        """One row a rollout of training or of a probe, with `formatlab.store.ROLLOUT_SCHEMA`."""
        tables = []
        for folder, _, columns in self._runs():
            for split in _SPLITS:
                table = folder.rollouts(split)
                tables.append(_with(columns, table.drop_columns(["schema_version", "run_id"])))
        # Every split's dictionary holds its own name alone.
        return _frame(pa.concat_tables(tables).unify_dictionaries())

    @cached_property
    def shares(self) -> "pd.DataFrame":
        """One row a split, epoch and tag, with `formatlab.measure.counts.SHARE_COLUMNS`."""
        needed = ["epoch", "tag", "correct", "well_formed"]
        tables = [
            _with(columns | {"split": split}, shares(batches, by=["epoch"]))
            for folder, _, columns in self._runs()
            for split in _SPLITS
            if folder.epochs(split)
            for batches in [folder.rollout_batches(split, columns=needed)]
        ]
        schema = pa.schema([*_RUN_SCHEMA, ("split", pa.string()), _EPOCH, *SHARE_COLUMNS])
        return _frame(_joined(tables, schema))

    @cached_property
    def winners(self) -> "pd.DataFrame":
        """One row a probe, with `formatlab.measure.winners_schema`, without the list of formats."""
        return self._of_probes(lambda name: name != "formats" and not name.startswith("gain"))

    @cached_property
    def gain(self) -> "pd.DataFrame":
        """One row a probe after the base: its gain in accuracy, the parts, and their intervals."""
        kept = ("epoch", "step", "accuracy")
        found = self._of_probes(lambda name: name in kept or name.startswith("gain"))
        return found.dropna(subset=["gain"]).reset_index(drop=True)

    @cached_property
    def measures(self) -> "pd.DataFrame":
        """One row a run, probe (the first and the last) and measure, see `measured`."""
        return _frame(self.measured())

    def measured(
        self,
        *,
        every_probe: bool = False,
        k: int | None = None,
        texts: bool = True,
        embed: Embed | None = None,
        track: Track = untracked,
    ) -> pa.Table:
        """All measures of the probes, with `formatlab.measure.comparison.MEASURE_SCHEMA`.

        Probes after the first have their divergence from it as well.

        Args:
            every_probe: whether to measure all probes of a run, not its first and last alone.
            k: rollouts of a prompt that diversity looks at; as many as there are, at most 8.
            texts: whether to compare texts, which takes seconds for each probe.
            embed: embeds texts, for the semantic distance; without it there is none.
            track: shows how far it is.
        """
        found = [
            (columns, sides[0], side)
            for folder, _, columns in self._runs()
            if (sides := run_sides(folder, every=every_probe))
            for side in sides
        ]
        tables = []
        for columns, first, side in track(found, "measuring probes"):
            measured = measures(side.rollouts, k=k, texts=texts, embed=embed)
            if side is not first:
                measured = pa.concat_tables([measured, _divergence(first, side)])
            tables.append(_with(columns | {"epoch": side.epoch}, measured))
        return _joined(tables, pa.schema([*_RUN_SCHEMA, _EPOCH, *MEASURE_SCHEMA]))

    def columns_of(self, run: str) -> dict[str, Any]:
        """`RUN_COLUMNS` of the run of a name."""
        return next(columns for _, of, columns in self._runs() if of.name == run)

    def ends(self) -> list[tuple[Arm, RunResult, Side, Side]]:
        """The first and the last set of rollouts of every run that has two."""
        found = []
        for arm in self._study.arms:
            for run in arm.runs:
                sides = run_sides(self._folders[run.name])
                if len(sides) > 1:
                    found.append((arm, run, sides[0], sides[-1]))
        return found

    def _runs(self) -> Iterator[tuple[RunFolder, RunResult, dict[str, Any]]]:
        for arm in self._study.arms:
            for run in arm.runs:
                yield self._folders[run.name], run, _run_columns(arm, run)

    def _of_probes(self, kept: Callable[[str], bool]) -> "pd.DataFrame":
        rows = [
            columns | {name: value for name, value in row.items() if kept(name)}
            for _, run, columns in self._runs()
            for row in run.winners
        ]
        fields = [field for field in winners_schema() if kept(field.name)]
        return _frame(pa.Table.from_pylist(rows, schema=pa.schema([*_RUN_SCHEMA, *fields])))


def _run_columns(arm: Arm, run: RunResult) -> dict[str, Any]:
    values = (run.name, arm.label, arm.scale, arm.parameters, arm.algorithm, arm.reward.name)
    return dict(zip(RUN_COLUMNS, (*values, run.seed), strict=True))


def _divergence(first: Side, side: Side) -> pa.Table:
    """How far the shares are from those of the first probe, as a row of measures."""
    rows = compare(first.rollouts, side.rollouts, texts=False).differences.to_pylist()
    (row,) = [row | {"value": row["difference"]} for row in rows if row["measure"] == _DIVERGENCE]
    return pa.Table.from_pylist([row], schema=MEASURE_SCHEMA)


def _frame(table: pa.Table) -> "pd.DataFrame":
    """A table as a data frame.

    Raises:
        InputError: pandas is not installed.
    """
    if find_spec("pandas") is None:
        raise InputError(missing_package("pandas"))
    return table.to_pandas()


def _joined(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Tables of a schema as one; an empty one where there are none."""
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _with(columns: Mapping[str, Any], table: pa.Table) -> pa.Table:
    """A table with the same values in front of every row."""
    first = {name: pa.repeat(value, table.num_rows) for name, value in columns.items()}
    return pa.table(first | {name: table[name] for name in table.column_names})
