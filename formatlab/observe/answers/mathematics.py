r"""Right answers that are no plain number: expressions, tuples, intervals, sets, equations, words.

Two texts are the same if they are equal without markup; words are compared in no other way.
math-verify compares mathematics, in a child process with a limit of processor time (its own limit
is an alarm, which works in the main thread only). Three rules are stricter than it:

- An answer must be one expression as a whole. Boxes, loose numbers side by side and dots that go on
  are refused, unless the right answer has them too.
- Decimals are compared exactly, not to six places. A decimal of at least 6 digits that is the whole
  answer may stand for an irrational number (or a fraction, as among numbers) with those digits.
- Every number in a chain of equations must be the right one, and a base that of the right answer.
"""

import atexit
import functools
import threading
from fractions import Fraction
from typing import Any, Literal

import regex

from formatlab.errors import RunError
from formatlab.observe.answers.child import Child, ChildDied, ChildTimeout, serve
from formatlab.observe.answers.number import EXPANSION_DIGITS, Number, read_number

Verdict = Literal["same", "different", "time", "memory"]

SECONDS = 3.0
"""Processor time of the child that one comparison may take; most take milliseconds."""
_FIRST_SECONDS = 1.0
"""The same at the first of two tries, so that what never ends costs little more than one."""
_MEMORY = 2 * 2**30
"""Bytes of address space of the child."""
_LONGEST = 1000
"""Characters above which no comparison would end in time, so none is tried."""

_MARKS = regex.compile(r"\\(?:left|right|displaystyle|[Bb]igg?[lr]?)(?![A-Za-z])|\\[!,;:> ]|~|\s+")
_WORDS = regex.compile(r"\\(?:text(?:bf|it|rm)?|math(?:bf|it|rm)|mbox)\s*\{([^{}]*)\}")
_DEGREES = regex.compile(r"\^\{?\\circ\}?")
_FRACTION = regex.compile(
    r"\\[dtc]?frac(?:\{([^{}]*)\}|([0-9A-Za-z]))(?:\{([^{}]*)\}|([0-9A-Za-z]))"
)
_SCRIPT = regex.compile(r"(?<=[_^]|\\sqrt)\{([0-9A-Za-z])\}")
_PHRASE = regex.compile(r"\(?\p{L}[\p{L}\s'\u2019-]*+[.)]*")
_LETTER = regex.compile(r"\(\p{L}\)")
_LONG_WORD = regex.compile(r"\p{L}{3}")
_NUMERAL = regex.compile(r"([0-9A-F]+)_\{?([0-9]{1,2})\}?")
_DOTS = regex.compile(r"\.\.\.|\u2026|\\[lc]?dots")
_BOX = regex.compile(r"\\f?boxed|\\fbox")
_LOOSE = regex.compile(r"(?<![\w^_{])[0-9]+(?:\.[0-9]+)?\s+[0-9]")
_SPACED = regex.compile(r"(?<=[0-9])(?:,\\!|\\!|\{,\}|,?\\,)\s*(?=[0-9]{3})")

