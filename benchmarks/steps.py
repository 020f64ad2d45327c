"""Steps of training: the lab, the lab as it was, and stock TRL, on the same base and prompts.

The lab records, tags and grades every rollout and measures the divergence from the base; stock TRL
(`GRPOTrainer`, its own generation) only rewards.
"""

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TypedDict, cast

from benchmarks.turns import Row, in_process, peak_memory
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
ONE_PROMPT = Probe(prompts=1, samples=1, fractions=())
CORRECTNESS = Reward()


class Turn(TypedDict):
    """What was measured in one process."""

    seconds: list[float]
    """Of each step but the first, which warms up: of the processor, which what else runs disturbs
    least; on the clock where a GPU does the work."""
    tokens: float
    """Mean length of a completion."""
    idle: float
    """Share of the groups whose completions are all rewarded alike, which teaches nothing."""
    peak: int
    """Largest resident memory of the process, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What all contenders are given."""

    runs: Path
    """Where bases and prompts are kept."""
    tokens: int = 1_500_000
    """Of a base's pretraining."""
    steps: int = 4
    """In a turn, the first one included."""
    prompts_per_step: int = 64
    rounds: int = 3
    """Turns of each contender."""
    former: Path | None = None
    """Checkout of the lab as it was."""
    precision: Literal["float32", "bfloat16"] = "float32"
    probe: Probe = ONE_PROMPT
    """How the lab observes the policy, before the steps that count and after them."""

    def step_rows(self, algorithm: str, scale: str) -> list[Row]:
        """Seconds a step, over all turns."""
        turns = self._turns(algorithm, scale, stock=algorithm == "grpo")
        return [
            Row(
                what=f"{algorithm} {scale}",
                who=who,
                values=[second for turn in of for second in turn["seconds"]],
                note=f"{fmean(turn['tokens'] for turn in of):.0f} tokens a completion, "
                f"{fmean(turn['idle'] for turn in of):.0%} of groups idle",
            )
            for who, of in turns.items()
        ]

    def memory_rows(self, scale: str) -> list[Row]:
        """Peak memory of a process that trains by GRPO, in GiB: one value a turn."""
        turns = self._turns("grpo", scale, stock=False)
        return [
            Row(what=f"grpo {scale}", who=who, values=[turn["peak"] / 2**30 for turn in of])
            for who, of in turns.items()
        ]

    def _turns(self, algorithm: str, scale: str, *, stock: bool) -> dict[Who, list[Turn]]:
        asked = {
            "algorithm": algorithm,
            "base": str(make_bench_base(scale, self.tokens, self.runs)),
            "prompts": str(self._prompts()),
            "prompts_per_step": self.prompts_per_step,
            "precision": self.precision,
            "probe": (self.probe.prompts, self.probe.samples),
        }
        contenders: dict[Who, Path | None] = {"lab": None}
        if stock:
            contenders["stock TRL"] = None
        if self.former:
            contenders["former lab"] = self.former
        turns: dict[Who, list[Turn]] = defaultdict(list)
        for number in range(self.rounds):
            for who, checkout in contenders.items():
                found: Turn = in_process(train, asked | {"who": who}, checkout)
                turns[who].append(found)
                said = " ".join(f"{value:.2f}" for value in found["seconds"])
                print(
                    f"{algorithm} {scale}, round {number + 1}, {who}: {said} s; "
                    f"{found['tokens']:.0f} tokens a completion, {found['idle']:.0%} of groups "
                    f"idle, {found['peak'] / 2**30:.2f} GiB",
                    flush=True,
                )
        return turns

    def _prompts(self) -> Path:
        """A file of the prompts of a turn: all contenders get those of this checkout."""
        prompts = FOUR_FORMATS.problems("rl", self.steps * self.prompts_per_step)
        path = self.runs / "prompts.json"
        path.write_text(json.dumps([asdict(plain_prompt(problem)) for problem in prompts]))
        return path


