"""Health: problems of training, and early warning, found in the lines of metrics.jsonl.

Events are computed from the lines alone, so a resumed run reports the same events as one that was
not interrupted. Each event is reported at the step at which it begins, and again only after it has
ended; that one format may take over is reported once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from formatlab.store.alarm import COLLAPSE_AHEAD, Alarm

Kind = Literal[
    "not_finite", "exploding", "no_reward", "entropy_gone", "truncation", "collapse_ahead"
]

Lines = Sequence[Mapping[str, Any]]
"""The lines of metrics.jsonl so far; the last one is of the step just finished."""

EXPLODING = 10.0
"""A loss or gradient norm explodes at this multiple of its running median. In healthy runs of 16
and of 128 rollouts a step no norm reached 3 times the median; a tenfold value is no accident of a
batch. Spikes move the mean, but not the median."""
EXPLODING_FROM = 1.0
"""Values up to this one never count as exploding. The loss of a policy is a difference near 0,
whose median says nothing about its size; a gradient of norm 1 or less is not even clipped by
default."""
EXPLODING_WINDOW = 32
"""Earlier steps that the median is taken over: few enough to follow the course of training."""
EXPLODING_LEAST = 8
"""Fewest steps with a value for a median; the first steps of a warm-up tell too little."""
EXPLODING_OVER = 8
"""Steps in a row without a spike after which the next spike is reported again."""

NO_REWARD = 8
"""Steps in a row without reward that are reported. With 512 rollouts a step, a policy that is right
once in a thousand has such a step more often than not, and eight in a row once in sixty times."""

ENTROPY_SHARE = 0.01
"""Share of the first step's entropy below which entropy is gone: too little is left to sample again
what the policy did before."""
ENTROPY_FLOOR = 1e-3
"""Entropy in nats a token below which it is gone in any case. At 64 tokens a completion that is
0.06 nats: one completion in a hundred differs from the rest, and nine in ten groups of eight are
eight times the same text, with no advantage among them."""
ENTROPY_OVER = 2.0
"""Entropy is back at this multiple of the threshold, so that values near it are reported once."""

TRUNCATION = 0.5
"""Share of the rollouts cut at the length limit above which the limit, and no longer the policy,
decides most rewards."""
TRUNCATION_OVER = 0.4
"""Share below which truncation is over, so that values near the threshold are reported once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A problem that begins, or a warning of one."""

    kind: Kind
    message: str
    """What happened, at which step, and what to try."""
    fatal: bool = False
    """Whether training cannot go on from here."""

    @property
    def record(self) -> dict[str, str]:
        """The event as written under `events` in a line of metrics.jsonl."""
        return {"kind": self.kind, "message": self.message}


def note_events(lines: Sequence[dict[str, Any]], *, rewarded: bool) -> str | None:
    """Add to the last line the events that begin with it.

    Args:
        lines: all lines so far; the last one is changed.
        rewarded: see `step_events`.

    Returns:
        Why training cannot go on; None where it can.
    """
    line, events = lines[-1], step_events(lines, rewarded=rewarded)
    if events:
        line["events"] = [*line.get("events", []), *(event.record for event in events)]
    return next((event.message for event in events if event.fatal), None)


def step_events(lines: Lines, *, rewarded: bool = True) -> list[Event]:
    """The events that begin at the last of the lines; keys that are missing or null are ignored.

    Args:
        lines: in the last one, numbers that are not finite must still be numbers; the file has null
            for them.
        rewarded: whether rollouts are ever paid; if not, steps without reward are no problem.
    """
    if not lines:
        return []
    found = [_not_finite(lines), _exploding(lines), _entropy_gone(lines), _truncation(lines)]
    found.append(alarm_event(lines, Alarm()))
    if rewarded:
        found.append(_no_reward(lines))
    return [event for event in found if event is not None]


def alarm_event(lines: Lines, alarm: Alarm) -> Event | None:
    """The event of an alarm that goes off at the last of the lines; it does so once in a run."""
    message = alarm.message(lines)
    return None if message is None else Event(kind=COLLAPSE_AHEAD, message=message)


def _not_finite(lines: Lines) -> Event | None:
    broken = _broken(lines[-1])
    if not broken or (len(lines) > 1 and _broken(lines[-2])):
        return None
    verb = "are" if len(broken) > 1 else "is"
    return Event(
        kind="not_finite",
        message=(
            f"The {' and the '.join(broken)} {verb} not finite at step {_step(lines)}, and after "
            "such an update neither are the weights. Start again with a "
            "lower learning rate, or in float32."
        ),
        fatal=True,
    )


def _broken(line: Mapping[str, Any]) -> list[str]:
    values = {words: line.get(key) for key, words in _WATCHED.items()}
    return [
        words
        for words, value in values.items()
        if isinstance(value, int | float) and not math.isfinite(value)
    ]


_WATCHED = {"loss": "loss", "grad_norm": "gradient norm"}


def _exploding(lines: Lines) -> Event | None:
    last = len(lines) - 1
    spikes = _spikes(lines, last)
    before = range(max(last - EXPLODING_OVER, 0), last)
    if not spikes or any(_spikes(lines, index) for index in before):
        return None
    return Event(
        kind="exploding",
        message=(
            f"At step {_step(lines)} {' and '.join(spikes)}. Try a lower learning rate, a longer "
            "warm-up or more rollouts an update."
        ),
    )


def _spikes(lines: Lines, index: int) -> list[str]:
    """The values far above their running medians at a step, in words."""
    found = []
    for key, words in _WATCHED.items():
        value = _number(lines[index], key)
        window = lines[max(index - EXPLODING_WINDOW, 0) : index]
        # Steps without any gradient, as where all rewards are equal, do not count.
        earlier = [abs(v) for line in window if (v := _number(line, key))]
        if value is None or len(earlier) < EXPLODING_LEAST:
            continue
        usual = median(earlier)
        if abs(value) > max(EXPLODING * usual, EXPLODING_FROM):
            found.append(
                f"the {words} is {value:.3g}, against {usual:.3g} in the median of the "
                f"{len(earlier)} steps before"
            )
    return found


def _no_reward(lines: Lines) -> Event | None:
    unpaid = [_number(line, "reward") == 0 for line in lines[-NO_REWARD - 1 :]]
    longer = len(unpaid) > NO_REWARD and unpaid[0]
    if len(unpaid) < NO_REWARD or not all(unpaid[-NO_REWARD:]) or longer:
        return None
    return Event(
        kind="no_reward",
        message=(
            f"No rollout was paid in the {NO_REWARD} steps up to step {_step(lines)}, so there is "
            "nothing to learn from. Try a base that was trained longer, easier problems, or more "
            "rollouts a prompt."
        ),
    )


def _entropy_gone(lines: Lines) -> Event | None:
    first = next((v for line in lines if (v := _number(line, "entropy")) is not None), None)
    if first is None:
        return None
    least = max(ENTROPY_SHARE * first, ENTROPY_FLOOR)
    if not _begins(
        lines, "entropy", lambda value: value < least, lambda value: value > ENTROPY_OVER * least
    ):
        return None
    return Event(
        kind="entropy_gone",
        message=(
            f"Entropy is down to {_number(lines[-1], 'entropy'):.2g} nats a token at step "
            f"{_step(lines)}, from {first:.2g} at the first step: the completions of a prompt are "
            "all but equal, and comparing them teaches nothing. Try a higher temperature, an "
            "entropy or KL coefficient, or a lower learning rate."
        ),
    )


def _truncation(lines: Lines) -> Event | None:
    if not _begins(
        lines,
        "truncated",
        lambda value: value > TRUNCATION,
        lambda value: value < TRUNCATION_OVER,
    ):
        return None
    return Event(
        kind="truncation",
        message=(
            f"{_number(lines[-1], 'truncated'):.0%} of the rollouts were cut at the length limit "
            f"at step {_step(lines)}; what is cut is seldom right, so the limit decides the "
            "reward. Try a larger completion_length, or see in the rollouts whether they loop."
        ),
    )


def _begins(
    lines: Lines, key: str, begins: Callable[[float], bool], ends: Callable[[float], bool]
) -> bool:
    """Whether a state, which begins at one value and ends at another, begins at the last line."""
    lasts = lasted = False
    for line in lines:
        lasted = lasts
        value = _number(line, key)
        if value is not None:
            lasts = not ends(value) if lasts else begins(value)
    return lasts and not lasted


def _number(line: Mapping[str, Any], key: str) -> float | None:
    """A finite number of a line; None where there is none."""
    value = line.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _step(lines: Lines) -> int:
    return lines[-1].get("step", len(lines) - 1)
