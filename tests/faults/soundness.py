"""Soundness: whether a study that was broken and went on equals one that ran through."""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from formatlab.store.rollout import Split
from formatlab.store.run_folder import RunFolder

SPLITS: tuple[Split, ...] = ("train", "probe")
CLOSE = 1e-5
"""Difference up to which real values of a run whose worker was short of memory are equal."""
_REAL = ["advantage", "entropy", "logprob"]
"""Columns of rollouts that PyTorch computes."""
_OF_THIS_START = {"seconds"}
"""What a line of metrics says of the machine and not of the result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What came of comparing two runs folders."""

    tables: int
    """Tables of the study that ran through."""
    equal_tables: int
    """Those of them that are there to the byte."""
    lost: int
    """Rollouts that are missing."""
    doubled: int
    """Rollouts that are there once too often."""
    differences: tuple[str, ...]
    """Everything that is not as it should be, for people."""


def compared(whole: Path, other: Path, starved: Collection[str] = ()) -> Comparison:
    """Compare what a runs folder holds with that of a study that ran through.

    Tables and figures are compared to the byte, but for the notes of `results.md` that tell how
    often a run was interrupted; of every base and run the configuration, all rollouts in their
    order, metrics but for times, winners, and what DONE says, checksums of the weights among it.
    `resumes.jsonl`, `env.json` and the report, which shows it, tell of starts, and what a kill
    after the end left over is `formatlab clean`'s to remove.

    Of a run whose worker was short of memory, real values of rollouts and metrics and the weights
    are compared to 1e-5: PyTorch may have computed them in another way.

    Args:
        whole: runs folder of the study that ran through.
        other: runs folder that is looked at.
        starved: addresses of the runs whose workers were short of memory.
    """
    differences = list(_differing_files(whole, other))
    tables = sorted(whole.glob("*/tables/*"))
    equal = [path for path in tables if _text(path) == _text(other / path.relative_to(whole))]
    lost = doubled = 0
    for folder in task_folders(whole):
        address = folder.relative_to(whole).as_posix()
        if not (other / address / "DONE").exists():
            differences.append(f"{address} is not done")
            continue
        ours, theirs = RunFolder.open(other / address), RunFolder.open(folder)
        differing = _differing_starved if address in starved else _differing
        differences += (f"{address}: {what}" for what in differing(ours, theirs))
        for split in SPLITS:
            there, wanted = _keys(ours, split), _keys(theirs, split)
            lost += (wanted - there).total()
            doubled += (there - wanted).total()
    extra = {_name(other, path) for path in task_folders(other)}
    extra -= {_name(whole, path) for path in task_folders(whole)}
    differences += (f"{name} should not be there" for name in sorted(extra))
    return Comparison(
        tables=len(tables),
        equal_tables=len(equal),
        lost=lost,
        doubled=doubled,
        differences=tuple(differences),
    )


def task_folders(runs: Path) -> list[Path]:
    """The folders of bases and runs."""
    return sorted(path.parent for path in runs.glob("[!.]*/*/config.json"))


def _differing_files(whole: Path, other: Path) -> Iterator[str]:
    for path in sorted((*whole.glob("*/tables/*"), *whole.glob("*/figures/*"))):
        name = _name(whole, path)
        if _text(path) != _text(other / name):
            yield f"{name} differs"
    for path in whole.glob("*/report.html"):
        if not (other / _name(whole, path)).exists():
            yield f"{_name(whole, path)} is missing"


def _differing(ours: RunFolder, theirs: RunFolder) -> Iterator[str]:
    """What of two finished folders is not equal."""
    if ours.config != theirs.config:
        yield "config.json"
    if ours.summary != theirs.summary:
        yield f"DONE says {ours.summary}, not {theirs.summary}"
    if _timeless(ours.metrics()) != _timeless(theirs.metrics()):
        yield "metrics"
    if not _equal(ours.winners(), theirs.winners()):
        yield "winners"
    for split in SPLITS:
        if ours.epochs(split) != theirs.epochs(split):
            yield f"epochs of the {split} rollouts"
        elif not ours.rollouts(split).equals(theirs.rollouts(split)):
            yield f"{split} rollouts"
    if (ours.path / "FAILED").exists():
        yield "FAILED beside DONE"


def _differing_starved(ours: RunFolder, theirs: RunFolder) -> Iterator[str]:
    """What of two finished folders is not equal, one by a worker that was short of memory."""
    if ours.config != theirs.config:
        yield "config.json"
    if _without_checksums(ours.summary) != _without_checksums(theirs.summary):
        yield f"DONE says {ours.summary}, not {theirs.summary}"
    if not _close(_timeless(ours.metrics()), _timeless(theirs.metrics())):
        yield "metrics"
    if not _equal(ours.winners(), theirs.winners()):
        yield "winners"
    for split in SPLITS:
        tables = [run.rollouts(split) for run in (ours, theirs)]
        if not tables[0].drop_columns(_REAL).equals(tables[1].drop_columns(_REAL)):
            yield f"{split} rollouts"
        elif not _close(*(table.select(_REAL).to_pylist() for table in tables)):
            yield f"{', '.join(_REAL)} of the {split} rollouts"
    weights = [_weights(run.path / "policy") for run in (ours, theirs)]
    if weights[0].keys() != weights[1].keys() or not all(
        tensor.allclose(weights[1][name], rtol=0, atol=CLOSE) for name, tensor in weights[0].items()
    ):
        yield "weights"
    if (ours.path / "FAILED").exists():
        yield "FAILED beside DONE"


def _without_checksums(summary: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (summary or {}).items() if "sha256" not in key}


def _close(ours: Any, theirs: Any) -> bool:
    """Whether values read from JSON or a table are equal, real ones to `CLOSE`."""
    match ours, theirs:
        case dict(), dict():
            return ours.keys() == theirs.keys() and all(_close(ours[k], theirs[k]) for k in ours)
        case list(), list():
            return len(ours) == len(theirs) and all(map(_close, ours, theirs))
        case float(), float():
            return math.isclose(ours, theirs, rel_tol=CLOSE, abs_tol=CLOSE)
        case _:
            return ours == theirs


def _weights(policy: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (file,) = policy.glob("*model.safetensors")
    return load_file(file)


def _timeless(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in _OF_THIS_START} for line in lines]


def _equal(ours: pa.Table | None, theirs: pa.Table | None) -> bool:
    return ours is theirs or (ours is not None and theirs is not None and ours.equals(theirs))


def _keys(run: RunFolder, split: Split) -> Counter[tuple[Any, ...]]:
    """How often each rollout is there."""
    table = run.rollouts(split, columns=["epoch", "step", "prompt_id", "sample"])
    return Counter(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _text(path: Path) -> bytes | None:
    """What is in a file, but for the notes that tell of interruptions."""
    if not path.exists():
        return None
    return re.sub(rb"- [^\n]*: Interrupted [^\n]*\n\n", b"", path.read_bytes())


def _name(runs: Path, path: Path) -> str:
    return path.relative_to(runs).as_posix()


def resumes(runs: Path) -> int:
    """How often runs of a runs folder say that they went on."""
    lines = [path.read_text().splitlines() for path in runs.glob("[!.]*/*/resumes.jsonl")]
    return sum(len([json.loads(line) for line in of_run]) for of_run in lines)
