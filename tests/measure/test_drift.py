"""Drift: nothing where nothing changed, within the floor where chance did it, outside where not."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import probe_rollouts

from formatlab.measure.bootstrap import FEWEST_CLUSTERS
from formatlab.measure.drift import DRIFT_COLUMNS, Drift, drift
from formatlab.store.rollout import rollouts_to_table

LETTERS = st.text(alphabet="abcABC", min_size=4, max_size=4)
PROBES = st.dictionaries(st.text("pqrst", min_size=1, max_size=3), LETTERS, min_size=1, max_size=14)


def table(tags_by_prompt: Mapping[str, str]) -> pa.Table:
    return rollouts_to_table(probe_rollouts(tags_by_prompt)).select(DRIFT_COLUMNS)


def sampled(shares: Mapping[str, float], prompts: int, seed: int) -> pa.Table:
    """Return a probe of 8 samples a prompt; each prompt leans towards formats of its own."""
    generator = np.random.default_rng(seed)
    # The leaning is that of the prompt, the same in every probe.
    leaning = np.random.default_rng(99).dirichlet(np.full(len(shares), 4.0), size=prompts)
    names = list(shares)
    texts = {}
    for index in range(prompts):
        weights = leaning[index] * np.array(list(shares.values()))
        letters = generator.choice(names, p=weights / weights.sum(), size=8)
        texts[f"p{index}"] = "".join(letters)
    return table(texts)


def measured(base: pa.Table, final: pa.Table, **options: int) -> Drift:
    found = drift(base, final, **{"resamples": 200, "permutations": 200} | options)
    assert found is not None
    return found


def test_it_is_half_the_sum_of_the_differences_of_shares() -> None:
    found = measured(table({"p": "aaab", "q": "abcc"}), table({"p": "AAAA", "q": "ABcc"}))
    assert found.total_variation == pytest.approx(1 / 8)
    assert found.accuracy_change == pytest.approx(6 / 8)
    assert found.n_prompts == 2


@given(PROBES)
@settings(max_examples=30, deadline=None)
def test_no_change_is_no_drift_and_within_the_floor(tags_by_prompt: dict[str, str]) -> None:
    probe = table(tags_by_prompt)
    found = measured(probe, probe)
    assert found.total_variation == 0
    assert found.low in (None, 0) and found.high in (None, 0)
    assert found.p_value == 1
    assert not found.beyond_chance
    assert found.accuracy_change == 0


@given(PROBES, st.data())
@settings(max_examples=30, deadline=None)
def test_bounds_stand_around_the_distance(tags_by_prompt: dict[str, str], data) -> None:
    other = {prompt: data.draw(LETTERS) for prompt in tags_by_prompt}
    base, final = table(tags_by_prompt), table(other)
    there, back = measured(base, final), measured(final, base)
    assert 0 <= there.total_variation <= 1
    assert there.total_variation == pytest.approx(back.total_variation)
    assert 0 < there.p_value <= 1
    assert (there.low is None) == (len(tags_by_prompt) < FEWEST_CLUSTERS)
    if there.low is not None and there.high is not None:
        assert 0 <= there.low <= there.total_variation <= there.high <= 1


def test_probes_of_an_unchanged_policy_are_mostly_within_the_floor() -> None:
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    base = [sampled(shares, 24, seed) for seed in range(0, 120, 2)]
    again = [sampled(shares, 24, seed) for seed in range(1, 120, 2)]
    found = [measured(*pair) for pair in zip(base, again, strict=True)]
    # 5% of 60 are expected; 10 or more have a probability of 0.1%.
    assert sum(one.beyond_chance for one in found) < 10
    assert all(one.total_variation > 0 for one in found)


@pytest.mark.parametrize("prompts", [10, 24, 64])
def test_a_large_change_is_outside_the_floor(prompts: int) -> None:
    base = sampled({"a": 0.5, "b": 0.5}, prompts, 1)
    final = sampled({"a": 0.98, "b": 0.02}, prompts, 2)
    found = measured(base, final)
    assert found.beyond_chance
    assert found.low is not None and found.low > found.floor
    assert found.p_value == pytest.approx(1 / 201)


def test_the_floor_falls_with_the_size_of_the_probe() -> None:
    shares = {"a": 0.5, "b": 0.5}
    small, large = (
        measured(sampled(shares, prompts, 1), sampled(shares, prompts, 2)).floor
        for prompts in (16, 256)
    )
    assert 2.5 < small / large < 6  # 4 times smaller with 16 times the prompts


def test_only_prompts_of_both_probes_are_compared() -> None:
    found = measured(table({"p": "aa", "q": "bb"}), table({"q": "bb", "r": "cc"}))
    assert (found.total_variation, found.n_prompts) == (0, 1)
    assert drift(table({"p": "aa"}), table({"q": "aa"})) is None
    assert drift(table({}), table({"q": "aa"})) is None


def test_without_grades_there_is_no_change_of_accuracy() -> None:
    base = table({"p": "AA", "q": "AA"})
    unknown = base.set_column(2, "correct", pa.nulls(base.num_rows, pa.bool_()))
    found = measured(base, unknown)
    assert found.accuracy_change is None and found.accuracy_low is None


def test_an_accuracy_that_is_nil_in_both_may_have_changed_unseen() -> None:
    probe = table({f"p{i}": "aaaa" for i in range(32)})
    found = measured(probe, probe)
    assert found.accuracy_change == 0
    assert found.accuracy_low == pytest.approx(-0.327, abs=1e-3)
    assert found.accuracy_high == pytest.approx(0.327, abs=1e-3)
    few = table({f"p{i}": "aaaa" for i in range(9)})
    assert measured(few, few).accuracy_low is measured(few, few).low is None


def test_equal_seeds_give_equal_numbers() -> None:
    pair = sampled({"a": 0.5, "b": 0.5}, 16, 1), sampled({"a": 0.6, "b": 0.4}, 16, 2)
    assert measured(*pair) == measured(*pair)


def test_probes_may_come_in_pieces() -> None:
    pair = sampled({"a": 0.5, "b": 0.5}, 16, 1), sampled({"a": 0.6, "b": 0.4}, 16, 2)
    pieces = [[probe.slice(at, 50) for at in range(0, probe.num_rows, 50)] for probe in pair]
    assert drift(pieces[0], iter(pieces[1])) == drift(*pair)
