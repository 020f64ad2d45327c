"""A seed range: the seeds of an arm in short, as `s0-s4` or `s0.1-s1.2`."""

import re
from collections.abc import Iterable, Sequence
from itertools import product

_SEEDS = re.compile(r"(?:w(\d+))?(?:s(\d+))?(?:\.(\d+))?")
_MOST_NAMED = 4


def seed_range(seeds: Iterable[str]) -> str:
    """The first and the last of seeds that leave none out between; else each, or their number.

    Args:
        seeds: as labels write them, see `task.SEEDS`; `w1` of a world alone.
    """
    numbers = {word: _numbers(word) for word in seeds}
    in_order = sorted(numbers, key=lambda word: numbers[word])
    if len(in_order) > 1 and _is_range([numbers[word] for word in in_order]):
        return f"{in_order[0]}-{in_order[-1]}"
    if len(in_order) <= _MOST_NAMED:
        return ", ".join(in_order)
    return f"{len(in_order)} seeds"


def _numbers(word: str) -> tuple[int, int, int]:
    """World, initialisation, and sampling, which is as the initialisation where none is told."""
    match = _SEEDS.fullmatch(word)
    assert match is not None, word
    world, own, sampling = match.groups()
    return int(world or 0), int(own or 0), int(sampling or own or 0)


def _is_range(numbers: Sequence[tuple[int, int, int]]) -> bool:
    """Whether they are all combinations of seeds in a row."""
    if all(sampling == own for _, own, sampling in numbers):
        numbers = [(world, own, 0) for world, own, _ in numbers]
    axes = [sorted(set(axis)) for axis in zip(*numbers, strict=True)]
    in_a_row = all(axis == list(range(axis[0], axis[-1] + 1)) for axis in axes)
    return in_a_row and list(product(*axes)) == list(numbers)
