"""How long it takes to tag and grade rollouts of the world: `python -m benchmarks.grading_speed`.

The rollouts are documents of the four formats, of which one in ten is broken as those of a small
base are: cut off, with characters lost or put in, or begun as one text and ended as another. Every
text is tagged and graded by itself, though a reward grades a text that its batch repeats only once.
Prints seconds for a million by the processor time of all processes, which other work on the machine
disturbs least, and by the clock; and microseconds a rollout of every format.
"""

import argparse
import multiprocessing
import resource
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from formatlab.observe.grader import grade
from formatlab.observe.sandbox import Sandbox
from formatlab.world.cores import available_cores
from formatlab.world.four_formats import FOUR_FORMATS

BROKEN = 0.1
"""Share of broken rollouts: a base of 0.13M parameters, of 3 million tokens, has 6%, one of 0.04M
11%."""
_STRAY = "0123456789()+-*/ =\n.<>{}\\$abc:,"


@dataclass(frozen=True, kw_only=True)
class WorldRollout:
    """A text as a policy might write it."""

    kind: str
    """Its format, or `broken`."""
    text: str
    gold: str


@dataclass(frozen=True, kw_only=True)
class GradingSpeed:
    """What a million rollouts take."""

    processor: float
    """Seconds on so many idle cores: processor time by the number of processes."""
    clock: float
    """Seconds that passed."""
    of_kind: dict[str, float]
    """Microseconds of processor time a rollout, by format, without those of the sandbox."""


def world_rollouts(count: int) -> list[WorldRollout]:
    """Rollouts of the four formats, the same ones every time."""
    random = Random(0)
    made: list[WorldRollout] = []
    before = "The answer is 5."
    for index in range(count):
        kind, problem, text = FOUR_FORMATS.document(index)
        whole = text
        if random.random() < BROKEN:
            kind, text = "broken", _broken(text, before, random)
        made.append(WorldRollout(kind=kind, text=text, gold=problem.answer))
        before = whole
    return made


def grading_speed(count: int = 40_000, *, processes: int = 2) -> GradingSpeed:
    """Tag and grade rollouts of the world in several processes at once.

    Args:
        count: rollouts of all processes together.
        processes: how many share them.
    """
    rollouts = world_rollouts(count)
    parts = [rollouts[number::processes] for number in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        turns = pool.map(_graded, parts, chunksize=1)
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for turn in turns:
        for kind, seconds in turn.seconds:
            spent[kind].append(seconds)
    million = 1_000_000 / count
    return GradingSpeed(
        processor=million * sum(turn.processor for turn in turns) / processes,
        clock=million * max(turn.clock for turn in turns),
        of_kind={kind: 1e6 * sum(each) / len(each) for kind, each in sorted(spent.items())},
    )


@dataclass(frozen=True, kw_only=True)
class _Turn:
    """What one process took for its part."""

    processor: float
    """Seconds of its own and of its interpreters."""
    clock: float
    seconds: list[tuple[str, float]]
    """Kind and seconds of every rollout."""


def _graded(rollouts: Sequence[WorldRollout]) -> _Turn:
    sandbox = Sandbox()
    grade("def f():\n    return int(5)", "5", sandbox=sandbox)
    seconds: list[tuple[str, float]] = []
    began, clock = _processor(), time.perf_counter()
    for rollout in rollouts:
        start = time.process_time()
        grade(rollout.text, rollout.gold, sandbox=sandbox, truncated=False)
        seconds.append((rollout.kind, time.process_time() - start))
    clock = time.perf_counter() - clock
    sandbox.close()
    return _Turn(processor=_processor() - began, clock=clock, seconds=seconds)


def _processor() -> float:
    """Processor seconds of this process and of children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _broken(text: str, other: str, random: Random) -> str:
    at = random.randrange(1, len(text))
    match random.randrange(4):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + text[at + random.randrange(1, 4) :]
        case 2:
            return text[:at] + random.choice(_STRAY) + text[at:]
        case _:
            return text[:at] + other[random.randrange(len(other)) :]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=40_000, help="rollouts to grade")
    parser.add_argument("--processes", type=int, default=min(2, available_cores()))
    options = parser.parse_args()
    speed = grading_speed(options.rollouts, processes=options.processes)
    print(
        f"a million rollouts on {options.processes} cores: {speed.processor:.1f} s of processor "
        f"time each, {speed.clock:.1f} s by the clock (n = {options.rollouts:,})"
    )
    for kind, microseconds in speed.of_kind.items():
        print(f"{kind:<12}{microseconds:8.1f} us a rollout")


if __name__ == "__main__":
    main()
