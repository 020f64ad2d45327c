"""Unit price, delivery and change."""

from random import Random

from formatlab.world.lexicon import GOODS, NAMES
from formatlab.world.problem import Problem, Result, Step, solved


def price(random: Random, steps: int, largest: int) -> Problem:
    """A number of goods at a unit price; then delivery (three steps) and change (two or more)."""
    name, good = random.choice(NAMES), random.choice(GOODS)
    count, unit = random.randint(2, 5), random.randint(1, largest)
    cost = count * unit
    sentences = [f"A {good} costs {unit} dollars. {name} buys {count}."]
    worked = [Step(operator="*", left=unit, right=count, phrase="unit_price", quantity="cost")]
    if steps > 2:
        fee = random.randint(1, largest)
        cost += fee
        sentences.append(f"Delivery costs {fee} dollars.")
        worked.append(
            Step(operator="+", left=Result(0), right=fee, phrase="delivery", quantity="cost")
        )
    if steps > 1:
        paid = cost + random.randint(1, largest)
        sentences.append(f"{name} pays with {paid} dollars. How much change is there?")
        last = Result(len(worked) - 1)
        worked.append(Step(operator="-", left=paid, right=last, phrase="change", quantity="change"))
    else:
        sentences.append(f"How much does {name} pay?")
    return solved(question=" ".join(sentences), family="price", steps=tuple(worked))
