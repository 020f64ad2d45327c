"""Examples: prompts with completions to learn from, tokenised as the pretraining corpus is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from formatlab.observe.recorder import sample_numbers
from formatlab.store.rollout import Rollout

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNLEARNED = -100
"""Label of a token that is no part of the loss, by PyTorch's convention."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One completion to learn."""

    prompt: str
    completion: str
    ended: bool = True
    """Whether the end mark belongs to it; a rollout that was cut at the length limit has none."""


def completion_of(row: Rollout) -> Example:
    """A rollout as an example."""
    return Example(prompt=row.prompt, completion=row.completion, ended=not row.truncated)


def right_answers(rows: Sequence[Rollout], formats: Sequence[str] = ()) -> list[Example]:
    """The rollouts that are right, well formed, whole and distinct (by text, for each prompt).

    The first of every prompt come first, then the second ones: where only some can be taken,
    prompts weigh as equally as can be.

    Args:
        rows: rollouts.
        formats: only those tagged as one of these; empty for all.
    """
    found = {
        (row.prompt_id, row.completion): completion_of(row)
        for row in rows
        if row.correct
        and row.well_formed
        and not row.truncated
        and (not formats or row.tag in formats)
    }
    of_prompt = sample_numbers([prompt_id for prompt_id, _ in found])
    return [
        example
        for _, example in sorted(
            zip(of_prompt, found.values(), strict=True), key=lambda numbered: numbered[0]
        )
    ]


def paid_answers(rows: Sequence[Rollout]) -> list[Example]:
    """The rollouts that the reward paid, distinct by text for each prompt."""
    found = {
        (row.prompt_id, row.completion): completion_of(row) for row in rows if (row.reward or 0) > 0
    }
    return list(found.values())


def token_ids(
    example: Example, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[list[int], list[int]]:
    """Ids of the prompt and of the completion with its end mark.

    Each is tokenised by itself, as in the corpus and as when a policy is sampled: tokenised
    together, tokens could merge across the boundary.
    """
    prompt = tokenizer(example.prompt)["input_ids"]
    completion = tokenizer(example.completion, add_special_tokens=False)["input_ids"]
    assert isinstance(prompt, list) and isinstance(completion, list)
    assert isinstance(tokenizer.eos_token_id, int)
    return prompt, completion + [tokenizer.eos_token_id] * example.ended


def sft_row(example: Example, tokenizer: "PreTrainedTokenizerBase") -> dict[str, list[int]]:
    """A row of TRL's SFT, tokenised: the completion alone has labels."""
    prompt, completion = token_ids(example, tokenizer)
    return {
        "input_ids": prompt + completion,
        "labels": [UNLEARNED] * len(prompt) + completion,
    }
