"""Right answers of every kind become the same text, or are refused by name."""

from decimal import Decimal
from enum import Enum
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from formatlab.errors import InputError
from formatlab.world.gold import gold_answer


class Answer(Enum):
    FIVE = "5"


@pytest.mark.parametrize(
    "five",
    [
        5, 5.0, "5", " 5.00 ", "2 + 3 is 5\n#### 5", Decimal("5.0"), Decimal("0.5E1"), Fraction(5),
        np.int64(5), np.float32(5), np.str_("5"), np.array(5), np.array(["5"]), np.array([[5.0]]),
        torch.tensor(5), torch.tensor([5.0]), ["5"], ("5",), {"5"}, [[5]], ["5", 5.0], [None, "5"],
        {"ground_truth": "5", "style": "rule"}, {"answer": ["5"]}, {"value": np.int8(5)},
        {"answer": None, "value": 5},
        "['5']", '["5"]', '{"ground_truth": "5"}', "{'value': 5}",
        "np.float64(5.0)", "numpy.int32(5)", "Decimal('5')", "{'value': np.int64(5)}",
        "{'answer': [Decimal('5.0')]}",
        Answer.FIVE, SimpleNamespace(value=5),
    ],
    ids=repr,
)  # fmt: skip
def test_one_answer_of_any_kind(five: object):
    assert gold_answer(five) == "5"


@pytest.mark.parametrize(
    "missing",
    [None, "", " ", float("nan"), float("inf"), np.nan, np.float32("nan"), Decimal("nan"), [],
     [None], np.array([]), {"answer": None}, {"answer": None, "value": None},
     "nan", "NaN", "None", "null", "<NA>", "[nan]", "['nan']", np.str_("nan"), ["None"],
     "np.float64(nan)", "it has none\n#### nan"],
    ids=repr,
)  # fmt: skip
def test_a_missing_answer_is_no_text(missing: object):
    assert gold_answer(missing) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "not True"),
        (np.True_, "not True"),
        (b"5", "not of type bytes"),
        (object(), "not of type object"),
        (5 + 0j, "not of type complex"),
        ("['5', '6']", "a list of 2 different answers"),
        (["5", "6"], "a list of 2 different answers; one was expected"),
        (np.array([5, 6, 7]), "a list of 3 different answers"),
        ({"right": 5}, r"not an object without ground_truth, .* \(fields present: right\)"),
        ([[[[[[[[[["5"]]]]]]]]]], "not of type list"),
        (10**5000, "too many digits"),
    ],
    ids=lambda value: str(type(value)),
)
def test_what_is_no_answer_is_refused_by_name(value: object, said: str):
    with pytest.raises(InputError, match=said):
        gold_answer(value)


@pytest.mark.parametrize(
    "text",
    [
        "[0, 5)",
        "[5]",
        "{1, 2}",
        '{"x": 5}',
        "['",
        '{"a", "b"}',
        "[" * 99 + '"',
        "['5'], ['6']",
        r"\{'5'\}",
    ],
)
def test_text_that_looks_like_a_list_is_an_answer(text: str):
    assert gold_answer(text) == text


def test_numbers_keep_the_digits_that_they_are_written_with():
    assert gold_answer(np.float32(0.1)) == "0.1"
    assert gold_answer(Decimal("1E+3")) == "1000"
    assert gold_answer(Fraction(1, 3)) == "1/3"
