"""The answer alone."""

from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.limits import NUMBER
from formatlab.world.formats.page import Page
from formatlab.world.formats.steps import worked_lines
from formatlab.world.problem import Problem

_LONGEST = 200
_UNIT = r"(?:[%°€£¥₹$²³]|\(?\p{L}[\p{L}°²³/^0-9.]{0,20}+\)?)"
_QUANTITY = (
    r"\\?(?:(?:US|AU|CA)?[$€£¥₹]|USD|EUR|GBP|Rs\.?)?+\s*+"
    rf"(?:\d{{1,2}}:\d\d|[+]?{NUMBER}|\d{{1,3}}(?:\s\d{{3}})+(?:\.\d+)?"
    rf"|\\[dt]?frac\{{\d+\}}\{{\d+\}})"
    rf"(?:\s\d+/\d+)?(?:\s*+\\?%)?\s*+\$?(?:{_UNIT}(?:[ \t]++{_UNIT}){{0,3}})?"
)
_ALONE = regex.compile(
    r"\s*+[*_`\"'(]*+(?:[a-z]?\s*+[=≈~]|(?:about|around|approximately)\s)?\s*+(?:\\\()?+"
    rf"{_QUANTITY}(?:(?:\s|,\s)(?:and\s)?{_QUANTITY}){{0,2}}"
    r"\s*+(?:\\\))?[*_`\"')$]*+[.!]?[*_`\"]*+\s*+",
    regex.IGNORECASE,
)
_ABOUT = regex.compile(r"\A(?:[=≈~]|(?:about|around|approximately)\s)\s*+", regex.IGNORECASE)
_CHOICE = regex.compile(
    r"\s*+[*_`\"]*+(?:(?:[Oo]ption\s)?[(\[]?(?P<letter>[A-J])[)\]]?(?:[).,]\s(?!(?:or|and)\s"
    r"|\(?[A-J]\b)(?:\S++\s*+){1,4})?"
    r"|(?P<word>(?i:yes|no|true|false)))[.!]?[*_`\"]*+\s*+"
)
"""A letter of a multiple choice, or a verdict."""

_PART = rf"[+-]?\s*(?:{NUMBER}|\\[dt]?frac\{{-?\d+\}}\{{\d+\}})"
_TUPLE = regex.compile(
    rf"\s*[*_`$]*(?:\\left)?[(\[]\s*{_PART}(?:\s*,(?:\s+|(?!\d{{3}}\b)){_PART}){{1,5}}"
    r"\s*(?:\\right)?[)\]][*_`$]*[.]?[*_`]*\s*"
)
"""A point, or an interval: `(3, -4)`."""
_VERB = regex.compile(r"\b(?:is|are|was|were)\b")


class Direct(Format):
    """A number with nothing around it but a currency sign or a unit; or the letter of a choice."""

    name: ClassVar[str] = "direct"

    def render(self, problem: Problem, random: Random) -> str:
        """Write the number, with the noun of the last step in half of the cases."""
        answer = str(worked_lines(problem)[-1].result)
        return answer if random.random() < 0.5 else f"{answer} {problem.steps[-1].quantity}"

    def includes(self, page: Page) -> frozenset[str]:
        """Whatever else might be made of the number alone."""
        return frozenset(("prose", "latex", "script"))

    def recognise(self, page: Page) -> bool:
        """Nothing but one number and its unit."""
        return self.read(page) != "no answer"

    def read(self, page: Page) -> Reading | Missing:
        """The number with its unit, which tells the grader whether it goes on; or the choice."""
        if len(page.text) > _LONGEST or "\n" in page.text.strip():
            return "no answer"
        choice = _CHOICE.fullmatch(page.text)
        if choice:
            return Reading(content=choice["letter"] or choice["word"])
        if _TUPLE.fullmatch(page.text):
            return Reading(content=page.text.strip(" \t\n*_`$").rstrip("."))
        if _ALONE.fullmatch(page.text) is None or _VERB.search(page.text):
            return "no answer"
        content = page.text.strip(" \t\n*_`\"'")
        if content[:1] == "(" and content[1:2].isdigit() and content.endswith((")", ").")):
            return "ambiguous"  # it may be the number of an equation
        return Reading(content=_ABOUT.sub("", content))
