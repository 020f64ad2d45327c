"""The speed of training: a step of the lab beside one of stock TRL, and of the lab as it was.

    python -m benchmarks.speed [--scales 0.04M 0.13M] [--rounds 3] [--write docs/performance.md]
    python -m benchmarks.speed --former CHECKOUT      also against another checkout of this project

Bases are made once, in `runs/speed`, from 1.5 million tokens of the four formats. Then everybody
trains the same base on the same prompts, with the same rewards and settings, on one thread: the lab
records, tags and grades every rollout and measures the divergence from the base; stock TRL
(`GRPOTrainer`, its own generation) only rewards. Each turn is a process of its own, and turns
alternate, so that other work on the machine falls on all alike. Seconds are processor time, which
what else runs disturbs least. The first step of a turn, which warms up, is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

from benchmarks.page import write_measured
from formatlab.store.run_folder import RunFolder
from formatlab.train.on_policy.settings import Grpo, OnPolicy, Ppo, Rloo
from formatlab.train.pretraining.base import Base, Pretraining
from formatlab.train.pretraining.make_base import make_base
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward, RewardFunction
from formatlab.train.stage import StageInputs
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.prompt import Prompt, plain_prompt

Who = Literal["lab", "former lab", "stock TRL"]
ALGORITHMS: dict[str, type[OnPolicy]] = {"grpo": Grpo, "ppo": Ppo, "rloo": Rloo}
LEARNING_RATE = 1e-4
"""Small: the completions stay those of the base, for all alike."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Seconds of the steps of one contender, over all of its turns."""

    algorithm: str
    scale: str
    who: Who
    seconds: list[float]

    @property
    def median(self) -> float:
        """Seconds a step."""
        return statistics.median(self.seconds)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and write it where it is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scales", nargs="+", default=["0.04M", "0.13M", "0.46M", "1.9M"])
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=["grpo"])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--steps", type=int, default=4, help="steps in a turn, the first left out")
    parser.add_argument("--tokens", type=int, default=1_500_000, help="of a base's pretraining")
    parser.add_argument("--prompts-per-step", type=int, default=64)
    parser.add_argument("--former", type=Path, help="a checkout of another commit")
    parser.add_argument("--runs", type=Path, default=Path("runs/speed"), help="where bases are")
    parser.add_argument("--json", type=Path, help="file for the seconds of every step")
    parser.add_argument("--write", type=Path, help="page for the table")
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.turn:
        print(json.dumps(_turn(**json.loads(options.turn))))
        return
    rows = [
        row
        for scale in options.scales
        for algorithm in options.algorithms
        for row in _measure(algorithm, scale, options)
    ]
    table = _table(rows)
    print(table)
    if options.json:
        options.json.write_text(json.dumps([vars(row) for row in rows], indent=1))
    if options.write:
        write_measured(options.write, "benchmarks.speed", table)


def _measure(algorithm: str, scale: str, options: argparse.Namespace) -> list[Row]:
    base = _base(scale, options.tokens, options.runs)
    contenders: list[Who] = ["lab"]
    if algorithm == "grpo":
        contenders.append("stock TRL")
    if options.former:
        contenders.append("former lab")
    seconds: dict[Who, list[float]] = defaultdict(list)
    for turn in range(options.rounds):
        for who in contenders:
            asked = {
                "who": who,
                "algorithm": algorithm,
                "base": str(base.resolve()),
                "steps": options.steps,
                "prompts_per_step": options.prompts_per_step,
            }
            found = _process(asked, options.former if who == "former lab" else None)
            seconds[who] += found
            said = " ".join(f"{value:.2f}" for value in found)
            print(f"{algorithm} {scale}, round {turn + 1}, {who}: {said} s", flush=True)
    return [Row(algorithm=algorithm, scale=scale, who=w, seconds=s) for w, s in seconds.items()]


def _process(asked: dict[str, Any], checkout: Path | None) -> list[float]:
    """Seconds of the steps of a turn in a process of its own, with the package of a checkout."""
    here = Path(__file__).resolve().parents[1]
    path = [str((checkout or here).resolve()), str(here)]
    done = subprocess.run(
        [sys.executable, __file__, "--turn", json.dumps(asked)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _base(scale: str, tokens: int, runs: Path) -> Path:
    base = Base(world=FOUR_FORMATS, scale=scale, pretraining=Pretraining(tokens=tokens))
    return make_base(base, runs, lambda done, total, note: None).path


def _turn(*, who: Who, algorithm: str, base: str, steps: int, prompts_per_step: int) -> list[float]:
    """Train some steps; the seconds of each but the first."""
    import torch

    from formatlab.models.model import silence_libraries

    torch.set_num_threads(1)
    silence_libraries()
    settings = ALGORITHMS[algorithm](
        prompts=steps * prompts_per_step,
        prompts_per_step=prompts_per_step,
        epochs=1,
        learning_rate=LEARNING_RATE,
        checkpoint_every=1_000,
    )
    problems = FOUR_FORMATS.problems("rl", settings.prompts)
    prompts = [plain_prompt(problem) for problem in problems]
    with tempfile.TemporaryDirectory() as folder:
        train = _stock if who == "stock TRL" else _lab
        clock = train(settings, Path(base), prompts, Path(folder))
    return [after - before for before, after in pairwise(clock)]


def _lab(settings: OnPolicy, base: Path, prompts: list[Prompt], folder: Path) -> list[float]:
    clock: list[float] = []
    settings.run(
        StageInputs(
            folder=RunFolder.create(folder / "run", config={}, env={}),
            model=base,
            prompts=prompts,
            probe=Probe(prompts=1, samples=1),
            probe_prompts=prompts[:1],
            seed=0,
            report=lambda step, line: clock.append(time.process_time()),
        )
    )
    return clock


def _stock(settings: OnPolicy, base: Path, prompts: list[Prompt], folder: Path) -> list[float]:
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    from formatlab.models.model import load_tokenizer
    from formatlab.train.on_policy.engine import Engine
    from formatlab.train.trl_arguments import on_policy_arguments

    clock: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            clock.append(time.process_time())

    arguments = on_policy_arguments(settings, Engine(), output=folder, seed=0, processes=1)
    trainer = GRPOTrainer(
        model=str(base),
        reward_funcs=cast(Any, RewardFunction(Reward(), seeds=range)),
        args=GRPOConfig(**arguments),
        train_dataset=Dataset.from_list([{"prompt": p.text, "gold": p.gold} for p in prompts]),
        processing_class=load_tokenizer(base),
        callbacks=[Clock()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return clock


def _table(rows: list[Row]) -> str:
    lines = [
        "| step | contender | seconds, median (least to most) | steps | the lab is faster by |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lab = next(
            r for r in rows if (r.algorithm, r.scale, r.who) == (row.algorithm, row.scale, "lab")
        )
        ratio = "" if row is lab else f"{row.median / lab.median:.1f}x"
        spread = f"{row.median:.2f} ({min(row.seconds):.2f} to {max(row.seconds):.2f})"
        lines.append(
            f"| {row.algorithm} {row.scale} | {row.who} | {spread} | {len(row.seconds)} | {ratio} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
