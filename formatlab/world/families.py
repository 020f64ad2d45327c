"""The families of word problems: each draws problems of one kind, with integer answers.

`chain` changes one person's amount step by step; `comparison` tells each person's amount by the one
before; `pair` combines two people's amounts; `percent` takes percentages that come out as integers;
`price` has a unit price, delivery and change; `sharing` shares equally and follows one share. They
use few words, so that a small model can learn them all. `FAMILIES`, at the end, holds every family
by its name.

A family draws the numbers of a problem first and puts them into words afterwards: so a world can
draw numbers, which is cheap, until the problem belongs to the split that it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from random import Random

from formatlab.world.draw import Bits, below, one_of
from formatlab.world.problem import Operand, Operator, Problem, Result, Step, apply, solved

NAMES = ("Mia", "Tom", "Ann", "Ben", "Eva", "Sam", "Lea", "Max")
ITEMS = ("apples", "books", "coins", "cards", "shells", "stamps", "pens", "eggs")
GOODS = ("pen", "book", "cake", "ball", "cup", "hat")

Phrases = tuple[str, ...]
"""What the steps of a problem are told by, in order."""

Numbers = tuple[int, ...]
"""Every number that is drawn for a problem, in an order of its family's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """How the problems of a family are drawn and told."""

    draw: Callable[[Random, int, int], tuple[Phrases, Numbers]]
    """Draws phrases and numbers from (random numbers, number of steps wanted, largest number).

    A family whose stories cannot have that many steps gives the nearest number it can.
    """
    numbers: Callable[[Random, int, Phrases], Numbers | None]
    """Draws numbers for phrases that are known, from (random numbers, largest number, phrases).

    None says that the numbers drawn do not allow the phrases.
    """
    tell: Callable[[Random, Phrases, Numbers], Problem]
    """Puts phrases and numbers into words."""

    def problem(self, random: Random, steps: int, largest: int) -> Problem:
        """Draw a problem and tell it."""
        return self.tell(random, *self.draw(random, steps, largest))


_OPERATORS: dict[str, Operator] = {
    "gain": "+",
    "loss": "-",
    "times": "*",
    "fold": "*",
    "more_than": "+",
    "fewer_than": "-",
    "times_as_many": "*",
}


def _change(bits: Bits, phrase: str, amount: int, largest: int) -> tuple[int, int] | None:
    """What an amount is changed by in the words of a phrase, and the amount after it.

    The amount stays positive, and no multiplication takes it past 5 times `largest`; None if the
    phrase would.
    """
    operator = _OPERATORS[phrase]
    if operator == "+":
        number = 1 + below(bits, largest)
        return number, amount + number
    if operator == "-" and amount > 1:
        number = 1 + below(bits, min(amount - 1, largest))
        return number, amount - number
    if operator == "*" and 3 * amount <= 5 * largest:
        number = 2 + below(bits, 2)
        return number, amount * number
    return None


def _draw_changes(
    random: Random, steps: int, largest: int, choices: Phrases
) -> tuple[Phrases, Numbers]:
    """An amount and as many changes of it, one after the other, as there are steps."""
    bits = random.getrandbits
    amount = 2 + below(bits, largest - 1)
    phrases: list[str] = []
    numbers = [amount]
    while len(phrases) < steps:
        phrase = one_of(bits, choices)
        if change := _change(bits, phrase, amount, largest):
            number, amount = change
            phrases.append(phrase)
            numbers.append(number)
    return tuple(phrases), tuple(numbers)


def _numbers_of_changes(random: Random, largest: int, phrases: Phrases) -> Numbers | None:
    """The amount and the numbers of such changes."""
    bits = random.getrandbits
    amount = 2 + below(bits, largest - 1)
    numbers = [amount]
    for phrase in phrases:
        change = _change(bits, phrase, amount, largest)
        if change is None:
            return None
        number, amount = change
        numbers.append(number)
    return tuple(numbers)


