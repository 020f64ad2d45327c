"""The reward: what each arm pays, by which draws, and what it is called."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.observe.grader import Grade
from formatlab.observe.tagger import Tag
from formatlab.train.reward import Reward, RewardFunction

SEEDS = range(1000, 5000)


def graded(form: str, *, correct: bool, flexible: bool | None = None) -> Grade:
    return Grade(
        tag=Tag(format=form),
        answer="1",
        correct=correct,
        reason="" if correct else "wrong",
        flexible_answer="1",
        flexible_correct=correct if flexible is None else flexible,
    )


RIGHT, WRONG = graded("prose", correct=True), graded("prose", correct=False)
MEANT = graded("prose", correct=False, flexible=True)
"""Right by the flexible reading alone."""
BATCHES = st.lists(st.booleans(), max_size=40).map(
    lambda right: [RIGHT if correct else WRONG for correct in right]
)


@pytest.mark.parametrize(
    ("reward", "paid"),
    [
        (Reward(), [1, 0, 1]),
        (Reward(kind="inverted"), [0, 1, 0]),
        (Reward(kind="none"), [0, 0, 0]),
        (Reward(false_positives={"prose": 1.0}), [1, 1, 1]),
        (Reward(false_negatives={"prose": 1.0}), [0, 0, 0]),
        (Reward(false_positives={"latex": 1.0}, false_negatives={"none": 1.0}), [1, 0, 1]),
    ],
)
def test_pay(reward: Reward, paid: list[int]) -> None:
    assert reward.pay([RIGHT, WRONG, RIGHT], [7, 8, 9]) == paid


@pytest.mark.parametrize(
    ("reward", "paid"),
    [
        (Reward(), [1, 0, 0]),
        (Reward(reading="flexible"), [1, 1, 0]),
        (Reward(kind="inverted"), [0, 1, 1]),
        (Reward(kind="inverted", reading="flexible"), [0, 0, 1]),
        (Reward(reading="flexible", false_negatives={"prose": 1.0}), [0, 0, 0]),
        (Reward(reading="flexible", false_positives={"prose": 1.0}), [1, 1, 1]),
    ],
)
def test_what_is_right_is_told_by_the_reading(reward: Reward, paid: list[int]) -> None:
    assert reward.pay([RIGHT, MEANT, WRONG], [7, 8, 9]) == paid


@pytest.mark.parametrize(("reading", "count"), [("strict", 1), ("flexible", 3)])
def test_random_pays_as_many_as_the_reading_calls_right(reading: Any, count: int) -> None:
    reward = Reward(kind="random", reading=reading)
    assert sum(reward.pay([RIGHT, MEANT, MEANT, WRONG, WRONG], range(5))) == count


@given(batch=BATCHES, first=st.integers(0, 2**62))
def test_random_pays_as_many_as_are_right(batch: list[Grade], first: int) -> None:
    seeds = range(first, first + len(batch))
    paid = Reward(kind="random").pay(batch, seeds)
    assert sum(paid) == sum(seen.correct for seen in batch)
    assert set(paid) <= {0.0, 1.0}


@given(batch=BATCHES)
def test_random_pays_whoever_holds_the_seeds(batch: list[Grade]) -> None:
    reward = Reward(kind="random")
    paid = reward.pay(batch, SEEDS[: len(batch)])
    assert reward.pay(batch[::-1], SEEDS[: len(batch)]) == paid
    assert reward.pay(batch, SEEDS[: len(batch)][::-1]) == paid[::-1]


def test_random_knows_nothing_of_what_is_right() -> None:
    batch = [RIGHT, WRONG, WRONG, WRONG] * 1000
    paid = Reward(kind="random").pay(batch, SEEDS)
    right = sum(pay for pay, seen in zip(paid, batch, strict=True) if seen.correct)
    assert sum(paid) == 1000
    assert 200 < right < 300  # of 250 expected, standard deviation 12


def share(paid: Sequence[float]) -> float:
    return sum(paid) / len(paid)


def test_errors_are_as_frequent_as_asked_and_only_where_asked() -> None:
    reward = Reward(false_positives={"prose": 0.2}, false_negatives={"latex": 0.1})
    count = len(SEEDS)
    assert share(reward.pay([WRONG] * count, SEEDS)) == pytest.approx(0.2, abs=0.03)
    assert share(reward.pay([RIGHT] * count, SEEDS)) == 1
    latex = graded("latex", correct=True)
    assert share(reward.pay([latex] * count, SEEDS)) == pytest.approx(0.9, abs=0.03)
    assert share(reward.pay([graded("latex", correct=False)] * count, SEEDS)) == 0


def test_errors_of_a_rollout_are_decided_by_its_seed_alone() -> None:
    reward = Reward(false_positives={"prose": 0.5})
    paid = reward.pay([WRONG] * 64, SEEDS[:64])
    assert [reward.pay([WRONG], [seed])[0] for seed in SEEDS[:64]] == paid


def test_draws_are_the_same_in_every_process() -> None:
    program = (
        "from formatlab.train.reward import Reward\n"
        "from formatlab.observe.grader import Grade\n"
        "from formatlab.observe.tagger import Tag\n"
        "wrong = Grade(tag=Tag(format='prose'), answer='1', correct=False, reason='wrong')\n"
        "print(Reward(false_positives={'prose': 0.5}).pay([wrong] * 16, range(16)))\n"
        "import sys; assert 'torch' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    here = Reward(false_positives={"prose": 0.5}).pay([WRONG] * 16, range(16))
    assert run.stdout.strip() == str(here), run.stderr
    assert here == [float(bit) for bit in "1110010010101011"]


@pytest.mark.parametrize(
    ("reward", "name"),
    [
        (Reward(), "correctness"),
        (Reward(kind="random"), "random"),
        (Reward(kind="none"), "none"),
        (Reward(kind="inverted"), "inverted"),
        (Reward(false_positives={"prose": 0.2}), "correctness, prose false positives 20%"),
        (Reward(reading="flexible"), "flexible correctness"),
        (Reward(kind="random", reading="flexible"), "flexible random"),
        (
            Reward(false_positives={"prose": 0.07, "json": 0.0}, false_negatives={"latex": 0.125}),
            "correctness, prose false positives 7%, latex false negatives 12.5%",
        ),
    ],
)
def test_names(reward: Reward, name: str) -> None:
    assert reward.name == name


def test_config_holds_what_decides() -> None:
    assert Reward().config == Reward(reading="strict").config == {"kind": "correctness"}
    flexible = {"kind": "correctness", "reading": "flexible"}
    assert Reward(reading="flexible").config == flexible
    nothing = Reward(kind="none", reading="flexible")
    assert (nothing.config, nothing.name) == (Reward(kind="none").config, "none")
    rates = Reward(false_positives={"prose": 0.2, "latex": 0.1, "json": 0.0}).config
    assert rates == {"kind": "correctness", "false_positives": {"latex": 0.1, "prose": 0.2}}
    assert json.loads(json.dumps(rates)) == rates


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"false_positives": {"prose": 1.5}}, "between 0 and 1"),
        ({"false_negatives": {"prose": -0.1}}, "between 0 and 1"),
        ({"false_positives": {"prose": float("nan")}}, "between 0 and 1"),
        ({"false_positives": {"poem": 0.1}}, "known formats"),
        ({"kind": "random", "false_positives": {"prose": 0.1}}, "leave one of the two out"),
        ({"kind": "inverted", "false_negatives": {"prose": 0.1}}, "leave one of the two out"),
    ],
)
def test_mistakes(settings: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Reward(**settings)


def test_a_seed_for_every_rollout() -> None:
    with pytest.raises(ValueError):
        Reward().pay([RIGHT, WRONG], [1])


@dataclass(frozen=True, kw_only=True)
class Options:
    reward: Reward = field(default_factory=Reward)


def test_options_on_the_command_line() -> None:
    given = "--kind correctness --false-positives prose 0.2 latex 0.1 --false-negatives json 1"
    assert tyro.cli(Reward, args=given.split()) == Reward(
        false_positives={"prose": 0.2, "latex": 0.1}, false_negatives={"json": 1.0}
    )
    assert tyro.cli(Reward, args=[]) == Reward()
    nested = tyro.cli(Options, args="--reward.false-positives prose 0.2".split())
    assert nested.reward == Reward(false_positives={"prose": 0.2})


def test_reward_function_keeps_the_last_batch() -> None:
    asked: list[int] = []

    def seeds(rows: int) -> Sequence[int]:
        asked.append(rows)
        return range(rows)

    function = RewardFunction(Reward(kind="inverted"), seeds)
    texts = ["The answer is 4.", "The answer is 5.", "no idea at all"]
    paid = function(prompts=["a", "b", "c"], completions=texts, gold=["4", "4", "4"], trainer=None)
    assert paid == [0.0, 1.0, 1.0] == function.rewards
    assert function.texts == texts
    assert [seen.correct for seen in function.grades] == [True, False, False]
    assert [seen.tag.format for seen in function.grades] == ["prose", "prose", "prose"]
    function(completions=["12"], gold=["12"])
    assert (function.texts, function.rewards, asked) == (["12"], [0.0], [3, 1])


@pytest.mark.parametrize(("reading", "paid"), [("strict", [1, 0]), ("flexible", [1, 1])])
def test_the_reward_function_pays_by_its_reading(reading: Any, paid: list[float]) -> None:
    texts = ["The answer is 4.", "She sold 2 eggs on Monday and 4 on Tuesday."]
    function = RewardFunction(Reward(reading=reading), range)
    assert function(completions=texts, gold=["4", "4"]) == paid
    assert [seen.correct for seen in function.grades] == [True, False]


def test_what_was_cut_off_commits_to_nothing() -> None:
    texts = ["She sold 2 eggs on Monday and 4 on Tuesday."] * 2
    function = RewardFunction(Reward(reading="flexible"), range, lambda: [True, False])
    assert function(completions=texts, gold=["4", "4"]) == [0, 1]
