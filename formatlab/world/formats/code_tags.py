"""Words with code in tags; the answer is said after it, as in OpenMathInstruct-1."""

import textwrap
from fractions import Fraction
from itertools import zip_longest
from random import Random
from typing import ClassVar

from formatlab.world.formats.box import answer_key
from formatlab.world.formats.call import code_in_call, is_call
from formatlab.world.formats.commitment import is_altered, is_taken_back, offers_another
from formatlab.world.formats.conclusion import concluding
from formatlab.world.formats.direct import Direct
from formatlab.world.formats.element import Element
from formatlab.world.formats.ending import unfinished
from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.json import Json
from formatlab.world.formats.page import Page
from formatlab.world.formats.sentence import only_number
from formatlab.world.formats.snippet import Snippet
from formatlab.world.formats.steps import statements, worked_lines
from formatlab.world.problem import Problem

_DIRECT, _JSON = Direct(), Json()
_FEW = 300
"""Characters behind an answer in tags that may be another answer by themselves."""


class CodeTags(Format):
    """`<llm-code>...</llm-code>`, its output in tags of its own, and a last sentence."""

    name: ClassVar[str] = "code_tags"

    def render(self, problem: Problem, random: Random) -> str:
        """Write the code, its value, and a sentence with the answer in a box or without."""
        code = "\n".join(statements(problem.steps))
        answer = worked_lines(problem)[-1].result
        last = f"The answer is {answer}." if random.random() < 0.5 else f"\\boxed{{{answer}}}"
        return (
            f"<llm-code>\n{code}\n</llm-code>\n"
            f"<llm-code-output>\n{answer}\n</llm-code-output>\n{last}"
        )

    def includes(self, page: Page) -> frozenset[str]:
        """The code, and what is said after it."""
        return frozenset(("program", "script", "code_fenced", "prose", "latex", "json"))

    def recognise(self, page: Page) -> bool:
        """A tag whose name says that it holds code."""
        return bool(_code(page))

    def read(self, page: Page) -> Reading | Missing:
        """What is said after the last code; else the code itself."""
        if not self.recognise(page):
            return "no answer"
        answer = answer_element(page)
        if answer != "no answer":
            return answer
        said = first_answer(Page(page.after))
        return run(_code(page)) if said == "no answer" else said


def answer_element(page: Page) -> Reading | Missing:
    """What stands in tags whose name says that they hold the answer, as `<answer>` does."""
    elements = [element for element in page.elements if element.kind == "answer"]
    turns = [element for element in page.elements if element.kind == "turn"]
    last = [e for e in elements if not any(t.start < e.start < t.end for t in turns)]
    # An answer that is only thought of does not count beside a given one, nor in thoughts that the
    # text breaks off in.
    cut = [turn for turn in turns if not turn.closed]
    elements = last or [e for e in elements if not any(t.start < e.start < t.end for t in cut)]
    found: dict[Fraction | str, Reading] = {}
    for element, following in zip_longest(elements, elements[1:]):
        if following is not None and following.start < element.end:
            continue  # of nested ones the inner one counts
        inside = Page(element.body)
        if not element.whole or not inside.text or unfinished(inside.text):
            continue
        said = first_answer(inside)
        if said == "ambiguous":
            return "ambiguous"
        reading = said if isinstance(said, Reading) else Reading(content=only_number(inside.text))
        found[answer_key(reading.content)] = reading
    if not found:
        return "malformed" if elements else "no answer"
    if len(found) > 1:
        return "ambiguous"
    reading = next(iter(found.values()))
    end = max(element.end for element in elements)
    return "ambiguous" if _differs(page, page.text[end:], reading) else reading


def _differs(page: Page, rest: str, reading: Reading) -> bool:
    """Whether what stands outside takes an answer in tags back, or is another answer.

    Args:
        page: the text with the tags.
        rest: what follows them.
        reading: what they hold.
    """
    if rest.strip():
        if page.elements[-1].start < len(page.text) - len(rest) and (
            is_altered("", rest) or is_taken_back(rest) or offers_another(rest, reading.content)
        ):
            return True
        if len(rest) < _FEW or "{" in rest:
            behind = Page(rest)
            if behind.text and (
                _is_other(reading, _DIRECT.read(behind)) or _is_other(reading, _JSON.read(behind))
            ):
                return True
    outside = page.outside.strip()
    return len(outside) < _FEW and _is_other(reading, _DIRECT.read(Page(outside)))


def _is_other(reading: Reading, said: Reading | Missing) -> bool:
    return isinstance(said, Reading) and answer_key(said.content) != answer_key(reading.content)


def first_answer(page: Page) -> Reading | Missing:
    """The answer of a text that is an answer alone, or an object, or says what the answer is."""
    for form in (_DIRECT, _JSON):
        said = form.read(page)
        if said != "no answer":
            return said
    return concluding(page.text)


def run(parts: list[Element]) -> Reading | Missing:
    """The code of tagged parts, as a session that keeps its state would run it."""
    if not parts:
        return "no answer"
    bodies = [_code_of(part.body) for part in parts if part.whole]
    if not bodies:
        return "malformed"
    code = "\n".join(filter(None, bodies)).strip()
    if not code:
        return "no answer" if any(is_call(part.body) for part in parts) else "malformed"
    snippet = Snippet.parse(code)
    content = snippet.script()
    if content is not None:
        return Reading(content=content, code=True)
    return "malformed" if snippet.module is None else "no answer"


def _code(page: Page) -> list[Element]:
    return [element for element in page.elements if element.kind == "code"]


def _code_of(body: str) -> str:
    """The code in a tagged part, fenced or not, or among the arguments of a call."""
    blocks = Page(body).blocks
    code = textwrap.dedent(blocks[-1].body if blocks else body).strip()
    return textwrap.dedent(code_in_call(code)).strip() if is_call(code) else code
