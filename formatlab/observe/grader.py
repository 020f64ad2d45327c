"""The grader: it reads the answer where the format puts it, runs code, and compares the answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import regex

from formatlab.errors import FormatlabError, InputError
from formatlab.observe.answers import mathematics
from formatlab.observe.answers.mathematics import Verdict
from formatlab.observe.answers.number import INTEGER, MOST_DIGITS, read_number, same_number
from formatlab.observe.arithmetic import calculated
from formatlab.observe.fault import say_fault
from formatlab.observe.sandbox import Failure, Sandbox, shared_sandbox
from formatlab.observe.tagger import Tag, Unread, tag, tag_or_raise
from formatlab.world.formats import Format, Missing, Page, Reading
from formatlab.world.formats.commitment import is_altered
from formatlab.world.formats.conclusion import concluding
from formatlab.world.formats.limits import NUMBER, SCALE
from formatlab.world.gold import gold_answer

VERSION = 3
"""Raised when the tagger or the grader come to another tag, answer or verdict on a text."""

Reason = Literal[Missing, Failure, Unread, "", "wrong"]

_LONGEST = 200
"""Most characters of a text that code gives as its answer; rollout rows keep every answer."""

_ALIKE = 5
"""Lines of output that differ only in their numbers, from which they are a list of answers."""

_REASONS: dict[Verdict, Reason] = {
    "same": "",
    "different": "wrong",
    "time": "time",
    "memory": "memory",
}
_NUMBERS = regex.compile(rf"(?<![\w.,]){NUMBER}(?:\s?(?:\\?%|{SCALE}))?")
_DIGITS = regex.compile(r"[-\u2212]?[0-9][0-9.,]*")
_OPTION = regex.compile(
    r"(?:[Oo]ption\s)?\(?(?P<letter>[A-J])[).:]\s++(?=\W*\w)(?P<words>\S.*)", regex.DOTALL
)
_LETTER_IN_MARKUP = regex.compile(
    r"\A\s*(?|\\(?:text|math)\p{L}*\s*\{\s*(\(?[A-J][).:])\s*([^{}]*)\}|(\(?[A-J][).:])()(?=\\))"
)
_SPACES = regex.compile(r"(?:\\[ ,;:!]|~|\\q?quad(?![A-Za-z])|\s)+")
_LETTER = regex.compile(r"\s*\(?(?P<letter>[A-J])\)?\.?\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """The verdict on one completion."""

    tag: Tag
    answer: str | None
    """The answer as text, a number plainly and without its unit; for code, its value or what it
    printed last."""
    correct: bool
    reason: Reason
    """Why it is not correct; empty where it is."""
    flexible_answer: str | None = None
    """`answer`; or, where sentences state none, the last number that they commit to."""
    flexible_correct: bool = False
    """Whether the flexible answer is right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """The answer that one reading gives."""

    text: str | None
    reason: Reason = ""
    """Why there is no text."""


def grade(
    text: str,
    gold: object,
    *,
    formats: Sequence[Format] = (),
    sandbox: Sandbox | None = None,
    truncated: bool | None = None,
) -> Grade:
    """Tag a completion, read its answer, and compare it with the right one.

    All answers that the text commits to, in whatever format, must be right: a text with two
    different ones is ambiguous and earns nothing. No text raises an error: what goes wrong with
    one is a reason.

    Args:
        text: the completion alone, without its prompt.
        gold: the right answer, a number, text, or what holds one; see `gold_answer`. One that is
            missing (nan, no text) makes no answer right.
        formats: formats of the user's own, asked before the others.
        sandbox: runs the code; the shared one of this process if not given.
        truncated: whether the generation was cut off, where that is known; else the look of the
            text decides (`Tag.truncated`). The flexible reading needs a text that was not.

    Raises:
        InputError: an argument is no text, no answer or no format.
        RunError: the sandbox, or the comparison of mathematics, does not start.
    """
    try:
        return grade_or_raise(text, gold, formats=formats, sandbox=sandbox, truncated=truncated)
    except FormatlabError:
        raise
    except Exception as error:  # a text must not end a training run
        say_fault(error, text)
        seen = tag(text, formats=formats)
        return Grade(tag=seen, answer=None, correct=False, reason="fault")


def grade_or_raise(
    text: str,
    gold: object,
    *,
    formats: Sequence[Format] = (),
    sandbox: Sandbox | None = None,
    truncated: bool | None = None,
) -> Grade:
    """`grade`, for whoever can say which text an error is about: raises what goes wrong with it."""
    if gold is None:
        raise InputError("grade: the right answer is text or a number, not None")
    try:
        gold = gold_answer(gold)
    except InputError as error:
        raise InputError(f"grade: {error}") from None
    seen = tag_or_raise(text, formats=formats)
    if seen.missing is not None:
        cut = seen.truncated if truncated is None else truncated
        return _unanswered(seen, gold, cut=cut)
    answers = _committed(seen)
    answer = _answer(answers[0], sandbox)
    if answer.text is None:
        return Grade(tag=seen, answer=None, correct=False, reason=answer.reason)
    reason = _REASONS[_verdict(answer.text, gold)]
    if reason in ("", "wrong"):
        for other in answers[1:]:
            given = _answer(other, sandbox).text
            if given is not None and not same_answer(given, answer.text if reason else gold):
                reason = "ambiguous"
                break
    written = _written(answer.text)
    return Grade(
        tag=seen,
        answer=written,
        correct=not reason,
        reason=reason,
        flexible_answer=written,
        flexible_correct=not reason,
    )


