"""What the format recorder costs: its share of the steps of a stock GRPO trainer on this machine.

    python -m benchmarks.recorder [--steps N] [--width W] [--layers L] [--rollouts B] [--tokens T]

A Llama of random weights would write noise, which is cheap to tag; so each sampled completion is
replaced, token for token in length, by worked solutions in several formats before it is rewarded
and recorded. Generation, loss and update are the trainer's own. The first step, which warms up, is
left out; the recorder's time includes tagging, grading, the logs and all writing to disk.
"""

import argparse
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
)
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from formatlab import FormatRecorder

SOLUTIONS = (
    "def solve():\n    apples = 4 * 3\n    total = apples + 2\n    return total\n",
    "Four bags of three make 12. Two more make 14.\nThe answer is 14.",
    "We have $4 \\times 3 = 12$ and then $12 + 2 = 14$, so \\boxed{14}",
    '{"steps": ["4 * 3 = 12", "12 + 2 = 14"], "answer": 14}',
    "Four bags of three: <<4*3=12>>12. With two more: <<12+2=14>>14.\n#### 14",
)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    characters = ["\n", *map(chr, range(32, 127))]
    ids = {token: number for number, token in enumerate(["<pad>", "<end>", *characters])}
    plain = Tokenizer(models.WordLevel(ids, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    plain.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<end>")


class Solving(GRPOTrainer):
    """Samples as ever, then answers with solutions of the length that was sampled."""

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        sampled, logprobs = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        longest = max(map(len, sampled))
        return [self._solution(number, longest) for number in range(len(sampled))], logprobs

    def _solution(self, number: int, length: int) -> list[int]:
        """The tokens of a solution, with words on a line before it up to the length."""
        solution = SOLUTIONS[number % len(SOLUTIONS)]
        words = ("Let us see. " * length)[: max(0, length - 2 - len(solution))]
        ids = self._tokenizer(f"{words}\n{solution}" if words else solution)["input_ids"]
        assert isinstance(ids, list)
        return [*ids, 1]


class StepTimes(TrainerCallback):
    """Seconds of every step, and the recorder's part of them."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.recorder: list[float] = []
        self.recorded: FormatRecorder | None = None
        self._last = (0.0, 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._last = (time.perf_counter(), 0.0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note the step; it is added after the recorder, whose flush it therefore includes."""
        assert self.recorded is not None
        now = (time.perf_counter(), self.recorded.seconds)
        self.steps.append(now[0] - self._last[0])
        self.recorder.append(now[1] - self._last[1])
        self._last = now


def main() -> None:
    """Train, and print the recorder's share."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=31)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--rollouts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    tokens = tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokens),
            hidden_size=options.width,
            intermediate_size=4 * options.width,
            num_hidden_layers=options.layers,
            num_attention_heads=options.width // 32,
            max_position_embeddings=1024,
            eos_token_id=1,
            pad_token_id=0,
        )
    )
    numbers = range(options.rollouts)
    data = Dataset.from_dict(
        {
            "prompt": [f"Bags of three, {n} of them, and two more?\n" for n in numbers],
            "answer": ["14"] * len(numbers),
        }
    )
    times = StepTimes()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Solving(
            model=model,
            reward_funcs=lambda completions, **_: [float(len(text)) for text in completions],
            args=GRPOConfig(
                output_dir=str(Path(folder) / "trl"),
                per_device_train_batch_size=options.rollouts,
                num_generations=8,
                max_completion_length=options.tokens,
                max_steps=options.steps,
                logging_steps=1,
                save_strategy="no",
                use_cpu=not torch.cuda.is_available(),
                bf16=False,
                gradient_checkpointing=False,
                disable_tqdm=True,
                log_level="error",
            ),
            train_dataset=data,
            processing_class=tokens,
        )
        recorder = FormatRecorder(Path(folder) / "runs" / "run", gold="answer").attach(trainer)
        trainer.remove_callback(PrinterCallback)
        times.recorded = recorder
        trainer.add_callback(times)
        trainer.train()
    steps, recorded = times.steps[1:], times.recorder[1:]
    share = sum(recorded) / sum(steps)
    median = statistics.median(recorded) / statistics.median(steps)
    count = sum(parameter.numel() for parameter in model.parameters())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    print(
        f"\n{count / 1e6:.1f}M parameters, {options.rollouts} rollouts x {options.tokens} tokens, "
        f"{torch.get_num_threads()} threads, {device}"
    )
    print(
        f"step {statistics.mean(steps) * 1e3:.1f} ms, recorder "
        f"{statistics.mean(recorded) * 1e3:.2f} ms: {share:.2%} of the time of n = {len(steps)} "
        f"steps (medians: {median:.2%}; most in one step: {max(recorded) * 1e3:.1f} ms)"
    )


if __name__ == "__main__":
    main()
