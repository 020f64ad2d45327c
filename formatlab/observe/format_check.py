"""The format check: what a world's formats write is recognised, read and right, before training.

A format that its own recogniser misses would be counted as another, and that other one might win.
"""

import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from formatlab.errors import FormatlabError, InputError
from formatlab.observe.grader import Grade, grade_or_raise
from formatlab.world.formats import FORMATS
from formatlab.world.mixture import Mixture
from formatlab.world.problem import Problem, digest
from formatlab.world.world import World

RENDERINGS = 100
"""Renderings of each format that are checked."""

_SHOWN = 200
"""Characters of a rendering that are shown."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """What went wrong with one rendering."""

    words: str
    text: str
    gold: str


def check_formats(worlds: Iterable[World]) -> None:
    """Tag, read and grade renderings of every format of some worlds, each of a problem of its own.

    Nothing is mistranslated in them, so every answer has to be right. Worlds that differ in their
    seeds, shares or fidelity alone are checked once.

    Raises:
        InputError: a format raises an error, or a rendering is not taken for its format, has no
            answer or a wrong one; the message has one of them.
        RunError: the sandbox does not start.
    """
    checked: set[str] = set()
    for world in worlds:
        problems = None
        for form, share in world.mixture.shares.items():
            alike = replace(world, seed=0, mixture=Mixture(name=form, shares={form: 1.0}))
            if share <= 0 or (key := repr(alike)) in checked:
                continue
            checked.add(key)
            problems = problems or [world.problem("pretrain", n) for n in range(RENDERINGS)]
            _check(form, problems)


def _check(form: str, problems: list[Problem]) -> None:
    faults = [fault for n, problem in enumerate(problems) if (fault := _fault(form, n, problem))]
    if not faults:
        return
    counts = Counter(fault.words for fault in faults).most_common()
    first = next(fault for fault in faults if fault.words == counts[0][0])
    listed = ", ".join(f"{count} {words}" for words, count in counts)
    text = first.text if len(first.text) <= _SHOWN else f"{first.text[:_SHOWN]}..."
    raise InputError(
        f"format {form!r}: of {len(problems)} solutions that it renders {listed}; correct its "
        f"render, recognise or read. One of them, with the right answer {first.gold}: {text!r}"
    )


def _fault(form: str, number: int, problem: Problem) -> _Fault | None:
    text = ""
    try:
        text = FORMATS[form].render(problem, Random(digest("format check", form, number)))
        words = _words(form, grade_or_raise(text, problem.answer))
    except FormatlabError:
        raise
    except Exception as error:  # the author of the format has to mend it
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"format {form!r}: {last.filename}, line {last.lineno}: {type(error).__name__}: "
            f"{error}; this came of the right answer {problem.answer}, rendered as {text!r}"
        ) from error
    return _Fault(words, text, problem.answer) if words else None


def _words(form: str, seen: Grade) -> str:
    """What is wrong with the grade of a rendering; empty if nothing is."""
    if seen.tag.format != form:
        return f"are taken for {seen.tag.format}"
    if seen.tag.missing is not None:
        return f"have no answer that its read finds ({seen.tag.missing})"
    return "" if seen.correct else f"are graded as {seen.reason}"
