"""Worlds: determinism, separate streams, disjoint splits, and messages for wrong ones."""

from collections import Counter
from typing import Any, get_args

import pytest

from formatlab.errors import InputError
from formatlab.world import world as world_module
from formatlab.world.families import FAMILIES
from formatlab.world.mixture import Mixture
from formatlab.world.problem import Problem
from formatlab.world.world import Split, World

FOUR = Mixture(
    name="four",
    shares={"program": 0.25, "tool_tags": 0.15, "latex": 0.25, "prose": 0.35},
    mistranslates={"program": ("times",), "tool_tags": ("times",)},
)
PLAIN = Mixture(name="plain", shares={"prose": 1.0})
SPLITS: tuple[Split, ...] = get_args(Split)


def world(**fields: Any) -> World:
    return World(**{"mixture": FOUR, **fields})


def wide(*, seed: int = 0) -> World:
    """A world in which no problem comes up twice by chance."""
    return world(
        mixture=PLAIN,
        families=("comparison",),
        min_steps=4,
        max_steps=4,
        largest=1000,
        seed=seed,
    )


def test_items_are_those_of_the_stored_draws() -> None:
    chain = world(families=("chain",), max_steps=2, largest=10)
    assert chain.problem("rl", 7).question == (
        "Ann starts with 8 coins. Ann buys 2 more. Then Ann finds 4 more. "
        "How many coins does Ann have?"
    )
    document = chain.document(7)
    assert document.form == "latex"
    assert document.problem.question == (
        "Mia starts with 9 shells. Then Mia has 3 times as many. Mia buys 5 more. "
        "How many shells does Mia have?"
    )
    assert document.solution == "\\[9 \\times 3 = 27\\]\n\\[27 + 5 = 32\\]\n\\boxed{32}"


def test_every_split_has_the_same_share_of_each_kind_of_problem() -> None:
    chain = world(families=("chain",), largest=20)
    shares = {}
    for split in SPLITS:
        drawn = [chain.problem(split, index) for index in range(1000)]
        with_times = [any(step.phrase == "times" for step in p.steps) for p in drawn]
        shares[split] = sum(with_times) / len(drawn)
    assert max(shares.values()) - min(shares.values()) < 0.08  # four standard errors


def test_the_order_in_which_a_mixture_is_written_plays_no_part() -> None:
    backward = Mixture(
        name="four",
        shares=dict(reversed(list(FOUR.shares.items()))),
        mistranslates=FOUR.mistranslates,
    )
    assert [world().document(i) for i in range(50)] == [
        world(mixture=backward).document(i) for i in range(50)
    ]


def test_equal_worlds_give_equal_documents_in_any_order() -> None:
    one, two = world(), world()
    backward = {index: two.document(index) for index in reversed(range(100))}
    assert [one.document(index) for index in range(100)] == [backward[i] for i in range(100)]


def test_the_stream_of_documents_is_the_documents_by_index() -> None:
    stream = world().documents(start=5)
    assert [next(stream) for _ in range(3)] == [world().document(index) for index in (5, 6, 7)]


@pytest.mark.parametrize("split", SPLITS)
def test_streams_of_neighbouring_seeds_do_not_overlap(split: Split) -> None:
    # a problem drawn by seed + index would come up again one place further under the next seed
    one, two = wide(seed=1), wide(seed=2)
    questions = {one.problem(split, index).question for index in range(500)}
    assert not questions & {two.problem(split, index).question for index in range(500)}


def test_items_of_a_seed_differ() -> None:
    assert len({wide().problem("rl", index).question for index in range(2000)}) == 2000


@pytest.mark.parametrize("seeds", [(0, 0, 0), (0, 1, 2)])
def test_splits_share_no_content(seeds: tuple[int, int, int]) -> None:
    # so few contents that most come up several times within a split
    contents = [
        {
            _content(world(seed=seed, max_steps=2, largest=10).problem(split, index))
            for index in range(800)
        }
        for split, seed in zip(SPLITS, seeds, strict=True)
    ]
    assert all(200 < len(content) < 700 for content in contents)
    assert sum(map(len, contents)) == len(set().union(*contents))


def _content(problem: Problem) -> tuple[object, ...]:
    steps = [(step.operator, step.left, step.right, step.phrase) for step in problem.steps]
    return (problem.family, *steps)


def test_families_come_equally_often() -> None:
    counts = Counter(world(largest=100).problem("pretrain", index).family for index in range(2400))
    assert counts.keys() == FAMILIES.keys()
    assert all(300 < count < 500 for count in counts.values())


def test_steps_stay_within_the_range() -> None:
    narrow = world(families=("chain",), min_steps=2, max_steps=3)
    seen = {narrow.problem("rl", index).difficulty for index in range(200)}
    assert seen == {2, 3}


def test_formats_come_as_often_as_the_mixture_says() -> None:
    counts = Counter(world().document(index)[0] for index in range(4000))
    for form, share in FOUR.shares.items():
        assert counts[form] / 4000 == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("split", SPLITS)
def test_problems_differ_and_come_in_the_order_of_items(split: Split) -> None:
    small = world(families=("chain",), max_steps=1, largest=10)
    problems = small.problems(split, 300)
    questions = [problem.question for problem in problems]
    assert len(set(questions)) == 300
    items = [small.problem(split, index).question for index in range(2000)]
    assert len(set(items)) < len(items)
    assert questions == list(dict.fromkeys(items))[:300]


def test_no_problems_are_no_problems() -> None:
    assert world().problems("rl", 0) == []


def test_more_problems_than_there_are() -> None:
    tiny = world(families=("sharing",), max_steps=1, largest=10, mixture=PLAIN)
    with pytest.raises(InputError, match=r"5000 different rl problems asked for, about \d+ exist"):
        tiny.problems("rl", 5000)


def test_a_world_too_small_for_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    # 20 contents: none of them falls into the fiftieth that is probed here
    monkeypatch.setitem(world_module._BUCKETS, "probe", range(2))
    monkeypatch.setattr(world_module, "_kind", world_module._kind.__wrapped__)
    tiny = world(families=("sharing",), max_steps=1, largest=5, mixture=PLAIN)
    reached = {split: _reachable(tiny, split) for split in SPLITS}
    assert reached == {"pretrain": True, "rl": True, "probe": False}


def _reachable(world: World, split: Split) -> bool:
    try:
        world.problem(split, 0)
    except InputError as error:
        assert f"too few different problems for a {split} split" in str(error)
        return False
    return True


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"families": ()}, "families is empty"),
        ({"families": ("chain", "chian")}, "unknown family 'chian'; known families: chain, "),
        ({"min_steps": 0}, "steps from 0 to 3"),
        ({"min_steps": 3, "max_steps": 2}, "steps from 3 to 2"),
        ({"max_steps": 5}, "max_steps <= 4"),
        ({"largest": 4}, "largest is 4; at least 5"),
        ({"families": ("price",)}, r"mistranslates 'times' in program, .* \(price\)"),
    ],
)
def test_wrong_worlds_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        world(**fields)
