"""The tables of an export beside its rollouts: runs, winners and metrics, with their schemas."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from formatlab.measure import winners_schema
from formatlab.show.export.card import published_value
from formatlab.show.run_result import RunResult

_RUN_ID = pa.field(
    "run_id", pa.string(), metadata={"description": "name of the run, as in the rollouts"}
)


def _field(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": meaning})


RUNS_SCHEMA = pa.schema(
    [
        _RUN_ID,
        _field("study", pa.string(), "the study that the run belongs to"),
        _field("scale", pa.string(), "name of the model's size, or of the model"),
        _field("parameters", pa.int64(), "parameters of the model, all of them"),
        _field("non_embedding_parameters", pa.int64(), "the same without the embedding"),
        _field("mixture", pa.string(), "name of the mixture of formats in pretraining"),
        _field("algorithm", pa.string(), "what trained"),
        _field("before", pa.string(), "algorithms of the stages before it, in order; mostly none"),
        _field("reward", pa.string(), "what rollouts were paid for"),
        _field("world_seed", pa.int64(), "seed of problems and documents; 0 for real problems"),
        _field("base_seed", pa.int64(), "seed of the base's weights and order of documents"),
        _field("seed", pa.int64(), "seed of the run's prompts and samples"),
        _field("done", pa.bool_(), "whether the run came to its end"),
        _field("undertrained", pa.bool_(), "whether the base was below its floor of accuracy"),
        _field("train_rollouts", pa.int64(), "rows in the split train"),
        _field("probe_rollouts", pa.int64(), "rows in the split probe"),
        _field("formatlab", pa.string(), "version of formatlab"),
        _field("git_commit", pa.string(), "commit of formatlab; null if not known"),
        _field("config", pa.string(), "everything that decides the result, as JSON"),
    ]
)
"""Schema of `runs.parquet`; each field's metadata has a `description`."""

_METRICS = {
    "step": "0-based index of the step; expert iteration, SFT and DPO: of the update",
    "epoch": "passes over the training prompts before it",
    "reward": "mean reward of the step's rollouts",
    "entropy": "mean entropy a token at temperature 1",
    "tokens_mean": "mean length of the completions",
    "tokens_max": "longest completion",
    "truncated": "share of rollouts that the length limit ended",
    "well_formed": "share of rollouts in which their format's reader finds an answer",
    "kl": "divergence from the base; see docs/algorithms.md of formatlab",
    "loss": "mean loss of the step's updates",
    "grad_norm": "mean norm of the gradient",
    "lr": "learning rate",
    "seconds": "time that the step took",
    "events": "what was out of the ordinary, as JSON",
}
"""Known names of `metrics.jsonl` -> meaning."""

_BY_FORMAT = {
    "share": "share of the rollouts that are in this format",
    "accuracy": "share of the rollouts in this format that are right",
    "reason": "share of the rollouts that are not right for this reason",
}


def run_winners_schema() -> pa.Schema:
    """Return the schema of the exported `winners.parquet`."""
    return pa.schema([_RUN_ID, *winners_schema()])


def runs_table(runs: Sequence[RunResult], counts: Mapping[str, Mapping[str, int]]) -> pa.Table:
    """Return one row a run.

    Args:
        runs: in the order of the rows.
        counts: of each run by its name, split -> rollouts.
    """
    rows = [_run_row(run, counts[run.name]) for run in runs]
    return pa.Table.from_pylist(rows, schema=RUNS_SCHEMA)


def winners_table(runs: Sequence[RunResult]) -> pa.Table:
    """Return one row a run and epoch of its probe."""
    rows = [{"run_id": run.name, **row} for run in runs for row in run.winners]
    return pa.Table.from_pylist(rows, schema=run_winners_schema())


def metrics_table(runs: Sequence[RunResult]) -> pa.Table:
    """Return one row a run and step; numbers that an algorithm does not log are null.

    Numbers by format have a column a format, such as `share_prose`. Values other than numbers,
    booleans and texts are stored as JSON text.
    """
    rows = [{"run_id": run.name, **_flat(line)} for run in runs for line in run.metrics]
    kinds: dict[str, set[pa.DataType]] = {name: set() for name in ("step", "epoch")}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind(name, value))
    kinds.pop("run_id", None)
    fields = [_field(name, _common(kinds[name]), _meaning(name)) for name in _ordered(kinds)]
    schema = pa.schema([_RUN_ID, *fields])
    texts = {field.name for field in schema if field.type == pa.string()}
    return pa.Table.from_pylist(
        [
            {name: _text(value) if name in texts else value for name, value in row.items()}
            for row in rows
        ],
        schema=schema,
    )


def _run_row(run: RunResult, counts: Mapping[str, int]) -> dict[str, Any]:
    facts = run.facts
    return {
        "run_id": run.name,
        "study": facts.study,
        "scale": facts.scale,
        "parameters": facts.parameters,
        "non_embedding_parameters": facts.non_embedding_parameters,
        "mixture": facts.mixture_name or None,
        "algorithm": facts.algorithm,
        "before": ", ".join(facts.stages[:-1]),
        "reward": facts.reward.name,
        "world_seed": facts.world_seed,
        "base_seed": facts.base_seed,
        "seed": facts.sampling_seed,
        "done": run.done,
        "undertrained": run.undertrained,
        "train_rollouts": counts["train"],
        "probe_rollouts": counts["probe"],
        "formatlab": run.env.get("formatlab"),
        "git_commit": run.env.get("git_commit"),
        "config": json.dumps(published_value(run.config), ensure_ascii=False),
    }


def _flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of metrics with its numbers by format in columns of their own."""
    found: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, Mapping):
            found |= {f"{name}_{key}": item for key, item in value.items()}
        else:
            found[name] = value
    return found


def _kind(name: str, value: Any) -> pa.DataType:
    match value:
        case None:
            return pa.null()
        case bool():
            return pa.bool_()
        case int() | float():
            return pa.int64() if name == "step" else pa.float64()
        case _:
            return pa.string()


def _common(kinds: set[pa.DataType]) -> pa.DataType:
    known = kinds - {pa.null()}
    if not known:
        return pa.float64()
    return known.pop() if len(known) == 1 else pa.string()


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _ordered(names: Mapping[str, Any]) -> list[str]:
    known = [name for name in _METRICS if name in names]
    return known + sorted(names.keys() - set(known))


def _meaning(name: str) -> str:
    start = name.split("_", 1)[0]
    if start in _BY_FORMAT and "_" in name:
        return _BY_FORMAT[start]
    return _METRICS.get(name, "as in metrics.jsonl")
