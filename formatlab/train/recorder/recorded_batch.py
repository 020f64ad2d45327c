"""The recorded batch: the rollouts that a TRL trainer sampled and rewarded at once, as rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from formatlab.errors import InputError
from formatlab.observe.grader import grade
from formatlab.observe.recorder import graded_rollout
from formatlab.observe.tagger import tag
from formatlab.store.rollout import Rollout
from formatlab.world.formats.format import Format
from formatlab.world.gold import gold_answer
from formatlab.world.prompt import Prompt, prompt_id

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.rloo_trainer import RLOOTrainer

    Trainer = GRPOTrainer | RLOOTrainer

Mode = Literal["train", "eval"]
Gold = str | Callable[[Mapping[str, Any]], Any]
"""The column of a dataset with the right answer, or a function that gives it for a row; the answers
are of any kind that `gold_answer` reads."""
Turns = str | list[dict[str, Any]]
"""What TRL calls a prompt or a completion: a text, or the messages of a chat."""

_FUNCTION = "; gold may also be a function of a row, which returns the right answer"


def prompt_texts(
    prompts: Sequence[Turns],
    ids: "torch.Tensor",
    mask: "torch.Tensor",
    tokenizer: "PreTrainedTokenizerBase",
) -> list[str]:
    """The texts given to the model.

    A chat is decoded from its tokens, with the marks that the chat template puts around messages.

    Args:
        prompts: B of them; equal ones mostly stand together.
        ids: their tokens, (B, P).
        mask: 1 where a token belongs to the prompt, (B, P).
        tokenizer: decodes them.
    """
    texts: list[str] = []
    for number, prompt in enumerate(prompts):
        if isinstance(prompt, str):
            texts.append(prompt)
        elif number and prompt == prompts[number - 1]:
            texts.append(texts[-1])
        else:
            texts.append(str(tokenizer.decode(ids[number][mask[number].bool()])))
    return texts


def completion_text(
    completion: Turns, ids: Sequence[int], tokenizer: "PreTrainedTokenizerBase"
) -> str:
    """The text that the model gave.

    One plain message of a chat is its content. Anything else (tool calls and their results,
    thoughts that a template sets apart) is decoded from the tokens, since the messages do not show
    it as the model wrote it.
    """
    if isinstance(completion, str):
        return completion
    match completion:
        case [{"role": _, "content": str(content), **others}] if not others:
            return content
        case _:
            return str(tokenizer.decode(list(ids), skip_special_tokens=True))


def mode_of(trainer: "Trainer") -> Mode:
    """Whether a trainer trains or evaluates, by TRL's own rule."""
    assert trainer.model is not None
    return "train" if trainer.model.training else "eval"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedBatch:
    """The B rollouts of one process that TRL computed rewards for, of the N on all processes."""

    inputs: Sequence[Mapping[str, Any]]
    """Rows of the dataset."""
    prompts: Sequence[Turns]
    completions: Sequence[Turns]
    ids: Sequence[Sequence[int]]
    """Tokens of the completions."""
    rewards: "torch.Tensor"
    """Reward by each function, nan where it does not apply; (N, functions)."""

    def rows(
        self,
        trainer: "Trainer",
        batch: Mapping[str, Any],
        *,
        run_id: str,
        gold: Gold | None,
        formats: Sequence[Format],
    ) -> list[Rollout]:
        """Tag the rollouts, and grade those whose right answer is known.

        The reward is the weighted sum that TRL logs as `reward`; RLOO subtracts its penalty for
        divergence from it before it computes advantages.

        Args:
            trainer: the trainer that sampled it.
            batch: TRL's `prompt_ids`, `prompt_mask` and `advantages`.
            run_id: name of the run folder.
            gold: the right answers; None if they are not known.
            formats: formats that the tagger asks first.

        Returns:
            One row a rollout, in order; `number_samples` then numbers those of all processes.
        """
        training = mode_of(trainer) == "train"
        first = trainer.accelerator.process_index * len(self.inputs)
        rewards = self.rewards[first : first + len(self.inputs)]
        total = (rewards * trainer.reward_weights.to(rewards.device)).nansum(dim=1).tolist()
        applied = (~rewards.isnan()).any(dim=1).tolist()
        advantages = batch["advantages"].tolist()
        tokenizer = trainer._tokenizer
        ends = [*trainer.eos_token_ids, tokenizer.pad_token_id]
        prompts = prompt_texts(self.prompts, batch["prompt_ids"], batch["prompt_mask"], tokenizer)
        epoch = trainer.state.epoch or 0.0
        rows = []
        for i, prompt in enumerate(prompts):
            text = completion_text(self.completions[i], self.ids[i], tokenizer)
            right = _right_answer(self.inputs[i], gold)
            truncated = len(self.ids[i]) == 0 or self.ids[i][-1] not in ends
            if right is None:
                seen = tag(text, formats=formats)
            else:
                seen = grade(text, right, formats=formats, truncated=truncated)
            rows.append(
                graded_rollout(
                    Prompt(id=prompt_id(prompt), text=prompt, gold=right or "", family=""),
                    text,
                    seen,
                    run_id=run_id,
                    split="train" if training else "probe",
                    step=trainer.state.global_step,
                    epoch=float(int(epoch)) if training else epoch,
                    tokens=len(self.ids[i]),
                    truncated=truncated,
                    reward=total[i] if applied[i] else None,
                    advantage=advantages[i] if training else None,
                )
            )
        return rows


