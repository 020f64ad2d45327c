"""Alarms: early warning, from the shares of the steps so far, that one format will take over.

An alarm goes off once in a run, at the first step at which its signal passes its threshold. It
looks at lines of `metrics.jsonl` alone, so a resumed run raises the same alarm as one that was not
interrupted.
`formatlab.measure.alarms` measures how long before a collapse alarms go off, and how often in vain.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from formatlab.errors import InputError

COLLAPSE_AHEAD: Final = "collapse_ahead"
"""Kind of the event under `events` in the line of the step at which an alarm goes off."""

SLOPE_STEPS = 8
"""Steps, the last ones, that a slope is fitted to: with 512 rollouts a step its standard error is
then at most 0.35 points of share a step."""
SLOPE_LEAST = 4
"""Fewest steps that a slope is fitted to."""

Lines = Sequence[Mapping[str, Any]]
"""Lines with `step` and `share` (format -> share of the step's rollouts), in order; lines without
shares tell nothing."""


def leader(line: Mapping[str, Any]) -> str | None:
    """The format with the largest share at a step, first by name if equal; None without shares."""
    share: Mapping[str, float] = line.get("share") or {}
    return max(sorted(share), key=lambda tag: share[tag], default=None)


def share_slope(lines: Lines) -> float | None:
    """Least-squares slope of the leader's share over the last `SLOPE_STEPS` steps, a step.

    The leader is that of the last step. None with fewer than `SLOPE_LEAST` steps.
    """
    first = leader(lines[-1])
    points = [
        (line["step"], line["share"].get(first, 0.0))
        for line in lines[-SLOPE_STEPS:]
        if line.get("share")
    ]
    if first is None or len(points) < SLOPE_LEAST:
        return None
    middle = sum(step for step, _ in points) / len(points)
    spread = sum((step - middle) ** 2 for step, _ in points)
    return sum((step - middle) * share for step, share in points) / spread if spread else None


def leader_share(lines: Lines) -> float | None:
    """The largest share at the last step."""
    first = leader(lines[-1])
    return None if first is None else lines[-1]["share"][first]


def format_entropy(lines: Lines) -> float | None:
    """H(F) of the last step, plug-in, in nats."""
    share = lines[-1].get("share")
    return -sum(p * math.log(p) for p in share.values() if p > 0) if share else None


SHARE_SIGNALS: Mapping[str, Callable[[Lines], float | None]] = {
    "share_slope": share_slope,
    "leader_share": leader_share,
    "format_entropy": format_entropy,
}
"""Signals that the shares alone give, of at least one line; None where there is none yet."""

FALLING = frozenset({"format_entropy", "format_entropy_given_prompt", "token_entropy"})
"""Signals that fall before a collapse: they warn at or below a threshold, others at or above it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """Warns that one format will take over.

    The defaults are those that separate best, in the lab's own runs, those that collapse from
    others (`docs/findings.md`). How fast shares move goes with the learning rate, so fit the
    threshold to runs like your own: `formatlab alarms RUNS`.
    """

    signal: str = "share_slope"
    """One of `SHARE_SIGNALS`."""
    threshold: float = 0.029
    """Value at which it goes off; of a slope, share a step."""

    def __post_init__(self) -> None:
        """Refuse what cannot be watched.

        Raises:
            InputError: an unknown signal, or a threshold that is no finite number.
        """
        if self.signal not in SHARE_SIGNALS:
            raise InputError(
                f"Alarm: unknown signal {self.signal!r}; known signals: {', '.join(SHARE_SIGNALS)}"
            )
        if not isinstance(self.threshold, int | float) or not math.isfinite(self.threshold):
            raise InputError(f"Alarm: threshold is {self.threshold!r}; give a finite number")

    def message(self, lines: Lines) -> str | None:
        """What to tell people if it goes off at the last line; None if not, or if it did before."""
        value = SHARE_SIGNALS[self.signal](lines)
        if value is None or not self._passes(value) or alarm_step(lines[:-1]) is not None:
            return None
        first = leader(lines[-1])
        what = {
            "share_slope": f"the share of {first} rises by {100 * value:.1f} points a step "
            f"(alarm at {100 * self.threshold:.1f})",
            "leader_share": f"{first} has {value:.0%} of the rollouts "
            f"(alarm at {self.threshold:.0%})",
            "format_entropy": f"the entropy of the formats is {value:.2f} nats "
            f"(alarm at {self.threshold:.2f})",
        }[self.signal]
        return (
            f"One format may take over: at step {lines[-1]['step']} {what}. To keep the others, "
            "try a lower learning rate, a KL coefficient, or a bonus for exploration."
        )

    def _passes(self, value: float) -> bool:
        falls = self.signal in FALLING
        return value <= self.threshold if falls else value >= self.threshold


def alarm_step(lines: Lines) -> int | None:
    """The step at which an alarm went off; None where none did."""
    for line in lines:
        if any(event.get("kind") == COLLAPSE_AHEAD for event in line.get("events") or ()):
            return line["step"]
    return None
