"""TRL's GRPO trainer with the lab's sampler, prompt order, records and resumable checkpoints.

It overrides five private methods of `GRPOTrainer` (TRL 1.16): `_get_train_sampler`,
`_generate_single_turn`, `_generate_and_score_completions`, `_save_checkpoint` and `log`. Nothing of
the loss or of the advantage is changed.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedModel, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from formatlab.errors import InputError
from formatlab.models.device import best_device
from formatlab.observe.grader import Grade, grade
from formatlab.observe.recorder import Observation, TrainRecorder, sample_numbers
from formatlab.store.run_folder import RunFolder
from formatlab.train.epoch_order import EpochOrder
from formatlab.train.grpo import Grpo
from formatlab.train.policy import end_marks
from formatlab.train.sampler import Sampled, sample
from formatlab.train.step_metrics import step_metrics
from formatlab.world.problem import digest
from formatlab.world.prompt import Prompt

StepReport = Callable[[int, dict[str, Any]], None]
"""Told (steps done, the step's line of metrics.jsonl)."""

_WHOLE = "WHOLE"
"""File that is written into a checkpoint last."""


class Correctness:
    """The reward: 1 for a right answer, 0 for anything else."""

    __name__ = "correctness"

    def __init__(self) -> None:
        """Start with no batch seen."""
        self.grades: list[Grade] = []
        self.texts: list[str] = []

    def __call__(self, completions: list[str], gold: list[str], **_: object) -> list[float]:
        """Grade a batch; the grades stay readable until the next one."""
        self.texts = list(completions)
        self.grades = [grade(text, right) for text, right in zip(completions, gold, strict=True)]
        return [float(g.correct) for g in self.grades]


class LabGrpoTrainer(GRPOTrainer):
    """GRPO as TRL does it, with every rollout kept."""

    def __init__(
        self,
        *,
        settings: Grpo,
        seed: int,
        folder: RunFolder,
        base: PreTrainedModel | None,
        first_step: int,
        report: StepReport,
        **trainer: Any,
    ) -> None:
        """Set up training on `trainer["train_dataset"]`, a dataset of prompt rows.

        Args:
            settings: what decides the run.
            seed: decides the order of prompts and all samples.
            folder: where rollouts and metrics go.
            base: the frozen base that KL is measured against; None where TRL holds it (as its
                reference model, or as the policy without its adapter).
            first_step: steps done before this process started.
            report: told about every step.
            trainer: passed on to `GRPOTrainer`.
        """
        self._settings = settings
        self._seed = seed
        self._folder = folder
        self._report = report
        self._reward = Correctness()
        self._recorder = TrainRecorder(folder, epoch=first_step // settings.steps_per_epoch)
        self._sampled: list[Sampled] = []
        self._observed: dict[str, Any] = {}
        self._updates: list[dict[str, float]] = []
        self._step_started = time.perf_counter()
        self._base = base
        super().__init__(reward_funcs=self._reward, **trainer)  # pyright: ignore[reportArgumentType] - any callable with a name is a reward function

    @property
    def steps_done(self) -> int:
        """Whole steps behind the current weights; TRL counts optimiser updates."""
        return self.state.global_step // self._settings.updates_per_step

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        rows = dataset if dataset is not None else self.train_dataset
        return EpochOrder(
            prompts=len(cast(Dataset, rows)),
            per_step=self._settings.prompts_per_step,
            group=self._settings.group_size,
            reuses=self._settings.iterations * _steps_per_generation(self._settings),
            seed=self._seed,
        )

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any
    ) -> tuple[list[list[int]], None]:
        """Sample with the lab's sampler: faster on small models, seeded by run and step."""
        model = self.accelerator.unwrap_model(self.model)
        stream = digest("train", self._seed, self.steps_done)
        pad = self._tokenizer.pad_token_id
        assert isinstance(pad, int)
        with self.accelerator.autocast():
            self._sampled = sample(
                model,
                prompt_ids,
                seeds=[(stream + row) % 2**63 for row in range(len(prompt_ids))],
                limit=self._settings.completion_length,
                temperature=self._settings.temperature,
                pad=pad,
                eos=end_marks(model, self._tokenizer),
            )
        return [s.tokens for s in self._sampled], None

    def _generate_and_score_completions(
        self, inputs: list[dict[str, Any]]
    ) -> dict[str, torch.Tensor | Any]:
        """Let TRL generate and score, then keep what came of it."""
        batch = super()._generate_and_score_completions(inputs)
        numbers = sample_numbers([row["prompt_id"] for row in inputs])
        advantages = batch["advantages"].tolist()
        observations = [
            Observation(
                prompt=Prompt(
                    id=row["prompt_id"],
                    text=row["prompt"],
                    gold=row["gold"],
                    family=row["family"],
                ),
                sample=number,
                completion=text,
                grade=seen,
                tokens=len(sampled.tokens),
                truncated=not sampled.ended,
                logprob=sum(sampled.logprobs),
                entropy=sum(sampled.entropies) / len(sampled.entropies),
                reward=float(seen.correct),
                advantage=advantage,
            )
            for row, number, text, seen, sampled, advantage in zip(
                inputs,
                numbers,
                self._reward.texts,
                self._reward.grades,
                self._sampled,
                advantages,
                strict=True,
            )
        ]
        step = self.steps_done
        epoch = step // self._settings.steps_per_epoch
        self._recorder.add(observations, step=step, epoch=epoch)
        self._observed = {
            "step": step,
            "epoch": step / self._settings.steps_per_epoch,
            **step_metrics(observations),
            "kl": self._kl_to_base(batch),
        }
        return batch

    @torch.no_grad()
    def _kl_to_base(self, batch: dict[str, torch.Tensor]) -> float:
        """Mean over completion tokens of the k3 estimate of KL(policy || base), in nats.

        k3 = exp(d) - d - 1 with d = log base - log policy (Schulman 2020), both at the sampling
        temperature, as in TRL's own metric: the samples are from that policy.
        """
        mask = batch["completion_mask"].bool()  # (B, C)
        model = cast(Any, self.accelerator.unwrap_model(self.model))
        policy = self._completion_logprobs(model, batch)
        base = self._base or cast(PreTrainedModel | None, self.ref_model)
        if base is not None:
            reference = self._completion_logprobs(base, batch)
        else:
            with model.disable_adapter():
                reference = self._completion_logprobs(model, batch)
        difference = reference - policy
        return (difference.exp() - difference - 1)[mask].mean().item()

    def _completion_logprobs(
        self, model: PreTrainedModel, batch: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Log-probabilities (B, C) of the completion's tokens at the sampling temperature."""
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)  # (B, P + C)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        kept = batch["completion_ids"].shape[1]
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        rows = []
        for part in torch.arange(len(ids)).split(self._settings.micro_batch_sequences):
            with self.accelerator.autocast():
                logits = model(
                    input_ids=ids[part],
                    attention_mask=mask[part],
                    position_ids=positions[part],
                    logits_to_keep=kept + 1,
                ).logits[:, :-1]  # (b, C, V)
            logp = torch.log_softmax(logits.float() / self._settings.temperature, dim=-1)
            rows.append(logp.gather(2, ids[part, -kept:, None])[..., 0])
        return torch.cat(rows)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Collect the loss of every update; write a step's line after its last one."""
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        self._updates.append(logs)
        if self.state.global_step % self._settings.updates_per_step:
            return
        now = time.perf_counter()
        line = {
            **self._observed,
            "loss": _mean(self._updates, "loss"),
            "grad_norm": _mean(self._updates, "grad_norm"),
            "lr": self._updates[-1].get("learning_rate"),
            "seconds": now - self._step_started,
        }
        self._updates, self._step_started = [], now
        self._folder.append_metrics(line)
        self._report(self.steps_done, line)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write rollouts, the checkpoint, and the mark that it is whole; then drop older ones."""
        self._recorder.flush()
        super()._save_checkpoint(model, trial)
        current = Path(cast(str, self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        (current / _WHOLE).write_text(f"{self.state.global_step}\n")
        for old in _checkpoints(current.parent):
            if old != current:
                shutil.rmtree(old)

    def flush(self) -> None:
        """Write the rollouts of the last steps."""
        self._recorder.flush()


class ProbeCallback(TrainerCallback):
    """Calls back after the updates at which the policy is to be observed."""

    def __init__(self, *, updates: Sequence[int], probe: Callable[[int], None]) -> None:
        """Observe after each of `updates` optimiser updates."""
        self._updates = frozenset(updates)
        self._probe = probe

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Run the probe if it is due."""
        if state.global_step in self._updates:
            self._probe(state.global_step)


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest whole checkpoint and its number of updates; others are removed.

    A kill in the middle of a write leaves a checkpoint that transformers would choose and fail on.
    """
    whole = [path for path in _checkpoints(folder) if (path / _WHOLE).exists()]
    for path in _checkpoints(folder):
        if not whole or path != whole[-1]:
            shutil.rmtree(path)
    if not whole:
        return None
    state = json.loads((whole[-1] / "trainer_state.json").read_text(encoding="utf-8"))
    return whole[-1], int(state["global_step"])


def grpo_config(settings: Grpo, *, output: Path, seed: int) -> GRPOConfig:
    """TRL's configuration for the settings; every default that matters is set on purpose."""
    if settings.learning_rate is None:
        raise InputError("grpo: learning_rate is not set; give --grpo.learning-rate")
    micro = settings.micro_batch_sequences
    minimum = {"min_lr_rate": 0.1} if settings.schedule == "cosine_with_min_lr" else {}
    updates = settings.steps * settings.updates_per_step
    return GRPOConfig(
        output_dir=str(output),
        model_init_kwargs={"dtype": "float32", "device_map": None},
        loss_type=settings.loss_type,
        scale_rewards=settings.scale_rewards,
        beta=settings.kl_coefficient,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=(
            "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
        ),
        lr_scheduler_kwargs=minimum,
        warmup_steps=round(settings.warmup * updates),
        adam_beta2=settings.adam_beta2,
        weight_decay=0.0,
        max_grad_norm=settings.gradient_clip,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings.update_sequences // micro,
        steps_per_generation=_steps_per_generation(settings),
        num_generations=settings.group_size,
        num_iterations=settings.iterations,
        temperature=settings.temperature,
        max_completion_length=settings.completion_length,
        epsilon=settings.clip_epsilon,
        seed=seed,
        use_cpu=best_device().type == "cpu",
        bf16=settings.precision == "bfloat16",
        gradient_checkpointing=False,
        disable_dropout=True,
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="steps",
        save_steps=settings.checkpoint_every * settings.updates_per_step,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _steps_per_generation(settings: Grpo) -> int:
    """Forward passes that one batch of rollouts is split into, as TRL counts them."""
    return settings.rollouts_per_step // settings.micro_batch_sequences


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


def _mean(rows: Sequence[dict[str, float]], key: str) -> float | None:
    values = [row[key] for row in rows if key in row]
    return sum(values) / len(values) if values else None
