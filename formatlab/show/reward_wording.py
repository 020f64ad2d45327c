"""The reward in words: any but correctness is named wherever its runs are.

A reward without signal (random, or none) says nothing of which format is right. What moves under
it is drift, and is not called a collapse, an attractor or a winner's win.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from formatlab.show.wording import visible_text

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
