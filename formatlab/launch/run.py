"""A run: one (world, scale, algorithm, seed), or one real model on one set of problems."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from formatlab.errors import InputError, RunError
from formatlab.launch.environment import environment
from formatlab.launch.make_base import checksum, find_base, make_base
from formatlab.launch.progress import Progress
from formatlab.models.lora import LoraSettings
from formatlab.models.scale import find_scale
from formatlab.store.config_hash import config_hash
from formatlab.store.run_folder import RunFolder
from formatlab.train.base import ACCURACY_FLOOR, Base
from formatlab.train.grpo import Grpo
from formatlab.train.probe import Probe
from formatlab.world.prompt import Prompt, plain_prompt, prompt_id
from formatlab.world.shots import Shots, prompt_text

Emit = Callable[[Progress], None]


class Run(ABC):
    """One unit of work of a study: executed in a process of its own, resumable."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What the progress display calls it."""

    @abstractmethod
    def execute(self, runs: Path, emit: Emit) -> Path:
        """Do the work, or go on with it, and give the finished run folder."""


@dataclass(frozen=True, kw_only=True)
class LadderRun(Run):
    """GRPO of a base of the ladder in its own world."""

    study: str
    base: Base
    grpo: Grpo
    probe: Probe

    @property
    def label(self) -> str:
        """Scale and seed."""
        return f"{self.base.scale} s{self.base.seed}"

    def execute(self, runs: Path, emit: Emit) -> Path:
        """Make the base if there is none, then train."""
        stage = f"base {self.label}"

        def report(step: int, total: int, note: str) -> None:
            emit(Progress(stage, step, total, None, None, note))

        world, seed = self.base.world, self.base.seed
        prompts = [plain_prompt(p) for p in world.problems("rl", self.grpo.prompts)]
        probe_prompts = [plain_prompt(p) for p in world.problems("probe", self.probe.prompts)]
        base = find_base(self.base, runs)
        if base is None:
            base = make_base(self.base, runs, report)
        config = {
            "kind": "run",
            "study": self.study,
            "name": self.base.scale,
            "scale": {
                "name": self.base.scale,
                "parameters": base.summary["parameters"],
                "non_embedding_parameters": base.summary["non_embedding_parameters"],
                "width": find_scale(self.base.scale).width,
            },
            "mixture": dict(world.mixture.shares),
            "mixture_name": world.mixture.name,
            "algorithm": "grpo",
            "reward": "correctness",
            "seed": seed,
            "world": asdict(world),
            "base": {
                "config": self.base.config,
                "sha256": base.summary["sha256"],
                "token_shares": base.summary["token_shares"],
                "held_out_loss": base.summary["held_out_loss"],
                "undertrained": base.summary["undertrained"],
                "floor": self.base.pretraining.accuracy_floor,
            },
            "grpo": self.grpo.config,
            "probe": asdict(self.probe),
        }
        name = f"{self.base.scale}-{world.mixture.name}-grpo-s{seed}-{config_hash(config)}"
        return _train(
            RunFolder.create(runs / self.study / name, config=config, env=environment()),
            label=self.label,
            model=base.path,
            grpo=self.grpo,
            prompts=prompts,
            probe=self.probe,
            probe_prompts=probe_prompts,
            seed=seed,
            lora=None,
            emit=emit,
        )


