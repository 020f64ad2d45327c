"""The speed of the lab, beside stock TRL and beside the lab as it was.

    python -m benchmarks.speed --former CHECKOUT --json FILE --write docs/performance.md
    python -m benchmarks.speed --only steps --scales 0.04M 0.13M --rounds 5

CHECKOUT is a checkout of another commit of this project; without one the lab is compared with TRL
alone. Contenders take turns, each in a process of its own, on one thread. Bases are made once, in
`runs/speed`. `--only` names the parts to be measured, each a table:

    steps        seconds of a GRPO step, beside stock TRL (which records, tags and grades nothing)
    algorithms   seconds of a step of PPO and of RLOO
    pretraining  tokens a second, beside a plain loop and transformers' Trainer
    world        problems and documents a second
    memory       peak memory of a process that trains and observes its policy as a study does
    grading      seconds in which two cores tag and grade a million rollouts of the world
    demo         minutes of `formatlab run experiments/scale_attractors.py`, bases included
    study        the same with `--preset cpu`: four scales (never measured unasked)

Each table has its place in the page and in the file, where those of the other parts stay.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.grading_speed import grading_speed
from benchmarks.page import write_measured
from benchmarks.pretraining import pretraining_rows
from benchmarks.steps import Contest
from benchmarks.turns import HERE, Row, commit, table
from benchmarks.world import world_rows
from formatlab.models.model import silence_libraries
from formatlab.train.probe import Probe
from formatlab.world.cores import available_cores


class Part(NamedTuple):
    """One table."""

    values: str
    """What the values are, with their unit."""
    rows: Callable[[argparse.Namespace], list[Row]]


def main(arguments: list[str] | None = None) -> None:
    """Measure the parts asked for; print each table, and write it where it belongs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    unasked = [name for name in PARTS if name != "study"]
    parser.add_argument("--only", nargs="+", choices=PARTS, default=unasked, metavar="PART")
    parser.add_argument("--scales", nargs="+", default=["0.04M", "0.13M", "0.46M", "1.9M"])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--steps", type=int, default=4, help="steps in a turn, the first left out")
    parser.add_argument("--seeds", nargs="+", default=["0"], help="of demo and study")
    parser.add_argument("--tokens", type=int, default=1_500_000, help="of a base's pretraining")
    parser.add_argument("--prompts-per-step", type=int, default=64)
    parser.add_argument("--former", type=Path, help="a checkout of another commit")
    parser.add_argument("--runs", type=Path, default=Path("runs/speed"), help="where bases are")
    parser.add_argument("--json", type=Path, help="file for all values")
    parser.add_argument("--write", type=Path, help="page for the tables")
    options = parser.parse_args(arguments)
    if options.former and not (options.former / "formatlab").is_dir():
        parser.error(f"--former: {options.former} is no checkout of this project")
    silence_libraries()
    for name in options.only:
        part = PARTS[name]
        rows = part.rows(options)
        made = _made(options)
        found = f"{made}\n\n{table(rows, values=part.values)}"
        print(f"\n{name}: {found}\n", flush=True)
        if options.json:
            stored = json.loads(options.json.read_text()) if options.json.exists() else {}
            stored[name] = {"made": made, "values": part.values, "rows": [vars(r) for r in rows]}
            options.json.write_text(json.dumps(stored, indent=1) + "\n")
        if options.write:
            write_measured(options.write, f"benchmarks.speed {name}", found)


def _contest(options: argparse.Namespace) -> Contest:
    return Contest(
        runs=options.runs,
        tokens=options.tokens,
        steps=options.steps,
        prompts_per_step=options.prompts_per_step,
        rounds=options.rounds,
        former=options.former,
    )


def _steps(algorithms: Sequence[str], options: argparse.Namespace) -> list[Row]:
    contest = _contest(options)
    return [
        row
        for algorithm in algorithms
        for scale in options.scales
        for row in contest.step_rows(algorithm, scale)
    ]


def _world(options: argparse.Namespace) -> list[Row]:
    return world_rows(options.rounds, options.former)


def _grading(options: argparse.Namespace) -> list[Row]:
    seconds = [grading_speed(processes=2).processor for _ in range(options.rounds)]
    return [Row(what="a million rollouts", who="lab", values=seconds)]


def _pretraining(options: argparse.Namespace) -> list[Row]:
    return pretraining_rows(["0.13M", "1.9M"], options.rounds)


def _memory(options: argparse.Namespace) -> list[Row]:
    return replace(_contest(options), probe=Probe()).memory_rows("0.13M")


def _study(preset: str, options: argparse.Namespace) -> list[Row]:
    """Minutes that a study takes, its bases included, two runs side by side."""
    contenders = {"lab": HERE} | ({"former lab": options.former} if options.former else {})
    minutes: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds):
        for who, checkout in contenders.items():
            with tempfile.TemporaryDirectory() as runs:
                start = time.perf_counter()
                words = f"run experiments/scale_attractors.py --preset {preset} --jobs 2"
                words += f" --seeds {' '.join(options.seeds)}"
                subprocess.run(
                    [sys.executable, "-m", "formatlab", *words.split(), "--runs-dir", runs],
                    cwd=checkout,
                    env=os.environ | {"PYTHONPATH": str(checkout.resolve())},
                    stdout=sys.stderr,
                    check=True,
                )
                minutes[who].append((time.perf_counter() - start) / 60)
            print(
                f"{preset}, round {number + 1}, {who}: {minutes[who][-1]:.1f} minutes", flush=True
            )
    return [
        Row(
            what=f"scale_attractors, {preset}",
            who=who,
            values=values,
            note=f"seeds {' '.join(options.seeds)}; with the tokens of its own experiment",
        )
        for who, values in minutes.items()
    ]


def _made(options: argparse.Namespace) -> str:
    """When, where and of what the values of a table are."""
    words = [f"{datetime.now(UTC):%Y-%m-%d}, {available_cores()} cores ({platform.machine()})"]
    words.append(f"lab: {commit(HERE)}")
    if options.former:
        words.append(f"former lab: {commit(options.former)}")
    return "; ".join(words) + "."


PARTS = {
    "steps": Part("seconds a step", partial(_steps, ["grpo"])),
    "algorithms": Part("seconds a step", partial(_steps, ["ppo", "rloo"])),
    "pretraining": Part("tokens a second", _pretraining),
    "world": Part("a second", _world),
    "memory": Part("GiB", _memory),
    "grading": Part("seconds of processor time of each of two cores", _grading),
    "demo": Part("minutes", partial(_study, "demo")),
    "study": Part("minutes", partial(_study, "cpu")),
}


if __name__ == "__main__":
    main()