def _unanswered(seen: Tag, gold: str, *, cut: bool) -> Grade:
    """The grade of a text that states no answer; the flexible reading may find one."""
    assert seen.missing is not None, "it is asked for texts that are not well formed"
    last = None if cut or seen.flexible is None else seen.flexible.content
    return Grade(
        tag=seen,
        answer=None,
        correct=False,
        reason=seen.missing,
        flexible_answer=None if last is None else _written(last),
        flexible_correct=last is not None and same_answer(last, gold),
    )


def _committed(seen: Tag) -> list[Reading]:
    """Every answer that a text commits to, in any of its formats; the tag's own first.

    Beside a number, words are no further answer: `The answer is the number of sheep:` leads to one.
    """
    answers = [answer for _, reading in seen.carriers for answer in (reading, *reading.also)]
    if len(answers) == 1 or not _has_digit(answers[0]):
        return answers
    return [answers[0], *filter(_has_digit, answers[1:])]


def _has_digit(answer: Reading) -> bool:
    return any(map(str.isdigit, answer.content))


def _written(answer: str) -> str:
    if INTEGER.fullmatch(answer):
        return str(int(answer))
    number = read_number(answer)
    return answer if number is None else number.text


def same_answer(answer: str, gold: str) -> bool:
    r"""Whether an answer is the right one: the same number, or the same mathematics, or words.

    If the right answer is a plain number, the answer must be one too: `2 + 3`, `\sqrt{25}` and
    `five` are not 5. `formatlab.observe.answers.number` has the rules for numbers, and
    `formatlab.observe.answers.mathematics` those for everything else.

    Raises:
        RunError: the comparison of mathematics does not start.
    """
    return _verdict(answer, gold) == "same"


def _verdict(answer: str, gold: str) -> Verdict:
    if INTEGER.fullmatch(answer) and INTEGER.fullmatch(gold):
        return "same" if int(answer) == int(gold) else "different"
    option = _OPTION.fullmatch(_unmarked(answer))
    if option:  # `(B) 20` answers with its letter and with what stands behind it
        letter = _LETTER.fullmatch(gold)
        answer = option["letter"] if letter else option["words"]
        gold = letter["letter"] if letter else gold
    right = read_number(gold)
    if right is None or "=" in gold:  # `y = 5` is an equation, not the number 5
        return mathematics.compare(answer, gold)
    given = read_number(answer)
    return "same" if given is not None and same_number(given, right) else "different"


def _unmarked(answer: str) -> str:
    r"""An option without markup around its letter: `\textbf{(B)}\ 20` is `(B) 20`."""
    if "\\" not in answer or not _LETTER_IN_MARKUP.match(answer):
        return answer
    return _SPACES.sub(" ", _LETTER_IN_MARKUP.sub(r"\1 \2 ", answer)).strip()


def _answer(reading: Reading, sandbox: Sandbox | None) -> _Answer:
    if not reading.code:
        return _Answer(text=reading.content)
    execution = calculated(reading.content)
    if execution is None:
        execution = (sandbox or shared_sandbox()).run(reading.content)
    if execution.failure:
        return _Answer(text=None, reason=execution.failure)
    if execution.value is None:
        return _printed(execution.output)
    text = _value(execution.value)
    return _Answer(text=text, reason="" if text else "no answer")


def _value(value: object) -> str | None:
    """A value of executed code as text; None if it is no answer, or too long for one."""
    match value:
        case bool():
            return None
        case int():
            return str(value) if abs(value) < 10**MOST_DIGITS else None
        case float():
            return repr(value) if math.isfinite(value) else None
        case str():
            return _said(value)
        case _:
            return None


def _printed(output: str) -> _Answer:
    """The answer in the last line that code printed.

    Lines that differ only in their numbers are a list, and its last line is no answer: otherwise
    code that prints every integer would have one.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return _Answer(text=None, reason="no answer")
    last = _shape(lines[-1])
    if last != lines[-1] and len({line for line in lines if _shape(line) == last}) >= _ALIKE:
        return _Answer(text=None, reason="ambiguous")
    text = _said(lines[-1])
    return _Answer(text=text, reason="" if text else "no answer")


def _shape(line: str) -> str:
    return _DIGITS.sub("#", line[:_LONGEST])


def _said(text: str) -> str | None:
    """The answer in a text that code gives: its one number, or the number that it calls the answer.

    Any other text is an answer as a whole.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    if read_number(text) is not None:
        return text
    numbers = list(_NUMBERS.finditer(text))
    if len(numbers) == 1 and text.count(" "):
        (number,) = numbers
        altered = is_altered(text[: number.start()], text[number.end() :])
        return text if altered else number[0]
    said = concluding(Page(text).text)
    return said.content if isinstance(said, Reading) else text
