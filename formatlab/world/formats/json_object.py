"""A JSON object in a text: where it is, and what it holds, even where it is not quite JSON."""

import ast
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import regex

_START = regex.compile(r"\{\s*+(?:[\"'][^\"'\n]{1,80}+[\"']\s*+:|\Z)|\[\s*+\{\s*+[\"']")
_LINE = regex.compile(r"^[ \t]*+(?=\{\s*+[\"'][^\"'\n]{1,80}+[\"']\s*+:)", regex.MULTILINE)
_INLINE = regex.compile(
    r"(?=\{\s*+[\"'][^{}]{0,2000}+(?<=[\"'](?:final[ _])?answer[\"']\s*:[^{}]{0,2000}))",
    regex.IGNORECASE,
)
KEYED = re.compile(
    r"[\"'](?:the[ _-]?)?(?:final[ _-]?)?(?:answer|ans|result)[\"']\s*:\s*", re.IGNORECASE
)
"""The key of an answer, with its colon."""

_BAD_ESCAPE = regex.compile(r"\\(?![\"\\/bfnrtu])")
_COMMAND = regex.compile(
    r"(?<!\\)\\(?=(?:boxed|frac|fbox|begin|beta|bar|big|binom|text|times|theta|tan|to|right|rho"
    r"|rm)\b)"
)
"""Commands of LaTeX that begin like an escape of JSON."""

_LONGEST = 100_000
_DEEPEST = 50
"""Objects and lists within one another up to which an object is read; what reads them recurses."""


class Pairs(list[tuple[str, Any]]):
    """The pairs of an object, repeated keys included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonObject:
    """An object, or a list of objects, in a text."""

    start: int
    """Where it begins in the text."""
    end: int
    """Where it ends; the end of the text where it is broken or cut off."""
    value: Any
    """`Pairs`, or a list of values; None where it is broken or cut off."""


def find_object(
    text: str, blocks: Sequence[tuple[int, str, bool]], taken: Sequence[tuple[int, int]]
) -> JsonObject | None:
    """Find the object that a text consists of, or that carries an answer in it.

    Args:
        text: a completion.
        blocks: fenced blocks that may hold it: start, body, and whether they are marked as JSON.
        taken: spans that hold code or are tagged, in which an object means nothing.
    """
    start = _start(text, blocks, taken)
    if start is None:
        return None
    value, length = _decoded(text[start : start + _LONGEST])
    return JsonObject(start=start, end=len(text) if value is None else start + length, value=value)


def _start(
    text: str, blocks: Sequence[tuple[int, str, bool]], taken: Sequence[tuple[int, int]]
) -> int | None:
    opening = len(text) - len(text.lstrip())
    if _START.match(text, opening):
        return opening
    for begin, body, marked in blocks:
        first = text.find(body, begin) + len(body) - len(body.lstrip())
        if _START.match(text, first) and (marked or KEYED.search(body)):
            return first
    if KEYED.search(text) is None:
        return None
    for pattern in (_LINE, _INLINE):
        for match in pattern.finditer(text):
            if not any(start <= match.end() < end for start, end in taken):
                return match.end()
    return None


def _decoded(text: str) -> tuple[Any, int]:
    """The first value of a text and its length; None where it is no JSON even if mended."""
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=Pairs)
    plain = _COMMAND.sub(r"\\\\", text) if "\\" in text else text
    for attempt in (0, 1):
        candidate = _BAD_ESCAPE.sub(r"\\\\", plain) if attempt else plain
        try:
            value, length = decoder.raw_decode(candidate)
        except (ValueError, RecursionError):
            continue
        if _is_deep(value):
            return None, 0
        return value, length - candidate[:length].count("\\\\") + text[:length].count("\\\\")
    return _python_literal(text)


def _is_deep(value: Any) -> bool:
    """Whether objects and lists lie within one another too deeply to be read."""
    level = [value]
    for _ in range(_DEEPEST):
        pairs = [item for item in level if isinstance(item, Pairs)]
        lists = [item for item in level if isinstance(item, list) and not isinstance(item, Pairs)]
        level = [inner for item in pairs for _, inner in item]
        level += [inner for item in lists for inner in item]
        if not level:
            return False
    return True


def _python_literal(text: str) -> tuple[Any, int]:
    """A dictionary in Python's notation, which models write for JSON; None where it is none."""
    end = text.rfind("}") + 1
    if not 0 < end < 10_000:
        return None, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on dubious escapes in the model's strings
            value = ast.literal_eval(text[:end])
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None, 0
    return (Pairs(value.items()), end) if isinstance(value, dict) else (None, 0)
