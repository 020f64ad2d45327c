"""Numbers as they are written: what is one, and what states none or two."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.observe.number import parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", 18),
        ("  18\n", 18),
        ("18.", 18),
        ("007", 7),
        ("-7", -7),
        ("- 7", -7),
        ("+7", 7),
        ("\u22127", -7),  # minus sign
        ("-0", 0),
        ("3.50", Fraction(7, 2)),
        (".5", Fraction(1, 2)),
        ("1,234", 1234),
        ("1,234.00", 1234),
        ("12,345,678", 12_345_678),
        ("1e3", 1000),
        ("1.5E-2", Fraction(3, 200)),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        ("50%", 50),
        (r"50\%", 50),
        ("$18", 18),
        (r"\$18", 18),
        ("-$18", -18),
        ("$-18", -18),
        ("€20", 20),
        ("$18$", 18),
        ("$1,000.50 dollars", Fraction(2001, 2)),
        ("18 dollars", 18),
        ("18dollars.", 18),
        ("5 m/s", 5),
        ("20°", 20),
        ("**18**", 18),
        ("`18`", 18),
        ("**18** apples", 18),
        (r"18\text{ dollars}", 18),
        (r"18 \mathrm{~cm}", 18),
        (r"\text{18}", 18),
        (r"1{,}234", 1234),
        (r"1\,234", 1234),
        (r"10,\!000", 10_000),
        ("\u0661\u0662", 12),  # digits of another script
    ],
)
def test_one_number_is_read(text: str, number: Fraction | int) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        ".",
        "$",
        "eighteen",
        "x = 5",
        "1,23",
        "1234,567",
        "1,234,56",
        "12,3456",
        "1,2,3",
        "5,",
        "1.5.2",
        "3/0",
        "10-5",
        "5*3",
        "5 * 3",
        "2 apples and 3 pears",
        "5 and 6",
        "$5 and $6",
        r"3\text{ and }4",
        r"1\ 2",
        "1 1/2",
        "5\x00",
        "\ud800",
        "0x10",
        "NaN",
        "inf",
        "True",
        "None",
        "[18]",
        "3e5000",
        "9" * 41,
        "9" * 100_000,
        "1" + ",000" * 100_000,
        " " * 100_000 + "5",
        "5 " + "a" * 100,
    ],
)
def test_anything_else_states_none(text: str) -> None:
    assert parse_number(text) is None


@given(st.integers(-(10**39), 10**39))
def test_integers_are_read_plain_and_grouped(number: int) -> None:
    assert parse_number(str(number)) == parse_number(f"{number:,}") == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=0, max_value=10**9))
def test_decimals_are_read_exactly(number) -> None:
    assert parse_number(f"{number:f}") == Fraction(number)


@given(st.text())
def test_any_text_is_a_number_or_none(text: str) -> None:
    assert parse_number(text) is None or isinstance(parse_number(text), Fraction)


@given(st.text(alphabet="0123456789,./-+eE$%\\{}* ab\u2212", max_size=30))
def test_any_jumble_of_marks_is_a_number_or_none(text: str) -> None:
    assert parse_number(text) is None or isinstance(parse_number(text), Fraction)
