"""Preference pairs: a right answer in the chosen format, and a wrong or malformed one beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from formatlab.errors import RunError
from formatlab.store.rollout import Rollout
from formatlab.train.examples import Example, completion_of, token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two completions of one prompt."""

    chosen: Example
    rejected: Example


@dataclass(frozen=True, kw_only=True)
class PreferencePairs:
    """The pairs found, at most one a prompt so that every prompt weighs the same."""

    pairs: list[Pair]
    without_chosen: int
    """Prompts of which no rollout is right and well formed in the chosen format."""
    without_rejected: int
    """Other prompts, of which no rollout is wrong or malformed."""

    @property
    def skipped(self) -> int:
        """Prompts without a pair."""
        return self.without_chosen + self.without_rejected


def preference_pairs(
    rows: Sequence[Rollout], *, toward: str, documents: Mapping[str, str] | None = None
) -> PreferencePairs:
    """Make one pair of each prompt that has one: the first rollout fit for either side.

    Args:
        rows: rollouts of the starting model, those of a prompt side by side.
        toward: the chosen format.
        documents: for each prompt's id a solution that is taken as chosen; None to take rollouts.
    """
    pairs: list[Pair] = []
    without_chosen = without_rejected = 0
    for prompt_id, group in groupby(rows, key=lambda row: row.prompt_id):
        rollouts = list(group)
        if documents is not None:
            chosen = Example(prompt=rollouts[0].prompt, completion=documents[prompt_id])
        else:
            chosen = next((completion_of(row) for row in rollouts if _fit(row, toward)), None)
        rejected = next(
            (completion_of(row) for row in rollouts if not (row.correct and row.well_formed)), None
        )
        if chosen is None:
            without_chosen += 1
        elif rejected is None:
            without_rejected += 1
        else:
            pairs.append(Pair(chosen=chosen, rejected=rejected))
    return PreferencePairs(
        pairs=pairs, without_chosen=without_chosen, without_rejected=without_rejected
    )


def require_pairs(found: PreferencePairs, *, stage: str, toward: str, least: int) -> None:
    """See that there are enough pairs to learn from.

    Raises:
        RunError: there are fewer than `least`.
    """
    if len(found.pairs) >= least:
        return
    count = len(found.pairs)
    raise RunError(
        f"{stage}: {count} of {count + found.skipped} prompts gave a pair toward {toward}, and one "
        f"update needs {least}. Of {found.without_chosen} prompts no rollout was right and well "
        f"formed in {toward}, of {found.without_rejected} others none was wrong or malformed. Take "
        "more prompts or samples, a smaller batch, or chosen completions from documents"
    )


def dpo_row(pair: Pair, tokenizer: "PreTrainedTokenizerBase") -> dict[str, list[int]]:
    """A row of TRL's DPO, tokenised."""
    prompt, chosen = token_ids(pair.chosen, tokenizer)
    _, rejected = token_ids(pair.rejected, tokenizer)
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}


def _fit(row: Rollout, toward: str) -> bool:
    """Whether a rollout is fit to be chosen."""
    right = bool(row.correct) and row.well_formed
    return right and row.tag == toward and not row.mixed and not row.truncated
