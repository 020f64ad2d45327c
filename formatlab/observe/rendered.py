r"""Solutions as the controlled world writes them, each told by one pattern.

A policy that was trained on the world mostly writes such texts. Tagging one by its pattern takes a
tenth of the time that the formats take, and gives the same tag: `tests/observe/test_rendered.py`
holds the two against one another on what these patterns match. Any other text goes to the formats.
"""

import keyword
import re

from formatlab.world.formats import Reading

_NUMBER = r"-?(?:0|[1-9]\d{0,8}+)"
_NAME = rf"(?!(?:{'|'.join(keyword.kwlist)})\b)[a-z][a-z0-9_]{{0,20}}+"
_TERM = rf"(?:{_NAME}|{_NUMBER})"
_OPERATOR = r" (?:[-+*]|//) "
_OPERATION = rf"{_TERM}{_OPERATOR}{_TERM}"
_NESTED = rf"(?:{_TERM}|\((?:{_TERM}|\({_OPERATION}\)){_OPERATOR}(?:{_TERM}|\({_OPERATION}\))\))"
_EQUATION = rf"{_NUMBER} (?:[-+]|\\times|\\cdot|\\div) {_NUMBER} = {_NUMBER}"

_PROGRAM = re.compile(
    rf"def ({_NAME})\(\):\n(?:    {_NAME} = {_TERM}(?:{_OPERATOR}{_TERM})?\n){{0,12}}+"
    rf"    return {_NAME}",
    re.ASCII,
)
_TOOL = re.compile(
    rf"<tool>((?:{_NAME} = {_OPERATION}\n){{0,8}}+{_NESTED}{_OPERATOR}{_NESTED})</tool>", re.ASCII
)
_LATEX = re.compile(
    rf"(?:(?:\${_EQUATION}\$, ){{1,8}}+|(?:\\\[{_EQUATION}\\\]\n){{1,8}}+)\\boxed\{{({_NUMBER})\}}",
    re.ASCII,
)
_PROSE = re.compile(
    r"(?:(?:(?:First|Then|Next|After that|Last), )?"
    rf"{_NUMBER} (?:[-+*/] {_NUMBER} =|(?:plus|minus|times|divided by) {_NUMBER} is) {_NUMBER}"
    rf"\. ){{1,8}}+(?:The|So the) answer is ({_NUMBER})\.",
    re.ASCII,
)


def rendered(text: str) -> tuple[str, Reading] | None:
    """The format of a text that the world might have written, and where its answer is.

    A text that mostly repeats itself matches, too.
    """
    match text[:1]:
        case "d":
            if found := _PROGRAM.fullmatch(text):
                return "program", Reading(content=f"{text}\n{found[1]}()", code=True)
        case "<":
            if found := _TOOL.fullmatch(text):
                return "tool_tags", Reading(content=found[1], code=True)
        case "$" | "\\":
            if found := _LATEX.fullmatch(text):
                return "latex", Reading(content=found[1])
        case _:
            if found := _PROSE.fullmatch(text):
                return "prose", Reading(content=found[1])
    return None
