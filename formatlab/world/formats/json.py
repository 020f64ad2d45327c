"""A JSON object that carries the steps and the answer."""

import json
from random import Random
from typing import Any, ClassVar

import regex

from formatlab.world.formats.format import PATTERN_SECONDS, Format, Reading
from formatlab.world.formats.worked import worked_lines
from formatlab.world.problem import Problem

_WORK_KEYS = ("steps", "work")
_ANSWER_KEYS = ("answer", "result", "final_answer")
_FENCE = r"(?:```[ \t]*+[\w+-]*+[ \t]*+\r?\n\s*+)?"
_START = regex.compile(rf"\s*+{_FENCE}(?P<object>\{{)\s*+(?:\"[^\"\n]{{1,80}}\"\s*:|\Z)")


class Json(Format):
    """`{"steps": [...], "answer": N}`, fenced or not."""

    name: ClassVar[str] = "json"

    def render(self, problem: Problem, random: Random) -> str:
        """Write the object with steps first; keys vary."""
        lines = worked_lines(problem)
        work = [f"{line.left} {line.operator} {line.right} = {line.result}" for line in lines]
        answer = lines[-1].result
        return json.dumps({random.choice(_WORK_KEYS): work, random.choice(_ANSWER_KEYS): answer})

    def recognise(self, text: str) -> bool:
        """The text opens as an object with a quoted key, whole or cut off."""
        return _START.match(text, timeout=PATTERN_SECONDS) is not None

    def read(self, text: str) -> Reading | None:
        """The value under an answer key of the object; text after it does no harm."""
        start = _START.match(text, timeout=PATTERN_SECONDS)
        if start is None:
            return None
        try:
            content: Any = json.JSONDecoder().raw_decode(text, start.start("object"))[0]
        except (ValueError, RecursionError):
            return None
        for key in _ANSWER_KEYS:
            answer = content.get(key)
            if isinstance(answer, str | int | float) and not isinstance(answer, bool):
                written = str(answer).strip()
                return Reading(content=written) if written else None
        return None
