"""Comparisons of policies whose differences are known, and of rollouts with gaps."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from known_texts import FOXES

from formatlab.errors import InputError
from formatlab.measure.bootstrap import FEWEST_CLUSTERS
from formatlab.measure.comparison import (
    CHANGES_IN_WORDS,
    DIFFERENCE_SCHEMA,
    Comparison,
    compare,
    measures,
)
from formatlab.measure.measures import FRACTIONS, MEASURES_IN_WORDS
from formatlab.measure.samples import MOST_SAMPLES

Key = tuple[str, str, int | None]
Row = dict[str, Any]

PROMPTS = 60
TAGS = ("a", "b", "c")
PARTS = ("composition", "within")
NONE = pa.table(
    {name: pa.array([], kind) for name, kind in (("prompt_id", pa.string()), ("tag", pa.string()))}
)


@dataclass(frozen=True)
class Policy:
    """Writes formats by a softmax that leans by prompt, each with its accuracy."""

    logits: tuple[float, float, float]
    accuracies: tuple[float, float, float]

    def chances(self, leanings: np.ndarray) -> np.ndarray:
        """Of the formats of each prompt; (P, F)."""
        weights = np.exp(np.array(self.logits) + leanings[:, :-1])
        return weights / weights.sum(axis=1, keepdims=True)

    def right(self, leanings: np.ndarray) -> np.ndarray:
        """Accuracy of each format of each prompt; (P, F)."""
        return np.clip(np.array(self.accuracies) + 0.2 * np.tanh(leanings[:, -1:]), 0, 1)

    def truth(self) -> dict[Key, float]:
        """Means over all prompts that there could be."""
        leanings = prompts_of(0, 200_000)
        chances, right = self.chances(leanings), self.right(leanings)
        return {
            ("share", "a", None): float(chances[:, 0].mean()),
            ("accuracy", "all", None): float((chances * right).sum(axis=1).mean()),
            ("pass@k", "all", 4): float(1 - ((1 - (chances * right).sum(axis=1)) ** 4).mean()),
            ("format_collision", "all", None): float((chances**2).sum(axis=1).mean()),
            ("format_distinct@k", "all", 8): float((1 - (1 - chances) ** 8).sum(axis=1).mean()),
        }


def prompts_of(seed: int, number: int) -> np.ndarray:
    """How much each prompt leans to each format, and how easy it is; (P, F + 1)."""
    return np.random.default_rng(seed).normal(size=(number, len(TAGS) + 1))


def rollouts(
    policy: Policy, seed: int, *, of: int = 0, prompts: int = PROMPTS, samples: int = 8
) -> pa.Table:
    """Rollouts of a policy.

    Args:
        policy: that writes them.
        seed: of the draws.
        of: which prompts; equal numbers are the same ones.
        prompts: how many.
        samples: rollouts of each.
    """
    leanings = prompts_of(of, prompts)
    generator = np.random.default_rng([seed, 1])
    bounds = policy.chances(leanings).cumsum(axis=1)  # (P, F)
    drawn = generator.random((prompts, samples, 1))
    tags = (drawn > bounds[:, None, :-1]).sum(axis=2)  # (P, samples)
    chances = np.take_along_axis(policy.right(leanings), tags, axis=1)
    right = generator.random(tags.shape) < chances
    return pa.table(
        {
            "prompt_id": np.repeat([f"p{prompt:04}" for prompt in range(prompts)], samples),
            "sample": np.tile(np.arange(samples), prompts),
            "tag": np.array(TAGS)[tags].ravel(),
            "correct": right.ravel(),
        }
    )


BEFORE = Policy((0.0, 0.5, 1.0), (0.3, 0.5, 0.6))
AFTER = Policy((1.5, 0.5, 0.0), (0.4, 0.5, 0.7))


def compared(a: pa.Table, b: pa.Table, **options: Any) -> Comparison:
    found = compare(a, b, **{"texts": False, "resamples": 50, **options})
    assert found.differences.schema == DIFFERENCE_SCHEMA
    return found


def rows_of(comparison: Comparison) -> dict[Key, Row]:
    rows = {
        (row["measure"], row["subset"], row["k"]): row for row in comparison.differences.to_pylist()
    }
    assert len(rows) == comparison.differences.num_rows
    return rows


def with_texts(table: pa.Table) -> pa.Table:
    """Rollouts with texts that depend on the tag and on the verdict, and vary with the sample."""
    texts = [
        f"{FOXES[TAGS.index(row['tag'])]} {row['sample'] % 3} {'yes' if row['correct'] else 'no'}"
        for row in table.to_pylist()
    ]
    return table.append_column("completion", pa.array(texts))


def renamed(table: pa.Table, *, start: int = 0) -> pa.Table:
    """The same rollouts as of other prompts, from one on."""
    names = [
        name if int(name[1:]) < start else f"q{name[1:]}" for name in table["prompt_id"].to_pylist()
    ]
    return table.set_column(0, "prompt_id", pa.array(names))


def column(table: pa.Table, name: str, value: Any, kind: pa.DataType) -> pa.Table:
    """The rollouts with one value in a column."""
    return table.set_column(
        table.column_names.index(name), name, pa.array([value] * table.num_rows, kind)
    )


@pytest.mark.parametrize("paired", [True, False], ids=["same prompts", "other prompts"])
def test_intervals_cover_the_truth(paired: bool):
    a, b = BEFORE.truth(), AFTER.truth()
    rounds, covered = 100, dict.fromkeys(a, 0)
    for seed in range(rounds):
        before = rollouts(BEFORE, 2 * seed, of=2 * seed)
        after = rollouts(AFTER, 2 * seed + 1, of=2 * seed if paired else 2 * seed + 1)
        found = compared(before, after if paired else renamed(after), resamples=300)
        assert found.paired == paired
        rows = rows_of(found)
        for key in covered:
            covered[key] += rows[key]["low"] <= b[key] - a[key] <= rows[key]["high"]
    assert all(0.88 * rounds <= count <= rounds for count in covered.values()), covered
    assert 0.92 <= np.mean(list(covered.values())) / rounds <= 0.99, covered


def test_two_draws_of_one_policy_do_not_differ():
    rounds = 30
    outside, told, gains = 0, 0, 0
    for seed in range(rounds):
        found = compared(
            rollouts(BEFORE, 2 * seed, of=seed),
            rollouts(BEFORE, 2 * seed + 1, of=seed),
            resamples=200,
        )
        rows = [row for row in rows_of(found).values() if row["measure"] in MEASURES_IN_WORDS]
        bounds = [(row["low"], row["high"]) for row in rows if row["low"] is not None]
        outside += sum(not low <= 0 <= high for low, high in bounds)
        told += len(bounds)
        assert found.gain is not None
        assert found.gain.change.low is not None and found.gain.change.high is not None
        gains += found.gain.change.low <= 0 <= found.gain.change.high
    assert told > 15 * rounds
    assert outside < 0.1 * told
    assert gains >= 0.85 * rounds


def test_more_samples_of_one_policy_are_no_more_diverse():
    rounds = 30
    keys = [("format_distinct@k", "all", 8), ("format_information", "all", 8)]
    keys += [("format_entropy_given_prompt", "all", 8), ("format_collision", "all", None)]
    covered = dict.fromkeys(keys, 0)
    for seed in range(rounds):
        found = compared(
            rollouts(BEFORE, 2 * seed, of=seed, samples=16),
            rollouts(BEFORE, 2 * seed + 1, of=seed),
            resamples=200,
        )
        assert found.k == 8
        rows = rows_of(found)
        for key in keys:
            covered[key] += rows[key]["low"] <= 0 <= rows[key]["high"]
    assert all(count >= 0.85 * rounds for count in covered.values()), covered


def test_both_sides_have_the_same_k():
    rows = rows_of(compared(rollouts(BEFORE, 0, samples=16), rollouts(AFTER, 1, samples=5)))
    of_sets = {key[2] for key in rows if key[0] == "format_distinct@k" and key[1] == "all"}
    assert of_sets == {2, 4, 5}
    assert {key[2] for key in rows if key[0] == "format_entropy_given_prompt"} == {5}
    assert {key[2] for key in rows if key[0] == "pass@k"} == {1, 2, 4, 5}


def test_diversity_is_compared_at_no_more_than_is_usual():
    a, b = rollouts(BEFORE, 0, samples=16), rollouts(AFTER, 1, samples=16)
    assert compared(a, b).k == MOST_SAMPLES
    assert compared(a, b, k=16).k == 16


def test_pairing_makes_intervals_narrower():
    a, b = rollouts(BEFORE, 0, samples=16), rollouts(BEFORE, 1, samples=16)
    paired, unpaired = (rows_of(compared(a, other, resamples=500)) for other in (b, renamed(b)))
    for key in (("accuracy", "all", None), ("pass@k", "all", 4), ("format_collision", "all", None)):
        assert paired[key]["difference"] == pytest.approx(unpaired[key]["difference"])
        narrow, wide = (of[key]["high"] - of[key]["low"] for of in (paired, unpaired))
        assert narrow < 0.9 * wide


def test_the_ends_of_a_difference_are_the_values_of_both_sides():
    a, b = with_texts(rollouts(BEFORE, 0)), with_texts(rollouts(AFTER, 1))
    rows = rows_of(compared(a, b, texts=True))
    for side, table in (("a", a), ("b", b)):
        values = {
            (row["measure"], row["subset"], row["k"]): row["value"]
            for row in measures(table, resamples=2).to_pylist()
        }
        for key, value in values.items():
            # Means over prompts are over those that bear on both sides.
            if key[1] != "right":
                assert rows[key][side] == pytest.approx(value)
    for row in rows.values():
        if row["a"] is not None and row["b"] is not None:
            assert row["difference"] == pytest.approx(row["b"] - row["a"], abs=1e-12)


def test_all_changes_are_described():
    a, b = with_texts(rollouts(BEFORE, 0)), with_texts(rollouts(AFTER, 1))
    rows = rows_of(compared(a, b, texts=True))
    rest = {measure for measure, _, _ in rows if measure not in MEASURES_IN_WORDS}
    of_splits = {
        f"{of}_{part}" for of in ("format_disagreement", "chrf_distance") for part in PARTS
    }
    plain = {name for name in CHANGES_IN_WORDS if not name.startswith("*")}
    assert rest == plain | of_splits
    assert set(CHANGES_IN_WORDS) - plain == {f"*_{part}" for part in PARTS}
    assert plain.isdisjoint(MEASURES_IN_WORDS)


def test_what_is_retained_is_the_second_number_over_the_first():
    a, b = with_texts(rollouts(BEFORE, 0)), with_texts(rollouts(AFTER, 1))
    rows = rows_of(compared(a, b, texts=True))
    for (measure, subset, _), row in rows.items():
        of_both = measure in MEASURES_IN_WORDS and measure not in FRACTIONS
        if not of_both or measure == "format_information" or not row["a"]:
            assert (row["retained"], row["retained_low"], row["retained_high"]) == (None,) * 3
        else:
            assert row["retained"] == pytest.approx(row["b"] / row["a"]), measure
            if row["low"] is not None:
                assert row["retained_low"] <= row["retained"] <= row["retained_high"]
                assert (row["retained_low"] > 1) == (row["low"] > 0), (measure, subset)
                assert (row["retained_high"] < 1) == (row["high"] < 0), (measure, subset)
    told = {measure for (measure, _, _), row in rows.items() if row["retained"] is not None}
    assert told >= {"format_entropy_given_prompt_corrected", "right_texts@k", "chrf_distance"}


def test_what_one_side_alone_has_is_not_retained():
    a, b = rollouts(BEFORE, 0), with_texts(rollouts(AFTER, 1))
    for one, other in ((a, b), (b, a)):
        row = rows_of(compared(one, other, texts=True))["chrf_distance", "all", 8]
        assert [row[name] for name in ("difference", "retained", "retained_low")] == [None] * 3


def test_of_no_diversity_nothing_is_retained():
    a = column(rollouts(BEFORE, 0), "tag", "a", pa.string())
    rows = rows_of(compared(a, rollouts(AFTER, 1)))
    row = rows["format_entropy_given_prompt", "all", 8]
    assert (row["a"], row["retained"], row["difference"] > 0) == (0, None, True)
    back = rows_of(compared(rollouts(AFTER, 1), a))["format_entropy_given_prompt", "all", 8]
    assert (back["retained"], back["difference"] < 0) == (0, True)


@pytest.mark.parametrize("way", ["paired", "unpaired"])
def test_a_comparison_is_told_in_a_line(way: str):
    a, b = rollouts(BEFORE, 0, prompts=12), rollouts(AFTER, 1, prompts=12)
    found = compared(a, b if way == "paired" else renamed(b))
    told = "12 prompts, paired" if way == "paired" else "12 and 12 prompts"
    rows = found.differences.num_rows
    assert repr(found) == f"<comparison of {told}: {rows} differences>"


def test_the_other_way_round_differences_change_their_sign():
    a, b = rollouts(BEFORE, 0), rollouts(AFTER, 1)
    there, back = rows_of(compared(a, b)), rows_of(compared(b, a))
    assert there.keys() == back.keys()
    for key, row in there.items():
        sign = 1 if key[0] == "js_divergence" else -1
        assert row["difference"] == pytest.approx(sign * back[key]["difference"], abs=1e-12)
        if key[0] in MEASURES_IN_WORDS:
            assert (row["low"], row["high"]) == pytest.approx(
                (-back[key]["high"], -back[key]["low"]), abs=1e-12
            )


def test_prompts_of_one_side_are_left_out_and_counted():
    a, b = rollouts(BEFORE, 0), rollouts(AFTER, 1)
    found = compared(a.slice(0, 8 * 50), b.slice(8 * 20))
    assert (found.paired, found.n_prompts, found.left_out) == (True, (30, 30), (20, 10))
    assert found.shared == 30
    shared = compared(a.slice(8 * 20, 8 * 30), b.slice(8 * 20, 8 * 30))
    assert found.differences == shared.differences
    assert found.gain == shared.gain
    assert shared.left_out == (0, 0)


def test_other_prompts_are_not_paired():
    a, b = rollouts(BEFORE, 0), renamed(rollouts(AFTER, 1, prompts=40))
    found = compared(a, b)
    assert not found.paired
    assert (found.gain, found.splits) == (None, [])
    assert (found.n_prompts, found.left_out, found.shared) == ((60, 40), (0, 0), 0)
    rows = rows_of(found)
    assert rows["accuracy", "all", None]["n_prompts"] == 40
    assert rows["js_divergence", "all", None]["n_prompts"] == 40
    rest = {measure for measure, _, _ in rows} - set(MEASURES_IN_WORDS)
    assert rest == {"js_divergence"}


@pytest.mark.parametrize("shared", [FEWEST_CLUSTERS - 1, FEWEST_CLUSTERS])
def test_a_few_shared_prompts_do_not_stand_for_all(shared: int):
    found = compared(rollouts(BEFORE, 0), renamed(rollouts(AFTER, 1), start=shared))
    assert found.shared == shared
    assert found.paired == (shared == FEWEST_CLUSTERS)
    assert found.n_prompts == ((shared, shared) if found.paired else (PROMPTS, PROMPTS))


def test_few_prompts_are_paired_and_have_no_interval():
    found = compared(rollouts(BEFORE, 0, prompts=4), rollouts(AFTER, 1, prompts=4))
    assert found.paired and found.gain is not None
    assert {row["low"] for row in rows_of(found).values()} == {None}


def test_a_tag_that_one_side_never_writes():
    a = column(rollouts(BEFORE, 0), "tag", "a", pa.string())
    b = column(rollouts(BEFORE, 1), "tag", "b", pa.string())
    found = compared(a, b)
    rows = rows_of(found)
    share = rows["share", "b", None]
    assert (share["a"], share["b"], share["difference"]) == (0, 1, 1)
    assert share["low"] is not None and 0.8 < share["low"] < 1 == share["high"]
    gone = rows["share", "a", None]
    assert (gone["a"], gone["b"], gone["difference"]) == (1, 0, -1)
    accuracy = rows["accuracy", "a", None]
    assert accuracy["a"] is not None
    assert (accuracy["b"], accuracy["difference"], accuracy["n_prompts"]) == (None, None, 0)
    assert found.divergence.value == pytest.approx(math.log(2))
    assert rows["js_divergence", "all", None]["difference"] == found.divergence.value


def test_a_rare_tag_of_one_side_has_an_interval():
    a = column(rollouts(BEFORE, 0), "tag", "a", pa.string())
    tags = pa.array(["b" if row % 20 == 0 else "a" for row in range(a.num_rows)])
    row = rows_of(compared(a, a.set_column(2, "tag", tags)))["share", "b", None]
    assert (row["a"], row["difference"]) == (0, pytest.approx(0.05))
    assert 0 < row["low"] < 0.05 < row["high"] < 0.1


@pytest.mark.parametrize("right", [False, True])
def test_equal_sides_are_not_certain_to_be_equal(right: bool):
    a, b = (column(rollouts(BEFORE, seed), "correct", right, pa.bool_()) for seed in (0, 1))
    rows = rows_of(compared(a, b))
    for key in (("accuracy", "all", None), ("pass@k", "all", 1), ("pass@k", "all", 8)):
        row = rows[key]
        assert (row["a"], row["b"], row["difference"]) == (right, right, 0)
        # That of Wilson for none of 60 prompts, either way.
        assert (row["low"], row["high"]) == pytest.approx((-0.0602, 0.0602), abs=1e-4)


def test_the_parts_of_the_gain_add_up():
    found = compared(rollouts(BEFORE, 0), rollouts(AFTER, 1))
    rows = rows_of(found)
    parts = [
        rows[f"gain_{part}", "all", None]["difference"]
        for part in ("format", "routing", "skill_within")
    ]
    gain, skill = rows["gain", "all", None], rows["gain_skill", "all", None]
    assert sum(parts) == pytest.approx(gain["difference"])
    assert skill["difference"] == pytest.approx(parts[1] + parts[2])
    assert (skill["a"], skill["b"], skill["n_prompts"]) == (None, None, PROMPTS)
    assert skill["low"] < skill["difference"] < skill["high"]
    # Each prompt has equally many rollouts here.
    accuracy = rows["accuracy", "all", None]
    for name in ("a", "b", "difference"):
        assert gain[name] == pytest.approx(accuracy[name])
    assert found.gain is not None
    assert (gain["low"], gain["high"]) == (found.gain.change.low, found.gain.change.high)


def test_the_parts_of_a_change_in_diversity_add_up():
    a, b = with_texts(rollouts(BEFORE, 0)), with_texts(rollouts(AFTER, 1))
    found = compared(a, b, texts=True, embed=lambda texts: np.eye(len(texts)))
    rows = rows_of(found)
    told = {(of.measure, of.by) for of in found.splits}
    assert told == {
        ("format_disagreement", "correctness"),
        *(("chrf_distance", by) for by in ("correctness", "format")),
        *(("semantic_distance", by) for by in ("correctness", "format")),
    }
    for of in found.splits:
        if of.measure == "format_disagreement":
            change = -rows["format_collision", "all", None]["difference"]
        else:
            change = rows[of.measure, "all", 8]["difference"]
        totals = [rows[f"{of.measure}_{part}", f"by {of.by}", 8] for part in PARTS]
        assert sum(row["difference"] for row in totals) == pytest.approx(change)
        assert of.change.value == pytest.approx(change)
        for place, part in enumerate(PARTS):
            kinds = [rows[f"{of.measure}_{part}", kind, 8]["difference"] for kind in of.kinds]
            assert sum(kinds) == pytest.approx(totals[place]["difference"])
        assert of.n_prompts == PROMPTS


def test_the_intervals_of_differences_and_of_their_splits_are_of_the_same_resamples():
    a, b = with_texts(rollouts(BEFORE, 0)), with_texts(rollouts(AFTER, 1))
    found = compared(a, b, texts=True)
    row = rows_of(found)["chrf_distance", "all", 8]
    for of in found.splits:
        if of.measure == "chrf_distance":
            bounds = of.change.low, of.change.high
            assert bounds == pytest.approx((row["low"], row["high"]))


def test_prompts_with_fewer_rollouts_are_in_no_split():
    a, b = rollouts(BEFORE, 0), rollouts(AFTER, 1)
    found = compared(a.slice(1), b.slice(0, b.num_rows - 1))
    assert found.k == 8
    assert {of.n_prompts for of in found.splits} == {PROMPTS - 2}
    rows = rows_of(found)
    assert rows["format_distinct@k", "all", 8]["n_prompts"] == PROMPTS - 2
    assert rows["format_collision", "all", None]["n_prompts"] == PROMPTS


def test_means_are_over_prompts_with_right_rollouts_on_both_sides():
    generator = np.random.default_rng(0)
    sides = []
    for table in (rollouts(BEFORE, 0), rollouts(AFTER, 1)):
        solved = np.repeat(generator.random(PROMPTS) < 0.7, 8)
        right = table["correct"].to_numpy() & solved
        sides.append(table.set_column(3, "correct", pa.array(right)))
    row = rows_of(compared(*sides))["format_collision", "right", None]
    counts = [of["correct"].to_numpy().reshape(PROMPTS, 8).sum(axis=1) for of in sides]
    both = (counts[0] > 1) & (counts[1] > 1)
    assert 0 < row["n_prompts"] == both.sum() < PROMPTS
    kept = pa.array([f"p{prompt:04}" for prompt in np.flatnonzero(both)])
    for side, table in zip("ab", sides, strict=True):
        only = table.filter(pc.is_in(table["prompt_id"], kept))  # pyright: ignore[reportAttributeAccessIssue]
        alone = {
            (of["measure"], of["subset"]): of["value"]
            for of in measures(only, texts=False, resamples=2).to_pylist()
        }
        assert row[side] == pytest.approx(alone["format_collision", "right"])


@pytest.mark.parametrize("which", ["none", "nulls", "one side"])
def test_rollouts_without_grades(which: str):
    a, b = rollouts(BEFORE, 0), rollouts(AFTER, 1)
    if which == "nulls":
        a, b = (column(of, "correct", None, pa.bool_()) for of in (a, b))
    else:
        b = b.drop_columns(["correct"])
        a = a if which == "one side" else a.drop_columns(["correct"])
    found = compared(a, b)
    assert found.paired and found.gain is None
    assert {of.by for of in found.splits} <= {"format"}
    rows = rows_of(found)
    assert rows["format_collision", "all", None]["difference"] is not None
    assert all(row["difference"] is None for key, row in rows.items() if key[0] == "accuracy")


@pytest.mark.parametrize("texts", ["both", "one side"])
def test_one_rollout_of_each_prompt_has_diversity_between_prompts_alone(texts: str):
    a, b = rollouts(BEFORE, 0, samples=1), with_texts(rollouts(AFTER, 1))
    found = compared(with_texts(a) if texts == "both" else a, b, texts=True)
    assert (found.k, found.splits) == (1, [])
    rows = rows_of(found)
    assert {name for name, _, _ in rows if name in MEASURES_IN_WORDS} == {
        *("share", "accuracy", "pass@k", "format_entropy", "format_entropy_corrected"),
        "chrf_distance_of_prompts",
    }
    row = rows["chrf_distance_of_prompts", "all", None]
    assert (row["n_prompts"], row["retained"] is None) == (
        (PROMPTS, False) if texts == "both" else (0, True)
    )


def test_no_rollouts_cannot_be_compared():
    some = rollouts(BEFORE, 0)
    for a, b in ((some, NONE), (NONE, some), (NONE, NONE)):
        with pytest.raises(InputError, match="no rollouts"):
            compare(a, b)
    with pytest.raises(InputError, match="no rollouts"):
        measures(NONE)


@pytest.mark.parametrize("k", [-1, 0, 1, 9])
def test_rollouts_that_are_not_there_cannot_be_asked_for(k: int):
    few, many = rollouts(BEFORE, 0), rollouts(AFTER, 1, samples=16)
    words = f"^k is {k}; nine in ten prompts have 8 or more rollouts, so it can be 2 to 8$"
    for call in (
        lambda: compare(few, many, k=k, texts=False),
        lambda: compare(many, few, k=k, texts=False),
        lambda: measures(few, k=k, texts=False),
    ):
        with pytest.raises(InputError, match=words):
            call()
    assert compared(many, many, k=12).k == 12


@pytest.mark.parametrize("k", [0, 1, 2])
def test_of_single_rollouts_no_k_can_be_asked_for(k: int):
    words = f"^k is {k}; .* have 1 or more rollouts, so there is no k without two of each$"
    with pytest.raises(InputError, match=words):
        measures(rollouts(BEFORE, 0, samples=1), k=k, texts=False)


def test_the_same_seed_gives_the_same_intervals():
    a, b = rollouts(BEFORE, 0), rollouts(AFTER, 1)
    once, again, other = (compared(a, b, seed=seed) for seed in (0, 0, 1))
    assert once.differences == again.differences
    assert once.differences != other.differences
    assert once.differences["difference"] == other.differences["difference"]
