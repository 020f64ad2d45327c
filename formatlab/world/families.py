"""The families of word problems: each draws problems of one kind, with integer answers.

`chain` changes one person's amount step by step; `comparison` tells each person's amount by the one
before; `pair` combines two people's amounts; `percent` takes percentages that come out as integers;
`price` has a unit price, delivery and change; `sharing` shares equally and follows one share. They
use few words, so that a small model can learn them all. `FAMILIES`, at the end, holds every family
by its name.

A family draws the content of a problem first and puts it into words afterwards: so a world can draw
contents, which is cheap, until one belongs to the split that it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import gcd
from random import Random
from typing import NamedTuple

from formatlab.world.problem import Operand, Operator, Problem, Result, Step, apply, solved

NAMES = ("Mia", "Tom", "Ann", "Ben", "Eva", "Sam", "Lea", "Max")
ITEMS = ("apples", "books", "coins", "cards", "shells", "stamps", "pens", "eggs")
GOODS = ("pen", "book", "cake", "ball", "cup", "hat")

Phrases = tuple[str, ...]
"""What the steps of a problem are told by, in order."""


class Content(NamedTuple):
    """A problem of a family without its wording."""

    phrases: Phrases
    numbers: tuple[int, ...]
    """Every number that was drawn, in an order of the family's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """How the problems of a family are drawn and told."""

    draw: Callable[[Random, int, int, Phrases | None], Content | None]
    """Draws a content from (random numbers, number of steps wanted, largest number, phrases).

    A family whose stories cannot have that many steps gives the nearest number it can. Without
    phrases, they are drawn; with them, None says that the numbers drawn do not allow them.
    """
    tell: Callable[[Random, Content], Problem]
    """Puts a content into words."""

    def draw_any(self, random: Random, steps: int, largest: int) -> Content:
        """Draw a content of any phrases."""
        content = self.draw(random, steps, largest, None)
        assert content  # some phrase goes with any number
        return content

    def problem(self, random: Random, steps: int, largest: int) -> Problem:
        """Draw a problem of any phrases and tell it."""
        return self.tell(random, self.draw_any(random, steps, largest))


_OPERATORS: dict[str, Operator] = {
    "gain": "+",
    "loss": "-",
    "times": "*",
    "fold": "*",
    "more_than": "+",
    "fewer_than": "-",
    "times_as_many": "*",
}


def _draw_change(
    random: Random, amount: int, largest: int, phrases: Phrases, wanted: str | None
) -> tuple[str, int] | None:
    """What an amount is changed by: one of the phrases, or the wanted one, and its number.

    The amount stays positive, and no multiplication takes it past 5 times `largest`; None if the
    wanted phrase would.
    """
    while True:
        phrase = wanted or random.choice(phrases)
        match _OPERATORS[phrase]:
            case "+":
                return phrase, random.randint(1, largest)
            case "-" if amount > 1:
                return phrase, random.randint(1, min(amount - 1, largest))
            case "*" if 3 * amount <= 5 * largest:
                return phrase, random.randint(2, 3)
        if wanted:
            return None


def _draw_changes(
    random: Random, steps: int, largest: int, wanted: Phrases | None, phrases: Phrases
) -> Content | None:
    """An amount and as many changes of it, one after the other, as there are steps."""
    amount = random.randint(2, largest)
    told: list[str] = []
    numbers = [amount]
    for index in range(steps):
        change = _draw_change(random, amount, largest, phrases, wanted[index] if wanted else None)
        if change is None:
            return None
        phrase, number = change
        amount = apply(_OPERATORS[phrase], amount, number)
        told.append(phrase)
        numbers.append(number)
    return Content(tuple(told), tuple(numbers))


def _steps_of(content: Content, quantity: str) -> tuple[Step, ...]:
    """The steps that such changes are worked in."""
    left: Operand = content.numbers[0]
    steps: list[Step] = []
    for phrase, number in zip(content.phrases, content.numbers[1:], strict=True):
        operator = _OPERATORS[phrase]
        steps.append(
            Step(operator=operator, left=left, right=number, phrase=phrase, quantity=quantity)
        )
        left = Result(len(steps) - 1)
    return tuple(steps)


_CHANGES: dict[str, tuple[str, ...]] = {
    "gain": ("{n} gets {k} more.", "{n} buys {k} more.", "Then {n} finds {k} more."),
    "loss": ("{n} gives away {k}.", "{n} loses {k}.", "Then {n} sells {k}."),
    "times": ("Then {n} has {k} times as many.", "Now there are {k} times as many."),
}
_FOLD = {
    2: ("The number doubles.", "{n} doubles it."),
    3: ("The number triples.", "{n} triples it."),
}
# Each addition and subtraction is drawn as often as both multiplications together.
_draw_chain = partial(_draw_changes, phrases=("gain", "gain", "loss", "loss", "times", "fold"))


