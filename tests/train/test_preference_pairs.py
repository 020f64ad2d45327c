"""Pairs: what may be chosen, what is rejected, and what is said when there are too few."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rollout_row import ROW

from formatlab.errors import RunError
from formatlab.models.model import load_tokenizer
from formatlab.store.rollout import Rollout
from formatlab.train.fine_tuning.examples import (
    Example,
    Pair,
    dpo_row,
    preference_pairs,
    require_pairs,
)

RIGHT = replace(ROW, tag="prose", completion="The answer is 3.")
WRONG = replace(ROW, tag="direct", completion="4", answer="4", correct=False, reason="wrong")


def of(prompt: str, *rows: Rollout) -> list[Rollout]:
    """The rows as those of one prompt."""
    return [replace(row, prompt_id=prompt, prompt=f"{prompt}?\n") for row in rows]


def test_a_prompt_gives_its_first_fit_rollout_on_either_side():
    rows = [
        *of("a", WRONG, RIGHT, replace(RIGHT, completion="So it is 3."), WRONG),
        *of("b", RIGHT, RIGHT),
        *of("c", WRONG, ROW),
        *of("d", replace(WRONG, truncated=True, completion="4 4"), RIGHT),
    ]
    found = preference_pairs(rows, toward="prose")
    assert found.pairs == [
        Pair(
            chosen=Example(prompt="a?\n", completion="The answer is 3."),
            rejected=Example(prompt="a?\n", completion="4"),
        ),
        Pair(
            chosen=Example(prompt="d?\n", completion="The answer is 3."),
            rejected=Example(prompt="d?\n", completion="4 4", ended=False),
        ),
    ]
    assert (found.without_rejected, found.without_chosen, found.skipped) == (1, 1, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"correct": False},
        {"well_formed": False},
        {"tag": "latex"},
        {"mixed": True},
        {"truncated": True},
    ],
    ids=str,
)
def test_what_is_not_right_whole_and_in_the_format_is_never_chosen(changes: Any):
    found = preference_pairs(of("a", replace(RIGHT, **changes), WRONG), toward="prose")
    assert not found.pairs
    assert found.without_chosen == 1


@pytest.mark.parametrize("changes", [{"correct": False}, {"well_formed": False}], ids=str)
def test_wrong_and_malformed_rollouts_are_rejected(changes: Any):
    bad = replace(RIGHT, completion="bad", **changes)
    (pair,) = preference_pairs(of("a", RIGHT, bad), toward="prose").pairs
    assert pair.rejected.completion == "bad"


def test_documents_stand_in_for_chosen_rollouts():
    rows = [*of("a", WRONG), *of("b", RIGHT)]
    found = preference_pairs(rows, toward="latex", documents={"a": "$3$", "b": "$3$"})
    (pair,) = found.pairs
    assert pair.chosen == Example(prompt="a?\n", completion="$3$")
    assert found.without_rejected == 1


def test_too_few_pairs_are_a_sentence_with_the_counts():
    rows = [*of("a", WRONG, RIGHT), *of("b", RIGHT), *of("c", WRONG), *of("d", WRONG)]
    found = preference_pairs(rows, toward="prose")
    require_pairs(found, stage="dpo", toward="prose", least=1)
    with pytest.raises(RunError, match="1 of 4 prompts gave a pair toward prose") as error:
        require_pairs(found, stage="dpo", toward="prose", least=8)
    assert "Of 2 prompts" in str(error.value)
    assert "of 1 others" in str(error.value)


def test_a_pairs_row_has_the_tokens_of_three_texts(tiny_base: Path):
    tokenizer: Any = load_tokenizer(tiny_base / "model")
    (pair,) = preference_pairs(of("a", WRONG, RIGHT), toward="prose").pairs
    row = dpo_row(pair, tokenizer)
    end = tokenizer.eos_token_id
    assert row == {
        "prompt_ids": tokenizer("a?\n")["input_ids"],
        "chosen_ids": [*tokenizer("The answer is 3.")["input_ids"], end],
        "rejected_ids": [*tokenizer("4")["input_ids"], end],
    }