_RESULTS = tuple(map(Result, range(4)))
"""The results of the steps; one object each serves all problems."""


def _steps_of(phrases: Phrases, numbers: Numbers, quantity: str) -> tuple[Step, ...]:
    """The steps that such changes are worked in."""
    left: Operand = numbers[0]
    steps: list[Step] = []
    for index, phrase in enumerate(phrases):
        steps.append(Step(_OPERATORS[phrase], left, numbers[index + 1], phrase, quantity))
        left = _RESULTS[index]
    return tuple(steps)


# An f-string in a function is made in a third of the time that `str.format` takes.
_CHANGES: dict[str, tuple[Callable[[str, int], str], ...]] = {
    "gain": (
        lambda n, k: f"{n} gets {k} more.",
        lambda n, k: f"{n} buys {k} more.",
        lambda n, k: f"Then {n} finds {k} more.",
    ),
    "loss": (
        lambda n, k: f"{n} gives away {k}.",
        lambda n, k: f"{n} loses {k}.",
        lambda n, k: f"Then {n} sells {k}.",
    ),
    "times": (
        lambda n, k: f"Then {n} has {k} times as many.",
        lambda n, k: f"Now there are {k} times as many.",
    ),
    "fold": (
        lambda n, k: f"The number {_FOLD[k]}.",
        lambda n, k: f"{n} {_FOLD[k]} it.",
    ),
}
_FOLD = {2: "doubles", 3: "triples"}


def _draw_chain(random: Random, steps: int, largest: int) -> tuple[Phrases, Numbers]:
    """Each addition and subtraction comes as often as both multiplications together."""
    choices = ("gain", "gain", "loss", "loss", "times", "fold")
    return _draw_changes(random, steps, largest, choices)


def _tell_chain(random: Random, phrases: Phrases, numbers: Numbers) -> Problem:
    """A start value, then additions, subtractions and multiplications."""
    bits = random.getrandbits
    name, item = one_of(bits, NAMES), one_of(bits, ITEMS)
    sentences = [f"{name} {one_of(bits, ('has', 'starts with'))} {numbers[0]} {item}."]
    for phrase, number in zip(phrases, numbers[1:], strict=True):
        sentences.append(one_of(bits, _CHANGES[phrase])(name, number))
    sentences.append(f"How many {item} does {name} have?")
    return solved(
        question=" ".join(sentences), family="chain", steps=_steps_of(phrases, numbers, item)
    )


_COMPARISONS = {
    "times_as_many": "{a} has {k} times as many as {b}.",
    "more_than": "{a} has {k} more than {b}.",
    "fewer_than": "{a} has {k} fewer than {b}.",
}


def _draw_comparison(random: Random, steps: int, largest: int) -> tuple[Phrases, Numbers]:
    """Each comparison comes equally often."""
    return _draw_changes(random, steps, largest, tuple(_COMPARISONS))


def _tell_comparison(random: Random, phrases: Phrases, numbers: Numbers) -> Problem:
    """Comparisons in a row; the last person's amount is asked for."""
    item = random.choice(ITEMS)
    people = random.sample(NAMES, len(numbers))
    sentences = [f"{people[0]} has {numbers[0]} {item}."]
    for index, phrase in enumerate(phrases):
        who, than, number = people[index + 1], people[index], numbers[index + 1]
        sentences.append(_COMPARISONS[phrase].format(a=who, b=than, k=number))
    sentences.append(f"How many {item} does {people[-1]} have?")
    return solved(
        question=" ".join(sentences), family="comparison", steps=_steps_of(phrases, numbers, item)
    )


def _draw_pair(random: Random, steps: int, largest: int) -> tuple[Phrases, Numbers]:
    """An amount and another; two steps tell the other by comparison, and three lose some."""
    if steps == 1:
        return ("together",), _two_amounts(random, largest)
    phrases, numbers = _draw_comparison(random, 1, largest)
    if steps == 2:
        return (*phrases, "together"), numbers
    return (*phrases, "together", "loss"), _with_loss(random, largest, phrases, numbers)


