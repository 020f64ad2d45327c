"""Golds: right answers of any kind, as the one text that every answer is compared with."""

import ast
import json
import math
import numbers
import re
from collections.abc import Mapping, Set
from decimal import Decimal
from functools import lru_cache
from typing import Any

from formatlab.errors import InputError

_NUMBER = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?")
_GSM8K_ANSWER = re.compile(r"####[ \t]*(.+?)\s*\Z")
_PRINTED = re.compile(r"""\s*(?:\[|\{(?=[^:]*:))\s*['"]""")
_PRINTED_NUMBER = re.compile(
    r"""\b(?:(?:np|numpy)\.(?:float|u?int)\d+|(?:decimal\.)?Decimal)\(['"]?([^()'"]*)['"]?\)"""
)
"""A number as `repr` writes that of numpy or a decimal, by itself or in a list."""
_MISSING = re.compile(
    r"""[\s\[({"'$]*(?:nan|none|null|nat|undefined|n/a|<na>)[\s\])}"'$.]*""", re.IGNORECASE
)
"""How tables and programs write that there is no value, alone or as the only one of a list."""
_VALUE_NAMES = ("ground_truth", "answer", "value", "gold", "target", "expected_answer")
"""Fields in which objects keep their right answer; the first with one counts."""

_MOST_DEEP = 8
"""Lists and objects around a right answer."""


def gold_answer(answer: object) -> str:
    """A right answer as canonical text: `1,000` and 1000.0 become `1000`, other text stays.

    Numbers may be of Python, numpy or torch, decimals or fractions. A list, set or array counts if
    all that it holds is the same answer, an object by its field `ground_truth`, `answer`, `value`,
    `gold`, `target` or `expected_answer`, or by its attribute `value`. A list of texts and such an
    object may be written as text, in JSON or Python, and so may numbers of numpy and decimals. What
    GSM8K writes before `####` is left out.

    Returns:
        The text; empty where the answer is missing: nothing, no text, an empty list, nan, or text
        that says so (`nan`, `None`, `null`).

    Raises:
        InputError: the value gives no answer, or several; the message says what it is instead.
    """
    return _read(answer, 0)


def _read(value: Any, depth: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _read_text(value, depth)
    if isinstance(value, bool) or depth > _MOST_DEEP:
        raise _refused(value)
    if isinstance(value, numbers.Real | Decimal):
        return _canonical(_written(value))
    if isinstance(value, Mapping):
        named = [value[name] for name in _VALUE_NAMES if name in value]
        if not named:
            raise _refused(value)
        # Tables give every row all fields, and leave those empty that a row does not have.
        return _read(next((one for one in named if one is not None), None), depth + 1)
    if isinstance(value, list | tuple | Set):
        given = {text for item in value if (text := _read(item, depth + 1))}
        if len(given) > 1:
            raise InputError(f"a list of {len(given)} different answers; one was expected")
        return given.pop() if given else ""
    for name in ("tolist", "value"):  # arrays and tensors; enumerations and wrappers
        inner = getattr(value, name, None)
        if inner is not None:
            return _read(inner() if callable(inner) else inner, depth + 1)
    raise _refused(value)


@lru_cache(maxsize=1024)  # rollouts of one prompt have the same right answer
def _read_text(text: str, depth: int) -> str:
    text = _PRINTED_NUMBER.sub(r"\1", text) if "(" in text else text
    held = _parsed(text)
    return _canonical(text) if held is None else _read(held, depth + 1)


def _parsed(text: str) -> Any:
    """The list or object that a text stands for, as CSV files have it; None if it is an answer."""
    if not _PRINTED.match(text):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            held = parse(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        named = isinstance(held, dict) and not held.keys().isdisjoint(_VALUE_NAMES)
        return held if named or isinstance(held, list) else None
    return None


def _written(number: Any) -> str:
    try:
        if not isinstance(number, numbers.Rational) and not math.isfinite(number):
            return ""  # how tables mark a missing number
        return f"{number:f}" if isinstance(number, Decimal) else str(number)
    except ValueError:  # Python writes no number of more than some thousand digits
        raise InputError("a number of too many digits to be compared with") from None


def _canonical(text: str) -> str:
    text = text.strip()
    if marked := _GSM8K_ANSWER.search(text):
        text = marked[1]
    if _MISSING.fullmatch(text):
        return ""
    if not _NUMBER.fullmatch(text):
        return text
    plain = f"{Decimal(text.replace(',', '')):f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def _refused(value: object) -> InputError:
    if isinstance(value, bool):
        return InputError(f"the right answer is text or a number, not {value!r}")
    if isinstance(value, Mapping):
        there = ", ".join(map(str, list(value)[:6])) or "none"
        return InputError(
            "the right answer is text or a number, not an object without "
            f"{', '.join(_VALUE_NAMES)} (fields present: {there})"
        )
    return InputError(f"the right answer is text or a number, not of type {type(value).__name__}")
