"""The benchmark: what forecasts need of many runs, so that nobody has to run RL to score theirs.

```
runs.parquet      a row a run: what it is, its settings, the probe that it began with, and the
                  response of the shares to its first update (with errors; formats sorted)
probes.parquet    a row a probe, prompt and format: rollouts, right ones, tokens, log-probabilities
outcomes.parquet  a row a run, epoch and format: rollouts, right ones, probability of leading
README.md         the card
```
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.errors import InputError, RunError
from formatlab.forecast.case import Case, Outcome
from formatlab.forecast.known import BaseProbe, RunSettings
from formatlab.store.atomic_file import write_atomically

_SETTINGS = tuple(of.name for of in fields(RunSettings))
_CASE = ("run", "base", "scale", "mixture", "fidelity", "seed", "set_aside")
_RESPONSE = ("response", "response_error")
_TABLES = ("runs", "probes", "outcomes")


def is_benchmark(folder: Path) -> bool:
    """Whether a folder holds a benchmark."""
    return all((folder / f"{name}.parquet").exists() for name in _TABLES)


def write_benchmark(folder: Path, cases: Sequence[Case]) -> None:
    """Write the tables of a benchmark, replacing those that are there.

    Args:
        folder: made if it is not there.
        cases: in any order.

    Raises:
        RunError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, Any]] = []
    probes: dict[str, list[dict[str, Any]]] = {}
    outcomes: list[dict[str, Any]] = []
    for case in sorted(cases, key=lambda case: case.run):
        rows = list(_probe_rows(case.probe))
        probe = sha256(repr(rows).encode()).hexdigest()[:12]
        probes[probe] = [{"probe": probe, **row} for row in rows]
        facts = {name: getattr(case, name) for name in _CASE}
        response = {
            name: None if case.response is None else case.response[place].tolist()
            for place, name in enumerate(_RESPONSE)
        }
        runs.append({**facts, "probe": probe, **asdict(case.settings), **response})
        outcomes += [
            {
                "run": case.run,
                "epoch": epoch,
                "tag": tag,
                "n_rollouts": count,
                "n_correct": of.correct[tag],
                "leads": of.leads[tag],
            }
            for epoch, of in case.outcomes.items()
            for tag, count in of.rollouts.items()
        ]
    rows_of = {
        "runs": runs,
        "probes": [row for rows in probes.values() for row in rows],
        "outcomes": outcomes,
    }
    for name in _TABLES:
        table = pa.Table.from_pylist(rows_of[name])
        write_atomically(
            folder / f"{name}.parquet",
            lambda place, table=table: pq.write_table(table, place, compression="zstd"),
        )


def _probe_rows(probe: BaseProbe) -> Iterable[dict[str, Any]]:
    for prompt, row in enumerate(probe.rollouts):
        for column in np.flatnonzero(row):
            yield {
                "prompt": prompt,
                "tag": probe.formats[column],
                "n_rollouts": int(row[column]),
                "n_correct": int(probe.correct[prompt, column]),
                "tokens": float(probe.tokens[prompt, column]),
                "logprob": float(probe.logprob[prompt, column]),
            }


def read_benchmark(folder: Path) -> list[Case]:
    """Read a benchmark.

    Raises:
        InputError: the folder is none.
        RunError: a file of it is damaged.
    """
    if not is_benchmark(folder):
        raise InputError(
            f"{folder} is no benchmark of forecasts: it lacks "
            + ", ".join(f"{n}.parquet" for n in _TABLES if not (folder / f"{n}.parquet").exists())
        )
    runs, probe_rows, outcome_rows = (_rows(folder / f"{name}.parquet") for name in _TABLES)
    try:
        probes = {probe: _probe(rows) for probe, rows in _grouped(probe_rows, "probe").items()}
        outcomes = {
            run: {epoch: _outcome(of) for epoch, of in sorted(_grouped(rows, "epoch").items())}
            for run, rows in _grouped(outcome_rows, "run").items()
        }
        return [
            Case(
                **{name: row[name] for name in _CASE},
                probe=probes[row["probe"]],
                settings=RunSettings(**{name: row[name] for name in _SETTINGS}),
                outcomes=outcomes[row["run"]],
                response=_response(row),
            )
            for row in runs
        ]
    except KeyError as error:
        raise RunError(f"{folder} is damaged: nothing is there of {error}") from error


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} is damaged: {error}; fetch it again") from error


def _grouped(rows: Iterable[Mapping[str, Any]], name: str) -> dict[Any, list[Mapping[str, Any]]]:
    found = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return found


def _probe(rows: Sequence[Mapping[str, Any]]) -> BaseProbe:
    formats = tuple(sorted({row["tag"] for row in rows}))
    places = (
        [row["prompt"] for row in rows],
        [formats.index(row["tag"]) for row in rows],
    )
    shape = (max(places[0]) + 1, len(formats))

    def arranged(name: str, kind: type) -> np.ndarray:
        values = np.zeros(shape, dtype=kind)
        values[places] = [row[name] for row in rows]
        return values

    return BaseProbe(
        formats=formats,
        rollouts=arranged("n_rollouts", int),
        correct=arranged("n_correct", int),
        tokens=arranged("tokens", float),
        logprob=arranged("logprob", float),
    )


def _response(row: Mapping[str, Any]) -> np.ndarray | None:
    found = [row.get(name) for name in _RESPONSE]
    return None if None in found else np.array(found)


def _outcome(rows: Sequence[Mapping[str, Any]]) -> Outcome:
    return Outcome(
        rollouts={row["tag"]: row["n_rollouts"] for row in rows},
        correct={row["tag"]: row["n_correct"] for row in rows},
        leads={row["tag"]: row["leads"] for row in rows},
    )
