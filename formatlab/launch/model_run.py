"""A run of a real pretrained model on real problems."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from formatlab.errors import InputError
from formatlab.launch.make_base import checksum
from formatlab.launch.progress import Progress
from formatlab.launch.run import Emit, Run, train_run
from formatlab.models.lora import LoraSettings
from formatlab.store.config_hash import config_hash
from formatlab.train.base import ACCURACY_FLOOR
from formatlab.train.grpo import Grpo
from formatlab.train.probe import Probe
from formatlab.world.prompt import Prompt, prompt_id
from formatlab.world.shots import Shots, prompt_text


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
        return train_run(
            runs / self.study / run,
            config,
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
