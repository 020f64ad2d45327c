"""The grader: the answer read where the format puts it, run where it must be, and compared."""

import math
from dataclasses import dataclass
from typing import Literal

from formatlab.observe.number import parse_number
from formatlab.observe.sandbox import Sandbox, shared_sandbox
from formatlab.observe.tagger import Tag, tag

Reason = Literal["", "no answer", "wrong", "error", "time", "memory"]

_LONGEST = 200
"""Characters of a text that code may give as its answer; every answer is kept in a rollout row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """The verdict on one completion."""

    tag: Tag
    answer: str | None
    """The answer as text; for code, the value that running it gave."""
    correct: bool
    reason: Reason
    """Why it is not correct; empty where it is."""


def grade(text: str, gold: str, *, sandbox: Sandbox | None = None) -> Grade:
    """Tag a completion, read its answer, and compare it with the right one.

    Args:
        text: the completion alone, without its prompt.
        gold: the right answer.
        sandbox: where code is run; this process's shared one if not given.
    """
    seen = tag(text)
    reading = seen.reading
    if reading is None:
        return Grade(tag=seen, answer=None, correct=False, reason="no answer")
    answer = reading.content
    if reading.code:
        execution = (sandbox or shared_sandbox()).run(reading.content)
        if execution.failure:
            return Grade(tag=seen, answer=None, correct=False, reason=execution.failure)
        value = _stated(execution.value)
        if value is None:
            return Grade(tag=seen, answer=None, correct=False, reason="no answer")
        answer = value
    correct = same_answer(answer, gold)
    return Grade(tag=seen, answer=answer, correct=correct, reason="" if correct else "wrong")


def same_answer(answer: str, gold: str) -> bool:
    """Whether two answers are the same number, or, where the right one is none, the same text."""
    expected = parse_number(gold)
    if expected is None:
        return bool(gold.strip()) and answer.split() == gold.split()
    return parse_number(answer) == expected


def _stated(value: object) -> str | None:
    """A value of executed code as text; None for what is no answer, or far too long for one."""
    match value:
        case bool():
            return None
        case int():
            return str(value) if abs(value) < 10**40 else None
        case float():
            return repr(round(value, 9)) if math.isfinite(value) else None
        case str():
            return value.strip() or None if len(value) <= _LONGEST else None
        case _:
            return None