def _tell_chain(random: Random, content: Content) -> Problem:
    """A start value, then additions, subtractions and multiplications."""
    name, item = random.choice(NAMES), random.choice(ITEMS)
    opening = random.choice(("{n} has {k} {i}.", "{n} starts with {k} {i}."))
    sentences = [opening.format(n=name, k=content.numbers[0], i=item)]
    for phrase, number in zip(content.phrases, content.numbers[1:], strict=True):
        wordings = _FOLD[number] if phrase == "fold" else _CHANGES[phrase]
        sentences.append(random.choice(wordings).format(n=name, k=number))
    sentences.append(f"How many {item} does {name} have?")
    return solved(question=" ".join(sentences), family="chain", steps=_steps_of(content, item))


_COMPARISONS = {
    "times_as_many": "{a} has {k} times as many as {b}.",
    "more_than": "{a} has {k} more than {b}.",
    "fewer_than": "{a} has {k} fewer than {b}.",
}
_draw_comparison = partial(_draw_changes, phrases=tuple(_COMPARISONS))


def _tell_comparison(random: Random, content: Content) -> Problem:
    """Comparisons in a row; the last person's amount is asked for."""
    item = random.choice(ITEMS)
    people = random.sample(NAMES, len(content.numbers))
    sentences = [f"{people[0]} has {content.numbers[0]} {item}."]
    for index, phrase in enumerate(content.phrases):
        who, than, number = people[index + 1], people[index], content.numbers[index + 1]
        sentences.append(_COMPARISONS[phrase].format(a=who, b=than, k=number))
    sentences.append(f"How many {item} does {people[-1]} have?")
    return solved(question=" ".join(sentences), family="comparison", steps=_steps_of(content, item))


def _draw_pair(random: Random, steps: int, largest: int, wanted: Phrases | None) -> Content | None:
    """An amount and another; two steps tell the other by comparison, and three lose some."""
    amount = random.randint(2, largest)
    if steps == 1:
        return Content(("together",), (amount, random.randint(2, largest)))
    change = _draw_change(
        random, amount, largest, tuple(_COMPARISONS), wanted[0] if wanted else None
    )
    if change is None:
        return None
    phrase, number = change
    if steps == 2:
        return Content((phrase, "together"), (amount, number))
    together = amount + apply(_OPERATORS[phrase], amount, number)
    spent = random.randint(1, min(together - 1, largest))
    return Content((phrase, "together", "loss"), (amount, number, spent))


def _tell_pair(random: Random, content: Content) -> Problem:
    """One amount, another told by comparison, and their sum. One step gives the bare sum."""
    item = random.choice(ITEMS)
    first, second = random.sample(NAMES, 2)
    amount, number, *spent = content.numbers
    sentences = [f"{first} has {amount} {item}."]
    worked: list[Step] = []
    other: Operand = number
    if content.phrases[0] == "together":
        sentences.append(f"{second} has {number}.")
    else:
        compared = Content(content.phrases[:1], content.numbers[:2])
        worked.extend(_steps_of(compared, item))
        sentences.append(_COMPARISONS[content.phrases[0]].format(a=second, b=first, k=number))
        other = Result(0)
    worked.append(Step(operator="+", left=amount, right=other, phrase="together", quantity=item))
    for number in spent:
        sentences.append(f"They give away {number} together.")
        worked.append(
            Step(operator="-", left=Result(1), right=number, phrase="loss", quantity=item)
        )
    sentences.append(f"How many {item} do they have together?")
    return solved(question=" ".join(sentences), family="pair", steps=tuple(worked))


_RATES = (10, 20, 25, 50)


