"""Wording: how people read numbers, and names and texts that others wrote."""

import re
import textwrap
import unicodedata
from collections.abc import Mapping

_CONTROL_PICTURES = 0x2400


def parameters_text(parameters: int) -> str:
    """Return a parameter count as people write it: 152_064 -> `0.15M`, 134_515_008 -> `135M`."""
    if parameters >= 999_500_000:
        return f"{parameters / 1e9:.3g}B"
    if parameters >= 9_950_000:
        return f"{parameters / 1e6:.3g}M"
    if parameters >= 9_500:
        return f"{parameters / 1e6:.2g}M"
    return str(parameters)


def percent_text(share: float) -> str:
    """Return a share in whole percent, never rounded to 0% or 100%."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{100 * share:.0f}%"


def fraction_text(value: float | None) -> str:
    """Return an accuracy with two decimals and no leading zero, `-` where there is none."""
    if value is None:
        return "-"
    text = f"{value:.2f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def duration_text(seconds: float | None) -> str:
    """Return a time in seconds as `m:ss` or `h:mm:ss`; `--` while it is unknown."""
    if seconds is None:
        return "--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def epoch_text(epoch: float) -> str:
    """Return an epoch without needless decimals; `base` for 0."""
    return "base" if epoch == 0 else f"{epoch:g}"


def pretraining_text(after: float) -> str:
    """Return how much of its pretraining a base has seen: `after 25% of pretraining`."""
    return f"after {100 * after:.6g}% of pretraining"


def interval_text(middle: float, low: float | None, high: float | None) -> str:
    """Return a margin in percentage points with its interval: `32 [27, 37]`."""
    # Rounded to an integer, which has no -0.
    if low is None or high is None:
        return f"{round(100 * middle)} [no interval]"
    return f"{round(100 * middle)} [{round(100 * low)}, {round(100 * high)}]"


def mixture_text(mixture: Mapping[str, float]) -> str:
    """Return a mixture in one line, largest share first."""
    parts = sorted(mixture.items(), key=lambda part: (-part[1], part[0]))
    return ", ".join(f"{name_text(name)} {percent_text(share)}" for name, share in parts) or "none"


def name_text(name: str, width: int = 28) -> str:
    """Return a name on one line, the middle cut if it is too long."""
    return shortened_text(visible_text(" ".join(name.split())), width, mark="…")


def wrapped_text(text: str, width: int) -> str:
    """Return words on lines of a width; a number stays on the line of the word before it."""
    # `textwrap` breaks at ordinary spaces only.
    return textwrap.fill(re.sub(r"(?<=[A-Za-z]) (?=[\d.])", "\u00a0", text), width)


def model_text(name: str, width: int = 24) -> str:
    """Return the name of a model: the last part of a hub id or a path."""
    return name_text(name.rstrip("/").rsplit("/", 1)[-1] or name, width)


def visible_text(text: str) -> str:
    """Return text whose control characters are visible and have no effect.

    C0 controls but tab and newline become their Unicode pictures; other controls, bidirectional
    overrides and lone surrogates become their code point in angle brackets.
    """
    return "".join(map(_visible, text))


def shortened_text(text: str, width: int, *, mark: str | None = None) -> str:
    """Return text of at most about `width` characters, the middle left out.

    The end of a completion holds its answer and the end of a prompt its question.

    Args:
        text: any text.
        width: characters to keep.
        mark: replaces the characters left out; by default it says how many.
    """
    if len(text) <= width:
        return text
    head, tail = text[: (width + 1) // 2], text[len(text) - width // 2 :]
    return head + (mark or f" … [{len(text) - width:,} characters left out] … ") + tail


def _visible(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character != "\u200d":
        return f"⟨U+{code:04X}⟩"
    return character
