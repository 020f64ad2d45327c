"""Worked sentences that end by saying what the answer is."""

from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import NUMBER, PATTERN_SECONDS, Format, Reading
from formatlab.world.formats.worked import worked_lines
from formatlab.world.problem import Operator, Problem

_WORDS: dict[Operator, str] = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
_OPENINGS = ("First", "Then", "Next", "After that", "Last")
_ANSWERS = ("The answer is {}.", "So the answer is {}.")

_ANSWER = regex.compile(
    rf"(?:answer\s*+(?:is|:)|^A:|^####)[\s:*]*+\\?[$€£]?\s*+(?P<answer>{NUMBER})",
    regex.IGNORECASE | regex.MULTILINE,
)
_MARK = regex.compile(
    r"answer\s*+(?:is\b|:)|^A:|^####|<<[^<>\n]{1,80}=[^<>\n]{1,40}>>",  # <<...>> as GSM8K has it
    regex.IGNORECASE | regex.MULTILINE,
)
_WORD = regex.compile(r"\p{L}{2,}")


class Prose(Format):
    """Sentences in words, with the answer in the last one."""

    name: ClassVar[str] = "prose"

    def render(self, problem: Problem, random: Random) -> str:
        """Write one sentence a step, in signs or in words, and the answer."""
        in_words, openings = random.random() < 0.5, random.random() < 0.5
        lines = worked_lines(problem)
        sentences = []
        for index, line in enumerate(lines):
            sentence = (
                f"{line.left} {_WORDS[line.operator]} {line.right} is {line.result}."
                if in_words
                else f"{line.left} {line.operator} {line.right} = {line.result}."
            )
            if openings:
                sentence = f"{_OPENINGS[min(index, len(_OPENINGS) - 1)]}, {sentence}"
            sentences.append(sentence)
        sentences.append(random.choice(_ANSWERS).format(lines[-1].result))
        return " ".join(sentences)

    def recognise(self, text: str) -> bool:
        """An answer mark, or running words that are not one phrase over and over."""
        if _MARK.search(text, timeout=PATTERN_SECONDS):
            return True
        words = [word.lower() for word in _WORD.findall(text, timeout=PATTERN_SECONDS)]
        return len(words) >= 3 and len(set(words)) >= 0.2 * len(words)

    def read(self, text: str) -> Reading | None:
        """The number after the last `answer is`, `answer:`, `A:` or `####`."""
        content = None
        for match in _ANSWER.finditer(text, timeout=PATTERN_SECONDS):
            content = match["answer"]
        return Reading(content=content) if content else None
