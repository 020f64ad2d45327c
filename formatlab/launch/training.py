"""Training: stages in a row, each a run of its own that starts from the last one's policy."""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

from formatlab.errors import InputError, RunError
from formatlab.launch.lock import locked
from formatlab.launch.progress import Progress
from formatlab.models.device import best_device
from formatlab.models.lora import ADAPTER_CONFIG, LoraSettings, merged
from formatlab.models.saved import load_saved, load_tokenizer
from formatlab.models.scale import Scale
from formatlab.store.config_hash import config_hash
from formatlab.store.run_folder import RunFolder
from formatlab.train.algorithm import EXPLORING, SAMPLED, Algorithm
from formatlab.train.dpo import Dpo
from formatlab.train.engine import Engine
from formatlab.train.environment import environment
from formatlab.train.expert_iteration import ExpertIteration
from formatlab.train.exploration import Exploration
from formatlab.train.on_policy import OnPolicy
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.train.sft import Sft
from formatlab.world.prompt import Prompt
from formatlab.world.world import World

Emit = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One algorithm of a chain."""

    algorithm: str
    """What it is called: the settings' own name, or that of a preset over them."""
    settings: Algorithm

    @property
    def words(self) -> str:
        """What tables call it, in a chain."""
        match self.settings:
            case Sft(source="rollouts"):
                kind = "own " + ("+".join(self.settings.formats) or "rollouts")
            case Sft(source="preferred"):
                kind = f"preferred {self.settings.toward}"
            case Sft():
                kind = "+".join(self.settings.formats) or "mixture"
            case Dpo():
                kind = self.settings.toward
            case _:
                return self.algorithm
        return f"{self.algorithm} {kind}"


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything that decides what a model is trained to, beside the model and the problems."""

    stages: tuple[Stage, ...]
    """In order; the run is the last one, and those before it are runs of their own."""
    reward: Reward
    """Of the stages that reward rollouts."""
    exploration: Exploration
    """Of GRPO and PPO."""
    engine: Engine
    lora: LoraSettings | None
    """An adapter in every stage; None for all weights."""
    probe: Probe
    seed: int

    def __post_init__(self) -> None:
        """Check what stages cannot do."""
        last = self.stages[-1].settings
        if self.exploration.bonus != "none" and not isinstance(last, EXPLORING):
            raise InputError(
                f"exploration: {last.name} has no advantage of tokens that a bonus could be added "
                "to; take grpo or ppo, or leave exploration out"
            )
        if self.reward != Reward() and not isinstance(last, SAMPLED):
            raise InputError(f"reward: {last.name} gives no rewards; leave --reward out")

    def beginning(self, end: int) -> Self:
        """The first `end` stages as a training of their own, with what of the rest they heed."""
        last = self.stages[end - 1].settings
        return replace(
            self,
            stages=self.stages[:end],
            reward=self.reward if isinstance(last, SAMPLED) else Reward(),
            exploration=self.exploration if isinstance(last, EXPLORING) else Exploration(),
        )

    @property
    def prompts(self) -> int:
        """Most prompts that a stage trains on."""
        return max(stage.settings.prompts for stage in self.stages)

    @property
    def key(self) -> str:
        """Equal for trainings that are one, however they were come to."""
        return config_hash({"stages": [self.config(i) for i in range(len(self.stages))]})

    def check_learning_rates(self) -> None:
        """Check that every stage has a learning rate; on the ladder it follows from the scale.

        Raises:
            InputError: one has none.
        """
        for stage in self.stages:
            if stage.settings.learning_rate is None:
                option = stage.settings.name.replace("_", "-")
                raise InputError(
                    f"{stage.settings.name}: learning_rate is not set, and a real model has no "
                    f"scale that it could follow from; give --{option}.learning-rate"
                )

    def at_scale(self, scale: Scale) -> Self:
        """The same, with the learning rates that follow from a scale of the ladder."""
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

    def config(self, index: int) -> dict[str, Any]:
        """What of this decides the result of stage `index`, ready for JSON."""
        stage = self.stages[index]
        config = {
            "algorithm": stage.algorithm,
            "arm": ", ".join(before.words for before in self.stages[: index + 1]),
            "settings": stage.settings.config,
            "before": [
                {"algorithm": before.algorithm, "settings": before.settings.config}
                for before in self.stages[:index]
            ],
            "reward": "correctness",
            "lora": asdict(self.lora) if self.lora else None,
            "probe": asdict(self.probe),
            "seed": self.seed,
        }
        own = self.beginning(index + 1)
        if isinstance(stage.settings, SAMPLED):
            config |= {"reward": own.reward.name, "reward_settings": own.reward.config}
            config |= {"exploration": own.exploration.config}
        if self.engine.vllm != "off":  # whose draws are others
            config["engine"] = self.engine.vllm
        return config


def train(
    training: Training,
    runs: Path,
    common: Mapping[str, Any],
    *,
    name: str,
    place: str,
    model: Path,
    prompts: list[Prompt],
    probe_prompts: list[Prompt],
    world: World | None,
    emit: Emit,
) -> Path:
    """Train every stage that is not done, and give the run folder of the last.

    Args:
        training: the stages.
        runs: the study's folder.
        common: what else decides the result; part of every configuration.
        name: what every run folder's name begins with.
        place: what the progress display says beside the stages: scale, seed, and the like.
        model: a transformers folder, what the first stage starts from.
        prompts: of training; the first ones where a stage takes fewer.
        probe_prompts: what policies are observed on.
        world: what renders documents; None for real models.
        emit: told of the progress.
    """
    if training.lora is not None:
        training.lora.check(model)
    path = runs
    for index, stage in enumerate(training.stages):
        config = {"kind": "run", **common, **training.config(index)}
        path = runs / f"{name}-{stage.algorithm}-s{training.seed}-{config_hash(config)}"
        _train_stage(
            training.beginning(index + 1),
            stage,
            path,
            config,
            place=place,
            model=model,
            prompts=prompts[: stage.settings.prompts],
            probe_prompts=probe_prompts,
            world=world,
            emit=emit,
        )
        if index < len(training.stages) - 1:
            model = _whole_model(path, model)
    return path


def _train_stage(
    training: Training,
    stage: Stage,
    path: Path,
    config: Mapping[str, Any],
    *,
    place: str,
    model: Path,
    prompts: list[Prompt],
    probe_prompts: list[Prompt],
    world: World | None,
    emit: Emit,
) -> None:
    """Train unless it is done, measure, and mark the run folder at `path`.

    A chain and its beginning may come to the same stage at once: one trains, the other waits. Where
    `accelerate launch` started several processes, the first one writes.
    """
    from accelerate import PartialState

    from formatlab.measure import record_winners

    processes = PartialState(cpu=best_device().type == "cpu")
    settings, title = stage.settings, f"{training.label} {place}"

    def waiting() -> None:
        emit(Progress(title, 0, settings.steps, None, None, "another process is at it; waiting"))

    lock = locked(path, wait=True, waiting=waiting) if processes.is_main_process else nullcontext()
    with lock:
        if processes.is_main_process:
            RunFolder.create(path, config=config, env=environment()).clear_failed()
        processes.wait_for_everyone()
        folder = RunFolder.open(path)
        if folder.done:
            return
        resumed = len(folder.resumes())
        made = len(folder.metrics())
        begin = "going on from its newest checkpoint" if made else "observing what it starts from"
        emit(Progress(title, made, settings.steps, None, None, begin))

        @cache
        def went_on() -> Mapping[str, Any] | None:
            """How this start went on from an earlier one; known from its first step on."""
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
            if again := went_on():
                notes.append(_resumed_words(again))
            return "; ".join(notes)

        options: dict[str, Any] = {
            "model": model,
            "prompts": prompts,
            "probe": training.probe,
            "probe_prompts": probe_prompts,
            "seed": training.seed,
            "lora": training.lora,
            "report": report,
        }
        try:
            _run(folder, training, settings, world, options)
            if processes.is_main_process:
                record_winners(folder)
        except (RunError, InputError) as error:
            folder.mark_failed(str(error))
            raise
        except Exception as error:
            folder.mark_failed(f"{type(error).__name__}: {error}")
            raise
        if processes.is_main_process:
            rollouts = folder.rollouts("train", columns=["step"]).num_rows
            folder.mark_done({"steps": len(folder.metrics()), "rollouts": rollouts})
            folder.remove_checkpoints()
        processes.wait_for_everyone()


def _run(
    folder: RunFolder,
    training: Training,
    settings: Algorithm,
    world: World | None,
    options: dict[str, Any],
) -> None:
    """Call what trains a stage of this kind."""
    match settings:
        case OnPolicy():
            from formatlab.train.run_on_policy import run_on_policy

            run_on_policy(
                folder,
                settings=settings,
                reward=training.reward,
                exploration=training.exploration,
                engine=training.engine,
                **options,
            )
        case ExpertIteration():
            from formatlab.train.run_expert_iteration import run_expert_iteration

            run_expert_iteration(folder, settings=settings, reward=training.reward, **options)
        case Sft():
            from formatlab.train.run_sft import run_sft

            run_sft(folder, settings=settings, world=world, **options)
        case Dpo():
            from formatlab.train.run_dpo import run_dpo

            run_dpo(folder, settings=settings, world=world, **options)


def _whole_model(run: Path, start: Path) -> Path:
    """The policy of a finished run as a whole model: an adapter is merged into what it adapts."""
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


def _resumed_words(row: Mapping[str, Any]) -> str:
    lost = row["lost"]
    again = "nothing was lost" if not lost else f"{lost} later step{'s' * (lost > 1)} made again"
    return f"went on from step {row['step']}, {again}"
