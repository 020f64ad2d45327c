r"""Right answers that are no plain number: expressions, tuples, intervals, sets, equations, words.

Two texts are the same if they are equal without markup; words are compared in no other way.
math-verify compares mathematics, in a child process with a limit of processor time (its own limit
is an alarm, which works in the main thread only). These rules are stricter than it:

- An answer must be one expression as a whole. Boxes, loose numbers side by side, primes and dots
  that go on are refused, unless the right answer has them too; so are words that are no name before
  it and no unit behind it.
- Values are compared by their leading digits and then exactly, however small they are, and decimals
  not to six places. A decimal of at least 6 digits that is the whole answer may stand for an
  irrational number (or a fraction, as among numbers) with those digits.
- Every side of a chain of equations must be the right answer, the first also its name; a decimal
  behind `\approx` must be the right answer rounded; and a base must be that of the right answer.
- A tuple is no interval, set or list, nor any of these another, but a list may stand for a set, and
  an inequality for its interval. Two numbers side by side are neither a point nor an interval; with
  names, in the order of the alphabet, they are a point: `x = 3, y = 4` is (3, 4).
- Where the right answer is a product of primes written with `\times` or `\cdot`, a factorisation is
  asked for: the answer must have the same factors, in any order and with or without powers.
"""

import atexit
import functools
import math
import threading
import unicodedata
from collections import Counter
from fractions import Fraction
from typing import Any, Literal

import regex

from formatlab.errors import RunError
from formatlab.observe.answers.child import Child, ChildDied, ChildTimeout, serve
from formatlab.observe.answers.number import (
    EXPANSION_DIGITS,
    Number,
    is_name,
    is_unit,
    read_number,
)
from formatlab.world.formats.limits import MINUS

Verdict = Literal["same", "different", "time", "memory"]

SECONDS = 3.0
"""Processor time of the child that one comparison may take; most take milliseconds."""
_FIRST_SECONDS = 1.0
"""The same at the first of two tries, so that what never ends costs little more than one."""
_MEMORY = 2 * 2**30
"""Bytes of address space of the child."""
_DIGITS, _MOST_DIGITS = 50, 2000
"""Leading digits by which two values are compared, and digits worked with to find them."""
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
_LETTER = regex.compile(r"\(?\p{L}\)")
_LONG_WORD = regex.compile(r"\p{L}{3,}")
_LATIN = regex.compile(r"[A-Za-z]")
_COMMAND = regex.compile(r"\\[A-Za-z]+")

# What `_form` looks at, in a text without spaces.
_NAMED = regex.compile(r"[A-Za-z](?:_\{?\w\}?)?(?:\([A-Za-z]\))?(?:=|\\in(?![A-Za-z])|\u2208)")
_RELATION = regex.compile(r"[<>\u2264\u2265]|\\(?:l|g)(?:t|e|eq|eqslant)(?![A-Za-z])")
_BRACKET = regex.compile(
    r",|(?P<opening>\\\{|\\langle|\\begin|[({\[])|(?P<closing>\\\}|\\rangle|\\end|[)}\]])"
)
_OUTER = regex.compile(r"(\\\{|\\langle|[(\[])(.*)(\\\}|\\rangle|[)\]])", regex.DOTALL)
_BRACKETS = {"\\{": "{", "\\}": "}", "\\langle": "(", "\\rangle": ")"}