# What people type in place of a LaTeX command, and the command.
_TYPED = tuple(
    (regex.compile(pattern), command)
    for pattern, command in (
        (r"\*\*", "^"),
        (r"\u03c0|(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi "),
        (r"\u221e|(?<![\\A-Za-z])(?:oo|inf|infinity)(?![A-Za-z])", r"\\infty "),
        (r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\u221a\s*(?:\(([^()]*)\)|([0-9]+|[A-Za-z]))", r"\\sqrt{\1\2}"),
        (r"(?<![\\A-Za-z])(cot|sin|cos|tan|ln|log|sec|csc)(?![A-Za-z])", r"\\\1 "),
        (r"\u2212", "-"),
        (r"\u2264", r"\\le "),
        (r"\u2265", r"\\ge "),
        (r"\u00b1", r"\\pm "),
        (r"\u222a", r"\\cup "),
        (r"(?<=[0-9]\s?)\*(?=\s?[A-Za-z])", " "),
        (r"\u00d7|\u00b7|(?<=[\w)}]\s?)\*(?=\s?[\w(\\])", r"\\cdot "),
    )
)
_ALTERNATIVES = regex.compile(
    r"\\(?:text|mathrm|mbox)\s*\{\s*(?:or|and)\s*\}|(?<![\\A-Za-z])(?:or|and)(?![A-Za-z])"
)


def compare(answer: str, gold: str) -> Verdict:
    """Whether an answer is the right one, which is no plain number. Safe from any thread.

    Raises:
        RunError: the child process does not start.
    """
    answer, gold = _typed(answer), _typed(gold)
    if not gold or not answer or (_LOOSE.search(answer) and not _LOOSE.search(gold)):
        return "different"
    bare_answer, bare_gold = _bare(answer), _bare(gold)
    if bare_answer == bare_gold:
        return "same"
    if _is_phrase(gold) or _is_phrase(answer):
        return "same" if _words(answer) == _words(gold) else "different"
    if numeral := _NUMERAL.fullmatch(bare_gold):
        return "same" if bare_answer == numeral[1] else "different"
    if max(len(answer), len(gold)) > _LONGEST:
        return "time"
    if _BOX.search(answer) or "$" in answer or (_DOTS.search(answer) and not _DOTS.search(gold)):
        return "different"
    return _ask(_ALTERNATIVES.sub(",", answer), _ALTERNATIVES.sub(",", gold))


def _typed(text: str) -> str:
    """The text without delimiters around it, and with LaTeX commands in place of typed symbols."""
    text = text.strip()
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        if len(text) > 2 * len(opening) and text.startswith(opening) and text.endswith(closing):
            text = text[len(opening) : -len(closing)].strip()
    text = _SPACED.sub("", text.replace(r"\$", ""))
    for pattern, command in _TYPED:
        text = pattern.sub(command, text)
    return text.removesuffix(".").strip()


def _bare(text: str) -> str:
    """The text without spaces and without markup that does not change its meaning."""
    text = _MARKS.sub("", _WORDS.sub(r"\1", text))
    text = _FRACTION.sub(r"\\frac{\1\2}{\3\4}", _DEGREES.sub("", text))
    return _SCRIPT.sub(r"\1", text)


def _words(text: str) -> list[str]:
    """The words of a phrase, in lower case, without brackets around a choice."""
    return _WORDS.sub(r" \1 ", text).casefold().strip(" .()").split()


def _is_phrase(text: str) -> bool:
    """Whether a text is words, which an algebra system would read as products of letters."""
    plain = _WORDS.sub(r" \1 ", text).strip()
    if not _PHRASE.fullmatch(plain):
        return False
    return plain != text or bool(_LONG_WORD.search(plain) or _LETTER.fullmatch(plain))


_lock = threading.Lock()
_child: Child | None = None


def _shared_child() -> Child:
    """The child process of this process, started on first use and ended with it."""
    global _child
    with _lock:
        if _child is None:
            _child = Child(("-m", "formatlab.observe.answers.mathematics"))
            atexit.register(_child.close)
        return _child


def _ask(answer: str, gold: str) -> Verdict:
    """Have math-verify compare two expressions in the child process, with a second try."""
    try:
        return "same" if _asked(answer, gold) else "different"
    except ChildTimeout:
        return "time"
    except ChildDied:
        _check_that_it_works(_shared_child())
        return "memory"


@functools.lru_cache(maxsize=10_000)  # of replies alone: it keeps nothing where one is missing
def _asked(answer: str, gold: str) -> object:
    child = _shared_child()
    try:
        return child.ask([answer, gold], seconds=_FIRST_SECONDS)
    except (ChildTimeout, ChildDied):
        return child.ask([answer, gold], seconds=SECONDS)


def _check_that_it_works(child: Child) -> None:
    """Distinguish input that ends the child from a child that cannot work at all."""
    try:
        child.ask(["x", "x"], seconds=10 * SECONDS)
    except (ChildDied, ChildTimeout) as error:
        raise RunError(
            f"the comparison of mathematics does not work ({error}); install math-verify anew, at "
            "the version of constraints.txt"
        ) from error


# What follows runs in the child process.


def _answer(request: object) -> bool:
    """Whether the two expressions of a request are the same."""
    match request:
        case [str(answer), str(gold)]:
            return _same_expression(answer, gold)
        case _:
            raise TypeError(f"not a pair of expressions: {request!r}")


def _same_expression(answer: str, gold: str) -> bool:
    from math_verify import verify

    given, right = _parsed(answer), _parsed(gold)
    if given is None or right is None:
        return False
    stated = read_number(answer)
    if stated is not None and stated.digits and _is_expansion(stated, right):
        return True
    if not _chain_holds(given, right):
        return False
    return verify(right, given, allow_set_relation_comp=True, timeout_seconds=None)


def _parsed(text: str) -> Any:
    """The text as a sympy object with exact decimals; None where it is not one expression."""
    import sympy
    from math_verify import LatexExtractionConfig, parse

    found = parse(
        rf"\boxed{{{text}}}",
        [LatexExtractionConfig(boxed_match_priority=0)],
        fallback_mode="no_fallback",
        parsing_timeout=None,  # pyright: ignore[reportArgumentType] - turns the alarm off
    )
    if not found or isinstance(found[0], str):
        return None
    floats = found[0].atoms(sympy.Float)
    return found[0].xreplace({one: sympy.Rational(str(one)) for one in floats})


def _is_expansion(stated: Number, right: Any) -> bool:
    """Whether a decimal shows the first digits of a number that no decimal equals."""
    import sympy

    if stated.digits < EXPANSION_DIGITS or not isinstance(right, sympy.Expr):
        return False
    if right.free_symbols or right.is_real is False:
        return False
    value = right.evalf(50)
    if not value.is_Float:
        return False
    return abs(Fraction(str(value)) - stated.value) < stated.place


def _chain_holds(given: Any, right: Any) -> bool:
    """Whether every number in a chain of equations is the right answer, which is no equation."""
    import sympy
    from math_verify import verify
    from math_verify.grader import is_equation

    if is_equation(right) or not is_equation(given):
        return True
    sides = [side for one in given.atoms(sympy.Eq) | {given} for side in one.args]
    numbers = [side for side in sides if isinstance(side, sympy.Expr) and not side.free_symbols]
    return all(verify(right, side, timeout_seconds=None) for side in numbers)


if __name__ == "__main__":
    _same_expression(r"\frac{x}{2}", "x/2")  # imports sympy before the time of a request is taken
    serve(_answer, memory=_MEMORY)