def _draw_percent(random: Random, steps: int, largest: int, wanted: Phrases | None) -> Content:
    """A whole and a rate; three steps change the whole by it."""
    rate = random.choice(_RATES)
    unit = 100 // gcd(rate, 100)
    numbers = (unit * random.randint(1, max(1, 5 * largest // unit)), rate)
    phrases = ("percent_of", "hundredth")
    if steps < 3:
        return Content(phrases, numbers)
    change = wanted[-1] if wanted else random.choice(("percent_off", "percent_more"))
    return Content((*phrases, change), numbers)


def _tell_percent(random: Random, content: Content) -> Problem:
    """A percentage of an amount (two steps), or a price changed by it (three)."""
    whole, rate = content.numbers
    product = Step(operator="*", left=whole, right=rate, phrase="percent_of", quantity="part")
    part = Step(operator="/", left=Result(0), right=100, phrase="hundredth", quantity="part")
    if len(content.phrases) == 2:
        name, item = random.choice(NAMES), random.choice(ITEMS)
        question = (
            f"{name} has {whole} {item}. {rate} percent of them are red. How many {item} are red?"
        )
        return solved(question=question, family="percent", steps=(product, part))
    good = random.choice(GOODS)
    change = content.phrases[-1]
    cheaper = change == "percent_off"
    question = (
        f"A {good} costs {whole} dollars. The price {'falls' if cheaper else 'rises'} "
        f"by {rate} percent. What is the new price?"
    )
    new_price = Step(
        operator="-" if cheaper else "+",
        left=whole,
        right=Result(1),
        phrase=change,
        quantity="price",
    )
    return solved(question=question, family="percent", steps=(product, part, new_price))


def _draw_price(random: Random, steps: int, largest: int, wanted: Phrases | None) -> Content:
    """A count and a unit price; then delivery (three steps) and the sum paid (two or more)."""
    count, unit = random.randint(2, 5), random.randint(1, largest)
    if steps == 1:
        return Content(("unit_price",), (count, unit))
    fee = (random.randint(1, largest),) if steps > 2 else ()
    paid = count * unit + sum(fee) + random.randint(1, largest)
    phrases = ("unit_price", *("delivery" for _ in fee), "change")
    return Content(phrases, (count, unit, *fee, paid))


def _tell_price(random: Random, content: Content) -> Problem:
    """A number of goods at a unit price; then delivery and change."""
    name, good = random.choice(NAMES), random.choice(GOODS)
    count, unit, *further = content.numbers
    sentences = [f"A {good} costs {unit} dollars. {name} buys {count}."]
    worked = [Step(operator="*", left=unit, right=count, phrase="unit_price", quantity="cost")]
    for phrase, number in zip(content.phrases[1:], further, strict=True):
        so_far = Result(len(worked) - 1)
        if phrase == "delivery":
            sentences.append(f"Delivery costs {number} dollars.")
            step = Step(operator="+", left=so_far, right=number, phrase=phrase, quantity="cost")
        else:
            sentences.append(f"{name} pays with {number} dollars. How much change is there?")
            step = Step(operator="-", left=number, right=so_far, phrase=phrase, quantity="change")
        worked.append(step)
    if not further:
        sentences.append(f"How much does {name} pay?")
    return solved(question=" ".join(sentences), family="price", steps=tuple(worked))


def _draw_sharing(random: Random, steps: int, largest: int, wanted: Phrases | None) -> Content:
    """Friends and their share; then what one of them receives (two steps) and uses (three)."""
    friends, share = random.randint(2, 6), random.randint(2, largest)
    phrases, numbers = ["shared"], [friends, share]
    if steps > 1:
        phrases.append("received")
        numbers.append(random.randint(1, largest))
    if steps > 2:
        phrases.append("used")
        numbers.append(random.randint(1, min(share + numbers[-1] - 1, largest)))
    return Content(tuple(phrases), tuple(numbers))


def _tell_sharing(random: Random, content: Content) -> Problem:
    """A whole shared equally; then one friend receives and uses some."""
    item = random.choice(ITEMS)
    friends, share, *further = content.numbers
    whole = friends * share
    sentences = [f"{whole} {item} are shared equally by {friends} friends."]
    worked = [Step(operator="/", left=whole, right=friends, phrase="shared", quantity=item)]
    for phrase, number in zip(content.phrases[1:], further, strict=True):
        received = phrase == "received"
        sentences.append(
            f"One of them gets {number} more." if received else f"That friend uses {number}."
        )
        worked.append(
            Step(
                operator="+" if received else "-",
                left=Result(len(worked) - 1),
                right=number,
                phrase=phrase,
                quantity=item,
            )
        )
    who = "that friend" if further else "each friend"
    sentences.append(f"How many {item} does {who} have?")
    return solved(question=" ".join(sentences), family="sharing", steps=tuple(worked))


FAMILIES: dict[str, Family] = {
    "chain": Family(draw=_draw_chain, tell=_tell_chain),
    "comparison": Family(draw=_draw_comparison, tell=_tell_comparison),
    "pair": Family(draw=_draw_pair, tell=_tell_pair),
    "percent": Family(draw=_draw_percent, tell=_tell_percent),
    "price": Family(draw=_draw_price, tell=_tell_price),
    "sharing": Family(draw=_draw_sharing, tell=_tell_sharing),
}

VERSIONS: dict[str, int] = dict.fromkeys(FAMILIES, 2)
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
