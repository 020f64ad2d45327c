"""What is learned from: which rollouts count, and the tokens that they become."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rollout_row import ROW

from formatlab.models.model import load_tokenizer
from formatlab.train.fine_tuning.examples import (
    Example,
    paid_answers,
    right_answers,
    sft_row,
    token_ids,
)
from formatlab.world.corpus import build_corpus
from formatlab.world.prompt import plain_prompt
from formatlab.world.world import World


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"correct": False, "reason": "wrong"}, False),
        ({"well_formed": False}, False),
        ({"truncated": True}, False),
        ({"tag": "prose"}, False),
    ],
    ids=str,
)
def test_right_whole_well_formed_rollouts_of_the_formats_count(changes: Any, counts: bool):
    assert bool(right_answers([replace(ROW, **changes)], ["direct", "json"])) == counts


def test_a_text_counts_once_for_each_prompt_and_prompts_take_turns():
    rows = [
        ROW,
        replace(ROW, completion="it is 3"),
        replace(ROW, sample=2),
        replace(ROW, prompt_id="b", prompt="And now?\n"),
    ]
    assert right_answers(rows) == [
        Example(prompt="How many?\n", completion="3"),
        Example(prompt="And now?\n", completion="3"),
        Example(prompt="How many?\n", completion="it is 3"),
    ]


def test_what_the_reward_paid_is_kept_whether_right_or_not_and_cut_ones_get_no_end_mark():
    rows = [
        replace(ROW, reward=0.0),
        replace(ROW, completion="4", correct=False, reward=1.0),
        replace(ROW, completion="4 4 4 4", correct=False, reward=1.0, truncated=True),
    ]
    assert paid_answers(rows) == [
        Example(prompt="How many?\n", completion="4"),
        Example(prompt="How many?\n", completion="4 4 4 4", ended=False),
    ]


def test_an_example_has_the_tokens_that_the_corpus_has(tiny_base: Path, world: World):
    tokenizer: Any = load_tokenizer(tiny_base / "model")
    corpus = build_corpus(world, tokenizer, tokens=4_000)
    for index in range(20):
        _, problem, solution = world.document(index)
        prompt, completion = token_ids(
            Example(prompt=plain_prompt(problem).text, completion=solution), tokenizer
        )
        start, end = corpus.offsets[index : index + 2]
        assert [*prompt, *completion] == corpus.tokens[start:end].tolist()
        assert len(prompt) == corpus.prompt_lengths[index]
        assert completion[-1] == tokenizer.eos_token_id


def test_only_the_completion_and_its_end_mark_are_learned(tiny_base: Path):
    tokenizer: Any = load_tokenizer(tiny_base / "model")
    example = Example(prompt="How many?\n", completion="It is 3")
    prompt, completion = token_ids(example, tokenizer)
    row = sft_row(example, tokenizer)
    assert row["input_ids"] == prompt + completion
    assert row["labels"] == [-100] * len(prompt) + completion
    _, cut = token_ids(replace(example, ended=False), tokenizer)
    assert cut == completion[:-1]
