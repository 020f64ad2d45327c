"""Runs of a real pretrained model on real problems, and the problems and prompts that they take."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from formatlab.models.model import count_parameters
from formatlab.models.source import (
    ModelSource,
    find_model,
    load_model,
    materialise,
    model_digest,
)
from formatlab.store.weights import weights_digest
from formatlab.study.stage_run import StageRun
from formatlab.study.task import Seeds, TaskFacts
from formatlab.train.pretraining.base import ACCURACY_FLOOR
from formatlab.train.progress import Emit, Progress
from formatlab.train.training import TrainingInputs
from formatlab.world import problem_set, prompt
from formatlab.world.added_formats import added_formats
from formatlab.world.problem_set import problems_digest, take_problems
from formatlab.world.prompt import Prompt, Shots, real_prompts


@dataclass(frozen=True, kw_only=True)
class ModelRun(StageRun):
    """The last stage of a training that begins with a real pretrained model."""

    model: str
    """Hub id, local folder, GGUF file or known name."""
    problems: str
    """Problem set to train on."""
    problems_set_aside: int
    """How many of its first problems are kept for training, by all runs of the study."""
    probe_problems: str
    """Problem set to observe on."""
    probe_split: str
    shots: Shots
    chat: bool

    @property
    def decided(self) -> Mapping[str, Any]:
        """Model and problems.

        A model on this machine is identified by its content, one on a hub by its id.
        """
        added = added_formats()
        return {
            "model": [self.model, model_digest(self.model)],
            "problem_set_version": problem_set.VERSION,
            "prompt_version": prompt.VERSION,
            "problems": [self.problems, problems_digest(self.problems), self.problems_set_aside],
            "probe_problems": [self.probe_problems, problems_digest(self.probe_problems)],
            "probe_split": self.probe_split,
            "shots": asdict(self.shots),
            "chat": self.chat,
            **({"added_formats": added} if added else {}),
        }

    @property
    def facts(self) -> TaskFacts:
        """Stages, model, seed, and its other differences from the study's runs."""
        seed = self.training.seed
        return TaskFacts(
            kind="run",
            chain=self.training.label,
            scale=Path(self.model).name,
            mixture="pretrained",
            algorithm=self.training.algorithm,
            details=self.words,
            seeds=Seeds(initialisation=seed, sampling=seed),
        )

    def first_model(self, runs: Path) -> Path:
        """The real model, converted if need be."""
        return materialise(find_model(self.model), runs / "models")

    def execute(self, runs: Path, emit: Emit) -> None:
        """Say that a model is read, which takes long for a large one; then as any run."""
        emit(Progress(self.label, 0, 1, None, None, "reading the model"))
        super().execute(runs, emit)

    def inputs(self, runs: Path) -> TrainingInputs:
        """The model, or the policy of the stage before, and the problems."""
        import torch

        # The quick checks come first, the slow work after them.
        training = self.training
        option = f"{training.stages[-1].settings.option}.prompts"
        problems = take_problems(self.problems, "train", self.problems_set_aside, option=option)
        probe_problems = take_problems(
            self.probe_problems,
            self.probe_split,
            training.probe.prompts,
            option="--probe.prompts",
            without={problem.question for problem in problems},
        )
        folder = self.start(runs)
        # Read once to know that it is whole; training opens it by path.
        model, tokenizer = load_model(
            ModelSource(name=self.model, path=folder), device="cpu", dtype=torch.bfloat16
        )
        count = count_parameters(model)
        del model
        chat = tokenizer if self.chat else None
        prompts = real_prompts(problems, self.shots, chat)
        probe_prompts = real_prompts(probe_problems, self.shots, chat)
        name = Path(self.model).name
        config = {
            "name": name,
            "scale": {
                "name": name,
                "parameters": count.total,
                "non_embedding_parameters": count.non_embedding,
            },
            "mixture": {},
            "mixture_name": "pretrained",
            "model": self.model,
            "problems": self.problems,
            "probe_problems": self.probe_problems,
            "probe_split": self.probe_split,
            "prompts_sha256": _prompts_digest([*prompts, *probe_prompts]),
            "base": {"sha256": weights_digest(folder), "floor": ACCURACY_FLOOR},
            "shots": asdict(self.shots),
            "chat": self.chat,
        }
        return TrainingInputs(
            config=config, model=folder, prompts=prompts, probe_prompts=probe_prompts, world=None
        )


def _prompts_digest(prompts: list[Prompt]) -> str:
    """SHA-256 of what is asked and what is right."""
    text = "".join(f"{prompt.id}\x1f{prompt.text}\x1f{prompt.gold}\x1e" for prompt in prompts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
