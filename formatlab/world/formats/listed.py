"""Answers that are listed as several: `The answers are 17 and 41.`, `x = 3, y = 4`."""

import regex

from formatlab.world.formats.format import Reading
from formatlab.world.formats.limits import QUANTITY
from formatlab.world.formats.plain_text import unadorned

_BETWEEN_ITEMS = r"\s*+(?:[,;]\s*+(?:(?:and|or)\s)?|(?:and|or|&)\s)\s*+"
_ITEM = rf"(?:(?>{QUANTITY})(?![\d.]*[\w(^])|(?=[^\s,;]*[\d√π])\(?[^\s,;=?]{{1,40}})"
_ANSWERS = regex.compile(
    r"[\s*#]*+(?:(?:so|thus|hence|therefore|finally|then|and)\b,?\s)?(?:(?:the|our|my|all)\s)?"
    r"(?:(?:final|correct|only|two|three|four|five|real|integer)\s){0,2}(?:answers|solutions|roots)"
    r"(?:\s(?:to|for|of)\s[^\n.:=?\d]{1,60}?)?\s*+(?:(?:are|were)(?:\sas\sfollows)?:?|:)[\s*]*+"
    rf"(?P<list>(?:[a-z]\s?=\s?)?{_ITEM}(?:{_BETWEEN_ITEMS}(?:[a-z]\s?=\s?)?{_ITEM})+?)[\s.!*]*+",
    regex.IGNORECASE,
)
"""A last line that lists several answers."""
_PLURALS = ("answers", "solutions", "roots")
_UNKNOWN = rf"(?P<name>[A-Za-z](?:_\w)?)\s*+=\s*+{_ITEM}"
_UNKNOWNS = regex.compile(
    r"\W*+(?:(?:so|thus|hence|therefore|finally|then)\b,?\s*+)?(?:(?:we\s+(?:get|find|have"
    r"|obtain)|the\s+solution\s+is|it\s+is)\b:?\s*+)?"
    rf"(?P<list>{_UNKNOWN}(?:\s*+(?:[,;]\s*+(?:and\s)?|(?:and|&)\s)\s*+{_UNKNOWN})+?)[\s.!*]*+",
    regex.IGNORECASE,
)
"""Several unknowns, each with its value, and nothing else."""
_LIST_MARKUP = regex.compile(r"\$|\\[()\[\],;: ]|\*\*|\\q?quad(?![A-Za-z])")


def listed_answers(text: str) -> Reading | None:
    """The answers that a last line lists as several: `The answers are 17 and 41.`, `x = 3, y = 4`.

    Elsewhere in a text they are a step on the way.
    """
    line = text[-400:].rstrip().rsplit("\n", 1)[-1]
    if line.count("=") < 2 and not any(map(line.lower().__contains__, _PLURALS)):
        return None
    line = _LIST_MARKUP.sub("", unadorned(line))
    listed = _ANSWERS.fullmatch(line)
    found = listed["list"].strip() if listed else several_unknowns(line)
    return Reading(content=found) if found else None


def several_unknowns(line: str) -> str:
    """Several unknowns, each with one value: `x = 3, y = 4`. Empty for anything else."""
    found = _UNKNOWNS.fullmatch(_LIST_MARKUP.sub("", line))
    names = found.captures("name") if found else []
    return found["list"].strip() if found and len(set(names)) == len(names) else ""
