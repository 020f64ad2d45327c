"""How texts write numbers: signs and groups."""

import pytest
import regex

from formatlab.world.formats.limits import NUMBER, QUANTITY


@pytest.mark.parametrize("sign", "-\u2212\u2010\u2011\u2012\u2013\u2014\uff0d\ufe63")
@pytest.mark.parametrize("number", ["5", "$5", r"\$5", "1,234.5", "9\u202f500"])
def test_a_dash_before_a_number_belongs_to_it(sign: str, number: str) -> None:
    found = regex.search(NUMBER, f"It is {sign}{number} then.")
    assert found is not None and found[0] == f"{sign}{number}"


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("9 500 dollars", "9 500"),
        ("9 500.", "9 500"),
        ("12 345 678", "12 345 678"),
        ("9 5000", "9"),
        ("17 18", "17"),
        ("5 1000", "5"),
        ("1 1/2 cups", "1 1/2"),
        (r"- \$5", r"- \$5"),
        ("+5", "+5"),
        ("50 %", "50 %"),
    ],
)
def test_a_quantity_where_an_answer_stands(text: str, quantity: str | None) -> None:
    found = regex.match(QUANTITY, text)
    assert (found[0] if found else None) == quantity
