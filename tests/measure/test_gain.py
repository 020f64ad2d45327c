"""Gain: what format, routing and skill each give, where the truth is known."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formatlab.measure.bootstrap import FEWEST_CLUSTERS
from formatlab.measure.gain import Gain, gain

Cells = Mapping[str, Sequence[tuple[str, bool | None]]]
"""Tag and verdict of the rollouts of each prompt."""

ROLLOUT = st.tuples(st.sampled_from("abc"), st.sampled_from([True, False, None]))
SIDES = st.dictionaries(st.sampled_from("pqrst"), st.lists(ROLLOUT, min_size=1, max_size=5))


def table(cells: Cells) -> pa.Table:
    rows = [(prompt, *rollout) for prompt, of in cells.items() for rollout in of]
    prompts, tags, verdicts = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "prompt_id": pa.array(prompts, pa.string()),
            "tag": pa.array(tags, pa.string()),
            "correct": pa.array(verdicts, pa.bool_()),
        }
    )


def cells(**counts: Mapping[str, tuple[int, int]]) -> dict[str, list[tuple[str, bool]]]:
    """Rollouts of each prompt from the right and the wrong ones of each tag."""
    return {
        prompt: [
            (tag, verdict)
            for tag, numbers in of.items()
            for verdict, number in zip((True, False), numbers, strict=True)
            for _ in range(number)
        ]
        for prompt, of in counts.items()
    }


def split(base: Cells, final: Cells, *, resamples: int = 50) -> Gain:
    found = gain(table(base), table(final), resamples=resamples)
    assert found is not None
    return found


def values(found: Gain) -> dict[str, float]:
    parts = ("change", "format", "skill", "routing", "skill_within")
    return {name: round(getattr(found, name).value, 9) for name in parts}


def test_writing_another_format_is_format():
    base = cells(p={"a": (4, 0), "b": (0, 4)}, q={"a": (4, 0), "b": (0, 4)})
    final = cells(p={"a": (6, 0), "b": (0, 2)}, q={"a": (6, 0), "b": (0, 2)})
    assert values(split(base, final)) == {
        **{"change": 0.25, "format": 0.25},
        **{"skill": 0, "routing": 0, "skill_within": 0},
    }


def test_solving_more_in_the_same_formats_is_skill():
    base = cells(p={"a": (1, 3), "b": (2, 2)})
    final = cells(p={"a": (3, 1), "b": (3, 1)})
    assert values(split(base, final)) == {
        **{"change": 0.375, "format": 0},
        **{"skill": 0.375, "routing": 0, "skill_within": 0.375},
    }


def test_matching_formats_to_prompts_is_routing():
    suits_a, suits_b = {"a": (4, 0), "b": (0, 4)}, {"a": (0, 4), "b": (4, 0)}
    base = cells(p=suits_a, q=suits_b)
    final = cells(p={"a": (6, 0), "b": (0, 2)}, q={"a": (0, 2), "b": (6, 0)})
    assert values(split(base, final)) == {
        **{"change": 0.25, "format": 0},
        **{"skill": 0.25, "routing": 0.25, "skill_within": 0},
    }


def test_the_interaction_is_shared_equally():
    found = split(cells(p={"a": (2, 2), "b": (0, 4)}), cells(p={"a": (8, 0)}))
    # Shares move first: half of the rollouts gain .5. Accuracy first: half gain .5 by it, and
    # then the other half 1 by moving.
    assert values(found)["format"] == (0.5 * 0.5 + 0.5 * 1) / 2
    assert values(found)["skill"] == (1.0 * 0.5 + 0.5 * 0.5) / 2


def test_a_format_that_one_side_never_writes_brings_no_skill():
    found = split(cells(p={"a": (1, 3)}), cells(p={"b": (3, 1)}))
    assert values(found) == {
        **{"change": 0.5, "format": 0.5},
        **{"skill": 0, "routing": 0, "skill_within": 0},
    }


def test_a_wrong_rollout_of_a_format_that_ends_is_no_loss_of_skill():
    base = cells(p={"a": (15, 15), "b": (0, 10)})
    final = cells(p={"a": (0, 1), "b": (0, 39)})
    found = values(split(base, final))
    assert found["format"] == round((1 / 40 - 3 / 4) * 0.5, 9)
    assert found["skill"] == round(-1 / 40 * 0.5, 9)  # that one rollout
    assert found["routing"] == 0 and found["change"] == -3 / 8


def test_a_format_that_a_prompt_lacks_on_one_side_has_its_accuracy_elsewhere_there():
    base = cells(p={"a": (4, 0)}, q={"a": (0, 2), "b": (1, 1)})
    final = cells(p={"b": (4, 0)}, q={"a": (0, 2), "b": (1, 1)})
    # In p, `b` was right in half of the base's, and `a` in none of the final's, both in q.
    choosing = (-1 * (1 + 0) / 2 + 1 * (0.5 + 1) / 2) / 2
    found = values(split(base, final))
    assert found["format"] + found["routing"] == choosing


def test_every_prompt_weighs_the_same():
    base = cells(p={"a": (1, 0)}, q={"a": (0, 9)})
    final = cells(p={"a": (3, 0)}, q={"a": (1, 1)})
    found = split(base, final)
    assert (found.accuracy_base, found.accuracy_final) == (0.5, 0.75)


def test_prompts_of_one_side_and_rollouts_without_a_verdict_are_left_out():
    base = {"p": [("a", True), ("b", None)], "q": [("a", False)], "r": [("a", None)]}
    final = {"p": [("a", True)], "r": [("a", True)]}
    found = split(base, final)
    assert found.n_prompts == 1
    assert values(found)["change"] == 0
    assert gain(table({"p": [("a", True)]}), table({"q": [("a", True)]})) is None


@settings(max_examples=60, deadline=None)
@given(base=SIDES, final=SIDES)
def test_the_parts_add_up_to_the_change(base: Cells, final: Cells):
    found = gain(table(base), table(final), resamples=2)
    if found is None:
        return
    change = found.accuracy_final - found.accuracy_base
    assert found.change.value == pytest.approx(change, abs=1e-12)
    assert found.format.value + found.skill.value == pytest.approx(change, abs=1e-12)
    parts = found.format.value + found.routing.value + found.skill_within.value
    assert parts == pytest.approx(change, abs=1e-12)
    backwards = gain(table(final), table(base), resamples=2)
    assert backwards is not None
    assert backwards.format.value == pytest.approx(-found.format.value, abs=1e-12)
    assert backwards.routing.value == pytest.approx(-found.routing.value, abs=1e-12)


@pytest.mark.parametrize("prompts", [FEWEST_CLUSTERS - 1, FEWEST_CLUSTERS])
def test_few_prompts_have_no_interval(prompts: int):
    base = cells(**{f"p{index}": {"a": (index % 2, 1)} for index in range(prompts)})
    assert (split(base, base).skill.low is None) == (prompts < FEWEST_CLUSTERS)


# The truth of the simulations: two formats, prompts that are easy or hard and lean to one of them.
PROMPTS, SAMPLES = 200, 16
EASE = np.random.default_rng(5).uniform(-0.2, 0.2, size=PROMPTS)
LEANING = np.random.default_rng(6).uniform(-0.3, 0.3, size=PROMPTS)


def policy(share: float, accuracies: tuple[float, float], routing: float, seed: int) -> pa.Table:
    """Rollouts of a policy that writes `a` with a share, more so where `a` is the easier one."""
    generator = np.random.default_rng(seed)
    rows: dict[str, list[tuple[str, bool]]] = {}
    for prompt in range(PROMPTS):
        writes_a = generator.random(SAMPLES) < share + routing * LEANING[prompt]
        suits = np.where(writes_a, LEANING[prompt], -LEANING[prompt])
        chance = np.where(writes_a, *accuracies) + EASE[prompt] + suits
        right = generator.random(SAMPLES) < chance
        names = np.where(writes_a, "a", "b")
        rows[f"p{prompt}"] = list(zip(names.tolist(), right.tolist(), strict=True))
    return table(rows)


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ((0.7, (0.6, 0.5), 0.0), {"format": 0.03, "routing": 0.0, "skill_within": 0.0}),
        ((0.4, (0.7, 0.4), 0.0), {"format": 0.0, "routing": 0.0, "skill_within": -0.02}),
        # Routing moves no share; a prompt gains 2 x leaning x share moved there.
        ((0.4, (0.6, 0.5), 0.8), {"routing": 2 * 0.8 * float((LEANING**2).mean())}),
    ],
    ids=["format", "skill", "routing"],
)
def test_intervals_cover_the_truth(
    final: tuple[float, tuple[float, float], float], expected: dict[str, float]
):
    covered = dict.fromkeys(expected, 0)
    rounds = 60
    for seed in range(rounds):
        before = policy(0.4, (0.6, 0.5), 0.0, 2 * seed)
        found = gain(before, policy(*final, 2 * seed + 1), resamples=300)
        assert found is not None
        for name, truth in expected.items():
            part = getattr(found, name)
            covered[name] += part.low <= truth <= part.high
    assert all(count >= 0.85 * rounds for count in covered.values()), covered
