"""The policy: sampled on the probe's prompts during training, and saved in the run folder."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import torch
from accelerate import PartialState
from transformers import TrainerCallback

from formatlab.observe.grader import grade
from formatlab.observe.recorder import graded_rollout
from formatlab.store.rollout import Rollout, Split
from formatlab.store.run_folder import RunFolder
from formatlab.train.probe import Probe
from formatlab.train.sampler import sample
from formatlab.train.stage import StageInputs
from formatlab.world.problem import digest
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer


def half_precision(
    precision: Literal["float32", "bfloat16"], device: str
) -> AbstractContextManager[object]:
    """Autocast as a trainer of this precision does, for forward passes outside of the trainer.

    Args:
        precision: of the settings; with float32 nothing is cast.
        device: type of the device, such as `cuda`.
    """
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


class AfterUpdates(TrainerCallback):
    """Calls functions after given updates of a trainer."""

    def __init__(self, call: Mapping[int, Callable[[], None]]) -> None:
        """After update `n`, call `call[n]`."""
        self._call = dict(call)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Call the function of this update, if there is one."""
        if state.global_step in self._call:
            self._call[state.global_step]()


def end_marks(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Ids that end a completion: the tokenizer's, and those in the model's configuration."""
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
    encoded = {prompt.text: tokenizer(prompt.text)["input_ids"] for prompt in prompts}
    training = model.training
    model.eval()
    rows: list[Rollout] = []
    per_batch = max(1, probe.batch // probe.samples)
    for start in range(0, len(prompts), per_batch):
        batch = [
            (prompt, number)
            for prompt in prompts[start : start + per_batch]
            for number in range(probe.samples)
        ]
        completions = sample(
            model,
            [encoded[prompt.text] for prompt, _ in batch],
            seeds=[
                digest("probe", probe.seed, prompt.id, number) % 2**63 for prompt, number in batch
            ],
            limit=limit,
            temperature=probe.temperature,
            pad=pad,
            eos=ends,
        )
        for (prompt, number), sampled in zip(batch, completions, strict=True):
            text = completion_text(tokenizer, sampled.tokens)
            rows.append(
                graded_rollout(
                    prompt,
                    text,
                    grade(text, prompt.gold, truncated=not sampled.ended),
                    run_id=run_id,
                    split=split,
                    step=step,
                    epoch=epoch,
                    sample=number,
                    tokens=len(sampled.tokens),
                    truncated=not sampled.ended,
                    logprob=sampled.logprob,
                    entropy=sampled.entropy,
                )
            )
    model.train(training)
    return rows


def observe_stage(
    inputs: StageInputs,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    *,
    limit: int,
    step: int,
    epoch: float,
) -> None:
    """Sample the policy of a stage on the probe and record it; the first of several processes does.

    Args:
        inputs: of the stage.
        model: its policy.
        tokenizer: the policy's.
        limit: most tokens of a completion.
        step: steps that the policy was trained for.
        epoch: the same in epochs.
    """
    rows = observe_policy(
        model,
        tokenizer,
        inputs.probe_prompts,
        inputs.probe,
        limit=limit,
        run_id=inputs.folder.name,
        step=step,
        epoch=epoch,
    )
    if PartialState().is_main_process:
        inputs.folder.write_rollouts("probe", epoch, rows)


def completion_text(tokenizer: "PreTrainedTokenizerBase", tokens: list[int]) -> str:
    """The text of a completion, without its end mark."""
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    assert isinstance(text, str), "one list of tokens is one text"
    return text


TRAINING_ARGUMENTS = "training_args.bin"
"""A pickle that transformers writes beside weights, with folders and the name of the machine. It is
no part of a policy, and would make equal ones differ."""


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
