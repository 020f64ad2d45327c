"""A stock TRL trainer with a FormatRecorder on scripted rollouts, alone or as several processes.

Run by torchrun with the arguments: folder. Each process leaves what its reward function was asked
in `witness-<rank>.json`: the recorder's rows are compared with those.
"""

import json
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tiny_llama import TEMPLATE, tiny_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from formatlab import FormatRecorder
from formatlab.store import RunFolder

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHARACTERS = [chr(code) for code in range(32, 127)] + ["\n"]
SCRIPT = [
    "The answer is 5.",
    "5",
    "def solve():\n    return 2 + 3",
    '{"answer": 5}',
    "2 + 3 = 5, so $\\boxed{5}$",
    "so five of them make",
    "The answer is 6.",
]
"""What the scripted model answers."""


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    ids = {token: number for number, token in enumerate([PAD, START, END, *CHARACTERS])}
    plain = Tokenizer(models.WordLevel(ids, unk_token=PAD))
    plain.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    plain.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        chat_template=TEMPLATE,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
    )


def problems(count: int, *, chat: bool = False, first: int = 0) -> Dataset:
    """Sums, with their answers in a column of a name of its own."""
    questions = [f"{number} + 1?" for number in range(first, first + count)]
    prompts = [[{"role": "user", "content": q}] for q in questions] if chat else questions
    return Dataset.from_dict({"prompt": prompts, "solution": ["5"] * count})


def scripted(prompts: list[Any], trainer: Any) -> dict[str, Any]:
    """A rollout function that answers from the script; one answer in five has no end mark."""
    tokens = trainer.processing_class
    completions = []
    for place, prompt in enumerate(prompts):
        key = f"{prompt}/{trainer.state.global_step}/{place}/{trainer.model.training}"
        draw = sha256(key.encode()).digest()
        ids = tokens(SCRIPT[draw[0] % len(SCRIPT)])["input_ids"]
        completions.append(ids if draw[1] % 5 == 0 else [*ids, tokens.eos_token_id])
    texts = [prompt if isinstance(prompt, str) else prompt[0]["content"] for prompt in prompts]
    return {
        "prompt_ids": [tokens(text)["input_ids"] for text in texts],
        "completion_ids": completions,
        "logprobs": [[0.0] * len(ids) for ids in completions],
    }


SEEN = ("step", "prompt", "completion", "tokens", "truncated", "reward")


class Witness:
    """A reward function that notes what it is asked and what it says."""

    __name__ = "witness"

    def __init__(self) -> None:
        self.train: list[dict[str, Any]] = []
        self.eval: list[dict[str, Any]] = []
        self.trainer: Any = None

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        solution: list[str],
        trainer_state: Any,
        **_: Any,
    ) -> list[float]:
        rewards = [float(len(ids)) for ids in completion_ids]
        seen = self.train if self.trainer.model.training else self.eval
        for prompt, completion, ids, reward in zip(
            prompts, completions, completion_ids, rewards, strict=True
        ):
            plain = isinstance(completion, str)
            seen.append(
                {
                    "step": trainer_state.global_step,
                    "prompt": prompt if isinstance(prompt, str) else prompt[0]["content"],
                    "completion": completion if plain else completion[0]["content"],
                    "tokens": len(ids),
                    "truncated": ids[-1] not in (0, 2),
                    "reward": reward,
                }
            )
        return rewards


def rows(folder: Path, split: Any = "train") -> list[dict[str, Any]]:
    """What a run folder holds."""
    return RunFolder.open(folder).rollouts(split).to_pylist()


def seen(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of rows, what a witness knows too."""
    return [{name: row[name] for name in SEEN} for row in found]


def make_trainer(
    folder: Path,
    *,
    witness: Witness,
    chat: bool = False,
    rloo: bool = False,
    script: bool = True,
    rewards: Sequence[Any] = (),
    evaluated: Any = None,
    prompts: int = 8,
    trained: Any = None,
    streamed: bool = False,
    reward_processing_classes: Any = None,
    callbacks: Any = None,
    **options: Any,
) -> Any:
    """A stock trainer on sums, or on the dataset `trained`; `options` go to its configuration."""
    torch.set_num_threads(1)
    settings = {
        "output_dir": str(folder / "trl"),
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 12,
        "max_steps": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "learning_rate": 1e-3,
        "report_to": "none",
        "disable_tqdm": True,
        "beta": 0.0,
    }
    dataset = problems(prompts, chat=chat) if trained is None else trained
    shared: dict[str, Any] = {
        "model": tiny_model(),
        "reward_funcs": [witness, *rewards],
        "train_dataset": dataset.to_iterable_dataset() if streamed else dataset,
        "eval_dataset": evaluated,
        "processing_class": tokenizer(),
        "reward_processing_classes": reward_processing_classes,
        "callbacks": callbacks,
    }
    if rloo:
        trainer = RLOOTrainer(args=RLOOConfig(**settings | options), **shared)
    else:
        function = scripted if script else None
        arguments = GRPOConfig(**settings | options)
        trainer = GRPOTrainer(args=arguments, rollout_func=function, **shared)
    witness.trainer = trainer
    return trainer


def main(folder: Path) -> None:
    """Train as one of several processes."""
    witness = Witness()
    trainer = make_trainer(
        folder,
        witness=witness,
        evaluated=problems(4, first=20),
        eval_strategy="steps",
        eval_steps=2,
        gradient_accumulation_steps=2,
        logging_steps=2,
    )
    recorder = FormatRecorder(folder / "study" / "run", gold="solution").attach(trainer)
    trainer.train()
    rank = trainer.accelerator.process_index
    found = {
        "train": witness.train,
        "eval": witness.eval,
        "logs": trainer.state.log_history,
        "finished": recorder.finished,
    }
    (folder / f"witness-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
