"""Forward passes in half precision outside of a trainer, as inside of one.

Something done after given updates of a trainer: the policy is observed.

The policy: observed on the probe's prompts, and left in the run folder at the end.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import TrainerCallback

from formatlab.observe.grader import grade
from formatlab.observe.recorder import graded_rollout
from formatlab.store.rollout import Rollout, Split
from formatlab.store.run_folder import RunFolder
from formatlab.train.probe import Probe
from formatlab.train.sampler import sample
from formatlab.world.problem import digest
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer


def half_precision(
    precision: Literal["float32", "bfloat16"], device: str
) -> AbstractContextManager[object]:
    """Autocast to bfloat16, or nothing.

    Args:
        precision: of the settings.
        device: type of the device, such as `cuda`.
    """
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


class AfterUpdates(TrainerCallback):
    """Calls back after given updates."""

    def __init__(self, call: Mapping[int, Callable[[], None]]) -> None:
        """After update `n`, call `call[n]`."""
        self._call = dict(call)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Call if there is something to call."""
        if state.global_step in self._call:
            self._call[state.global_step]()


TRAINING_ARGUMENTS = "training_args.bin"
"""What transformers leaves beside weights: a pickle of this start, its folders and the machine's
name, which is no part of a policy and would make equal ones differ."""


def end_marks(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Ids that end a completion: the tokenizer's, and those the model was made to stop at."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ends = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    return sorted({end for end in ends if isinstance(end, int)})


def observe_policy(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Prompt],
    probe: Probe,
    *,
    limit: int,
    run_id: str,
    step: int,
    epoch: float,
    split: Split = "probe",
) -> list[Rollout]:
    """Sample and grade `probe.samples` completions of every prompt.

    Draws depend on the prompt's id, the sample's number and the probe's seed alone, so the same
    policy gives the same rollouts whatever else has been sampled before.

    Args:
        model: the policy.
        tokenizer: its tokenizer.
        prompts: what to answer.
        probe: how to sample.
        limit: most tokens of a completion.
        run_id: name of the run folder.
        step: steps that the policy was trained for.
        epoch: epoch of the rows.
        split: split of the rows.
    """
    pad, ends = tokenizer.pad_token_id, end_marks(model, tokenizer)
    assert isinstance(pad, int)
    encoded = [tokenizer(prompt.text)["input_ids"] for prompt in prompts]
    training = model.training
    model.eval()
    rows: list[Rollout] = []
    per_batch = max(1, probe.batch // probe.samples)
    for start in range(0, len(prompts), per_batch):
        chunk = prompts[start : start + per_batch]
        ids = [i for i in encoded[start : start + per_batch] for _ in range(probe.samples)]
        seeds = [
            digest("probe", probe.seed, prompt.id, number) % 2**63
            for prompt in chunk
            for number in range(probe.samples)
        ]
        sampled = sample(
            model,
            ids,
            seeds=seeds,
            limit=limit,
            temperature=probe.temperature,
            pad=pad,
            eos=ends,
        )
        owners = [(prompt, number) for prompt in chunk for number in range(probe.samples)]
        for (prompt, number), drawn in zip(owners, sampled, strict=True):
            text = completion_text(tokenizer, drawn.tokens)
            rows.append(
                graded_rollout(
                    prompt,
                    text,
                    grade(text, prompt.gold),
                    run_id=run_id,
                    split=split,
                    step=step,
                    epoch=epoch,
                    sample=number,
                    tokens=len(drawn.tokens),
                    truncated=not drawn.ended,
                    logprob=drawn.logprob,
                    entropy=drawn.entropy,
                )
            )
    model.train(training)
    return rows


def completion_text(tokenizer: "PreTrainedTokenizerBase", tokens: list[int]) -> str:
    """The text of a completion, without its end mark."""
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    assert isinstance(text, str), "one list of tokens is one text"
    return text


def save_policy(trainer: "Trainer", folder: RunFolder) -> None:
    """Write the policy (the adapter alone, where one was trained), whole or not at all.

    Where several processes train, every one of them has to call this.
    """
    unfinished, path = folder.path / ".policy-unfinished", folder.path / "policy"
    trainer.save_model(str(unfinished))
    if trainer.accelerator.is_main_process:
        (unfinished / TRAINING_ARGUMENTS).unlink(missing_ok=True)
        if path.exists():
            shutil.rmtree(path)
        os.replace(unfinished, path)
    trainer.accelerator.wait_for_everyone()
