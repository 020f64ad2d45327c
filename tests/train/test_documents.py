"""Documents to fine-tune on: their number, their formats, and what they are true to."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from formatlab.errors import InputError
from formatlab.observe.grader import grade
from formatlab.train.fine_tuning.examples import chosen_documents, render_documents
from formatlab.train.fine_tuning.settings import Sft
from formatlab.world.mixture import Mixture
from formatlab.world.prompt import Prompt, plain_prompt
from formatlab.world.world import World

WORLD = World(
    mixture=Mixture(
        name="misread",
        shares={"program": 0.5, "prose": 0.5},
        mistranslates={"program": ("times",)},
    ),
    families=("chain",),
    max_steps=2,
    largest=20,
)
PROBLEMS = WORLD.problems("rl", 30)
PROMPTS = [plain_prompt(problem) for problem in PROBLEMS]
GOLD = {prompt.text: prompt.gold for prompt in PROMPTS}


def settings(**changes: Any) -> Sft:
    defaults: dict[str, Any] = {"examples": 60, "batch": 4}
    return Sft(**defaults | changes)


def test_every_format_asked_for_has_equally_many():
    documents = render_documents(
        WORLD, PROMPTS, settings(examples=90, formats=("prose", "direct", "latex")), seed=1
    )
    tags = Counter(grade(d.completion, GOLD[d.prompt]).tag.format for d in documents)
    assert tags == {"prose": 30, "direct": 30, "latex": 30}
    # Each problem is met in every format, so that neither decides the other.
    assert len({(d.prompt, grade(d.completion, "0").tag.format) for d in documents}) == 90


def test_without_formats_the_mixture_decides():
    documents = render_documents(WORLD, PROMPTS, settings(examples=400), seed=1)
    tags = Counter(grade(d.completion, GOLD[d.prompt]).tag.format for d in documents)
    assert set(tags) == {"program", "prose"}
    assert 150 < tags["prose"] < 250


def test_faithful_documents_are_right_and_others_make_the_mixtures_mistakes():
    asked = settings(examples=60, formats=("program",))
    faithful = render_documents(WORLD, PROMPTS, asked, seed=1)
    assert all(grade(d.completion, GOLD[d.prompt]).correct for d in faithful)
    misread = render_documents(WORLD, PROMPTS, replace(asked, faithful=False), seed=1)
    right = [grade(d.completion, GOLD[d.prompt]).correct for d in misread]
    assert 0 < sum(right) < len(right)


def test_documents_are_of_the_prompts_or_of_problems_that_rl_never_asks():
    about = {d.prompt for d in render_documents(WORLD, PROMPTS, settings(), seed=1)}
    assert about == set(GOLD)
    fresh = render_documents(WORLD, PROMPTS, settings(problems="pretrain"), seed=1)
    assert len(fresh) == 60
    assert not {d.prompt for d in fresh} & set(GOLD)


def test_the_seed_decides_all():
    first, again, other = (
        render_documents(WORLD, PROMPTS, settings(problems="pretrain"), seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_chosen_documents_are_right_and_in_their_format():
    for prompt_id, text in chosen_documents(WORLD, PROMPTS, "program", seed=3).items():
        gold = next(prompt.gold for prompt in PROMPTS if prompt.id == prompt_id)
        seen = grade(text, gold)
        assert seen.correct and seen.tag.format == "program"


def test_a_model_without_a_world_is_told_what_to_do():
    with pytest.raises(InputError, match="choose 'rollouts'"):
        render_documents(None, PROMPTS, settings(), seed=1)
    with pytest.raises(InputError, match="choose 'rollouts'"):
        chosen_documents(None, PROMPTS, "prose", seed=1)


def test_a_prompt_of_another_world_is_refused():
    stranger = Prompt(id="0", text="Who?\n", gold="1", family="")
    with pytest.raises(InputError, match="'Who\\?' is not one of"):
        render_documents(WORLD, [*PROMPTS, stranger], settings(), seed=1)
