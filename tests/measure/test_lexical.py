"""Lexical variety against published examples and what must hold for any texts."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_texts import DISJOINT, FOXES, GOING, SAME
from sacrebleu.metrics.bleu import BLEU

from formatlab.measure.lexical import (
    compression_ratio,
    distinct_n,
    expectation_adjusted_distinct,
    self_bleu,
)

TEXTS = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=8).map(" ".join), max_size=6)


@pytest.mark.parametrize(
    ("n", "value"), [(1, 0.466667), (2, 0.592593), (3, 0.666667), (4, 0.714286), (5, 0.722222)]
)
def test_distinct_n_grams(n: int, value: float):
    assert distinct_n(FOXES, n) == pytest.approx(value, abs=1e-6)


def test_n_grams_stay_within_texts_and_full_stops_and_line_breaks_are_no_words():
    assert distinct_n(["a b", "a b"], 2) == 0.5
    assert distinct_n(["1.5 . x\ny"], 1) == distinct_n(["15 x y"], 1) == 1
    assert distinct_n(["x\ny x y"], 1) == 0.5


@pytest.mark.parametrize(
    ("texts", "value"), [(FOXES, 0.632628), (SAME, 0.250037), (DISJOINT, 1.000080)]
)
def test_expectation_adjusted_distinct(texts: Sequence[str], value: float):
    assert expectation_adjusted_distinct(texts) == pytest.approx(value, abs=1e-6)


def test_a_small_vocabulary_adjusts_more():
    assert expectation_adjusted_distinct(FOXES, vocabulary=100) == pytest.approx(0.706306, abs=1e-6)


def test_lengths_that_no_text_has_do_not_count():
    # the reference value, 0.592879, is of all five lengths, with 0 for the one that is not there
    assert expectation_adjusted_distinct(GOING) == pytest.approx(0.592879 * 5 / 4, abs=2e-6)


@pytest.mark.parametrize(
    ("texts", "value"), [(FOXES, 1.5), (GOING, 0.7857), (SAME, 1.3429), (DISJOINT, 0.6304)]
)
def test_compression(texts: Sequence[str], value: float):
    assert compression_ratio(texts) == pytest.approx(value, rel=0.01)  # builds of zlib differ


@pytest.mark.parametrize(
    ("texts", "value"), [(FOXES, 60.6036), (GOING, 71.9912), (SAME, 100.0), (DISJOINT, 0.0)]
)
def test_self_bleu(texts: Sequence[str], value: float):
    assert self_bleu(texts) == pytest.approx(value, abs=1e-4)


def test_self_bleu_is_of_each_text_against_all_others():
    bleu = BLEU(effective_order=True)
    texts = [*FOXES, *FOXES[:2], "", "the fox", "The fox again.", ""]
    each = [
        bleu.sentence_score(text, [*texts[:place], *texts[place + 1 :]]).score
        for place, text in enumerate(texts)
    ]
    assert self_bleu(texts) == pytest.approx(sum(each) / len(each))


@pytest.mark.parametrize(
    "measure",
    [lambda texts: distinct_n(texts, 1), expectation_adjusted_distinct, compression_ratio],
)
@pytest.mark.parametrize("texts", [[], [""]])
def test_nothing_has_no_variety(measure: Callable[[Sequence[str]], float], texts: list[str]):
    assert measure(texts) != measure(texts)  # nan


def test_one_text_has_no_others():
    assert self_bleu(["a"]) != self_bleu(["a"])
    assert distinct_n(["a b"], 3) != distinct_n(["a b"], 3)


@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_texts_does_not_matter(texts: list[str], random):
    shuffled = random.sample(texts, len(texts))
    for n in (1, 2):
        assert distinct_n(shuffled, n) == pytest.approx(distinct_n(texts, n), nan_ok=True)
    for measure in (expectation_adjusted_distinct, self_bleu):
        assert measure(shuffled) == pytest.approx(measure(texts), nan_ok=True)


@given(TEXTS.filter(any), st.data())
def test_a_duplicate_never_adds_distinct_n_grams(texts: list[str], data: st.DataObject):
    again = data.draw(st.sampled_from(texts))
    assert distinct_n([*texts, again], 1) <= distinct_n(texts, 1)
