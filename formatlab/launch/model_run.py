"""A run of a real pretrained model on real problems."""

import hashlib
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from formatlab.errors import InputError
from formatlab.launch.make_base import checksum
from formatlab.launch.progress import Progress
from formatlab.launch.run import Run
from formatlab.launch.training import Emit, Training, train
from formatlab.train.base import ACCURACY_FLOOR
from formatlab.world.problem import Problem
from formatlab.world.problem_set import load_problems
from formatlab.world.prompt import Prompt, prompt_id
from formatlab.world.shots import Shots, prompt_text


@dataclass(frozen=True, kw_only=True)
class ModelRun(Run):
    """The training of a real pretrained model on real problems."""

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
    training: Training
    words: str = ""
    """What beside its stages tells it from the other runs of its seed."""

    @property
    def label(self) -> str:
        """Stages, model, seed, and what else tells it from the others."""
        return f"{self.training.label} {self._place}"

    @property
    def _place(self) -> str:
        name = f"{Path(self.model).name} s{self.training.seed}"
        return ", ".join(filter(None, [name, self.words]))

    def execute(self, runs: Path, emit: Emit) -> Path:
        """Read model and problems, then train."""
        import torch

        from formatlab.models.parameters import count_parameters
        from formatlab.models.source import ModelSource, find_model, load_model, materialise

        emit(Progress(f"model {Path(self.model).name}", 0, 1, None, None, "reading"))
        source = find_model(self.model)
        # What takes long comes after what can be wrong.
        training = self.training
        option = f"--{training.stages[-1].settings.name.replace('_', '-')}.prompts"
        problems = take_problems(self.problems, "train", training.prompts, option=option)
        probe_problems = take_problems(
            self.probe_problems,
            self.probe_split,
            training.probe.prompts,
            option="--probe.prompts",
            without={problem.question for problem in problems},
        )
        folder = materialise(source, runs / "models")
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
        common = {
            "study": self.study,
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
            "base": {"sha256": checksum(folder), "floor": ACCURACY_FLOOR},
            "shots": asdict(self.shots),
            "chat": self.chat,
        }
        return train(
            training,
            runs / self.study,
            common,
            name=f"{name}-pretrained",
            place=self._place,
            model=folder,
            prompts=prompts,
            probe_prompts=probe_prompts,
            world=None,
            emit=emit,
        )


def _prompts_digest(prompts: list[Prompt]) -> str:
    """SHA-256 of what is asked and what is right."""
    text = "".join(f"{prompt.id}\x1f{prompt.text}\x1f{prompt.gold}\x1e" for prompt in prompts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def take_problems(
    spec: str, split: str, count: int, *, option: str, without: Set[str] = frozenset()
) -> list[Problem]:
    """The first `count` problems of a set.

    Args:
        spec: the set, see `load_problems`.
        split: its split.
        count: how many.
        option: what to lower where the set is smaller.
        without: questions to pass over.

    Raises:
        InputError: the set is smaller, or cannot be read.
    """
    found = [p for p in load_problems(spec, split=split) if p.question not in without]
    if len(found) < count:
        others = " that are not trained on" if without else ""
        raise InputError(
            f"{spec} holds {len(found)} different problems{others}, and {count} were asked for; "
            f"lower {option}, or give a larger set"
        )
    return found[:count]


def real_prompts(problems: Sequence[Problem], shots: Shots, tokenizer: Any) -> list[Prompt]:
    """The problems as a real model is asked them; `tokenizer` is that of a chat, or None."""
    return [
        Prompt(
            id=prompt_id(problem.question),
            text=prompt_text(problem, shots=shots, tokenizer=tokenizer),
            gold=problem.answer,
            family=problem.family,
        )
        for problem in problems
    ]
