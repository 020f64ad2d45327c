"""How fast the world makes problems and documents, beside the lab as it was."""

import time
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Literal

from benchmarks.turns import Row, in_process
from formatlab.world.four_formats import FOUR_FORMATS

Made = Literal["problems", "documents"]


def world_rows(rounds: int, former: Path | None, *, seconds: float = 2.0) -> list[Row]:
    """Problems and documents of the four formats a second of processor time.

    Args:
        rounds: turns of each contender.
        former: a checkout of the lab as it was.
        seconds: for which a turn makes them.
    """
    contenders = {"lab": None} | ({"former lab": former} if former else {})
    rates: dict[tuple[Made, str], list[float]] = defaultdict(list)
    for number in range(rounds):
        for what in ("problems", "documents"):
            for who, checkout in contenders.items():
                found: float = in_process(rate, {"what": what, "seconds": seconds}, checkout)
                rates[what, who].append(found)
                print(f"{what}, round {number + 1}, {who}: {found:,.0f} a second", flush=True)
    return [
        Row(what=what, who=who, values=values, more_is_better=True)
        for (what, who), values in rates.items()
    ]


def rate(*, what: Made, seconds: float) -> float:
    """What a process makes a second, from its first one on; each is another one."""
    world = FOUR_FORMATS
    start = time.process_time()
    for index in count():
        if what == "problems":
            world.problem("rl", index)
        else:
            world.document(index)
        taken = time.process_time() - start
        if taken >= seconds:
            return (index + 1) / taken
    raise AssertionError("indices do not end")
