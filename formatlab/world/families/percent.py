"""Percentages that come out as integers."""

from math import gcd
from random import Random

from formatlab.world.lexicon import GOODS, ITEMS, NAMES
from formatlab.world.problem import Problem, Result, Step, solved

_RATES = (10, 20, 25, 50)


def percent(random: Random, steps: int, largest: int) -> Problem:
    """A percentage of an amount (one or two steps wanted), or a price changed by it (three)."""
    rate = random.choice(_RATES)
    unit = 100 // gcd(rate, 100)
    whole = unit * random.randint(1, max(1, 5 * largest // unit))
    product = Step(operator="*", left=whole, right=rate, phrase="percent_of", quantity="part")
    part = Step(operator="/", left=Result(0), right=100, phrase="hundredth", quantity="part")
    if steps < 3:
        name, item = random.choice(NAMES), random.choice(ITEMS)
        question = (
            f"{name} has {whole} {item}. {rate} percent of them are red. How many {item} are red?"
        )
        return solved(question=question, family="percent", steps=(product, part))
    good = random.choice(GOODS)
    cheaper = random.random() < 0.5
    question = (
        f"A {good} costs {whole} dollars. The price {'falls' if cheaper else 'rises'} "
        f"by {rate} percent. What is the new price?"
    )
    new_price = Step(
        operator="-" if cheaper else "+",
        left=whole,
        right=Result(1),
        phrase="percent_off" if cheaper else "percent_more",
        quantity="price",
    )
    return solved(question=question, family="percent", steps=(product, part, new_price))
