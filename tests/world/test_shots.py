"""Prompts for real models: the worked examples, their mix, and the chat template."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from formatlab.errors import InputError
from formatlab.observe.grader import grade
from formatlab.world.problem import Problem
from formatlab.world.prompt import EXAMPLES, SHOT_FORMATS, Example, Shots, prompt_text, real_prompts

PROBLEMS = [
    Problem(question=f"Ann has {n} cats. How many legs?", answer=str(4 * n), family="legs")
    for n in range(40)
]
ONE_EACH = {"prose": 1, "latex": 1, "program": 1, "json": 1}
KNOWN_AS = {
    (example.question, text): name
    for example in EXAMPLES
    for name, text in example.solutions.items()
}

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}"
    "</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def tokenizer(*, adds_start: bool, template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    inner = Tokenizer(models.BPE(ids, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    if adds_start:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", chat_template=template
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.answer)
@pytest.mark.parametrize("name", SHOT_FORMATS)
def test_every_solution_is_right_and_in_its_format(example: Example, name: str) -> None:
    verdict = grade(example.solutions[name], example.answer)
    assert (verdict.tag.format, verdict.tag.mixed, verdict.correct) == (name, False, True)


def test_every_example_has_every_format() -> None:
    assert {tuple(example.solutions) for example in EXAMPLES} == {SHOT_FORMATS}
    assert len(KNOWN_AS) == len(EXAMPLES) * len(SHOT_FORMATS)


@given(
    counts=st.dictionaries(st.sampled_from(SHOT_FORMATS), st.integers(0, len(EXAMPLES))),
    seed=st.integers(0, 2**32),
)
def test_the_mix_is_the_one_asked_for(counts: dict[str, int], seed: int) -> None:
    drawn = Shots(counts=counts, seed=seed).drawn_for(PROBLEMS[0])
    assert len(set(drawn)) == len(drawn)
    assert Counter(KNOWN_AS[shot] for shot in drawn) == +Counter(counts)


def test_few_examples_are_of_different_problems() -> None:
    for problem in PROBLEMS:
        assert len({question for question, _ in Shots(counts=ONE_EACH).drawn_for(problem)}) == 4


def test_examples_depend_on_the_seed_and_the_question_alone() -> None:
    def drawn(counts: dict[str, int], seed: int) -> list[list[str]]:
        shots = Shots(counts=counts, seed=seed)
        return [[KNOWN_AS[shot] for shot in shots.drawn_for(problem)] for problem in PROBLEMS]

    assert drawn(ONE_EACH, 1) == drawn(ONE_EACH, 1)
    assert drawn(ONE_EACH, 1) == drawn(dict.fromkeys(sorted(ONE_EACH), 1), 1)
    assert drawn(ONE_EACH, 1) != drawn(ONE_EACH, 2)
    assert drawn(ONE_EACH, 1)[0] == ["prose", "latex", "program", "json"]


def test_every_format_comes_last_for_some_problem() -> None:
    shots = Shots(counts=ONE_EACH)
    assert {KNOWN_AS[shots.drawn_for(problem)[-1]] for problem in PROBLEMS} == set(ONE_EACH)


def test_plain_prompts_end_with_the_question_and_a_line_break() -> None:
    problem = PROBLEMS[3]
    assert prompt_text(problem) == problem.question + "\n"
    text = prompt_text(problem, shots=Shots(counts={"direct": 1}))
    question, solution = Shots(counts={"direct": 1}).drawn_for(problem)[0]
    assert text == f"{question}\n{solution}\n\n{problem.question}\n"


@pytest.mark.parametrize("adds_start", [True, False])
def test_chat_prompts_are_turns_and_start_once(adds_start: bool) -> None:
    chat = tokenizer(adds_start=adds_start)
    shots = Shots(counts={"json": 1, "prose": 1})
    (asked1, told1), (asked2, told2) = shots.drawn_for(PROBLEMS[0])
    expected = (
        f"<s><user>{asked1}</s><assistant>{told1}</s><user>{asked2}</s><assistant>{told2}</s>"
        f"<user>{PROBLEMS[0].question}</s><assistant>"
    )
    text = prompt_text(PROBLEMS[0], shots=shots, tokenizer=chat)
    assert chat.decode(chat(text)["input_ids"]) == expected


def test_chat_needs_a_template() -> None:
    with pytest.raises(InputError, match="no chat template"):
        prompt_text(PROBLEMS[0], tokenizer=tokenizer(adds_start=False, template=None))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"haiku": 1}, "none in format 'haiku'; formats with examples: prose, latex, program"),
        ({"prose": 5}, "5 in format prose were asked for; give a number from 0 to 4"),
        ({"prose": -1}, "-1 in format prose"),
    ],
)
def test_impossible_mixes_are_refused(counts: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Shots(counts=counts)


def test_prompts_carry_question_answer_and_an_id_that_does_not_depend_on_the_examples():
    bare = real_prompts(PROBLEMS[:2], Shots(counts={}), None)
    shown = real_prompts(PROBLEMS[:2], Shots(counts={"prose": 1}), None)
    assert [prompt.text for prompt in bare] == [f"{of.question}\n" for of in PROBLEMS[:2]]
    assert [prompt.gold for prompt in shown] == ["0", "4"]
    assert [prompt.id for prompt in bare] == [prompt.id for prompt in shown]
    assert all(s.text.endswith(b.text) for s, b in zip(shown, bare, strict=True))
