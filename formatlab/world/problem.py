"""A problem: a question with one checkable answer, and the steps that lead to it."""

import operator as arithmetic
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, NamedTuple

Operator = Literal["+", "-", "*", "/"]

MISREADING: dict[Operator, Operator] = {"+": "-", "-": "+", "*": "+", "/": "-"}
"""What a mistranslated step becomes. Always the same, so that no amount of training removes it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an earlier step, used as an operand."""

    index: int
    """Position of that step, counted from 0."""


Operand = int | Result


class Step(NamedTuple):
    """One arithmetic operation of a solution.

    A named tuple, as is a problem: a frozen dataclass takes five times as long to make.
    """

    operator: Operator
    left: Operand
    right: Operand
    phrase: str
    """Family of wordings by which the question asks for this step, such as `times`."""
    quantity: str
    """What the result counts, fit to be an identifier, such as `apples`."""


class Problem(NamedTuple):
    """A question with one checkable answer."""

    question: str
    answer: str
    """The answer as canonical text: an integer of the controlled world has no sign but a minus."""
    family: str
    steps: tuple[Step, ...] = ()
    """The worked solution; empty for problems of real data sets."""
    difficulty: int = 0
    """Number of steps; 0 where it is not known."""


_ARITHMETIC: dict[Operator, Callable[[int, int], int]] = {
    "+": arithmetic.add,
    "-": arithmetic.sub,
    "*": arithmetic.mul,
    "/": arithmetic.floordiv,
}


def apply(operator: Operator, left: int, right: int) -> int:
    """Compute one step.

    Divisions of true solutions come out even; a mistranslated one rounds down, as `//` does, so
    that worked lines and executed code make the same mistake.
    """
    return _ARITHMETIC[operator](left, right)


def value(operand: Operand, results: list[int]) -> int:
    """The number an operand stands for, given the results of the steps before it."""
    return results[operand.index] if isinstance(operand, Result) else operand


def evaluate(steps: tuple[Step, ...]) -> list[int]:
    """The result of every step, in order; the last one is the answer."""
    results: list[int] = []
    for operator, left, right, _, _ in steps:
        results.append(apply(operator, value(left, results), value(right, results)))
    return results


def solved(*, question: str, family: str, steps: tuple[Step, ...]) -> Problem:
    """A controlled problem whose answer is computed from its steps."""
    return Problem(
        question=question,
        answer=str(evaluate(steps)[-1]),
        family=family,
        steps=steps,
        difficulty=len(steps),
    )


def mistranslate(steps: tuple[Step, ...], phrases: frozenset[str]) -> tuple[Step, ...]:
    """The steps as a writer understands them who misreads some phrases, always in the same way."""
    if not phrases:
        return steps
    return tuple(
        step._replace(operator=MISREADING[step.operator]) if step.phrase in phrases else step
        for step in steps
    )


def digest(*parts: object) -> int:
    """A 64-bit number that depends on every part, the same on every machine.

    Seeds are made from it: `seed + index` would make the streams of neighbouring seeds overlap.
    """
    return digest_of("\x1f".join(map(str, parts)).encode())


def digest_of(joined: bytes) -> int:
    """The digest of parts that are joined already, by the byte 0x1f."""
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "big")
