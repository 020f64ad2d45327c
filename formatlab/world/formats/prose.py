"""Worked sentences that end by saying what the answer is."""

import unicodedata
from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.conclusion import marked, stated
from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.page import Page
from formatlab.world.formats.steps import worked_lines
from formatlab.world.problem import Operator, Problem

_WORDS: dict[Operator, str] = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
_OPENINGS = ("First", "Then", "Next", "After that", "Last")
_ANSWERS = ("The answer is {}.", "So the answer is {}.")

_MARK = regex.compile(r"<<[^<>\n]{1,80}=[^<>\n]{1,40}>>")
"""GSM8K's mark of a calculation."""

_EQUATION = regex.compile(r"\d\s*+[-+*/x×÷]\s*+\$?\d[\d.,]*+\s*+=\s*+\$?\d")
_SPACELESS = regex.compile(
    r"(?:[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}][^\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\s]{0,8}){4}"
)
"""Words of a script that puts no spaces between them, with numbers and signs among them."""

_PUNCTUATION = (
    "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum()) + "“”’‘…—–،؟"
)
_VOWELS = frozenset("aeiouyAEIOUY")

_CERTAIN = 8
"""Words more than there is noise, from which a text is words without a look at the rest."""

_SAMPLE = 400
"""Characters that the judgement of a text's words rests on."""


class Prose(Format):
    """Sentences in words, with the answer in the last one."""

    name: ClassVar[str] = "prose"

    def render(self, problem: Problem, random: Random) -> str:
        """Write one sentence a step, in signs or in words, and the answer."""
        in_words, openings = random.random() < 0.5, random.random() < 0.5
        lines = worked_lines(problem)
        sentences = []
        for index, (left, operator, right, result) in enumerate(lines):
            sentence = (
                f"{left} {_WORDS[operator]} {right} is {result}."
                if in_words
                else f"{left} {operator} {right} = {result}."
            )
            if openings:
                sentence = f"{_OPENINGS[min(index, len(_OPENINGS) - 1)]}, {sentence}"
            sentences.append(sentence)
        sentences.append(random.choice(_ANSWERS).format(lines[-1].result))
        return " ".join(sentences)

    def recognise(self, page: Page) -> bool:
        """An answer mark, worked equations, or running words."""
        text = page.outside
        return (
            _reads_as_words(text[:_SAMPLE])
            or _MARK.search(text) is not None
            or _EQUATION.search(text) is not None
            or marked(page.statement) != "no answer"
            or (not text.isascii() and stated(page.statement) != "no answer")
        )

    def read(self, page: Page) -> Reading | Missing:
        """The number behind the last mark of an answer, or of a last sentence that concludes."""
        return stated(page.statement)


def _reads_as_words(text: str) -> bool:
    """Whether a text is words rather than noise: more of them than not, three or beside a number.

    A word is letters alone, in capitals or not throughout but for the first; Latin letters without
    a vowel are none from the fourth on.
    """
    words = others = 0
    for token in text.split():
        core = token.strip(_PUNCTUATION)
        if not core.isalpha():
            if core.isascii():
                core = core.replace("'", "").replace("-", "").replace("/", "")
            if not any(map(str.isalpha, core)):
                continue
        if _is_word(core):
            words += 1
            if words >= others + _CERTAIN:
                return True
        else:
            others += 1
    if words > others and (words >= 3 or any(map(str.isdigit, text))):
        return True
    return not text.isascii() and _SPACELESS.search(text) is not None


def _is_word(core: str) -> bool:
    if not core.isascii():
        return len(core) > 1 and all(unicodedata.category(c)[0] in "LM" for c in core)
    if not core.isalpha() or not (core.islower() or core[1:].islower() or core.isupper()):
        return False
    return len(core) < 4 or not _VOWELS.isdisjoint(core)
