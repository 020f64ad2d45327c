"""Wording: how numbers and names that are not ours are written for people.

The reward in words: any but correctness is named wherever its runs are.

A reward without signal (random, or none) says nothing of which format is right. What moves under
it is drift, and is not called a collapse, an attractor or a winner's win.
"""

import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

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
    """Return a share in whole percent; what is not quite none or all is not rounded to it."""
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


def epoch_text(epoch: float) -> str:
    """Return an epoch without needless decimals; the base by its name."""
    return "base" if epoch == 0 else f"{epoch:g}"


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
    """Return words on lines of a width, numbers on one line with the word that they follow."""
    # Only ordinary spaces are places to break; the no-break ones stay.
    return textwrap.fill(re.sub(r"(?<=[A-Za-z]) (?=[\d.])", "\u00a0", text), width)


def model_text(name: str, width: int = 24) -> str:
    """Return the name of a model: a hub id or path without what comes before the last slash."""
    return name_text(name.rstrip("/").rsplit("/", 1)[-1] or name, width)


def visible_text(text: str) -> str:
    """Return text in which control characters are seen and can neither act nor reorder it.

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
        mark: what stands for the characters left out; by default it says how many.
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


CORRECTNESS = "correctness"
"""The default, and the only reward that need not be named."""

_WITHOUT_SIGNAL = ("random", "none")


def reward_name(config: Mapping[str, Any]) -> str:
    """Return the name of the reward in a run's configuration; early ones have correctness only."""
    name = config.get("reward") or CORRECTNESS
    if isinstance(name, list):  # of a recorded trainer, which may have several
        name = " + ".join(map(str, name))
    return visible_text(" ".join(str(name).split()))


def has_signal(reward: str) -> bool:
    """Return whether a reward depends on what the rollout says. An inverted one does."""
    return reward not in _WITHOUT_SIGNAL


def reward_text(reward: str) -> str:
    """Return a reward in words without a comma: `random reward`, `no reward`.

    Errors of a verifier follow the kind in its name, and are told after it: `correctness reward
    with program false positives 20%`.
    """
    kind, *errors = reward.split(", ")
    text = "no reward" if kind == "none" else f"{kind} reward"
    return f"{text} with {' and '.join(errors)}" if errors else text


def with_reward(words: str, reward: str) -> str:
    """Return the words of an arm, separated by commas, with its reward among them.

    Where the words name it already, though shorter (`random`), it is not repeated.
    """
    text = reward_text(reward)
    listed = f", {words}, "
    for known in (text, reward, f"{reward} reward", f"reward {reward}"):
        if f", {known}, " in listed:
            return listed.replace(f", {known}, ", f", {text}, ", 1)[2:-2]
    return f"{words}, {text}" if words else text


def titled(title: str, rewards: Sequence[str]) -> str:
    """Return a figure's title, with the reward if it is one alone and not correctness.

    Where there are several, the figure's panels, columns or lines are named by arm.
    """
    if len(set(rewards)) == 1 and rewards[0] != CORRECTNESS:
        return f"{title} ({reward_text(rewards[0])})"
    return title


def rewards_sentence(rewards: Sequence[str]) -> str:
    """Return what rewarded the runs, as a sentence; nothing if it was correctness alone."""
    names = list(dict.fromkeys(rewards))
    if names == [CORRECTNESS] or not names:
        return ""
    texts = [reward_text(name) for name in names]
    silent = [reward_text(name) for name in names if not has_signal(name)]
    sentence = f"Trained with {', '.join(texts)}."
    if silent:
        sentence += (
            f" Nothing in {' and '.join(silent)} depends on what is written: what moves there is "
            "drift, not collapse."
        )
    return sentence
