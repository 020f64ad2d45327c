"""Numbers as they are written: what is one, what states none or two, and which are the same."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.observe.answers.number import parse_number, read_number, same_number


def same(answer: str, gold: str) -> bool:
    given, right = read_number(answer), read_number(gold)
    assert right is not None
    return given is not None and same_number(given, right)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", 18),
        ("  18\n", 18),
        ("18.", 18),
        ("5.", 5),
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
        ("1 234 567", 1_234_567),
        ("1\u202f234", 1234),
        ("1\u00a0234.5", Fraction(2469, 2)),
        ("1e3", 1000),
        ("1.2e3", 1200),
        ("1.5E-2", Fraction(3, 200)),
        ("1.2 x 10^3", 1200),
        ("1.2 \u00d7 10^{-3}", Fraction(3, 2500)),
        (r"1.2\times10^3", 1200),
        (r"1.2 \cdot 10^{3}", 1200),
        ("1.2 * 10**3", 1200),
        ("10^6", 1_000_000),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        ("36/2 apples", 18),
        ("1 1/2", Fraction(3, 2)),
        ("-1 1/2", Fraction(-3, 2)),
        ("5 and 1/2", Fraction(11, 2)),
        ("\u00bd", Fraction(1, 2)),
        ("2\u00bd cups", Fraction(5, 2)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"\dfrac{17}{50}", Fraction(17, 50)),
        (r"\tfrac 59", Fraction(5, 9)),
        (r"\frac43", Fraction(4, 3)),
        (r"-\frac{24}{25}", Fraction(-24, 25)),
        (r"\frac{-24}{25}", Fraction(-24, 25)),
        (r"1\frac{4}{5}", Fraction(9, 5)),
        (r"137 \frac{1}{2}", Fraction(275, 2)),
        (r"\frac{270}7\text{ degrees}", Fraction(270, 7)),
        ("50%", 50),
        (r"50\%", 50),
        ("50 percent", 50),
        ("50 per cent of them", 50),
        ("$18", 18),
        (r"\$18", 18),
        ("-$18", -18),
        ("$-18", -18),
        ("US$ 18", 18),
        ("USD 18", 18),
        ("€20", 20),
        ("18€", 18),
        ("18 $", 18),
        ("$18$", 18),
        ("$1,000.50 dollars", Fraction(2001, 2)),
        ("$18.00 per hour", 18),
        ("18 dollars", 18),
        ("18dollars.", 18),
        ("18 (dollars)", 18),
        ("5 million", 5_000_000),
        ("$1.5 billion dollars", 1_500_000_000),
        ("5 m/s", 5),
        ("5 m^2", 5),
        (r"864 \mbox{ inches}^2", 864),
        (r"15\mbox{ cm}^2", 15),
        ("20°", 20),
        ("20 °C", 20),
        (r"90^\circ", 90),
        (r"90^{\circ}", 90),
        ("**18**", 18),
        ("`18`", 18),
        ("**18** apples", 18),
        (r"18\text{ dollars}", 18),
        (r"18 \mathrm{~cm}", 18),
        (r"\text{18}", 18),
        (r"\textbf{18}", 18),
        (r"1{,}234", 1234),
        (r"1\,234", 1234),
        (r"10,\!000", 10_000),
        (r"11,\! 111,\! 111,\! 100", 11_111_111_100),
        (r"\$32,\!348", 32_348),
        ("x = 18", 18),
        ("x=-18", -18),
        ("n_1 = 18 apples", 18),
        ("AB = 18", 18),
        (r"\angle ABC = 30^\circ", 30),
        (r"P(A) = \frac{1}{2}", Fraction(1, 2)),
        ("f(3) = 18", 18),
        (r"\text{Total cost} = \$18", 18),
        ("80 + 150 = 230", 230),
        ("3 x 6 = $18", 18),
        (r"9 \times 2 = 18", 18),
        ("9" * 100, 10**100 - 1),
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
        "--5",
        "-$-5",
        "eighteen",
        "1,23",
        "1234,567",
        "1,234,56",
        "12,3456",
        "1,2,3",
        "17, 18, 19",
        "17 18",
        "1.5.2",
        "1.234.567",
        "3/0",
        "1/2/3",
        "1 3/2",
        "10-5",
        "3 - 4",
        "17-19",
        "5*3",
        "5 * 3",
        "5!",
        "5²",
        "18^2",
        "2^10",
        "10^10^10",
        "2 apples and 3 pears",
        "18 2 apples",
        "18 feet 6 inches",
        "18:30",
        "5 and 6",
        "5 or so",
        "18 nineteen",
        "$5 and $6",
        "x = 18 or x = 19",
        "1 = 18 = 19",
        "x = y = 18",
        "x = 17, y = 18",
        "17 = 18",
        "x != 18",
        "x >= 18",
        r"x \ne 18",
        "5x",
        "5 x",
        "7\u03c0",
        "7 pi",
        r"7\pi",
        "18i",
        "18 +",
        "18?!",
        "\u2248 18",
        "> 18",
        r"\pm 18",
        r"\sqrt{324}",
        r"3\text{ and }4",
        r"1\ 2",
        "5\x00",
        "\ud800",
        "0x10",
        "1_000",
        "NaN",
        "inf",
        "infinity",
        r"\infty",
        "True",
        "None",
        "[18]",
        "18%%",
        "1\u0668",  # digits of two scripts, and characters that look like digits
        "\U0001d7cf\U0001d7d6",
        "l8",
        "1O",
        "1⁸",
        "①⑧",
        "3e5000",
        "1e999",
        "9" * 102,
        "9" * 100_000,
        "1" + ",000" * 100_000,
        " " * 100_000 + "5",
        "5 " + "a" * 300,
    ],
)
def test_anything_else_states_none(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("1,234.00", "1234", True),
        ("0.75", "3/4", True),
        (r"\frac{3}{4}", "0.75", True),
        ("18.0", "18", True),
        ("18.0000001", "18", False),
        ("18.000001", "18", False),
        # floats, as Python prints them
        ("17.999999999999996", "18", True),
        ("0.30000000000000004", "0.3", True),
        ("5.551115123125783e-17", "0", True),
        ("0.09999999997671694", "0.1", True),
        ("1e-9", "0", False),
        ("0.0001", "0", False),
        ("17.9999999", "18", False),
        ("17.999999000000001", "18", False),
        ("1000000000.400000000", "1000000000", False),
        ("1000000000000.0001", "1000000000000", False),
        # a number that has no end as a decimal
        ("0.333333", "1/3", True),
        ("0.666667", "2/3", True),
        ("0.666666", "2/3", True),
        ("0.666668", "2/3", False),
        ("0.66667", "2/3", False),
        ("0.33", "1/3", False),
        ("1/3", "0.3333333333", True),
        ("0.6666666666666666", "0.6666666667", True),
        ("0.7500001", "3/4", False),
        ("3.33", "3.333333", False),
        # integers, however large
        ("123456789012345678901234567891", "123456789012345678901234567890", False),
        ("1.2345678901234568e+29", "123456789012345678901234567890", False),
        ("1e+22", "1" + "0" * 22, True),
        # per cent
        ("50%", "50", True),
        ("50", "50%", True),
        ("50%", "0.5", True),
        ("50%", "1/2", True),
        ("0.5", "50%", True),
        ("0.5", "50", False),
        ("5000%", "50", False),
        ("5000%", "50%", False),
        ("0.5%", "50", False),
        ("12.5%", "12.5", True),
        ("1800%", "18", False),
        ("0.18", "18", False),
        ("33.3333%", "1/3", True),
        ("-18", "18", False),
        ("\u221218", "-18", True),
    ],
)
def test_same_number(answer: str, gold: str, equal: bool) -> None:
    assert same(answer, gold) is equal


@given(st.integers(-(10**39), 10**39))
def test_integers_are_read_plain_and_grouped(number: int) -> None:
    grouped = f"{number:,}"
    for text in (grouped, grouped.replace(",", " "), grouped.replace(",", r",\!"), f"${number}$"):
        assert parse_number(text) == parse_number(str(number)) == number


@given(st.integers(-(10**60), 10**60), st.integers(1, 10**6))
def test_integers_that_differ_are_never_the_same(number: int, difference: int) -> None:
    assert not same(str(number + difference), str(number))
    assert not same(f"{number + difference}.0", str(number))
    assert not same(f"{number + difference:,} dollars", f"{number:,}")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=0, max_value=10**9))
def test_decimals_are_read_exactly(number: Decimal) -> None:
    assert parse_number(f"{number:f}") == Fraction(number)
    assert parse_number(f"-{number:f} dollars") == -Fraction(number)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e90, max_value=1e90))
def test_floats_are_read_as_they_are_printed(number: float) -> None:
    assert parse_number(repr(number)) == Fraction(repr(number))
    assert same(repr(number), repr(number))


@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=1000))
def test_a_float_that_was_calculated_is_the_fraction_it_stands_for(number: Fraction) -> None:
    gold = f"{number.numerator}/{number.denominator}"
    assert same(repr(number.numerator / number.denominator), gold)
    assert same(repr(number.numerator / 7 * 7 / number.denominator), gold)
    assert not same(repr(float(number) + 1e-4), gold)
    assert same(rf"\frac{{{number.numerator}}}{{{number.denominator}}}", gold)


@given(st.integers(0, 10**6), st.integers(1, 99), st.integers(2, 99))
def test_mixed_numbers(whole: int, over: int, under: int) -> None:
    value = parse_number(f"{whole} {over}/{under}")
    assert value == (whole + Fraction(over, under) if over < under else None)


@given(st.integers(1, 10**9), st.integers(2, 1000))
def test_no_multiple_passes_for_the_number(number: int, factor: int) -> None:
    assert not same(str(number * factor), str(number))
    assert not same(f"{number * factor}%", str(number))
    assert not same(repr(number / factor), str(number))


@given(st.text())
def test_any_text_is_a_number_or_none(text: str) -> None:
    assert parse_number(text) is None or isinstance(parse_number(text), Fraction)


@given(st.text(alphabet="0123456789,./-+eE$%\\{}* abx^=()\u2212", max_size=30))
def test_any_jumble_of_marks_is_a_number_or_none(text: str) -> None:
    assert parse_number(text) is None or isinstance(parse_number(text), Fraction)