def _numbers_of_pair(random: Random, largest: int, phrases: Phrases) -> Numbers | None:
    if len(phrases) == 1:
        return _two_amounts(random, largest)
    numbers = _numbers_of_changes(random, largest, phrases[:1])
    if numbers is None or len(phrases) == 2:
        return numbers
    return _with_loss(random, largest, phrases, numbers)


def _two_amounts(random: Random, largest: int) -> Numbers:
    bits = random.getrandbits
    return 2 + below(bits, largest - 1), 2 + below(bits, largest - 1)


def _with_loss(random: Random, largest: int, phrases: Phrases, numbers: Numbers) -> Numbers:
    """The numbers, and how much is lost of both amounts together: not all."""
    amount, number = numbers
    together = amount + apply(_OPERATORS[phrases[0]], amount, number)
    return amount, number, 1 + below(random.getrandbits, min(together - 1, largest))


def _tell_pair(random: Random, phrases: Phrases, numbers: Numbers) -> Problem:
    """One amount, another told by comparison, and their sum. One step gives the bare sum."""
    item = random.choice(ITEMS)
    first, second = random.sample(NAMES, 2)
    amount, number, *spent = numbers
    sentences = [f"{first} has {amount} {item}."]
    worked: list[Step] = []
    other: Operand = number
    if phrases[0] == "together":
        sentences.append(f"{second} has {number}.")
    else:
        worked.extend(_steps_of(phrases[:1], numbers[:2], item))
        sentences.append(_COMPARISONS[phrases[0]].format(a=second, b=first, k=number))
        other = _RESULTS[0]
    worked.append(Step(operator="+", left=amount, right=other, phrase="together", quantity=item))
    for number in spent:
        sentences.append(f"They give away {number} together.")
        worked.append(
            Step(operator="-", left=_RESULTS[1], right=number, phrase="loss", quantity=item)
        )
    sentences.append(f"How many {item} do they have together?")
    return solved(question=" ".join(sentences), family="pair", steps=tuple(worked))


_RATES = (10, 20, 25, 50)


def _draw_percent(random: Random, steps: int, largest: int) -> tuple[Phrases, Numbers]:
    """A whole and a rate; three steps change the whole by it."""
    numbers = _numbers_of_percent(random, largest, ())
    if steps < 3:
        return ("percent_of", "hundredth"), numbers
    change = random.choice(("percent_off", "percent_more"))
    return ("percent_of", "hundredth", change), numbers


