"""One person's amount, changed step by step."""

from random import Random

from formatlab.world.lexicon import ITEMS, NAMES
from formatlab.world.problem import Operand, Operator, Problem, Result, Step, apply, solved

_GAIN = ("{n} gets {k} more.", "{n} buys {k} more.", "Then {n} finds {k} more.")
_LOSS = ("{n} gives away {k}.", "{n} loses {k}.", "Then {n} sells {k}.")
_TIMES = ("Then {n} has {k} times as many.", "Now there are {k} times as many.")
_FOLD = {
    2: ("The number doubles.", "{n} doubles it."),
    3: ("The number triples.", "{n} triples it."),
}


def chain(random: Random, steps: int, largest: int) -> Problem:
    """A start value, then `steps` additions, subtractions and multiplications."""
    name, item = random.choice(NAMES), random.choice(ITEMS)
    amount = random.randint(2, largest)
    opening = random.choice(("{n} has {k} {i}.", "{n} starts with {k} {i}."))
    sentences = [opening.format(n=name, k=amount, i=item)]
    worked: list[Step] = []
    left: Operand = amount
    for index in range(steps):
        sentence, operator, right, phrase = _change(random, amount, largest)
        amount = apply(operator, amount, right)
        sentences.append(sentence.format(n=name, k=right))
        worked.append(Step(operator=operator, left=left, right=right, phrase=phrase, quantity=item))
        left = Result(index)
    sentences.append(f"How many {item} does {name} have?")
    return solved(question=" ".join(sentences), family="chain", steps=tuple(worked))


def _change(random: Random, amount: int, largest: int) -> tuple[str, Operator, int, str]:
    """A sentence, its operator and number, and the phrase family it belongs to.

    The amount stays positive, and no multiplication takes it past 5 times `largest`.
    """
    kinds = ["gain", "gain"]
    if amount > 1:
        kinds += ["loss", "loss"]
    if 3 * amount <= 5 * largest:
        kinds += ["times", "fold"]
    kind = random.choice(kinds)
    match kind:
        case "gain":
            return random.choice(_GAIN), "+", random.randint(1, largest), kind
        case "loss":
            return random.choice(_LOSS), "-", random.randint(1, min(amount - 1, largest)), kind
        case "times":
            return random.choice(_TIMES), "*", random.randint(2, 3), kind
        case _:
            factor = random.randint(2, 3)
            return random.choice(_FOLD[factor]), "*", factor, kind