@dataclass(frozen=True, kw_only=True)
class ModelRun(Run):
    """GRPO of a real pretrained model on real problems."""

    study: str
    model: str
    """Hub id, local folder, GGUF file or known name."""
    problems: str
    """Problem set to train on."""
    probe_problems: str
    """Problem set to observe on."""
    probe_split: str
    shots: Shots
    chat: bool
    grpo: Grpo
    probe: Probe
    lora: LoraSettings | None
    seed: int

    @property
    def label(self) -> str:
        """Model and seed."""
        return f"{Path(self.model).name} s{self.seed}"

    def execute(self, runs: Path, emit: Emit) -> Path:
        """Read model and problems, then train."""
        import torch

        from formatlab.models.parameters import count_parameters
        from formatlab.models.source import ModelSource, find_model, load_model, materialise

        emit(Progress(f"model {self.label}", 0, 1, None, None, "reading"))
        folder = materialise(find_model(self.model), runs / "models")
        # Read once to know that it is whole; training opens it by path.
        model, tokenizer = load_model(
            ModelSource(name=self.model, path=folder), device="cpu", dtype=torch.bfloat16
        )
        count = count_parameters(model)
        del model
        prompts = real_prompts(
            self.problems, "train", self.grpo.prompts, self.shots, tokenizer if self.chat else None
        )
        trained_on = {prompt.id for prompt in prompts}
        probe_prompts = [
            prompt
            for prompt in real_prompts(
                self.probe_problems,
                self.probe_split,
                self.probe.prompts + (len(prompts) if self.probe_problems == self.problems else 0),
                self.shots,
                tokenizer if self.chat else None,
                at_most=True,
            )
            if prompt.id not in trained_on
        ][: self.probe.prompts]
        if len(probe_prompts) < self.probe.prompts:
            raise InputError(
                f"probe: {self.probe.prompts} prompts asked for, and {self.probe_problems} has "
                f"{len(probe_prompts)} that are not trained on; ask for fewer, or give another "
                "set with --probe-problems"
            )
        name = Path(self.model).name
        config = {
            "kind": "run",
            "study": self.study,
            "name": name,
            "scale": {
                "name": name,
                "parameters": count.total,
                "non_embedding_parameters": count.non_embedding,
            },
            "mixture": {},
            "mixture_name": "pretrained",
            "algorithm": "grpo",
            "reward": "correctness",
            "seed": self.seed,
            "model": self.model,
            "problems": self.problems,
            "probe_problems": self.probe_problems,
            "probe_split": self.probe_split,
            "prompts_sha256": _prompts_digest([*prompts, *probe_prompts]),
            "base": {"sha256": checksum(folder), "floor": ACCURACY_FLOOR},
            "shots": asdict(self.shots),
            "chat": self.chat,
            "lora": asdict(self.lora) if self.lora else None,
            "grpo": self.grpo.config,
            "probe": asdict(self.probe),
        }
        run = f"{name}-pretrained-grpo-s{self.seed}-{config_hash(config)}"
        return _train(
            RunFolder.create(runs / self.study / run, config=config, env=environment()),
            label=self.label,
            model=folder,
            grpo=self.grpo,
            prompts=prompts,
            probe=self.probe,
            probe_prompts=probe_prompts,
            seed=self.seed,
            lora=self.lora,
            emit=emit,
        )


def _prompts_digest(prompts: list[Prompt]) -> str:
    """SHA-256 of what is asked and what is right."""
    text = "".join(f"{prompt.id}\x1f{prompt.text}\x1f{prompt.gold}\x1e" for prompt in prompts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def real_prompts(
    problems: str,
    split: str,
    count: int,
    shots: Shots,
    tokenizer: Any,
    *,
    option: str = "--grpo.prompts",
    at_most: bool = False,
) -> list[Prompt]:
    """The first `count` problems of a set as prompts.

    Raises:
        InputError: the set is smaller (unless `at_most`), or cannot be read.
    """
    from formatlab.world.problem_set import load_problems

    found = load_problems(problems, split=split)[:count]
    if len(found) < count and not at_most:
        raise InputError(
            f"{problems}: {count} problems asked for, {len(found)} found; lower {option}"
        )
    return [
        Prompt(
            id=prompt_id(problem.question),
            text=prompt_text(problem, shots=shots, tokenizer=tokenizer),
            gold=problem.answer,
            family=problem.family,
        )
        for problem in found
    ]


def _train(
    folder: RunFolder,
    *,
    label: str,
    model: Path,
    grpo: Grpo,
    prompts: list[Prompt],
    probe: Probe,
    probe_prompts: list[Prompt],
    seed: int,
    lora: LoraSettings | None,
    emit: Emit,
) -> Path:
    """Train unless it is done, measure, and mark the folder."""
    from formatlab.measure import record_winners
    from formatlab.train.run_grpo import run_grpo

    if folder.done:
        return folder.path
    folder.clear_failed()
    stage = f"grpo {label}"

    def report(step: int, line: dict[str, Any]) -> None:
        share: dict[str, float] = line["share"]
        leader = max(share, key=lambda name: share[name])
        note = f"reward {line['reward']:.2f}"
        emit(Progress(stage, step, grpo.steps, leader, share[leader], note))

    emit(Progress(stage, 0, grpo.steps, None, None, "observing the base"))
    try:
        run_grpo(
            folder,
            model=model,
            settings=grpo,
            prompts=prompts,
            probe=probe,
            probe_prompts=probe_prompts,
            seed=seed,
            lora=lora,
            report=report,
        )
        record_winners(folder)
    except (RunError, InputError) as error:
        folder.mark_failed(str(error))
        raise
    except Exception as error:
        folder.mark_failed(f"{type(error).__name__}: {error}")
        raise
    folder.mark_done({"steps": grpo.steps, "rollouts": grpo.steps * grpo.rollouts_per_step})
    folder.remove_checkpoints()
    return folder.path
