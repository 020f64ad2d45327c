"""The families of word problems, one file each."""

from collections.abc import Callable
from random import Random

from formatlab.world.families.chain import chain
from formatlab.world.families.comparison import comparison
from formatlab.world.families.pair import pair
from formatlab.world.families.percent import percent
from formatlab.world.families.price import price
from formatlab.world.families.sharing import sharing
from formatlab.world.problem import Problem

Family = Callable[[Random, int, int], Problem]
"""Draws a problem from (random numbers, number of steps wanted, largest operand).

A family whose stories cannot have that many steps gives the nearest number it can.
"""

FAMILIES: dict[str, Family] = {
    "chain": chain,
    "comparison": comparison,
    "pair": pair,
    "percent": percent,
    "price": price,
    "sharing": sharing,
}

PHRASES: dict[str, tuple[str, ...]] = {
    "chain": ("gain", "loss", "times", "fold"),
    "comparison": ("times_as_many", "more_than", "fewer_than"),
    "pair": ("times_as_many", "more_than", "fewer_than", "together", "loss"),
    "percent": ("percent_of", "hundredth", "percent_off", "percent_more"),
    "price": ("unit_price", "delivery", "change"),
    "sharing": ("shared", "received", "used"),
}
"""The named phrase families that each problem family uses; any of them can be mistranslated."""