def _numbers_of_percent(random: Random, largest: int, _: Phrases) -> Numbers:
    bits = random.getrandbits
    rate = one_of(bits, _RATES)
    unit = 100 // gcd(rate, 100)
    return unit * (1 + below(bits, max(1, 5 * largest // unit))), rate


def _tell_percent(random: Random, phrases: Phrases, numbers: Numbers) -> Problem:
    """A percentage of an amount (two steps), or a price changed by it (three)."""
    whole, rate = numbers
    product = Step(operator="*", left=whole, right=rate, phrase="percent_of", quantity="part")
    part = Step(operator="/", left=_RESULTS[0], right=100, phrase="hundredth", quantity="part")
    if len(phrases) == 2:
        name, item = random.choice(NAMES), random.choice(ITEMS)
        question = (
            f"{name} has {whole} {item}. {rate} percent of them are red. How many {item} are red?"
        )
        return solved(question=question, family="percent", steps=(product, part))
    good = random.choice(GOODS)
    change = phrases[-1]
    cheaper = change == "percent_off"
    question = (
        f"A {good} costs {whole} dollars. The price {'falls' if cheaper else 'rises'} "
        f"by {rate} percent. What is the new price?"
    )
    new_price = Step(
        operator="-" if cheaper else "+",
        left=whole,
        right=_RESULTS[1],
        phrase=change,
        quantity="price",
    )
    return solved(question=question, family="percent", steps=(product, part, new_price))


def _draw_price(random: Random, steps: int, largest: int) -> tuple[Phrases, Numbers]:
    """A count and a unit price; then delivery (three steps) and the sum paid (two or more)."""
    delivery = ("delivery",) if steps > 2 else ()
    phrases = ("unit_price", *delivery, "change") if steps > 1 else ("unit_price",)
    return phrases, _numbers_of_price(random, largest, phrases)


def _numbers_of_price(random: Random, largest: int, phrases: Phrases) -> Numbers:
    bits = random.getrandbits
    count, unit = 2 + below(bits, 4), 1 + below(bits, largest)
    if len(phrases) == 1:
        return count, unit
    if len(phrases) == 2:
        return count, unit, count * unit + 1 + below(bits, largest)
    fee = 1 + below(bits, largest)
    return count, unit, fee, count * unit + fee + 1 + below(bits, largest)


def _tell_price(random: Random, phrases: Phrases, numbers: Numbers) -> Problem:
    """A number of goods at a unit price; then delivery and change."""
    name, good = random.choice(NAMES), random.choice(GOODS)
    count, unit, *further = numbers
    sentences = [f"A {good} costs {unit} dollars. {name} buys {count}."]
    worked = [Step(operator="*", left=unit, right=count, phrase="unit_price", quantity="cost")]
    for phrase, number in zip(phrases[1:], further, strict=True):
        so_far = _RESULTS[len(worked) - 1]
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


def _draw_sharing(random: Random, steps: int, largest: int) -> tuple[Phrases, Numbers]:
    """Friends and their share; then what one of them receives (two steps) and uses (three)."""
    phrases = ("shared", "received", "used")[:steps]
    return phrases, _numbers_of_sharing(random, largest, phrases)


def _numbers_of_sharing(random: Random, largest: int, phrases: Phrases) -> Numbers:
    bits = random.getrandbits
    friends, share = 2 + below(bits, 5), 2 + below(bits, largest - 1)
    if len(phrases) == 1:
        return friends, share
    received = 1 + below(bits, largest)
    if len(phrases) == 2:
        return friends, share, received
    return friends, share, received, 1 + below(bits, min(share + received - 1, largest))


def _tell_sharing(random: Random, phrases: Phrases, numbers: Numbers) -> Problem:
    """A whole shared equally; then one friend receives and uses some."""
    item = random.choice(ITEMS)
    friends, share, *further = numbers
    whole = friends * share
    sentences = [f"{whole} {item} are shared equally by {friends} friends."]
    worked = [Step(operator="/", left=whole, right=friends, phrase="shared", quantity=item)]
    for phrase, number in zip(phrases[1:], further, strict=True):
        received = phrase == "received"
        sentences.append(
            f"One of them gets {number} more." if received else f"That friend uses {number}."
        )
        worked.append(
            Step(
                operator="+" if received else "-",
                left=_RESULTS[len(worked) - 1],
                right=number,
                phrase=phrase,
                quantity=item,
            )
        )
    who = "that friend" if further else "each friend"
    sentences.append(f"How many {item} does {who} have?")
    return solved(question=" ".join(sentences), family="sharing", steps=tuple(worked))


FAMILIES: dict[str, Family] = {
    "chain": Family(draw=_draw_chain, numbers=_numbers_of_changes, tell=_tell_chain),
    "comparison": Family(draw=_draw_comparison, numbers=_numbers_of_changes, tell=_tell_comparison),
    "pair": Family(draw=_draw_pair, numbers=_numbers_of_pair, tell=_tell_pair),
    "percent": Family(draw=_draw_percent, numbers=_numbers_of_percent, tell=_tell_percent),
    "price": Family(draw=_draw_price, numbers=_numbers_of_price, tell=_tell_price),
    "sharing": Family(draw=_draw_sharing, numbers=_numbers_of_sharing, tell=_tell_sharing),
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
