"""All measures of a set of rollouts, against values worked out by hand and known policies."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from formatlab.measure.comparison import MEASURE_SCHEMA, measures
from formatlab.measure.measures import (
    FRACTIONS,
    MEASURES_IN_WORDS,
    Budget,
    statistics,
    text_kernels,
    words_in_lines,
)
from formatlab.measure.samples import by_prompt
from formatlab.measure.similarity import mean_distance, subtree_similarities

Row = dict[str, Any]
Key = tuple[str, str, int | None]

LN2 = math.log(2)
NAMES = ("tag", "correct", "answer", "completion", "truncated", "tokens", "entropy", "logprob")
BY_HAND: Mapping[str, Sequence[tuple]] = {
    "p": [
        ("a", True, "1", "x y z", True, 1, 0.5, -1.0),
        ("a", True, "1.0", "x y z", False, 2, 0.5, -1.0),
        ("b", False, "2", "x y", False, 3, 0.5, -2.0),
        ("b", False, None, "w", False, 4, 0.5, -2.0),
    ],
    "q": [
        ("a", False, "5", "k k", False, 2, 1.0, None),
        ("a", False, "5", "k k", False, 2, 1.0, None),
        ("a", False, "6", "k k", False, None, 1.0, None),
        ("b", None, "7", "k k", False, 2, 1.0, None),
    ],
    "r": [("b", True, "3", text, None, 10, None, None) for text in ("x", "y", None, "z")],
}
"""Three prompts with four rollouts each; a verdict, an answer, a text and numbers are missing."""


def table(rollouts: Mapping[str, Sequence[tuple]] = BY_HAND) -> pa.Table:
    rows: list[Row] = [
        {"prompt_id": prompt, "sample": sample, **dict(zip(NAMES, rollout, strict=True))}
        for prompt, of in rollouts.items()
        for sample, rollout in enumerate(of)
    ]
    return pa.Table.from_pylist(rows)


def rows_of(rollouts: pa.Table, **options: Any) -> dict[Key, Row]:
    found = measures(rollouts, **{"resamples": 20, **options})
    assert found.schema == MEASURE_SCHEMA
    rows = {(row["measure"], row["subset"], row["k"]): row for row in found.to_pylist()}
    assert len(rows) == found.num_rows
    return rows


def names_in(rows: Mapping[Key, Row]) -> set[str]:
    return {measure for measure, _, _ in rows}


def one_hot(texts: Sequence[str]) -> np.ndarray:
    """Embed different texts as vectors at right angles."""
    return np.eye(len(texts))


def entropy(*shares: float) -> float:
    return -sum(share * math.log(share) for share in shares)


def many(seed: int, prompts: int = 12, samples: int = 8) -> pa.Table:
    """Rollouts with all columns, drawn at random; no two of one prompt are the same program."""
    generator = np.random.default_rng(seed)
    letters = generator.integers(0, 3, size=(prompts, samples))
    rollouts = {
        f"p{prompt:02}": [
            (
                "program" if letter == 0 else "ab"[letter - 1],
                bool(generator.random() < 0.5),
                str(letter),
                f"x{sample} = {letter}",
                bool(letter == 2),
                int(5 + letter),
                float(generator.random()),
                -float(letter),
            )
            for sample, letter in enumerate(of.tolist())
        ]
        for prompt, of in enumerate(letters)
    }
    return table(rollouts)


@pytest.mark.parametrize(
    ("key", "value", "prompts"),
    [
        (("share", "a", None), 5 / 12, 3),
        (("share", "b", None), 7 / 12, 3),
        (("accuracy", "all", None), 6 / 11, 3),
        (("accuracy", "a", None), 2 / 5, 2),
        (("accuracy", "b", None), 4 / 6, 2),
        # Three of the four rollouts of q are graded, so k goes up to 3.
        (("pass@k", "all", 1), (1 / 2 + 0 + 1) / 3, 3),
        (("pass@k", "all", 2), (5 / 6 + 0 + 1) / 3, 3),
        (("pass@k", "all", 3), (1 + 0 + 1) / 3, 3),
        (("maj@k", "all", 1), (1 / 2 + 0 + 1) / 3, 3),
        (("maj@k", "all", 2), (4 / 6 + 0 + 1) / 3, 3),
        (("maj@k", "all", 3), (3 / 4 + 0 + 1) / 3, 3),
        (("truncated", "all", None), 1 / 8, 2),
        (("tokens", "all", None), (10 + 6 + 40) / 11, 3),
        (("token_entropy", "all", None), (10 * 0.5 + 6 * 1.0) / 16, 2),
        (("sequence_entropy", "all", None), 1.5, 1),
        (("format_entropy", "all", None), entropy(5 / 12, 7 / 12), 3),
        (("format_entropy_given_prompt", "all", 4), (LN2 + entropy(1 / 4, 3 / 4)) / 3, 3),
        (("format_collision", "all", None), (1 / 3 + 1 / 2 + 1) / 3, 3),
        (("format_collision", "right", None), 1, 2),
        (("format_distinct@k", "all", 4), 5 / 3, 3),
        (("format_distinct@k", "right", 2), 1, 2),
        (("right_formats@k", "all", 4), 1, 2),
        # Right answers are one, however written.
        (("answer_collision", "all", None), (1 / 6 + 1 / 6 + 1) / 3, 3),
        (("answer_distinct@k", "all", 4), (2 + 3 + 1) / 3, 3),
        (("text_distinct@k", "all", 4), (3 + 1) / 2, 2),
        (("text_distinct@k", "right", 2), 1, 1),
        # Fewer than k: of all choices of two.
        (("format_distinct@k", "all", 2), ((1 + 2 / 3) + (1 + 1 / 2) + 1) / 3, 3),
        (("answer_distinct@k", "all", 2), ((1 + 1 / 3) + (1 + 5 / 6) + 1) / 3, 3),
        (("text_distinct@k", "all", 2), ((1 + 5 / 6) + 1) / 2, 2),
        # A prompt with fewer than k graded ones does not count, nor one that lacks a text.
        (("right_texts@k", "all", 4), 1, 1),
        (("distinct_1", "all", 4), (4 / 9 + 1 / 8) / 2, 2),
        (("distinct_1", "right", 2), 3 / 6, 1),
        (("chrf_distance", "right", 4), 0, 1),
        (("chrf_clusters", "right", 2), 1, 1),
        # With texts at right angles: 1 - the part of the pairs that are equal.
        (("semantic_distance", "all", 4), (5 / 6 + 0) / 2, 2),
        (("semantic_distance", "right", 4), 0, 1),
        (("semantic_vendi", "all", 4), (math.exp(entropy(1 / 2, 1 / 4, 1 / 4)) + 1) / 2, 2),
        (("semantic_distance_of_prompts", "all", None), 1, 2),
    ],
)
def test_values_worked_out_by_hand(key: Key, value: float, prompts: int):
    row = rows_of(table(), embed=one_hot)[key]
    assert row["value"] == pytest.approx(value)
    assert row["n_prompts"] == prompts
    assert (row["low"], row["high"]) == (None, None)


def test_measures_of_texts_are_those_of_each_set_averaged():
    texts = ("the quick fox", "the quick dog", "a lazy dog sleeps", "the quick fox")
    rollouts = {
        prompt: [("a", True, "1", t, False, 3, 1.0, -1.0) for t in texts] for prompt in "pq"
    }
    both, one = rows_of(table(rollouts)), rows_of(table({"p": rollouts["p"]}))
    assert both.pop(("chrf_distance_of_prompts", "all", None))["value"] == 0
    assert both.keys() == one.keys()
    assert [row["value"] for row in both.values()] == pytest.approx(
        [row["value"] for row in one.values()]
    )


def test_all_measures_are_described_and_all_that_are_described_occur():
    found = names_in(rows_of(many(0), embed=one_hot))
    assert found == set(MEASURES_IN_WORDS)
    assert found > set(FRACTIONS) and len(set(FRACTIONS)) == len(FRACTIONS)
    lines = words_in_lines(MEASURES_IN_WORDS).splitlines()
    assert [line.split()[0] for line in lines] == list(MEASURES_IN_WORDS)


def test_probabilities_are_probabilities():
    for (measure, _, _), row in rows_of(many(0), embed=one_hot).items():
        if measure in FRACTIONS and row["value"] is not None:
            assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1, measure
            assert row["low"] < row["high"]


def test_the_order_of_rows_does_not_matter_where_samples_are_numbered():
    rollouts = many(1)
    order = np.random.default_rng(0).permutation(rollouts.num_rows)
    assert measures(rollouts.take(pa.array(order)), resamples=20) == measures(
        rollouts, resamples=20
    )


def test_measures_of_right_rollouts_look_at_no_other():
    rollouts = many(2)
    changed = [
        row if row["correct"] else row | {"tag": "z", "completion": "!", "answer": "?", "tokens": 1}
        for row in rollouts.to_pylist()
    ]
    sides = [
        {key: row for key, row in rows_of(of, embed=one_hot).items() if key[1] == "right"}
        for of in (rollouts, pa.Table.from_pylist(changed))
    ]
    assert sides[0] == sides[1]
    told = names_in(sides[0])
    assert {"format_collision", "text_distinct@k", "self_bleu", "semantic_vendi"} <= told


def test_right_rollouts_are_compared_in_equal_numbers():
    texts, right = ("x", "x", "y", "z"), (True, True, True, False)
    of = [("a", r, "1", t, False, 1, 1.0, -1.0) for t, r in zip(texts, right, strict=True)]
    rows = rows_of(table({"p": of, "q": of}), embed=one_hot)
    # A mean over pairs is of all of them, and what grows with their number of the first two.
    assert rows["semantic_distance", "right", 4]["value"] == pytest.approx(2 / 3)
    assert rows["semantic_vendi", "right", 2]["value"] == pytest.approx(1)
    assert rows["distinct_1", "right", 2]["value"] == 1 / 2
    assert rows["text_distinct@k", "right", 2]["value"] == pytest.approx(1 + 2 / 3)


def test_diversity_looks_at_as_many_rollouts_as_asked():
    for name in ("format_distinct@k", "text_distinct@k"):
        keys = [key[1:] for key in rows_of(many(3), k=4) if key[0] == name]
        assert keys == [("all", 2), ("all", 4), ("right", 2)]  # half as many right ones
        keys = [key[1:] for key in rows_of(many(3), k=7) if key[0] == name]
        assert keys == [("all", 2), ("all", 4), ("all", 7), ("right", 2), ("right", 3)]
    first = many(3).filter(pa.array([row % 8 < 4 for row in range(96)]))
    asked, all_there = (rows_of(of, k=4) for of in (many(3), first))
    # They do not average over choices, so they see the first ones alone.
    for measure in ("format_entropy_given_prompt", "distinct_2", "chrf_distance", "self_bleu"):
        key = (measure, "all", 4)
        assert asked[key] == all_there[key]
    # The right ones are those among the first ones, but of what does not depend on their number.
    of_all = ("format_entropy", "tokens", "token_entropy", "sequence_entropy", "truncated")
    right = {key for key in all_there if key[1] == "right" and not key[0].startswith(of_all)}
    assert {key[0] for key in right} >= {"format_collision", "text_distinct@k", "chrf_clusters"}
    assert [asked[key] for key in right] == [all_there[key] for key in right]


def test_entropy_and_length_of_right_rollouts_are_those_of_all_of_them():
    drawn = [
        ("a", True, "1", "x", False, 3, 1.0, -1.0),
        ("a", True, "1", "y", False, 5, 2.0, -3.0),
        ("b", True, "1", "z", False, 4, 0.0, -2.0),
        ("b", False, "2", "w", True, 90, 9.0, -90.0),
    ]
    rows = rows_of(table({"p": drawn, "q": drawn[:1]}), texts=False)
    values = {key[0]: row["value"] for key, row in rows.items() if key[1] == "right"}
    assert values["format_entropy"] == pytest.approx(entropy(3 / 4, 1 / 4))
    assert values["tokens"] == pytest.approx((3 + 5 + 4 + 3) / 4)
    assert values["sequence_entropy"] == pytest.approx((1 + 3 + 2 + 1) / 4)
    assert values["token_entropy"] == pytest.approx((3 * 1 + 5 * 2 + 4 * 0 + 3 * 1) / 15)
    assert values["truncated"] == 0


def test_prompts_with_fewer_rollouts_are_left_out():
    rollouts = many(4)
    rows = rows_of(rollouts.slice(1))  # the first prompt has 7 of 8
    assert rows["format_distinct@k", "all", 8]["n_prompts"] == 11
    assert rows["format_information", "all", 8]["n_prompts"] == 11
    assert rows["chrf_distance", "all", 8]["n_prompts"] == 11
    assert rows["format_collision", "all", None]["n_prompts"] == 12
    assert rows["share", "a", None]["n_prompts"] == 12


def test_rollouts_without_texts():
    rows = rows_of(many(5).drop_columns(["completion"]), embed=one_hot)
    without = set(MEASURES_IN_WORDS) - names_in(rows)
    assert without >= {"text_distinct@k", "self_bleu", "chrf_distance", "subtree_distance"}
    assert names_in(rows) == names_in(rows_of(many(5), texts=False))
    assert names_in(rows) >= {"share", "accuracy", "maj@k", "tokens", "format_information"}


def test_rollouts_without_grades():
    rollouts = many(6)
    nulls = pa.array([None] * rollouts.num_rows, pa.bool_())
    place = rollouts.column_names.index("correct")
    ungraded = rollouts.set_column(place, "correct", nulls)
    rows = rows_of(ungraded, embed=one_hot)
    told_by_grades = {"accuracy", "pass@k", "maj@k", "right_formats@k", "right_texts@k"}
    assert names_in(rows) == set(MEASURES_IN_WORDS) - told_by_grades
    assert all(subset != "right" for _, subset, _ in rows)
    assert rows == rows_of(rollouts.drop_columns(["correct"]), embed=one_hot)


def test_rollouts_with_tags_alone():
    rows = rows_of(pa.table({"prompt_id": list("ppqq"), "tag": list("abaa")}))
    assert {measure.partition("_")[0] for measure in names_in(rows)} == {"share", "format"}
    assert rows["format_collision", "all", None]["value"] == 0.5


def test_one_rollout_of_each_prompt():
    rows = rows_of(many(7, samples=1), embed=one_hot)
    assert names_in(rows) == {
        *("share", "accuracy", "pass@k", "maj@k", "truncated", "tokens", "token_entropy"),
        *("sequence_entropy", "format_entropy", "format_entropy_corrected"),
        *("chrf_distance_of_prompts", "semantic_distance_of_prompts"),
    }
    assert all(row["value"] is not None or key[0] == "accuracy" for key, row in rows.items())


def test_texts_of_one_prompt_are_not_compared_with_themselves():
    rollouts = {"p": BY_HAND["p"], "r": BY_HAND["r"]}  # r lacks a text
    rows = rows_of(table(rollouts), embed=one_hot)
    assert rows["semantic_distance", "all", 4]["n_prompts"] == 1
    assert not any(name.endswith("_of_prompts") for name in names_in(rows))


def test_programs_are_compared_where_they_can_be_parsed():
    texts = ("x = 1", "x = 1", "x = (", "not a program")
    tags = ("program", "program", "program", "b")
    rollouts = {
        "p": [(g, True, "1", t, False, 1, 1.0, 1.0) for g, t in zip(tags, texts, strict=True)],
        "q": [("b", True, "1", "x = 1", False, 1, 1.0, 1.0)] * 4,
    }
    row = rows_of(table(rollouts))["subtree_distance", "program", 4]
    assert (row["value"], row["n_prompts"]) == (0, 1)


@pytest.mark.parametrize("tag", ["program", "script", "code_fenced", "prose"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = 1", "x = 1"),
        ("So:\n```python\nx = 1\n```\nThe answer is 1.", "x = 1"),
        ("```\nx = 1\n```\nand\n```py\nx = 2\n```", "x = 1\nx = 2"),
        ("```\nfor x in y:\n    print(x)\n```", "for x in y:\n    print(x)"),
        ("Not a program.", None),
        ("```python\nx = 1", None),  # cut within the fence
    ],
)
def test_code_is_taken_out_of_its_fences(tag: str, text: str, code: str | None):
    texts = (text, "x = f(2)")
    rollouts = {"p": [(tag, True, "1", of, False, 1, 1.0, 1.0) for of in texts]}
    found = {key: row for key, row in rows_of(table(rollouts)).items() if "subtree" in key[0]}
    if tag == "prose" or code is None:
        assert found == {}
    else:
        assert list(found) == [("subtree_distance", tag, 2)]
        distance = mean_distance(subtree_similarities([code, texts[1]]))
        assert 0 < distance <= 1
        assert found["subtree_distance", tag, 2]["value"] == pytest.approx(distance)


def test_programs_of_different_tags_are_not_compared():
    tags = ("program", "script", "script", "code_fenced")
    rollouts = {"p": [(tag, True, "1", "x = 1", False, 1, 1.0, 1.0) for tag in tags]}
    found = [key for key in rows_of(table(rollouts)) if key[0] == "subtree_distance"]
    assert found == [("subtree_distance", "script", 4)]


@pytest.mark.parametrize(
    ("graded", "ks"), [(0, []), (1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_k_goes_up_by_powers_of_two(graded: int, ks: list[int]):
    found = statistics(by_prompt(many(0)), Budget(samples=2, graded=graded), None)
    for measure in ("pass@k", "maj@k"):
        assert [of.k for of in found if of.measure == measure] == ks


def test_each_text_is_embedded_once():
    seen: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        seen.extend(texts)
        return one_hot(texts)

    text_kernels(by_prompt(table()), 4, embed)
    assert seen == ["x y z", "x y", "w", "k k"]


def of_texts(*texts: str | None) -> pa.Table:
    """A rollout of each prompt."""
    prompts = [f"p{number}" for number in range(len(texts))]
    return pa.table({"prompt_id": prompts, "tag": ["a"] * len(texts), "completion": list(texts)})


def test_first_rollouts_of_prompts_are_compared_in_a_ring():
    equal, other, none = "the quick fox", "zzz", None
    for texts, value, prompts in (
        ((equal, equal, equal), 0, 3),
        ((equal, other), 1, 2),
        ((equal, equal, other), 2 / 3, 3),
        ((equal, equal, none, other), 2 / 3, 3),
        ((equal, other, equal, other), 1, 4),
    ):
        rows = rows_of(of_texts(*texts), embed=one_hot)
        for name in ("chrf", "semantic"):
            row = rows[f"{name}_distance_of_prompts", "all", None]
            assert (row["value"], row["n_prompts"]) == (pytest.approx(value), prompts)
        assert not {name for name in names_in(rows) if "text" in name or "bleu" in name}
    for texts in ((equal,), (equal, none), (none, none)):
        assert not any("chrf" in name for name in names_in(rows_of(of_texts(*texts))))


def test_kernels_are_in_one_order():
    found = text_kernels(by_prompt(table()), 4, one_hot)
    assert list(found.within) == ["chrf", "rouge_l", "semantic"]
    assert list(found.between) == ["chrf", "semantic"]


def test_right_texts_are_counted_among_all_graded_ones():
    texts, right = ("x", "x", "y", "z", "w"), (True, True, True, False, None)
    of = [("a", r, "1", t, False, 1, 1.0, -1.0) for t, r in zip(texts, right, strict=True)]
    key = ("right_texts@k", "all", 2)
    # Of two of four: x unless both are of the other two, and y with every other one.
    assert rows_of(table({"p": of}), k=2)[key]["value"] == pytest.approx(5 / 6 + 1 / 2)
    gone = [(*of[0][:3], None, *of[0][4:]), *of[1:]]
    assert rows_of(table({"p": of, "q": gone}), k=2)[key]["n_prompts"] == 1
    assert key not in rows_of(table({"p": of}), k=2, texts=False)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_left_out(bad: float):
    rollouts = many(8).to_pylist()
    rollouts[0] |= {"entropy": bad, "logprob": bad}
    without = [row | {"entropy": None, "logprob": None} for row in rollouts[:1]] + rollouts[1:]
    rows, expected = (rows_of(pa.Table.from_pylist(of), texts=False) for of in (rollouts, without))
    assert rows == expected
    assert rows["token_entropy", "all", None]["value"] is not None


INFORMATION = ("format_information", "all", 8)


def probe(chances: np.ndarray, seed: int) -> pa.Table:
    """Eight rollouts of each prompt, in formats by its chances; (P, F)."""
    generator = np.random.default_rng(seed)
    tags = [generator.choice(list("abcd"), size=8, p=of) for of in chances]
    prompts = np.repeat([f"p{prompt:03}" for prompt in range(len(chances))], 8)
    return pa.table({"prompt_id": prompts, "tag": np.concatenate(tags)})


def test_formats_that_ignore_the_prompt_have_no_information():
    chances = np.tile([0.6, 0.25, 0.1, 0.05], (120, 1))
    rounds = 200
    found = [
        rows_of(probe(chances, seed), texts=False, resamples=200)[INFORMATION]
        for seed in range(rounds)
    ]
    values = np.array([row["value"] for row in found])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(rounds)
    assert np.abs(values).mean() < 0.03
    covered = sum(row["low"] <= 0 <= row["high"] for row in found)
    assert covered >= 0.88 * rounds, covered  # the distribution is skewed


def test_a_format_of_its_own_for_each_prompt_is_all_information():
    rows = rows_of(probe(np.tile(np.eye(4), (15, 1)), 0), texts=False)
    assert rows["format_entropy", "all", None]["value"] == pytest.approx(math.log(4))
    assert rows["format_entropy_given_prompt", "all", 8]["value"] == 0
    # As eight rollouts would show it, which is a little less than H(F).
    assert rows[INFORMATION]["value"] == pytest.approx(math.log(4), abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_entropy_is_information_and_what_is_left_given_the_prompt(seed: int):
    chances = np.random.default_rng(seed).dirichlet([0.5] * 4, size=30)
    rows = rows_of(probe(chances, seed), texts=False)
    given = rows["format_entropy_given_prompt_corrected", "all", 8]
    whole = rows["format_entropy_corrected", "all", None]["value"]
    assert given["value"] + rows[INFORMATION]["value"] == pytest.approx(whole)
    assert given["n_prompts"] == 30
    assert given["low"] < given["value"] < given["high"]


def test_entropy_given_the_prompt_is_near_the_truth():
    chances = np.random.default_rng(0).dirichlet([1.0] * 4, size=400)
    truth = -(chances * np.log(chances)).sum(axis=1).mean()
    rows = [rows_of(probe(chances, seed), texts=False, resamples=2) for seed in range(5)]
    corrected, plug_in = (
        np.mean([of[f"format_entropy_given_prompt{end}", "all", 8]["value"] for of in rows])
        for end in ("_corrected", "")
    )
    assert abs(corrected - truth) < 0.06 < abs(plug_in - truth)


def test_statistics_of_no_texts_need_no_kernels():
    prompts = by_prompt(table())
    told = {of.key for of in statistics(prompts, Budget(samples=4, graded=3), None)}
    with_texts = {
        of.key for of in statistics(prompts, Budget(samples=4, graded=3), text_kernels(prompts, 4))
    }
    assert told < with_texts
    assert not any(measure.startswith(("chrf", "text", "self")) for measure, _, _ in told)
