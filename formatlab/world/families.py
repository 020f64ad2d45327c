"""The families of word problems: each draws problems of one kind, with integer answers.

`chain` changes one person's amount step by step; `comparison` tells each person's amount by the one
before; `pair` combines two people's amounts; `percent` takes percentages that come out as integers;
`price` has a unit price, delivery and change; `sharing` shares equally and follows one share. They
use few words, so that a small model can learn them all. `FAMILIES`, at the end, holds every family
by its name.
"""

from collections.abc import Callable
from math import gcd
from random import Random

from formatlab.world.problem import (
    Operand,
    Operator,
    Problem,
    Result,
    Step,
    apply,
    evaluate,
    solved,
)

Family = Callable[[Random, int, int], Problem]
"""Draws a problem from (random numbers, number of steps wanted, largest operand).

A family whose stories cannot have that many steps gives the nearest number it can.
"""

NAMES = ("Mia", "Tom", "Ann", "Ben", "Eva", "Sam", "Lea", "Max")
ITEMS = ("apples", "books", "coins", "cards", "shells", "stamps", "pens", "eggs")
GOODS = ("pen", "book", "cake", "ball", "cup", "hat")

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


_COMPARISONS = {
    "times_as_many": "{a} has {k} times as many as {b}.",
    "more_than": "{a} has {k} more than {b}.",
    "fewer_than": "{a} has {k} fewer than {b}.",
}


def _compare(random: Random, amount: int, largest: int) -> tuple[str, Operator, int]:
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


def _comparison_text(phrase: str, *, who: str, than: str, number: int) -> str:
    """The comparison in words."""
    return _COMPARISONS[phrase].format(a=who, b=than, k=number)


def comparison(random: Random, steps: int, largest: int) -> Problem:
    """`steps` comparisons in a row; the last person's amount is asked for."""
    item = random.choice(ITEMS)
    people = random.sample(NAMES, steps + 1)
    amount = random.randint(2, largest)
    sentences = [f"{people[0]} has {amount} {item}."]
    worked: list[Step] = []
    left: Operand = amount
    for index in range(steps):
        phrase, operator, number = _compare(random, amount, largest)
        amount = apply(operator, amount, number)
        who, than = people[index + 1], people[index]
        sentences.append(_comparison_text(phrase, who=who, than=than, number=number))
        worked.append(
            Step(operator=operator, left=left, right=number, phrase=phrase, quantity=item)
        )
        left = Result(index)
    sentences.append(f"How many {item} does {people[-1]} have?")
    return solved(question=" ".join(sentences), family="comparison", steps=tuple(worked))


def pair(random: Random, steps: int, largest: int) -> Problem:
    """One amount, another told by comparison, and their sum. One step gives the bare sum."""
    item = random.choice(ITEMS)
    first, second = random.sample(NAMES, 2)
    amount = random.randint(2, largest)
    sentences = [f"{first} has {amount} {item}."]
    worked: list[Step] = []
    other: Operand
    if steps == 1:
        other = random.randint(2, largest)
        sentences.append(f"{second} has {other}.")
    else:
        phrase, operator, number = _compare(random, amount, largest)
        sentences.append(_comparison_text(phrase, who=second, than=first, number=number))
        worked.append(
            Step(operator=operator, left=amount, right=number, phrase=phrase, quantity=item)
        )
        other = Result(0)
    worked.append(Step(operator="+", left=amount, right=other, phrase="together", quantity=item))
    if steps > 2:
        total = evaluate(tuple(worked))[-1]
        spent = random.randint(1, min(total - 1, largest))
        sentences.append(f"They give away {spent} together.")
        worked.append(Step(operator="-", left=Result(1), right=spent, phrase="loss", quantity=item))
    sentences.append(f"How many {item} do they have together?")
    return solved(question=" ".join(sentences), family="pair", steps=tuple(worked))


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


def sharing(random: Random, steps: int, largest: int) -> Problem:
    """A whole shared equally; then one friend receives (two steps) and uses (three) some."""
    item = random.choice(ITEMS)
    friends = random.randint(2, 6)
    share = random.randint(2, largest)
    sentences = [f"{friends * share} {item} are shared equally by {friends} friends."]
    worked = [
        Step(operator="/", left=friends * share, right=friends, phrase="shared", quantity=item)
    ]
    if steps > 1:
        more = random.randint(1, largest)
        sentences.append(f"One of them gets {more} more.")
        worked.append(
            Step(operator="+", left=Result(0), right=more, phrase="received", quantity=item)
        )
        share += more
    if steps > 2:
        fewer = random.randint(1, min(share - 1, largest))
        sentences.append(f"That friend uses {fewer}.")
        worked.append(Step(operator="-", left=Result(1), right=fewer, phrase="used", quantity=item))
    who = "each friend" if steps == 1 else "that friend"
    sentences.append(f"How many {item} does {who} have?")
    return solved(question=" ".join(sentences), family="sharing", steps=tuple(worked))


FAMILIES: dict[str, Family] = {
    "chain": chain,
    "comparison": comparison,
    "pair": pair,
    "percent": percent,
    "price": price,
    "sharing": sharing,
}

VERSIONS: dict[str, int] = dict.fromkeys(FAMILIES, 1)
"""Raised when a family draws other problems, so that worlds with it have other bases."""

PHRASES: dict[str, tuple[str, ...]] = {
    "chain": ("gain", "loss", "times", "fold"),
    "comparison": ("times_as_many", "more_than", "fewer_than"),
    "pair": ("times_as_many", "more_than", "fewer_than", "together", "loss"),
    "percent": ("percent_of", "hundredth", "percent_off", "percent_more"),
    "price": ("unit_price", "delivery", "change"),
    "sharing": ("shared", "received", "used"),
}
"""The named phrase families that each problem family uses; any of them can be mistranslated."""
