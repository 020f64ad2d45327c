"""One run of expert iteration, from a model on disk to its policy; a killed one resumes.

`checkpoints/` holds what a killed run needs beside its recorded rollouts:

```
round-002/    the policy after two rounds, whole; `round.json` says how it was trained
step-003.json the line of the last step of round 3, once all of its rollouts are recorded
sft-003/      checkpoints of round 3's fine-tuning
```
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from peft import PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from formatlab.errors import RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import load_saved, load_tokenizer
from formatlab.observe.grader import grade
from formatlab.observe.recorder import TrainRecorder, graded_rollout
from formatlab.store.atomic_file import write_json_atomically
from formatlab.store.rollout import Rollout, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.train.base_divergence import kl_to_base
from formatlab.train.checkpoints import newest_checkpoint, resume_at
from formatlab.train.epoch_order import EpochOrder
from formatlab.train.fine_tuning.examples import paid_answers, sft_row
from formatlab.train.fine_tuning.trainer import fine_tuning_trainer
from formatlab.train.health import note_events
from formatlab.train.metrics import RolloutSummary
from formatlab.train.policy import (
    TRAINING_ARGUMENTS,
    completion_text,
    end_marks,
    half_precision,
    observe_stage,
)
from formatlab.train.sampler import Sampled, row_seeds, sample
from formatlab.train.stage import StageInputs
from formatlab.world.problem import digest
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from formatlab.train.expert_iteration.settings import ExpertIteration

_PART = 16_384
"""Rollouts after which those of a round continue in a further file."""
_SUMMARY = "round.json"


@dataclass(frozen=True, kw_only=True)
class ExpertRounds:
    """The rounds of one run, numbered from 1; round 0 stands for the base."""

    settings: ExpertIteration
    inputs: StageInputs
    tokenizer: PreTrainedTokenizerBase

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return self.inputs.folder

    def policy_folder(self, number: int) -> Path:
        """Where the policy after a round is, or the adapter of it."""
        return self.folder.checkpoints / f"round-{number:03d}"

    def pending_line(self, number: int) -> Path:
        """Where the line of a round's last step waits for the fine-tuning."""
        return self.folder.checkpoints / f"step-{number:03d}.json"

    def policy(self, number: int) -> PreTrainedModel | PeftModel:
        """The policy after a round, to be sampled."""
        if number == 0:
            return load_saved(self.inputs.model)
        if self.inputs.lora is None:
            return load_saved(self.policy_folder(number))
        return PeftModel.from_pretrained(
            load_saved(self.inputs.model), self.policy_folder(number)
        ).eval()

    def resume(self) -> int:
        """The number of steps that need not be sampled again; drops what is later than them.

        Sampling continues from the last recorded step, without a checkpoint there: the policy does
        not change within a round, and every step has its own seeds. The fine-tuning at the end of a
        round has checkpoints of its own.
        """
        settings, folder = self.settings, self.folder
        per_round = settings.steps_per_epoch
        logged = len(folder.metrics())
        rows = Counter(folder.rollouts("train", columns=["step"])["step"].to_pylist())
        recorded = next(step for step in count() if rows[step] != settings.rollouts_per_step)
        finished = logged // per_round
        end = (finished + 1) * per_round
        if self.pending_line(finished + 1).exists() and logged == end - 1:
            sampled = needed = end
        else:
            sampled, needed = min(logged, recorded), finished * per_round
        probed = folder.epochs("probe")

        def complete(_: int) -> bool:
            return (
                recorded >= needed
                and all(float(number) in probed for number in range(1, finished + 1))
                and (finished == 0 or self.policy_folder(finished).exists())
            )

        sampled = resume_at(folder, sampled, complete)
        if sampled == 0:
            folder.remove_checkpoints()
        for number in range(1, settings.rounds + 1):
            if sampled < number * per_round:  # its last step is sampled again
                self.pending_line(number).unlink(missing_ok=True)
        return sampled

    def sample(self, number: int, *, first: int) -> Iterator[dict[str, Any]]:
        """Sample a round's steps from `first` on and record them; yields their lines.

        The line of the last step is kept in a file once that step's rollouts are recorded, until
        `fine_tune` has completed it.
        """
        settings = self.settings
        end = number * settings.steps_per_epoch
        pending = self.pending_line(number)
        if pending.exists():
            yield json.loads(pending.read_text(encoding="utf-8"))
            return
        policy: Any = self.policy(number - 1)
        base = None
        if number > 1 and self.inputs.lora is None:
            base = load_saved(self.inputs.model)
        recorder = TrainRecorder(self.folder, epoch=number - 1, part_rows=_PART)
        order = self._order(number)
        for step in range(first, end):
            started = time.perf_counter()
            place = (step % settings.steps_per_epoch) * settings.rollouts_per_step
            batch = [
                self.inputs.prompts[i] for i in order[place : place + settings.rollouts_per_step]
            ]
            ids = [self._prompt_ids(prompt) for prompt in batch]
            with half_precision(settings.precision, policy.device.type):
                sampled = self._sample(policy, ids, step)
                kl = 0.0
                if number > 1:
                    kl = kl_to_base(
                        policy,
                        base,
                        ids,
                        [one.tokens for one in sampled],
                        temperature=settings.temperature,
                        pad=self._pad,
                        batch=settings.micro_batch,
                    )
            rows = self._rollouts(batch, sampled, step)
            recorder.add(rows)
            if step + 1 == end or (step + 1) % settings.checkpoint_every == 0:
                recorder.flush()
            line = {
                "step": step,
                "epoch": step / settings.steps_per_epoch,
                **RolloutSummary(rows).line(),
                "kl": kl,
                "seconds": time.perf_counter() - started,
            }
            if step + 1 == end:
                write_json_atomically(pending, line)
            yield line

    def fine_tune(self, number: int) -> dict[str, Any]:
        """Fine-tune on a round's paid rollouts; returns what its last line says of that."""
        target = self.policy_folder(number)
        if not target.exists():
            unfinished = self.folder.checkpoints / ".round-unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            started = time.perf_counter()
            rows = rollouts_from_table(self.folder.rollouts("train", epoch=float(number - 1)))
            kept = paid_answers(rows)
            summary: dict[str, Any] = {"kept": len(kept), "sft_steps": 0}
            if kept:
                tokenised = [sft_row(example, self.tokenizer) for example in kept]
                summary |= self._train(number, tokenised, unfinished)
            else:
                summary["events"] = [self._nothing_kept(number, len(rows))]
                self._stay(number, unfinished)
            summary["seconds"] = time.perf_counter() - started
            write_json_atomically(unfinished / _SUMMARY, summary)
            os.replace(unfinished, target)
        return json.loads((target / _SUMMARY).read_text(encoding="utf-8"))

    def discard(self, number: int) -> None:
        """Remove the policy of a round that failed, so that no later start uses it."""
        shutil.rmtree(self.policy_folder(number))

    def clear(self, number: int) -> None:
        """Remove everything in `checkpoints/` but the policy after a finished round."""
        kept = self.policy_folder(number)
        for path in self.folder.checkpoints.iterdir():
            if path.is_dir() and path != kept:
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()

    def leave_policy(self) -> None:
        """Copy the last round's policy to `policy/`, whole or not at all."""
        unfinished, path = self.folder.path / ".policy-unfinished", self.folder.path / "policy"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(
            self.policy_folder(self.settings.rounds),
            unfinished,
            ignore=shutil.ignore_patterns(_SUMMARY, TRAINING_ARGUMENTS),
        )
        if path.exists():
            shutil.rmtree(path)
        os.replace(unfinished, path)

    @property
    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        assert isinstance(pad, int)
        return pad

    def _prompt_ids(self, prompt: Prompt) -> list[int]:
        ids = self.tokenizer(prompt.text)["input_ids"]
        assert isinstance(ids, list)
        return ids

    def _order(self, number: int) -> list[int]:
        """Index of the prompt of each rollout of a round."""
        order = EpochOrder(
            prompts=len(self.inputs.prompts),
            per_step=self.settings.prompts_per_step,
            group=self.settings.group_size,
            reuses=1,
            seed=self.inputs.seed,
        )
        order.set_epoch(number - 1)
        return list(order)

    def _seeds(self, kind: Literal["train", "reward"], step: int) -> list[int]:
        rows = range(self.settings.rollouts_per_step)
        return row_seeds(kind, seed=self.inputs.seed, step=step, rows=rows)

    def _sample(self, policy: Any, ids: list[list[int]], step: int) -> list[Sampled]:
        """The rollouts of a step, in batches that fit into memory; groups are not split."""
        seeds = self._seeds("train", step)
        group = self.settings.group_size
        size = max(1, self.settings.micro_batch // group) * group
        sampled: list[Sampled] = []
        for start in range(0, len(ids), size):
            sampled += sample(
                policy,
                ids[start : start + size],
                seeds=seeds[start : start + size],
                limit=self.settings.completion_length,
                temperature=self.settings.temperature,
                pad=self._pad,
                eos=end_marks(policy, self.tokenizer),
            )
        return sampled

    def _rollouts(
        self, batch: Sequence[Prompt], sampled: Sequence[Sampled], step: int
    ) -> list[Rollout]:
        texts = [completion_text(self.tokenizer, drawn.tokens) for drawn in sampled]
        grades = [
            grade(text, prompt.gold, truncated=not drawn.ended)
            for text, prompt, drawn in zip(texts, batch, sampled, strict=True)
        ]
        rewards = self.inputs.reward.pay(grades, self._seeds("reward", step))
        return [
            graded_rollout(
                prompt,
                text,
                graded,
                run_id=self.folder.name,
                split="train",
                step=step,
                epoch=float(step // self.settings.steps_per_epoch),
                sample=row % self.settings.group_size,
                tokens=len(drawn.tokens),
                truncated=not drawn.ended,
                reward=reward,
                logprob=drawn.logprob,
                entropy=drawn.entropy,
            )
            for row, (prompt, text, graded, drawn, reward) in enumerate(
                zip(batch, texts, grades, sampled, rewards, strict=True)
            )
        ]

    def _train(
        self, number: int, rows: Sequence[dict[str, list[int]]], target: Path
    ) -> dict[str, Any]:
        """Fine-tune from the newest whole checkpoint on, and save the policy."""
        output = self.folder.checkpoints / f"sft-{number:03d}"
        checkpoint = newest_checkpoint(output)
        model, lora = self._start(number)
        trainer = fine_tuning_trainer(
            self.settings.fine_tuning(len(rows)),
            rows,
            model=model,
            tokenizer=self.tokenizer,
            lora=lora,
            output=output,
            seed=digest("round", self.inputs.seed, number),
            logged=lambda *_: None,
        )
        trainer.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)
        trainer.save_model(str(target))
        logs = [entry for entry in trainer.state.log_history if "loss" in entry]
        return {
            "loss": sum(entry["loss"] for entry in logs) / len(logs),
            "grad_norm": sum(entry["grad_norm"] for entry in logs) / len(logs),
            "lr": logs[-1]["learning_rate"],
            "sft_steps": len(logs),
        }

    def _start(self, number: int) -> tuple[Path | Any, LoraSettings | None]:
        """The model that a round fine-tunes, and the new adapter to train on it."""
        if self.settings.start == "base" or number == 1:
            return self.inputs.model, self.inputs.lora
        last = self.policy_folder(number - 1)
        if self.inputs.lora is None:
            return last, None
        return PeftModel.from_pretrained(
            load_saved(self.inputs.model), last, is_trainable=True
        ), None

    def _stay(self, number: int, target: Path) -> None:
        """Save the policy that a round without examples leaves."""
        if self.settings.start == "last" and number > 1:
            shutil.copytree(self.policy_folder(number - 1), target)
            return
        policy: Any = load_saved(self.inputs.model)
        if self.inputs.lora is not None:
            set_seed(digest("round", self.inputs.seed, number) % 2**31)
            policy = get_peft_model(policy, self.inputs.lora.config())
        policy.save_pretrained(target)
        self.tokenizer.save_pretrained(target)

    def _nothing_kept(self, number: int, rollouts: int) -> dict[str, str]:
        start = "the base" if self.settings.start == "base" or number == 1 else "the last one"
        return {
            "kind": "nothing_kept",
            "message": (
                f"round {number}: none of {rollouts} rollouts was paid, so there was nothing to "
                f"fine-tune on and the policy is {start}"
            ),
        }


def run_expert_iteration(settings: ExpertIteration, inputs: StageInputs) -> None:
    """Run the rounds that are left, and leave the policy in `policy/`.

    The policy is observed before the first round and after each one: within a round it is the same,
    so fractions of the first epoch are not observed. The prompts are those of one round; a new
    adapter is made in each round that starts from the base.

    Raises:
        RunError: training cannot continue; the message says why.
    """
    folder = inputs.folder
    tokenizer = load_tokenizer(inputs.model)
    rounds = ExpertRounds(settings=settings, inputs=inputs, tokenizer=tokenizer)
    sampled = rounds.resume()

    def observe(number: int) -> None:
        if float(number) in folder.epochs("probe"):
            return
        policy = rounds.policy(number)
        with half_precision(settings.precision, policy.device.type):
            observe_stage(
                inputs,
                policy,  # pyright: ignore[reportArgumentType] - a model with an adapter samples too
                tokenizer,
                limit=settings.completion_length,
                step=number * settings.steps_per_epoch,
                epoch=float(number),
            )

    observe(0)
    lines = folder.metrics()
    finished = len(lines) // settings.steps_per_epoch
    for number in range(finished + 1, settings.rounds + 1):
        last = number * settings.steps_per_epoch - 1
        first = max(sampled, last + 1 - settings.steps_per_epoch)
        for line in rounds.sample(number, first=first):
            if line["step"] == last:
                tuned = rounds.fine_tune(number)
                line |= tuned | {"seconds": line["seconds"] + tuned["seconds"]}
            lines.append(line)
            fatal = note_events(lines, rewarded=inputs.reward.kind != "none")
            if line["step"] == last and not fatal:
                observe(number)
            folder.append_metrics(line)
            inputs.report(line["step"] + 1, line)
            if fatal:
                rounds.discard(number)
                raise RunError(fatal)
        rounds.clear(number)
    rounds.leave_policy()
