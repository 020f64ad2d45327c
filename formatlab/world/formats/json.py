"""A JSON object that carries the steps and the answer."""

import json
import math
from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

import regex

from formatlab.world.formats.box import boxed
from formatlab.world.formats.commitment import agreed, is_taken_back, offers_another
from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.json_object import KEYED, Pairs
from formatlab.world.formats.limits import QUANTITY
from formatlab.world.formats.page import Page, up_to_next_question
from formatlab.world.formats.sentence import only_number
from formatlab.world.formats.steps import worked_lines
from formatlab.world.problem import Problem

_WORK_KEYS = ("steps", "work")
_ANSWER_KEYS = ("answer", "result", "final_answer")
_KEYS = tuple(
    regex.compile(pattern, regex.IGNORECASE)
    for pattern in (
        r"\s*+(?:the[ _-]?)?(?:final|correct|numeric(?:al)?)?[ _-]?(?:answer|ans)\s*+",
        r".*(?<![a-z])answer(?![a-z]).*",
        r"\s*+(?:the[ _-]?)?(?:(?:final|correct|right)[ _-]?)?(?:result|solution|output|value)"
        r"(?:[ _-]?(?:value|number))?\s*+",
    )
)
"""Keys that an answer stands under, the plainest first. Beside the plainest kind of an object,
numbers under the others are answers too."""

_FINAL = regex.compile(r"(?i)\s*(?:final|result|output|solution|response|correct)")
"""Keys of objects in an object that hold an answer beside its own."""
_SEVERAL = regex.compile(
    r"(?i)\s*(?:(?:\w+[ _-])?(?:answers|solutions)"
    r"|(?:alternatives?|another|other|second)(?:[ _-](?:answer|result|solution|value))?)\s*\Z"
)
"""Keys of what holds answers beside it."""
_NUMBER = regex.compile(rf"\s*+{QUANTITY}\s*+")
_PLAIN_VALUE = regex.compile(
    r"(?:\"(?P<text>[^\"\n\\]{1,200}+)\"\s*+,?\s*+(?:\}|```|\Z)"
    r"|(?P<number>-?\d[\d.,eE+-]{0,60}+)\s*+(?:,?\s*+(?:\}|```)|(?<=\d)\Z))"
)


class Json(Format):
    """`{"steps": [...], "answer": N}`, fenced or not, words around it or not."""

    name: ClassVar[str] = "json"

    def render(self, problem: Problem, random: Random) -> str:
        """Write the object with steps first; keys vary."""
        lines = worked_lines(problem)
        work = [f"{line.left} {line.operator} {line.right} = {line.result}" for line in lines]
        answer = lines[-1].result
        return json.dumps({random.choice(_WORK_KEYS): work, random.choice(_ANSWER_KEYS): answer})

    def recognise(self, page: Page) -> bool:
        """The text opens as an object with a quoted key, or holds one with an answer in it."""
        if page.object is None:
            return False
        start = page.object.start
        return not any(
            element.kind == "turn" and element.start < start for element in page.elements
        )

    def read(self, page: Page) -> Reading | Missing:
        """The value under an answer key of the object; a further object has to agree with it."""
        if page.object is None:
            return "no answer"
        value = page.object.value
        if value is None:
            return _from_broken(page.text[page.object.start :])
        start, end = page.object.start, page.object.end
        if is_taken_back(page.text[end:]) or offers_another(page.text[end:], page.text[start:end]):
            return "no answer"
        found = {written: Reading(content=written) for written in _keyed(page, page.object.end)}
        for item in [value] if isinstance(value, Pairs) else value:
            answer = _answer(item) if isinstance(item, Pairs) else "no answer"
            if answer == "ambiguous":
                return answer
            if isinstance(answer, Reading):
                found[answer.content] = answer
        return _agreed(found)


def _keyed(page: Page, end: int) -> Iterator[str]:
    """The answers of further objects behind the first, up to a further question."""
    own = up_to_next_question("." + page.text[end:])
    for match in KEYED.finditer(own):
        value = _PLAIN_VALUE.match(own, match.end())
        if value is not None:
            yield only_number(value["text"] or value["number"])


def _answer(pairs: Pairs) -> Reading | Missing:
    kinds = [[v for key, v in pairs if pattern.fullmatch(key[:200])] for pattern in _KEYS]
    for place, values in enumerate(kinds):
        if values:
            answer = _of_values(values)
            if not isinstance(answer, Reading):
                return answer
            others = [_of_values([v]) for kind in kinds[place + 1 :] for v in kind if _is_number(v)]
            others += [_answer(v) for key, v in pairs if isinstance(v, Pairs) and _FINAL.match(key)]
            others += [
                _of_values([v]) for key, v in pairs if _SEVERAL.match(key[:200]) and _is_number(v)
            ]
            if "ambiguous" in others:
                return "ambiguous"
            return agreed([answer, *(r for r in others if isinstance(r, Reading))])
    inner = [_answer(value) for _, value in pairs if isinstance(value, Pairs)]
    if "ambiguous" in inner:
        return "ambiguous"
    return _agreed({reading.content: reading for reading in inner if isinstance(reading, Reading)})


def _is_number(value: Any) -> bool:
    """Whether a value is a number, and no text that may be the working."""
    if isinstance(value, bool):
        return False
    if isinstance(value, list) and not isinstance(value, Pairs):
        return bool(value) and all(_is_number(item) for item in value if not isinstance(item, list))
    return isinstance(value, int | float) or (
        isinstance(value, str) and _NUMBER.fullmatch(value) is not None
    )


def _of_values(values: list[Any]) -> Reading | Missing:
    found: dict[str, Reading] = {}
    for value in values:
        if isinstance(value, list) and not isinstance(value, Pairs):
            if len(value) > 1:
                return "ambiguous"
            value = value[0] if value else None
        if isinstance(value, Pairs):
            # An only value is the answer under any key.
            reading = _of_values([value[0][1]]) if len(value) == 1 else _answer(value)
        else:
            reading = _written(value)
        if reading == "ambiguous":
            return "ambiguous"
        if isinstance(reading, Reading):
            found[reading.content] = reading
    return _agreed(found)


def _written(value: Any) -> Reading | Missing:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "no answer"
    if isinstance(value, float) and not math.isfinite(value):
        return "no answer"
    text = str(value).strip()
    box = boxed(text)
    if box != "no answer":
        return box
    return Reading(content=only_number(text)) if text else "no answer"


def _agreed(found: dict[str, Reading]) -> Reading | Missing:
    if not found:
        return "no answer"
    return "ambiguous" if len(found) > 1 else next(iter(found.values()))


def _from_broken(text: str) -> Reading | Missing:
    """The answer at the very end of an object that is broken before it."""
    last = None
    for match in KEYED.finditer(text):
        last = match
    if last is None:
        return "malformed"
    value = _PLAIN_VALUE.match(text, last.end())
    if value is None:
        return "malformed"
    return Reading(content=only_number(value["text"] or value["number"]))
