"""Several people, each amount told by comparison with the one before."""

from random import Random

from formatlab.world.lexicon import ITEMS, NAMES
from formatlab.world.problem import Operand, Operator, Problem, Result, Step, apply, solved

_WORDS = {
    "times_as_many": "{a} has {k} times as many as {b}.",
    "more_than": "{a} has {k} more than {b}.",
    "fewer_than": "{a} has {k} fewer than {b}.",
}


def compare(random: Random, amount: int, largest: int) -> tuple[str, Operator, int]:
    """One comparison with an amount: its phrase, operator and number."""
    phrases = ["more_than"]
    if amount > 1:
        phrases.append("fewer_than")
    if 3 * amount <= 5 * largest:
        phrases.append("times_as_many")
    phrase = random.choice(phrases)
    match phrase:
        case "more_than":
            return phrase, "+", random.randint(1, largest)
        case "fewer_than":
            return phrase, "-", random.randint(1, min(amount - 1, largest))
        case _:
            return phrase, "*", random.randint(2, 3)


def sentence(phrase: str, *, who: str, than: str, number: int) -> str:
    """The comparison in words."""
    return _WORDS[phrase].format(a=who, b=than, k=number)


def comparison(random: Random, steps: int, largest: int) -> Problem:
    """`steps` comparisons in a row; the last person's amount is asked for."""
    item = random.choice(ITEMS)
    people = random.sample(NAMES, steps + 1)
    amount = random.randint(2, largest)
    sentences = [f"{people[0]} has {amount} {item}."]
    worked: list[Step] = []
    left: Operand = amount
    for index in range(steps):
        phrase, operator, number = compare(random, amount, largest)
        amount = apply(operator, amount, number)
        sentences.append(sentence(phrase, who=people[index + 1], than=people[index], number=number))
        worked.append(
            Step(operator=operator, left=left, right=number, phrase=phrase, quantity=item)
        )
        left = Result(index)
    sentences.append(f"How many {item} does {people[-1]} have?")
    return solved(question=" ".join(sentences), family="comparison", steps=tuple(worked))
