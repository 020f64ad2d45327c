"""Calls of tools as chat templates write them, and the code that they hand to an interpreter."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import regex

_NAMED = regex.compile(r"\s*+(?:(?P<name>[\w.-]{1,100}+)\s*+(?:\[CALL_ID\]\w*+)?\s*+\[ARGS\])?\s*+")
"""What stands between Mistral's `[TOOL_CALLS]` and the object: newer templates name the tool."""

_PARAMETER = regex.compile(
    r"<parameter=(?P<name>\w{1,60}+)>\n?(?P<value>.*?)\n?</parameter>", regex.DOTALL
)
"""An argument as Qwen3-Coder writes it."""

_CODE_NAMES = frozenset("code python python_code script source program expression expr".split())
"""Arguments that hold code under a name that says so."""

_INPUT_NAMES = frozenset("input query text command cmd cell string __arg1 equation formula".split())
_INTERPRETERS = ("python", "code", "interpreter", "calc", "repl", "jupyter", "sandbox", "math")
"""Arguments that hold code if the name of the tool has one of these words in it."""

_LONGEST = 50_000
_DECODER = json.JSONDecoder(strict=False)


def end_of_calls(text: str, start: int) -> int | None:
    """Where the calls behind `[TOOL_CALLS]` end; None where their object is cut off or broken."""
    named = _NAMED.match(text, start)
    start = named.end() if named else start
    _, length = _decoded(text[start : start + _LONGEST])
    return start + length if length else None


def is_whole_call(body: str) -> bool:
    """Whether a body is an object that says what to call, and is all there."""
    body = body.strip()
    if body.startswith("<function="):
        return body.endswith("</function>")
    value, length = _decoded(body[:_LONGEST])
    return isinstance(value, dict | list) and length == len(body)


def is_call(body: str) -> bool:
    """Whether a body says what to call, whole or not, and is no code itself."""
    return body.lstrip()[:1] in ("{", "[") or "[ARGS]" in body or "<function=" in body


def code_in_call(body: str) -> str:
    """The code among the arguments of the calls in a body, or the sum for a calculator.

    Empty where the calls hand no code to anything, or cannot be read.
    """
    found = []
    if "<parameter=" in body:
        pairs = [(m["name"], m["value"]) for m in _PARAMETER.finditer(body)]
        found = list(_code(_name_of(body), dict(pairs)))
    else:
        named = _NAMED.match(body)
        name = (named["name"] if named else None) or ""
        value, _ = _decoded(body[named.end() if named else 0 :][:_LONGEST])
        for call in value if isinstance(value, list) else [value]:
            if isinstance(call, dict):
                found += _code_of_call(name, call)
    return "\n".join(found)


def _code_of_call(name: str, call: Mapping[str, Any]) -> Iterator[str]:
    function = call.get("function")
    call = function if isinstance(function, dict) else call
    given = next((call[key] for key in ("arguments", "parameters", "input") if key in call), call)
    if isinstance(given, str):
        inner, length = _decoded(given)
        given = inner if length and isinstance(inner, dict) else {"input": given}
    name = name or str(call.get("name") or "")
    if isinstance(given, dict):
        yield from _code(name, given)


def _code(tool: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    runs = any(word in tool.lower() for word in _INTERPRETERS)
    for name, value in arguments.items():
        plain = name.lower()
        if isinstance(value, str) and (
            plain in _CODE_NAMES or (runs and plain in _INPUT_NAMES and tool.lower() != plain)
        ):
            yield value


def runs_code(tool: str) -> bool:
    """Whether the name of a tool says that it runs code or calculates."""
    return any(word in tool.lower() for word in _INTERPRETERS)


def _name_of(body: str) -> str:
    return body[body.find("<function=") + len("<function=") :][:100].partition(">")[0]


def _decoded(text: str) -> tuple[Any, int]:
    """The value that a text begins with and its length; 0 where there is none."""
    try:
        return _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None, 0