def check_columns(trainer: "Trainer", gold: str) -> None:
    """Check that the datasets have readable right answers in the column, and that TRL keeps it.

    Raises:
        InputError: they do not, or it does not.
    """
    found = trainer.eval_dataset
    named = found if isinstance(found, Mapping) else {"eval_dataset": found}
    for name, dataset in {"train_dataset": trainer.train_dataset, **named}.items():
        # A streamed dataset may not know its columns; then its first row is checked.
        if dataset is None or dataset.column_names is None:
            continue
        columns: Sequence[str] = dataset.column_names
        if gold not in columns:
            raise _no_gold(gold, columns, where=str(name))
        # A dataset that is not streamed is read whole, so that no answer ends the training later.
        if hasattr(dataset, "__len__"):
            _check_answers(dataset[gold], f"column {gold!r} of the {name}")
    if trainer.args.remove_unused_columns:
        raise InputError(
            f"FormatRecorder: with remove_unused_columns=True the trainer drops the column "
            f"{gold!r} that gold names; set remove_unused_columns=False in its configuration"
        )


def _check_answers(values: Iterable[object], where: str) -> None:
    number, answers = 0, 0
    for number, value in enumerate(values, start=1):
        answers += _read(value, f"{where}, row {number}") is not None
    if number and not answers:
        raise InputError(
            f"FormatRecorder: {where} holds no right answer in any of its {number:,} rows; name "
            "another column with gold, or leave gold out"
        )


def _no_gold(gold: str, columns: Sequence[str], *, where: str) -> InputError:
    return InputError(
        f"FormatRecorder: gold={gold!r} names no column of the {where}, which has "
        f"{', '.join(sorted(columns))}; name the one that holds the right answer, or leave gold out"
    )


def _right_answer(row: Mapping[str, Any], gold: Gold | None) -> str | None:
    if gold is None:
        return None
    if callable(gold):
        return _read(gold(row), "the function gold", advice="")
    if gold not in row:
        raise _no_gold(gold, list(row), where="dataset")
    return _read(row[gold], f"column {gold!r} of the dataset")


def _read(value: object, where: str, *, advice: str = _FUNCTION) -> str | None:
    try:
        return gold_answer(value) or None
    except InputError as error:
        raise InputError(f"FormatRecorder: {where}: {error}{advice}") from None
