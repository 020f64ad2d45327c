"""Numbers and names for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.show.wording import (
    epoch_text,
    fraction_text,
    interval_text,
    mixture_text,
    model_text,
    name_text,
    parameters_text,
    percent_text,
    shortened_text,
    visible_text,
)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (512, "512"),
        (50_304, "0.05M"),
        (152_064, "0.15M"),
        (812_345, "0.81M"),
        (4_300_000, "4.3M"),
        (9_960_000, "9.96M"),
        (14_200_000, "14.2M"),
        (134_515_008, "135M"),
        (999_900_000, "1B"),
        (1_543_714_304, "1.54B"),
    ],
)
def test_parameters(parameters: int, text: str) -> None:
    assert parameters_text(parameters) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.001, "<1%"), (0.006, "1%"), (0.494, "49%"), (0.999, ">99%"), (1, "100%")],
)
def test_percent(share: float, text: str) -> None:
    assert percent_text(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, ".00"), (0.704, ".70"), (0.999, "1.00"), (1.0, "1.00")]
)
def test_fraction(value: float | None, text: str) -> None:
    assert fraction_text(value) == text


@pytest.mark.parametrize(("epoch", "text"), [(0.0, "base"), (0.125, "0.125"), (2.0, "2")])
def test_epoch(epoch: float, text: str) -> None:
    assert epoch_text(epoch) == text


def test_interval() -> None:
    assert interval_text(0.321, 0.27, 0.37) == "32 [27, 37]"
    assert interval_text(0.02, -0.03, 0.08) == "2 [-3, 8]"
    assert interval_text(1.0, None, None) == "100 [no interval]"


def test_mixture() -> None:
    assert mixture_text({"prose": 0.35, "tool": 0.15, "program": 0.5}) == (
        "program 50%, prose 35%, tool 15%"
    )
    assert mixture_text({}) == "none"


def test_names_stay_on_one_short_line() -> None:
    assert name_text("a\n b\tc") == "a b c"
    assert name_text("abcdefghij", 5) == "abc…ij"
    assert model_text("HuggingFaceTB/SmolLM2-135M-Instruct") == "SmolLM2-135M-Instruct"
    assert model_text("models/mine/") == "mine"
    assert model_text("/") == "/"


def test_long_texts_lose_their_middle() -> None:
    text = "A" * 50 + "B" * 50
    assert shortened_text(text, 100) == text
    assert shortened_text(text, 10) == "AAAAA … [90 characters left out] … BBBBB"


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("tab\tand\nnewline", "tab\tand\nnewline"),
        ("a\x00b\rc\x1b[31m", "a␀b␍c␛[31m"),
        ("\x7f\x85", "␡⟨U+0085⟩"),
        ("\u202eevil\u2066", "⟨U+202E⟩evil⟨U+2066⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("é 数 👩\u200d🔬", "é 数 👩\u200d🔬"),
    ],
)
def test_control_characters_are_seen(text: str, visible: str) -> None:
    assert visible_text(text) == visible


@given(st.text())
def test_visible_text_can_always_be_written(text: str) -> None:
    visible_text(text).encode("utf-8")
