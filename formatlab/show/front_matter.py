"""Front matter: the YAML block that a card begins with, read by hubs and by `datasets`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return fields as a YAML block between its two marks; those that are None are left out.

    Args:
        fields: texts, numbers, booleans, sequences and mappings of them.
    """
    return "\n".join(["---", *_mapping(fields), "---"]) + "\n"


def _mapping(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"  {line}" for line in _mapping(value))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield f"{name}:"
            yield from _items(value)
        elif value is not None:
            yield f"{name}: {_scalar(value)}"


def _items(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        lines = list(_mapping(value)) if isinstance(value, Mapping) else [_scalar(value)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _scalar(value: Any) -> str:
    # A scalar of JSON is one of YAML, and never mistaken for a date, a number or a mark.
    return json.dumps(value, ensure_ascii=False)