_NUMERAL = regex.compile(r"([0-9A-F]+)_\{?([0-9]{1,2})\}?")
_APPROXIMATELY = regex.compile(r"\\approx(?![A-Za-z])|\u2248")
_PRIME = regex.compile(r"(?<![A-Za-z])'|\u2032|\\prime(?![A-Za-z])|[A-Za-z]'(?![A-Za-z])|[})0-9]'")
_EMPTY = frozenset(("\\emptyset", "\\varnothing", "\u2205", "\\{\\}"))
_DOTS = regex.compile(r"\.\.\.|\u2026|\\[lc]?dots")
_BOX = regex.compile(r"\\f?boxed|\\fbox")
_LOOSE = regex.compile(r"(?<![\w^_{])[0-9]+(?:\.[0-9]+)?\s+[0-9]")
_PRODUCT = regex.compile(r"\\(?:times|cdot)(?![A-Za-z])|[\u00d7\u00b7]")
_TIMES = regex.compile(r"\\(?:times|cdot)(?![A-Za-z])|\*|(?<=[\d)}]\s?)x(?=\s?[\d(])")
_FACTOR = regex.compile(
    r"\s*\(?\s*([0-9]{1,9})\s*\)?\s*(?:\^\s*(?:([0-9]{1,4})|\{\s*([0-9]{1,4})\s*\})\s*)?\)?\s*"
)
_LARGEST_FACTOR = 10**6
"""Factors above which none is looked at for whether it is prime."""
_EITHER = regex.compile(r"(?<![\\A-Za-z])or(?![A-Za-z])")
_COORDINATE = regex.compile(r"[\s\\]*([A-Za-z](?:_\{?\w\}?)?)\s*=([^=]+?)[\s\\]*")
_LIST = regex.compile(r"\[([^\[\]()]*,[^\[\]()]*,[^\[\]()]*)\]")
_SPACED = regex.compile(r"(?<=[0-9])(?:,\\!|\\!|\{,\}|,?\\,)\s*(?=[0-9]{3})")


def _lowered(match: "regex.Match[str]") -> str:
    return "^{" + unicodedata.normalize("NFKC", match[0]) + "}"


