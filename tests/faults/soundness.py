"""Soundness: whether a study that was broken and went on equals one that ran through."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from formatlab.store.rollout import Split
from formatlab.store.run_folder import RunFolder

SPLITS: tuple[Split, ...] = ("train", "probe")
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


def compared(whole: Path, other: Path) -> Comparison:
    """Compare what a runs folder holds with that of a study that ran through.

    Tables and figures are compared to the byte, but for the notes of `results.md` that tell how
    often a run was interrupted; of every base and run the configuration, all rollouts in their
    order, metrics but for times, winners, and what DONE says, checksums of the weights among it.
    `resumes.jsonl`, `env.json` and the report, which shows it, tell of starts, and what a kill
    after the end left over is `formatlab clean`'s to remove.
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
        differences += (f"{address}: {what}" for what in _differing(ours, theirs))
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
