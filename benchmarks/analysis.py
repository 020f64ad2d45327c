"""What the analysis of a study takes: time and memory, from run folders to winners and shares.

    python -m benchmarks.analysis [--rows N] [--runs N] [--folder DIR]

A synthetic study of that many rollouts is written (half of them in one run), then analysed as for
the tables of `formatlab report`: shares of every step, winners of every probe with their intervals,
collapse and drift of every run. What comes out is held against the counts of what was written.
Each measurement is a process of its own; peak memory is that of the whole process.

The largest run is measured once more with its columns in memory as a whole, which takes memory in
proportion to its rollouts. Then comes `formatlab report`, figures and all. The study is removed,
unless a folder is given for it.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.synthetic_study import TAGS, Written, write_study
from benchmarks.turns import peak_memory
from formatlab.measure import collapse_step, run_winners, shares, winners
from formatlab.measure.winners import PROBE_COLUMNS
from formatlab.show.run_result import RunResult
from formatlab.show.study import measured_study
from formatlab.store import RunFolder

TRAIN_COLUMNS = ["epoch", "step", "tag", "correct", "well_formed"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a call gave, and what it took."""

    result: Any
    seconds: float
    peak: float
    """Largest resident memory of the process, GB (10**9 bytes)."""

    def __str__(self) -> str:
        """Time and memory."""
        return f"{self.seconds:.1f} s, {self.peak:.2f} GB at most"


def measured(function: Callable[..., Any], *arguments: Any) -> Measured:
    """Call a function in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as child:
        return child.submit(_timed, function, *arguments).result()


def analysed(folder: Path) -> list[RunResult]:
    """Measure every run of a study."""
    return measured_study([RunFolder.open(path) for path in run_paths(folder)]).runs


def streamed(run: Path) -> None:
    """Measure winners, collapse and shares of one run, a few thousand rollouts at a time."""
    folder = RunFolder.open(run)
    run_winners(folder)
    shares(folder.rollout_batches("train", columns=TRAIN_COLUMNS), by=["epoch", "step"])


def held(run: Path) -> None:
    """Measure the same with whole columns in memory."""
    folder = RunFolder.open(run)
    steps = folder.rollouts("train", columns=["step", "tag"])
    collapsed = collapse_step(steps["step"].to_numpy(), steps["tag"].to_pylist())
    winners(folder.rollouts("probe", columns=PROBE_COLUMNS), collapse_step=collapsed)
    shares(folder.rollouts("train", columns=TRAIN_COLUMNS), by=["epoch", "step"])


def report(folder: Path) -> int:
    """Run the verb, its table unseen."""
    from formatlab.cli.main import main

    with contextlib.redirect_stdout(io.StringIO()):
        return main(["report", str(folder)])


def run_paths(folder: Path) -> list[Path]:
    """The run folders of a study."""
    return sorted(path.parent for path in folder.glob("*/config.json"))


def check(results: Sequence[RunResult], written: Sequence[Written]) -> None:
    """Hold what was found against what was written.

    Raises:
        ValueError: they differ.
    """
    by_name = {run.name: run for run in results}
    for of in written:
        run = by_name[of.name]
        training = {(row["epoch"], row["step"], row["tag"]): row for row in run.training_shares}
        occur = np.sum(list(of.train.values()), axis=0)[0] > 0
        _equal(of.name, len(training), len(of.train) * int(occur.sum()))
        for (epoch, step), counts in of.train.items():
            for place in occur.nonzero()[0]:
                rollouts, graded, correct, well_formed = counts[:, place]
                row = training[epoch, step, TAGS[place]]
                _equal(of.name, (row["rollouts"], row["total"]), (rollouts, counts[0].sum()))
                _equal(of.name, row["accuracy"], correct / graded if graded else None)
                _equal(of.name, row["well_formed"], well_formed / rollouts if rollouts else None)
        probes = [(row["epoch"], row["step"]) for row in run.winners]
        _equal(of.name, probes, sorted(of.probe))
        for row, place in zip(run.winners, probes, strict=True):
            counts = of.probe[place]
            _equal(of.name, (row["n_rollouts"], row["n_prompts"]), (counts[0].sum(), of.prompts))
            _equal(of.name, row["leader"], TAGS[counts[0].argmax()])
            found = {f["tag"]: (f["rollouts"], f["correct"], f["accuracy"]) for f in row["formats"]}
            _equal(
                of.name,
                found,
                {
                    tag: (rollouts, correct, correct / graded if graded else None)
                    for tag, (rollouts, graded, correct, _) in zip(TAGS, counts.T, strict=True)
                    if rollouts
                },
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="where the study is left; else it is removed")
    options = parser.parse_args(arguments)
    if options.runs < 1 or options.rows < 1_000 * options.runs:
        parser.error("--rows has to be at least 1000 for each of --runs, which are at least 1")
    if options.folder is not None and options.folder.exists():
        parser.error(f"--folder {options.folder} is there already; give one that is not")
    print(
        f"{os.cpu_count()} cores, {pa.cpu_count()} Arrow threads, {platform.machine()}, "
        f"Python {platform.python_version()}, pyarrow {pa.__version__}"
    )
    with contextlib.ExitStack() as stack:
        folder = options.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="formatlab-")))
        _measure(folder / "synthetic", rows=options.rows, runs=options.runs)


def _measure(folder: Path, *, rows: int, runs: int) -> None:
    started = time.perf_counter()
    written = write_study(folder, rows=rows, runs=runs)
    files = list(folder.rglob("*.parquet"))
    print(
        f"written: {sum(of.rows for of in written):,} rollouts; runs {len(written)}, files "
        f"{len(files):,}, {sum(file.stat().st_size for file in files) / 1e9:.2f} GB; "
        f"{time.perf_counter() - started:.0f} s"
    )
    whole = measured(analysed, folder)
    check(whole.result, written)
    print(f"analysis: {whole}; {rows / whole.seconds:,.0f} rollouts a second; counts as written")
    one, other = (measured(of, folder / written[0].name) for of in (streamed, held))
    print(f"its run of {written[0].rows:,}: {one}; with whole columns in memory: {other}")
    print(f"formatlab report: {measured(report, folder)}")


def _timed(function: Callable[..., Any], *arguments: Any) -> Measured:
    started = time.perf_counter()
    result = function(*arguments)
    return Measured(result=result, seconds=time.perf_counter() - started, peak=peak_memory() / 1e9)


def _equal(name: str, found: object, written: object) -> None:
    if found != written:
        raise ValueError(f"{name}: found {found} where {written} was written")


if __name__ == "__main__":
    main()
