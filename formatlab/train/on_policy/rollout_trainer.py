"""What the lab adds to TRL's trainers of rollouts: order, sampler, records, whole checkpoints.

`RolloutTrainer` is the first base class of a trainer, before `GRPOTrainer` or `RLOOTrainer` (TRL
1.16). It overrides `_get_train_sampler`, `_generate_and_score_completions`, `_tokenize_prompts`,
`_get_per_token_logps_and_entropies`, `_compute_loss`, `_save_checkpoint` and `log`, which are
private but for the last; a trainer derived from it overrides `_generate_single_turn`. TRL's loss is
unchanged; where the policy is a plain Llama, the log-probabilities in it come from the lab's
forward pass. Advantages are TRL's unless a trainer overrides `_advantages`.

A step: TRL asks for a batch of prompts in the order of `EpochOrder`, for completions
(`_generate_single_turn`) and for rewards (`RewardFunction`), and computes advantages. Then
`_generate_and_score_completions` here adds the exploration bonus, measures the divergence from the
base, and records every rollout. After the last update of the step, `log` writes its line of
metrics; `_save_checkpoint` writes the rollouts before each checkpoint.

Shapes: B rollouts of this process, of the N of a step on all processes; P tokens of the prompt
(left-padded), C of the completion (right-padded).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from accelerate.utils import DistributedType, gather_object
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedModel
from trl.models.utils import unwrap_model_for_generation

from formatlab.errors import RunError
from formatlab.models.llama import Llama, Scores, is_plain_llama
from formatlab.observe.recorder import TrainRecorder, graded_rollout, number_samples
from formatlab.store.rollout import Rollout
from formatlab.store.run_folder import RunFolder
from formatlab.train.base_divergence import completion_logprobs, k3
from formatlab.train.checkpoints import mark_whole
from formatlab.train.epoch_order import EpochOrder
from formatlab.train.health import note_events
from formatlab.train.metrics import RolloutSummary, StepReport
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration, OutcomeCounts, answer_tokens
from formatlab.train.policy import end_marks
from formatlab.train.reward import Reward, RewardFunction
from formatlab.train.sampler import Sampled, row_seeds, sample
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from formatlab.train.on_policy.settings import OnPolicy


class RolloutTrainer:
    """Keeps every rollout; orders prompts and samples so that a resumed run repeats both."""

    trl_config: ClassVar[type]
    """TRL's class of the trainer's arguments."""

    accelerator: Any
    args: Any
    model: Any
    model_wrapped: Any
    ref_model: Any
    state: Any
    train_dataset: Any
    eos_token_ids: list[int]
    _dist: Any
    _tokenizer: Any

    def __init__(
        self,
        *,
        settings: OnPolicy,
        reward: Reward,
        exploration: Exploration,
        engine: Engine,
        seed: int,
        folder: RunFolder,
        base: PreTrainedModel | None,
        first_step: int,
        report: StepReport,
        **trainer: Any,
    ) -> None:
        """Set up training on `trainer["train_dataset"]`, a dataset of prompt rows.

        Args:
            settings: of the algorithm.
            reward: what rollouts are paid for.
            exploration: the bonus added to their advantages.
            engine: what samples them.
            seed: decides the order of prompts and all samples.
            folder: where rollouts and metrics go.
            base: the frozen base that KL is measured against; None where TRL holds it (as its
                reference model, or as the policy without its adapter).
            first_step: steps done before this process started.
            report: called after every step.
            trainer: passed on to TRL's trainer.
        """
        self._settings = settings
        self._exploration = exploration
        self._engine = engine
        self._seed = seed
        self._folder = folder
        self._base = base
        self._report = report
        self._reward = reward
        self._paid = RewardFunction(
            reward,
            seeds=partial(self._seeds, "reward"),
            truncated=lambda: [not sampled.ended for sampled in self._sampled],
        )
        self._recorder = TrainRecorder(folder, epoch=first_step // settings.steps_per_epoch)
        self._counts = OutcomeCounts(exploration)
        if exploration.bonus != "none":
            for rows in folder.rollout_batches("train", columns=self._counts.columns):
                self._counts.add_rollouts(rows)
        self._sampled: list[Sampled] = []
        self._scores: Scores | None = None  # of the last forward pass, if it was the lab's
        self._scoring = False  # while TRL scores a batch, by the policy that sampled it
        self._update: dict[str, Any] = {}  # the rollouts that TRL computes a loss of
        self._step_line: dict[str, Any] = {}
        self._step_extras: dict[str, float] = {}
        self._updates: list[dict[str, float]] = []
        self._lines = folder.metrics()
        self._step_started = time.perf_counter()
        cast(Any, super()).__init__(reward_funcs=self._paid, **trainer)

    @property
    def steps_done(self) -> int:
        """Whole steps that led to the current weights; TRL counts optimiser updates."""
        return self.state.global_step // self._settings.updates_per_step

    @property
    def sharded(self) -> bool:
        """Whether the model is split over processes, so that all must run it at the same time."""
        return self.accelerator.distributed_type in (
            DistributedType.FSDP,
            DistributedType.DEEPSPEED,
        )

    @contextmanager
    def sampling(self) -> Iterator[PreTrainedModel]:
        """The policy, ready to be sampled."""
        with self.accelerator.autocast():
            if not self.sharded:
                yield self.accelerator.unwrap_model(self.model)
                return
            with (
                unwrap_model_for_generation(self.model_wrapped, self.accelerator) as policy,
                self._dist.summon_full_params(self.model_wrapped, recurse=False),
            ):
                yield cast(PreTrainedModel, policy)

    def flush(self) -> None:
        """Write the rollouts of the last steps."""
        self._recorder.flush()

    def _rows(self, count: int) -> list[int]:
        """Positions of this process's `count` rows in the step's whole batch."""
        first = self.accelerator.process_index * count
        return list(range(first, first + count))

    def _seeds(self, kind: Literal["train", "reward"], count: int) -> list[int]:
        return row_seeds(kind, seed=self._seed, step=self.steps_done, rows=self._rows(count))

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        rows = dataset if dataset is not None else self.train_dataset
        return EpochOrder(
            prompts=len(cast(Dataset, rows)),
            per_step=self._settings.prompts_per_step,
            group=self._settings.group_size,
            reuses=self._settings.iterations * self.args.steps_per_generation,
            seed=self._seed,
        )

    @property
    def _lab_samples(self) -> bool:
        """Whether the lab's sampler samples; otherwise TRL does, as it is configured."""
        return self._engine.vllm == "off" and not self.sharded

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], Any, Any]:
        """Tokenise each prompt once for all of its completions."""
        different = list(dict.fromkeys(prompts))
        ids, images, fields = cast(Any, super())._tokenize_prompts(different)
        ids_of = dict(zip(different, ids, strict=True))
        return [ids_of[prompt] for prompt in prompts], images, fields

    def _sample(self, prompt_ids: list[list[int]]) -> list[list[int]]:
        """Sample with the lab's sampler: faster on small models, seeded by run, step and row."""
        model = self.accelerator.unwrap_model(self.model)
        with self.accelerator.autocast():
            self._sampled = sample(
                model,
                prompt_ids,
                seeds=self._seeds("train", len(prompt_ids)),
                limit=self._settings.completion_length,
                temperature=self._settings.temperature,
                pad=self._tokenizer.pad_token_id,
                eos=end_marks(model, self._tokenizer),
            )
        return [s.tokens for s in self._sampled]

    def _keep_sampled(self, completion_ids: Sequence[Sequence[int]]) -> None:
        """Keep what TRL sampled; its log-probabilities and entropies are not known."""
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        self._sampled = [
            Sampled(
                tokens=list(ids), logprobs=[], entropies=[], ended=bool(ids) and ids[-1] in ends
            )
            for ids in completion_ids
        ]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Let TRL sample and reward a batch, set its advantages, and record its rollouts."""
        self._step_extras = {}
        self._scoring = True
        batch = cast(Any, super())._generate_and_score_completions(inputs)
        self._scoring = False
        if self._sampler_scores:
            logprobs, entropies = self._scores_of_sampler(batch["completion_ids"].shape[1])
            batch["sampled_logprobs"], batch["sampled_entropies"] = logprobs, entropies
            self._policy_logprobs = logprobs  # (B, C)
        else:
            self._policy_logprobs = self._completion_logprobs(self._policy(), batch)
        self._base_logprobs = self._logprobs_of_base(batch)  # (B, C)
        rewards = torch.tensor(self._paid.rewards, device=batch["advantages"].device)
        batch["advantages"] = self._explored(inputs, batch, self._advantages(batch, rewards))
        rows = number_samples(gather_object(self._rollouts(inputs, batch)))
        if self.accelerator.is_main_process:
            self._recorder.add(rows)
        self._step_line = {
            "step": self.steps_done,
            "epoch": self.steps_done / self._settings.steps_per_epoch,
            **RolloutSummary(rows).line(),
            "kl": self._kl_to_base(batch["completion_mask"].bool()),
        }
        return batch

    def _advantages(self, batch: dict[str, Any], rewards: torch.Tensor) -> torch.Tensor:
        """Advantages (B,) or (B, C) for the rewards (B,) of this process's rollouts.

        A trainer may add to `batch` tensors that its loss needs, one row a rollout; TRL shuffles
        and splits them with the others.
        """
        return batch["advantages"]

    def _explored(
        self, inputs: list[dict[str, Any]], batch: dict[str, Any], advantages: torch.Tensor
    ) -> torch.Tensor:
        """Add the bonus for rare outcomes to the advantages, except on the tokens of the answer."""
        if self._exploration.bonus == "none":
            return advantages
        grades = self._paid.grades
        ids = gather_object([row["prompt_id"] for row in inputs])
        outcomes = gather_object(self._exploration.outcomes(grades))
        correct = gather_object([grade.correct for grade in grades])
        bonuses = self._exploration.bonuses(ids, outcomes, correct, self._counts)
        self._counts.add(ids, outcomes)
        local = torch.tensor([bonuses[row] for row in self._rows(len(inputs))])  # (B,)
        free = torch.ones_like(batch["completion_mask"])  # (B, C)
        if self._exploration.over == "answer":
            for row, (grade, sampled) in enumerate(zip(grades, self._sampled, strict=True)):
                marks = answer_tokens(sampled.tokens, grade.tag.reading, self._tokenizer)
                free[row, : len(marks)] = ~torch.tensor(marks, dtype=torch.bool)
        self._step_extras["bonus"] = sum(bonuses) / len(bonuses)
        if advantages.dim() == 1:
            advantages = advantages[:, None]
        return advantages + local.to(advantages)[:, None] * free.to(advantages)  # (B, C)

    def _rollouts(self, inputs: list[dict[str, Any]], batch: dict[str, Any]) -> list[Rollout]:
        """This process's rollouts; where each token has an advantage, the mean is recorded."""
        advantages, mask = batch["advantages"], batch["completion_mask"]
        if advantages.dim() == 2:
            advantages = (advantages * mask).sum(1) / mask.sum(1).clamp(min=1)
        epoch = float(self.steps_done // self._settings.steps_per_epoch)
        return [
            graded_rollout(
                Prompt(
                    id=row["prompt_id"],
                    text=row["prompt"],
                    gold=row["gold"],
                    family=row["family"],
                ),
                text,
                grade,
                run_id=self._folder.name,
                split="train",
                step=self.steps_done,
                epoch=epoch,
                tokens=len(sampled.tokens),
                truncated=not sampled.ended,
                reward=reward,
                advantage=advantage,
                logprob=sampled.logprob,
                entropy=sampled.entropy,
            )
            for row, text, grade, sampled, reward, advantage in zip(
                inputs,
                self._paid.texts,
                self._paid.grades,
                self._sampled,
                self._paid.rewards,
                advantages.tolist(),
                strict=True,
            )
        ]

    def _policy(self) -> Any:
        return self.model if self.sharded else self.accelerator.unwrap_model(self.model)

    def _is_plain(self, model: Any) -> bool:
        """Whether the lab's forward pass gives the numbers of a model in this training."""
        with self.accelerator.autocast():
            return is_plain_llama(model)

    @property
    def _sampler_scores(self) -> bool:
        """Whether the sampler's log-probabilities are those of the loss.

        They are at temperature 1 and in float32. In bfloat16 a token at a time rounds otherwise
        than a whole text at once, and the probability ratio would start away from 1. Nor are they
        where the policy is paid for its distance from the base: at the start that is 0, and mere
        rounding, once advantages and then gradients are divided by their size, would be a step.
        """
        settings = self._settings
        exact = settings.precision == "float32" and not settings.kl_coefficient
        return self._lab_samples and settings.temperature == 1 and exact

    def _scores_of_sampler(self, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and entropies (B, C) of the tokens as sampled; `width` is C."""
        logprobs, entropies = (
            torch.tensor([row + [0.0] * (width - len(row)) for row in rows])
            for rows in zip(*((s.logprobs, s.entropies) for s in self._sampled), strict=True)
        )
        device = self.accelerator.device
        return logprobs.to(device), entropies.to(device)

    def _logprobs_of_base(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Log-probabilities (B, C) of the completion's tokens under the frozen base."""
        if "ref_per_token_logps" in batch and self._is_plain(self._policy()):
            return batch["ref_per_token_logps"]  # TRL had them computed by the same pass
        base = self._base or self.ref_model
        if base is not None:
            return self._completion_logprobs(base, batch)
        with self.accelerator.unwrap_model(self.model).disable_adapter():
            return self._completion_logprobs(self._policy(), batch)

    def _completion_logprobs(self, model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Log-probabilities (B, C) of the completion's tokens at the sampling temperature."""
        with torch.no_grad(), self.accelerator.autocast():
            return completion_logprobs(
                model,
                torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1),
                torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1),
                length=batch["completion_ids"].shape[1],
                temperature=self._settings.temperature,
                batch=self.args.per_device_train_batch_size,
            )

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """TRL's log-probabilities and entropies (B, C), by the lab's forward pass if it can."""
        self._scores = None
        # An adapter's base is the same module without it, which TRL asks for in the same words.
        adapter = self._base is None and self.ref_model is None
        if self._scoring and model is self.model and not adapter and self._sampler_scores:
            logprobs, entropies = self._scores_of_sampler(logits_to_keep)
            return logprobs, entropies if compute_entropy else None, None
        if not self._is_plain(model):
            return cast(Any, super())._get_per_token_logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size=batch_size,
                compute_entropy=compute_entropy,
                **others,
            )
        parts = [
            input_ids[:, :-logits_to_keep],
            attention_mask[:, :-logits_to_keep],
            input_ids[:, -logits_to_keep:],
            attention_mask[:, -logits_to_keep:],
        ]
        rows = self._learned_rows()
        if rows is not None:
            parts = [part[rows] for part in parts]
        self._scores = Llama(model).score(
            *parts,
            temperature=self._settings.temperature,
            entropies=compute_entropy and rows is None,
        )
        if rows is None:
            return self._scores.logprobs, self._scores.entropies, None
        logprobs = self._update["sampled_logprobs"].index_copy(0, rows, self._scores.logprobs)
        return logprobs, self._update["sampled_entropies"] if compute_entropy else None, None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._update = inputs
        loss = cast(Any, super())._compute_loss(model, inputs)
        self._update = {}
        return loss

    def _learned_rows(self) -> torch.Tensor | None:
        """The rows (b,) of an update that move the policy; None: all of them.

        The gradient of a rollout whose advantage is 0 is 0, so it needs no forward pass: what the
        sampler saw stands in for it in TRL's metrics, as do the entropies of all.
        """
        sampled = "sampled_logprobs" in self._update
        if not sampled or self._settings.entropy_coefficient:
            return None
        advantages = self._update["advantages"]  # (b,) or (b, C)
        moving = advantages.reshape(len(advantages), -1).any(dim=1)
        if not moving.any():  # a loss without a graph could not be differentiated
            moving[0] = True
        return moving.nonzero()[:, 0]

    def _kl_to_base(self, mask: torch.Tensor) -> float:
        """Mean of `k3` over the completion tokens of all processes; mask (B, C), in nats."""
        nats = k3(self._policy_logprobs, self._base_logprobs)[mask]
        total = torch.stack([nats.sum(), mask.sum().to(nats)])
        divergence, tokens = self.accelerator.reduce(total, reduction="sum").tolist()
        return divergence / tokens

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Collect the loss of every update; after a step's last update, write the step's line.

        Raises:
            RunError: training cannot go on.
        """
        cast(Any, super()).log(logs, start_time)
        if "loss" not in logs:
            return
        self._updates.append(logs)
        if self.state.global_step % self._settings.updates_per_step:
            return
        now = time.perf_counter()
        line = {
            **self._step_line,
            "loss": _mean(self._updates, "loss"),
            "grad_norm": _mean(self._updates, "grad_norm"),
            "lr": self._updates[-1].get("learning_rate"),
            **self._step_extras,
            "seconds": now - self._step_started,
        }
        if line["step"] == 0 and (forecast := self._folder.forecast()):
            line["forecast"] = forecast["sha256"]
        self._updates, self._step_started = [], now
        self._lines.append(line)
        fatal = note_events(self._lines, rewarded=self._reward.kind != "none")
        if self.accelerator.is_main_process:
            self._folder.append_metrics(line)
            self._report(self.steps_done, line)
        if fatal:
            raise RunError(fatal)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write the rollouts, the checkpoint, and the mark that it is whole; remove older ones."""
        if self.accelerator.is_main_process:
            self._recorder.flush()
        cast(Any, super())._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            current = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            self._save_extra(current)
            mark_whole(current)
        self.accelerator.wait_for_everyone()

    def _save_extra(self, checkpoint: Path) -> None:
        """Save state that TRL does not know of, on the main process; a trainer may override it."""


def _mean(rows: Sequence[dict[str, float]], key: str) -> float | None:
    values = [row[key] for row in rows if key in row]
    return sum(values) / len(values) if values else None
