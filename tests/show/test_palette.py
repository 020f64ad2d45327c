"""The palette."""

import subprocess
import sys
from itertools import combinations

import pytest

from formatlab.show.palette import format_order, format_style, ink_on

KNOWN = (
    *("program", "tool_tags", "prose", "latex", "json", "direct", "none"),
    *("script", "code_tags", "code_fenced"),
)


def test_no_two_formats_share_a_colour_or_a_marker() -> None:
    for one, other in combinations(map(format_style, KNOWN), 2):
        assert one.colour != other.colour
        assert one.marker != other.marker


def test_a_new_format_has_the_same_style_in_every_process() -> None:
    code = "from formatlab.show.palette import format_style; print(format_style('haiku').colour)"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {format_style("haiku").colour}


def test_a_new_format_does_not_look_like_a_known_one() -> None:
    taken = {format_style(tag).colour for tag in KNOWN}
    assert not taken & {format_style(f"format{i}").colour for i in range(100)}


def test_order_is_fixed_with_unrecognised_output_last() -> None:
    assert format_order({"none", "zebra", "prose", "apple", "program", "script"}) == [
        *("program", "prose", "script", "apple", "zebra", "none")
    ]


@pytest.mark.parametrize(
    ("colour", "ink"),
    [("#000000", "#ffffff"), ("#ffffff", "#000000"), ("#0072B2", "#ffffff")],
)
def test_ink_is_what_reads_better(colour: str, ink: str) -> None:
    assert ink_on(colour) == ink
