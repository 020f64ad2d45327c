"""Training: a chain of stages, each a run of its own that starts from the policy before it."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

from formatlab.errors import InputError
from formatlab.models.lora import ADAPTER_CONFIG, LoraSettings, merged
from formatlab.models.model import best_device, load_saved, load_tokenizer
from formatlab.models.scale import Scale
from formatlab.observe import grader
from formatlab.store.lock import locked
from formatlab.store.run_folder import RunFolder
from formatlab.train.environment import environment
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.probe import Probe
from formatlab.train.progress import Emit, Progress
from formatlab.train.reward import Reward
from formatlab.train.rules import RULES
from formatlab.train.stage import Stage, StageInputs
from formatlab.world.prompt import Prompt
from formatlab.world.world import World


@dataclass(frozen=True, kw_only=True)
class Training:
    """A chain of stages and the settings that they share; model and problems come beside it."""

    stages: tuple[Stage, ...]
    """In order; the run is the last one, and those before it are runs of their own."""
    reward: Reward
    """What the stages that reward rollouts pay for."""
    exploration: Exploration
    """What the stages that explore add to their advantages."""
    engine: Engine
    lora: LoraSettings | None
    """An adapter in every stage; None for all weights."""
    probe: Probe
    seed: int

    def __post_init__(self) -> None:
        """Check that some stage uses the bonus and the reward."""
        last = self.stages[-1].settings
        if self.exploration.bonus != "none" and not self._explores:
            raise InputError(
                f"exploration: {last.name} has no advantage of tokens that a bonus could be added "
                "to; take grpo or ppo, or leave exploration out"
            )
        if self.reward != Reward() and not self._rewarded:
            raise InputError(f"reward: {last.name} gives no rewards; leave --reward out")

    @property
    def _rewarded(self) -> bool:
        return any(stage.settings.rewarded for stage in self.stages)

    @property
    def _explores(self) -> bool:
        return any(stage.settings.explores for stage in self.stages)

    @property
    def before(self) -> Self | None:
        """The chain without its last stage, with only the settings that its stages use."""
        if len(self.stages) == 1:
            return None
        before = replace(self, stages=self.stages[:-1], reward=Reward(), exploration=Exploration())
        if before._rewarded:
            before = replace(before, reward=self.reward)
        if before._explores:
            before = replace(before, exploration=self.exploration)
        return before

    @property
    def beginnings(self) -> list[Self]:
        """All chains that this one begins with, the longest first."""
        return [self.before, *self.before.beginnings] if self.before else []

    @property
    def decided(self) -> list[dict[str, Any]]:
        """What addresses hash of all stages; trainings for which it is equal are the same."""
        config = self.config
        config["arm"] = config.pop("chain")  # the name that addresses were hashed with
        return [*(self.before.decided if self.before else []), config]

    @property
    def algorithm(self) -> str:
        """Name of the last stage."""
        return self.stages[-1].algorithm

    @property
    def selectors(self) -> dict[str, str]:
        """What `--only` selects it by: settings, algorithm, chain, reward, bonus, sampling seed."""
        settings = self.stages[-1].settings.config
        return {name: str(value) for name, value in settings.items()} | {
            "algorithm": self.algorithm,
            "chain": self.label,
            "reward": self.reward.name,
            "bonus": self.exploration.bonus,
            "sampling_seed": str(self.seed),
        }

    def check_learning_rates(self) -> None:
        """Check that every stage has a learning rate; on the ladder it follows from the scale.

        Raises:
            InputError: one has none.
        """
        for stage in self.stages:
            if stage.settings.learning_rate is None:
                raise InputError(
                    f"{stage.settings.name}: learning_rate is not set, and a real model has no "
                    f"scale that it could follow from; give {stage.settings.option}.learning-rate"
                )

    def at_scale(self, scale: Scale) -> Self:
        """The same, with learning rates that are not set taken from a scale of the ladder."""
        rate = scale.rl_learning_rate
        stages = tuple(
            stage
            if stage.settings.learning_rate is not None
            else replace(stage, settings=replace(stage.settings, learning_rate=rate))
            for stage in self.stages
        )
        return replace(self, stages=stages)

    @property
    def label(self) -> str:
        """The chain in words."""
        return ", ".join(stage.words for stage in self.stages)

    @property
    def config(self) -> dict[str, Any]:
        """Everything here that decides the result of the last stage, ready for JSON."""
        *before, stage = self.stages
        config = {
            **stage.config,
            "chain": self.label,
            "before": [of.config for of in before],
            "reward": "correctness",
            "lora": asdict(self.lora) if self.lora else None,
            "probe": asdict(self.probe),
            "seed": self.seed,
            "rules": self.rules,
        }
        if stage.settings.rewarded:
            config |= {"reward": self.reward.name, "reward_settings": self.reward.config}
            config |= {"exploration": self.exploration.config}
        if self.engine.vllm != "off":  # vLLM draws other rollouts
            config["engine"] = self.engine.vllm
        return config

    @property
    def rules(self) -> dict[str, Any]:
        """What decides the result of the last stage and is no setting, ready for JSON."""
        settings = self.stages[-1].settings
        rules = {**asdict(RULES), "grading": grader.VERSION, **settings.rules}
        if settings.rewarded:
            rules["reward"] = self.reward.version
        if settings.explores and self.exploration.bonus != "none":
            rules["exploration"] = self.exploration.version
        if self.lora is not None:
            rules["lora"] = self.lora.version
        return rules


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """What a training is given beside its settings."""

    config: Mapping[str, Any]
    """What besides the training decides the result, and what it starts from; ready for JSON."""
    model: Path
    """A transformers folder, what the stage starts from."""
    prompts: list[Prompt]
    """Of training; the stage takes as many of the first as it needs."""
    probe_prompts: list[Prompt]
    """What policies are observed on."""
    world: World | None
    """What renders documents; None for real models."""
    before_first_step: Callable[[RunFolder], None] = lambda folder: None
    """Called by RL from rollouts once the starting policy is observed, and again on resuming."""


def train(
    training: Training, path: Path, inputs: TrainingInputs, *, title: str, emit: Emit
) -> RunFolder:
    """Train the last stage into the run folder at `path`, or resume it.

    Where `accelerate launch` started several processes, all train and the first one writes.

    Args:
        training: the chain; the stages before the last are done.
        path: the run folder.
        inputs: model and problems.
        title: what the progress display calls it.
        emit: told of the progress.
    """
    from accelerate import PartialState

    if training.lora is not None:
        training.lora.check(inputs.model)
    processes = PartialState(cpu=best_device().type == "cpu")
    settings = training.stages[-1].settings
    if processes.is_main_process:
        config = {"kind": "run", **inputs.config, **training.config}
        RunFolder.create(path, config=config, env=environment())
    processes.wait_for_everyone()
    folder = RunFolder.open(path)
    resumed = len(folder.resumes())
    made = len(folder.metrics())
    begin = "going on from its newest checkpoint" if made else "observing what it starts from"
    emit(Progress(title, made, settings.steps, None, None, begin))

    @cache
    def resume() -> Mapping[str, Any] | None:
        """How this start resumed an earlier one; known from its first step on."""
        now = folder.resumes()
        return now[-1] if len(now) > resumed else None

    def report(step: int, line: dict[str, Any]) -> None:
        share: dict[str, float] = line.get("share", {})
        leader = max(share, key=lambda name: share[name], default=None)
        of_leader = share[leader] if leader is not None else None
        emit(Progress(title, step, settings.steps, leader, of_leader, note(line)))

    def note(line: dict[str, Any]) -> str:
        notes = [f"reward {line['reward']:.2f}"] if "reward" in line else []
        if "loss" in line and "reward" not in line and line["loss"] is not None:
            notes.append(f"loss {line['loss']:.3f}")
        notes += [event["message"] for event in line.get("events", [])]
        if again := resume():
            notes.append(_resume_words(again))
        return "; ".join(notes)

    settings.run(
        StageInputs(
            folder=folder,
            model=inputs.model,
            prompts=inputs.prompts[: settings.prompts],
            probe=training.probe,
            probe_prompts=inputs.probe_prompts,
            seed=training.seed,
            report=report,
            lora=training.lora,
            reward=training.reward,
            exploration=training.exploration,
            engine=training.engine,
            world=inputs.world,
            before_first_step=inputs.before_first_step,
        )
    )
    return folder


def whole_policy(run: Path, start: Path) -> Path:
    """The policy of a finished run as a whole model: an adapter is merged into what it adapts.

    Args:
        run: the run folder.
        start: the model that the run started from.
    """
    policy, whole = run / "policy", run / "policy-merged"
    if not (policy / ADAPTER_CONFIG).exists():
        return policy
    with locked(whole, wait=True):
        if not whole.exists():
            unfinished = run / ".policy-merged-unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            merged(load_saved(start), policy).save_pretrained(unfinished)
            load_tokenizer(start).save_pretrained(unfinished)
            os.replace(unfinished, whole)
    return whole


def _resume_words(row: Mapping[str, Any]) -> str:
    lost = row["lost"]
    again = "nothing was lost" if not lost else f"{lost} later step{'s' * (lost > 1)} made again"
    return f"went on from step {row['step']}, {again}"
