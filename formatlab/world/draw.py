"""Numbers and choices: those that `Random` draws, in about half of its time.

A world draws the numbers of five to ten problems before one belongs to a small split, so most of
its time goes into drawing numbers.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

Bits = Callable[[int], int]
"""`Random.getrandbits`: a number of so many bits."""

_Option = TypeVar("_Option")


def below(bits: Bits, count: int) -> int:
    """The number from 0 to `count` - 1 that `Random.randrange(count)` draws."""
    width = count.bit_length()
    number = bits(width)
    while number >= count:
        number = bits(width)
    return number


def one_of(bits: Bits, options: Sequence[_Option]) -> _Option:
    """What `Random.choice(options)` chooses."""
    return options[below(bits, len(options))]
