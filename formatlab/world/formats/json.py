"""A JSON object that carries the steps and the answer."""

import json
from random import Random
from typing import Any, ClassVar

import regex

from formatlab.world.formats.format import PATTERN_SECONDS, Format, Reading, unfence
from formatlab.world.formats.worked import worked_lines
from formatlab.world.problem import Problem

_KEYS = ("answer", "result", "final_answer")
_START = regex.compile(r"\s*\{\s*(?:\"[^\"\n]{1,80}\"\s*:|\Z)")


class Json(Format):
    """`{"steps": [...], "answer": N}`, fenced or not."""

    name: ClassVar[str] = "json"

    def render(self, problem: Problem, random: Random) -> str:
        """Write the object with steps first; keys vary."""
        lines = worked_lines(problem)
        steps = [f"{left} {operator} {right} = {result}" for left, operator, right, result in lines]
        key = random.choice(("steps", "work"))
        return json.dumps({key: steps, random.choice(_KEYS[:2]): lines[-1][3]})

    def recognise(self, text: str) -> bool:
        """The text opens as an object with a quoted key, whole or cut off."""
        return _START.match(unfence(text), timeout=PATTERN_SECONDS) is not None

    def read(self, text: str) -> Reading | None:
        """The value under an answer key of the object; text after it does no harm."""
        inside = unfence(text).lstrip()
        try:
            content: Any = json.JSONDecoder().raw_decode(inside)[0]
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, dict):
            return None
        for key in _KEYS:
            answer = content.get(key)
            if isinstance(answer, str | int | float) and not isinstance(answer, bool):
                return Reading(content=str(answer).strip()) if str(answer).strip() else None
        return None