def make_bench_base(scale: str, tokens: int, runs: Path) -> Path:
    """The model folder of a base of the four formats, made once."""
    base = Base(world=FOUR_FORMATS, scale=scale, pretraining=Pretraining(tokens=tokens))
    return make_base(base, runs, lambda done, total, note: None).path.resolve()


def train(
    *,
    who: Who,
    algorithm: str,
    base: str,
    prompts: str,
    prompts_per_step: int,
    precision: Literal["float32", "bfloat16"],
    probe: tuple[int, int],
) -> Turn:
    """Train on some prompts, once each."""
    import torch

    from formatlab.models.model import silence_libraries

    torch.set_num_threads(1)
    silence_libraries()
    given = [Prompt(**row) for row in json.loads(Path(prompts).read_text())]
    settings = ALGORITHMS[algorithm](
        prompts=len(given),
        prompts_per_step=prompts_per_step,
        epochs=1,
        learning_rate=LEARNING_RATE,
        checkpoint_every=1_000,
        precision=precision,
    )
    observed, samples = probe
    observe = Probe(prompts=observed, samples=samples, fractions=())
    with tempfile.TemporaryDirectory() as folder:
        if who == "stock TRL":
            return _stock(settings, Path(base), given, Path(folder))
        return _lab(settings, Path(base), given, observe, Path(folder))


def _lab(settings: OnPolicy, base: Path, prompts: list[Prompt], probe: Probe, folder: Path) -> Turn:
    run = RunFolder.create(folder / "run", config={}, env={})
    seconds = train_lab(settings, base, prompts, run, probe=probe)
    rows = run.rollouts("train", columns=["step", "prompt_id", "tokens", "reward"]).to_pylist()
    rewards: dict[tuple[int, str], set[float]] = defaultdict(set)
    for row in rows:
        rewards[row["step"], row["prompt_id"]].add(row["reward"])
    return Turn(
        seconds=seconds,
        tokens=fmean(row["tokens"] for row in rows),
        idle=fmean(len(of) == 1 for of in rewards.values()),
        peak=peak_memory(),
    )


def train_lab(
    settings: OnPolicy,
    base: Path,
    prompts: list[Prompt],
    run: RunFolder,
    *,
    probe: Probe = ONE_PROMPT,
    reward: Reward = CORRECTNESS,
    after_step: Callable[[int], None] = lambda step: None,
) -> list[float]:
    """Train as a run of the lab does.

    Args:
        settings: of the algorithm.
        base: the folder of the model.
        prompts: as many as the settings say.
        run: where everything is recorded.
        probe: how the policy is observed before the first step and after the last one.
        reward: what rollouts are paid for.
        after_step: called after each step, before the clock is read.

    Returns:
        Seconds of each step but the first.
    """
    clock: list[float] = []

    def report(step: int, line: Any) -> None:
        after_step(step)
        clock.append(now())

    problems = FOUR_FORMATS.problems("probe", probe.prompts)
    settings.run(
        StageInputs(
            folder=run,
            model=base,
            prompts=prompts,
            probe=probe,
            probe_prompts=[plain_prompt(problem) for problem in problems],
            seed=0,
            report=report,
            reward=reward,
        )
    )
    return _between(clock)


def _stock(settings: OnPolicy, base: Path, prompts: list[Prompt], folder: Path) -> Turn:
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
            clock.append(now())

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
    steps = [line for line in trainer.state.log_history if "frac_reward_zero_std" in line]
    return Turn(
        seconds=_between(clock),
        tokens=fmean(line["completions/mean_length"] for line in steps),
        idle=fmean(line["frac_reward_zero_std"] for line in steps),
        peak=peak_memory(),
    )


def now() -> float:
    """The time, in seconds since some moment; see `Turn.seconds`."""
    import torch

    from formatlab.models.model import best_device

    if best_device().type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize()
    return time.perf_counter()


def _between(clock: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(clock)]