# What people type in place of a LaTeX command, and the command.
_TYPED = tuple(
    (regex.compile(pattern), command)
    for pattern, command in (
        (r"\*\*", "^"),
        (r"~", " "),
        (r"(?<![\\A-Za-z])exp\s*\(([^()]*)\)", r"e^{\1}"),
        (r"(?<![\\A-Za-z])cbrt\s*\(([^()]*)\)", r"\\sqrt[3]{\1}"),
        (r"\u221b\s*(?:\(([^()]*)\)|([0-9]+|[A-Za-z]))", r"\\sqrt[3]{\1\2}"),
        (r"\\[dt]?binom\s*([0-9])\s*([0-9])", r"\\binom{\1}{\2}"),
        (r"\u03c0|(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi "),
        (r"\u221e|(?<![\\A-Za-z])(?:oo|inf|infinity)(?![A-Za-z])", r"\\infty "),
        (r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\u221a\s*(?:\(([^()]*)\)|([0-9]+|[A-Za-z]))", r"\\sqrt{\1\2}"),
        (r"(?<![\\A-Za-z])(cot|sin|cos|tan|ln|log|sec|csc)(?![A-Za-z])", r"\\\1 "),
        (rf"[{MINUS}]", "-"),
        (r"[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+", _lowered),
        (r"\u2264", r"\\le "),
        (r"\u2265", r"\\ge "),
        (r"\u00b1", r"\\pm "),
        (r"\u222a", r"\\cup "),
        (r"(?<=[0-9]\s?)\*(?=\s?[A-Za-z])", " "),
        (r"\u00d7|\u00b7|(?<=[\w)}]\s?)\*(?=\s?[\w(\\])", r"\\cdot "),
    )
)
_ALTERNATIVES = regex.compile(
    r"[,\s]*(?:\\(?:text|mathrm|mbox)\s*\{[\s,]*(?:or|and)\s*\}"
    r"|(?<![\\A-Za-z])(?:or|and)(?![A-Za-z]))"
)


def compare(answer: str, gold: str) -> Verdict:
    """Whether an answer is the right one, which is no plain number. Safe from any thread.

    Raises:
        RunError: the child process does not start.
    """
    factors = _prime_factors(gold)
    answer, gold = _typed(answer), _typed(gold)
    if factors:
        sides = answer.split("=")
        if all(_factors(side) != factors for side in sides):
            return "different"
        if len(sides) == 1:
            return "same"
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
    if _BOX.search(answer) or "$" in answer:
        return "different"
    if any(mark.search(answer) and not mark.search(gold) for mark in (_DOTS, _PRIME)):
        return "different"
    if bare_answer in _EMPTY or bare_gold in _EMPTY:
        return "same" if {bare_answer, bare_gold} <= _EMPTY else "different"
    if _form(gold) == "()":
        answer = _point(answer)
    elif listed := _LIST.fullmatch(gold):  # of three and more, which are no interval
        gold, answer = listed[1], _LIST.sub(r"\1", answer, count=1)
    measured = _only_named_and_measured(answer)
    answer, gold = (_ALTERNATIVES.sub(",", text) for text in (answer, gold))
    if not (
        measured
        and _alike(_form(answer), _form(gold))
        and _same_case(_letters(answer), _letters(gold))
    ):
        return "different"
    return _ask(answer, gold)


def _prime_factors(gold: str) -> Counter[int] | None:
    """The factors of a right answer that is a product of primes; None for any other."""
    if "*" in gold or not _PRODUCT.search(gold):
        return None
    factors = _factors(_typed(gold))
    return factors if factors and all(map(_is_prime, factors)) else None


def _factors(product: str) -> Counter[int] | None:
    """The integers of a product, each as often as it is a factor; None if it is something else."""
    found: Counter[int] = Counter()
    for part in _TIMES.split(product.strip(" .$")):
        factor = _FACTOR.fullmatch(part)
        if factor is None:
            return None
        found[int(factor[1])] += int(factor[2] or factor[3] or 1)
    return found


def _is_prime(number: int) -> bool:
    if number < 2 or number > _LARGEST_FACTOR:
        return False
    return all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def _point(answer: str) -> str:
    """The point whose coordinates an answer names in the alphabet's order or another."""
    values: dict[str, str] = {}
    if _EITHER.search(answer):
        return answer
    for part in _ALTERNATIVES.sub(",", answer).split(","):
        named = _COORDINATE.fullmatch(part)
        if named is None or named[1] in values:
            return answer
        values[named[1]] = named[2]
    return f"({', '.join(values[name] for name in sorted(values))})" if len(values) > 1 else answer


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


def _only_named_and_measured(answer: str) -> bool:
    """Whether words before an expression are a name, and words in it or behind it a unit.

    `or` and `and` may part the elements of a list.
    """
    for match in _WORDS.finditer(answer):
        words = match[1].strip(" ,.")
        named = not answer[: match.start()].strip()
        if words in ("", "or", "and"):
            continue
        if not (is_name(words) if named else is_unit(f" {words}")):
            return False
    loose = _LONG_WORD.findall(_COMMAND.sub(" ", _WORDS.sub(" ", answer)))
    return all(word == "and" or (is_name(word) and is_unit(f" {word}")) for word in loose)


def _letters(text: str) -> set[str]:
    """The letters of an expression that may be symbols."""
    return set(_LATIN.findall(_LONG_WORD.sub(" ", _COMMAND.sub(" ", _WORDS.sub(" ", text)))))


def _same_case(answer: set[str], gold: set[str]) -> bool:
    """Whether no symbol of the right answer is there in the other case alone: x is not X."""
    return all(
        letter in answer or letter.swapcase() not in answer or letter.swapcase() in gold
        for letter in gold
    )


def _form(text: str) -> str:
    r"""What kind of thing an expression is, by its outer brackets.

    Returns:
        The two brackets, such as `(]` and `{}`; `<` for an inequality; `,` for a list without
        brackets, `,,` from three elements on; empty for anything else.
    """
    text = _NAMED.sub("", _bare(text).replace("\\lbrace", "\\{").replace("\\rbrace", "\\}"))
    depth, outer, commas = 0, 0, 0
    relation = bool(_RELATION.search(text))
    for match in _BRACKET.finditer(text):
        if match[0] == ",":
            commas += depth == 0
        elif match["opening"]:
            depth += 1
        else:
            depth -= 1
            outer += depth == 0 and match.end() < len(text)
    if relation:
        return "<"
    if commas:
        return "," if commas == 1 else ",,"
    brackets = _OUTER.fullmatch(text)
    if brackets is None or outer:
        return ""
    if brackets[1] in "([" and "," not in text:
        return "" if brackets[1] == "(" else "[]"
    opening, closing = (_BRACKETS.get(side, side) for side in (brackets[1], brackets[3]))
    return opening + closing


def _alike(answer: str, gold: str) -> bool:
    """Whether an answer of one form may equal a right answer of another."""
    if answer == gold:
        return True
    match gold:
        case "":
            return answer not in ("{}", "[]")
        case "," | ",,":
            return answer in ("", "{}", ",", ",,")
        case "{}":
            return answer in ("", ",", ",,")
        case "()":
            return answer in ("", "<", ",,")
        case "<":
            return answer not in (",", ",,", "{}")
        case _:
            return answer in ("", "<")


def _words(text: str) -> list[str]:
    """The words of a phrase, without brackets around a choice; in lower case, but for a symbol."""
    words = _WORDS.sub(r" \1 ", text).strip(" .()").split()
    return words if len("".join(words)) == 1 else [word.casefold() for word in words]


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
    answer, *rounded = _APPROXIMATELY.split(answer)
    if _APPROXIMATELY.search(gold):
        gold = _APPROXIMATELY.split(gold)[0]
    given, right = _parsed(answer), _parsed(gold)
    if given is None or right is None:
        return False
    if not all(_rounds(text, right) for text in rounded):
        return False
    stated = read_number(answer)
    if stated is not None and stated.digits and _is_expansion(stated, right):
        return True
    return _chain_holds(given, right) and _verify(right, given)


def _verify(right: Any, given: Any) -> bool:
    """What math-verify says, with values compared as in `_same_value`."""
    from math_verify import grader

    grader.__dict__["sympy_numeric_eq"] = _same_value
    return grader.verify(right, given, allow_set_relation_comp=True, timeout_seconds=None)


def _same_value(one: Any, other: Any, *_: object) -> bool:
    """Whether two expressions without symbols have the same value, which may be tiny or huge.

    math-verify's own comparison, for which this stands in, ignores differences below 10^-15.
    """
    import sympy

    if isinstance(one, sympy.MatrixBase) and isinstance(other, sympy.MatrixBase):
        pairs = zip(one.flat(), other.flat(), strict=False)
        return one.shape == other.shape and all(_same_value(*pair) for pair in pairs)
    if not isinstance(one, sympy.Expr) or not isinstance(other, sympy.Expr):
        return False
    if one.free_symbols or other.free_symbols:
        return (one - other).doit() == 0
    values = [abs(side.evalf(_DIGITS, maxn=_MOST_DIGITS)) for side in (one, other, one - other)]
    if not all(value.is_Float or value.is_Integer for value in values):
        return False
    first, second, difference = values
    if difference > max(first, second) * sympy.Float(10) ** (2 - _DIGITS):
        return False
    exact = (one - other).doit()
    return exact == 0 or not exact.is_Rational


def _rounds(text: str, right: Any) -> bool:
    """Whether a text is a decimal that rounds a number."""
    stated = read_number(text)
    if stated is None:
        return False
    value = _value(right)
    place = stated.place or Fraction(1)
    return value is not None and abs(value - stated.value) * 2 <= place


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


def _value(expression: Any) -> Fraction | None:
    """A real number to 50 digits; None for anything else."""
    import sympy

    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    value = expression.evalf(50)
    return Fraction(str(value)) if value.is_Float else None


def _is_expansion(stated: Number, right: Any) -> bool:
    """Whether a decimal shows the first digits of a number that no decimal equals."""
    if stated.digits < EXPANSION_DIGITS:
        return False
    value = _value(right)
    return value is not None and abs(value - stated.value) < stated.place


def _chain_holds(given: Any, right: Any) -> bool:
    """Whether each side of equations is the right answer, which is none; the first may name it."""
    import sympy
    from latex2sympy2_extended import is_expr_of_only_symbols
    from math_verify.grader import is_equation

    if is_equation(right) or not is_equation(given):
        return True
    equations = getattr(given, "_unsorted_args", (given,))
    first, *others = [equations[0].lhs, *(equation.rhs for equation in equations)]
    if not is_expr_of_only_symbols(first) or first.has(sympy.Add):
        others.append(first)
    return all(_verify(right, side) for side in others)


if __name__ == "__main__":
    _same_expression(r"\frac{x}{2}", "x/2")  # imports sympy before the time of a request is taken
    serve(_answer, memory=_MEMORY)
