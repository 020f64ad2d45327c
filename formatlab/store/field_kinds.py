"""Kinds of fields: whether settings hold what their annotations say, told before they are used.

Python itself lets a text stand where a tuple is meant, and goes over its letters. The kinds known
here are those that settings are made of: numbers, text, literals, tuples, mappings, unions and
other dataclasses. Another annotation is taken to hold whatever stands there.
"""

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_ROWS = (tuple, list, range)
"""What may stand for a tuple of any length."""

_WORDS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "None",
}


def kind_fault(settings: object) -> str | None:
    """The first field of another kind than its annotation says, in words; None if there is none.

    Args:
        settings: a dataclass; what lies in its fields is checked as well.
    """
    return next(_of_fields(settings, ""), None)


def _of_fields(settings: Any, where: str) -> Iterator[str]:
    try:
        hints = get_type_hints(type(settings))
    except NameError:  # an annotation that only type checkers can read
        return
    for field in fields(settings):
        name = f"{where}.{field.name}" if where else field.name
        yield from _faults(getattr(settings, field.name), hints[field.name], name)


def _faults(value: Any, kind: Any, where: str) -> Iterator[str]:
    """What is wrong with a value, and where."""
    if not _is_of(value, kind):
        yield f"{where} is {_shown(value)}; it has to be {_words(kind)}{_hint(value, kind)}"
        return
    if isinstance(value, float) and math.isnan(value):
        yield f"{where} is nan; it has to be {_words(kind)}"
    elif is_dataclass(value):
        yield from _of_fields(value, where)
    elif isinstance(value, (*_ROWS, Mapping)):
        for part, inner, place in _parts(value, _chosen(value, kind)):
            yield from _faults(part, inner, where + place)


def _parts(value: Any, kind: Any) -> Iterator[tuple[Any, Any, str]]:
    """The items of a tuple or mapping, the kind of each, and its place."""
    kinds = get_args(kind)
    if isinstance(value, Mapping):
        if len(kinds) == 2:
            for key, item in value.items():
                yield key, kinds[0], f"[{key!r}]"
                yield item, kinds[1], f"[{key!r}]"
        return
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    for place, (item, inner) in enumerate(zip(value, kinds, strict=False)):
        yield item, inner, f"[{place}]"


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind, its items aside."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in inner)
    if origin in (Union, types.UnionType):
        return any(_is_of(value, one) for one in inner)
    if origin is tuple:
        if Ellipsis in inner or not inner:
            return isinstance(value, _ROWS)
        return isinstance(value, tuple) and len(value) == len(inner)
    if kind in (int, float):
        numbers = (int,) if kind is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    plain = origin or kind
    return isinstance(value, plain) if isinstance(plain, type) else True


def _chosen(value: Any, kind: Any) -> Any:
    """The member of a union that a value is of; another kind as it is."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(one for one in get_args(kind) if _is_of(value, one))
    return kind


def _words(kind: Any) -> str:
    """A kind in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(inner[0])
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, inner))
    if origin is tuple:
        return "a tuple" if Ellipsis in inner or not inner else f"a tuple of {len(inner)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a dict"
    return _WORDS.get(kind) or f"of type {getattr(kind, '__name__', kind)}"


def _hint(value: Any, kind: Any) -> str:
    """How a tuple of one value is written."""
    if get_origin(kind) is not tuple or isinstance(value, (*_ROWS, Mapping, set)):
        return ""
    return f", as {_shown((value,))}"


def _shown(value: object) -> str:
    """A value, in short where it is long."""
    if is_dataclass(value):
        return f"{type(value).__name__}(...)"
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))}{',' * (len(value) == 1)})"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
