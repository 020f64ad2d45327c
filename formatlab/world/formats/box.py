r"""The answer in a `\boxed{}`.

A text may box several things: the steps on the way, a place left free for the answer, an answer
that it denies. The answer is what the boxes agree on that the text stands by, or else what stands
in the last one, if that is marked as the final answer and no other is.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import regex

from formatlab.world.formats.commitment import is_altered, is_taken_back, offers_another
from formatlab.world.formats.format import Missing, Reading
from formatlab.world.formats.limits import MINUS, QUANTITY

_BOX = re.compile(r"\\(?:boxed|fbox)\s*+(?:\{|(?P<bare>-?\d[\d,.]*+))")
_CUT = regex.compile(r"\\(?:boxe?d?|fbox)\s*+\Z")
"""A box of which the text has no more than the beginning of its name."""
_BRACE = regex.compile(r"\\.|[{}]", regex.DOTALL)
_NESTED = regex.compile(r"\\(?:boxed|fbox)\s*+")

_NEAR, _LONGEST = 120, 100
"""Characters around a box that are looked at; those of an inside that may be free, or a number."""

_FREE = regex.compile(
    r"(?:[\s~.?…_\-$#{}]|\\[,;:!_ ]"
    r"|\\(?:[hv]?phantom|[hv]space\*?|rule(?:\[[^\]]*\])?)\s*\{[^{}]*\}(?:\{[^{}]*\})?"
    r"|\\(?:text|mathrm|textbf|mathbf)\s*(?=\{)"
    r"|\\(?:q?quad|[lc]?dots|square|Box|underline|blank|strut|enspace|thinspace)(?![A-Za-z])"
    r"|(?i:\b(?:the|your|final|numerical|answer|value|result|here)\b))*+"
)
"""The inside of a place left free for an answer, as tasks have it."""

_FINAL = regex.compile(
    r"(?:\b(?:final|answers?|respuesta|réponse|resposta|risposta|antwort|ответ)\b|答案|答え|정답)"
    r"[^.?!\n。]{0,60}[\s\\()\[\]${}*_:：]*\Z",
    regex.IGNORECASE,
)
"""What marks the box behind it as the answer."""

_DELIMITERS = r"(?:[\s$_]|\*\*|\\[()\[\]]|\\(?:displaystyle|quad|left|right)(?![A-Za-z]))"
_OPENING = regex.compile(rf"(?r){_DELIMITERS}*\Z")  # backwards, as it ends where the box begins
_CLOSING = regex.compile(rf"{_DELIMITERS}*+")
"""What may stand between a box and the mathematics that goes on around it."""
_OPERAND_BEFORE = regex.compile(
    r"(?r)(?:[+/^×·÷]|(?:[\d)}\]]|\b\p{L})\s*\*|~~"
    r"|\\(?:times|cdot|div|cup|cap|sqrt|sim|max|min|gcd)"
    r"|(?:(?<!\\(?:text|math)\p{L}*|\\(?:underline|emph|boldsymbol|bm))\p{L}|[\d}\]^_])\{)\Z"
)
_DASH_BEFORE = regex.compile(rf"(?r)[{MINUS}]\s*(?:\$|\\\(|\\\[)?\s*\Z")
_DASH_APART = regex.compile(rf"(?:\A|\p{{L}}{{2}}|[:.*])\s*[{MINUS}]\s+(?:\$|\\\(|\\\[)?\s*\Z")
"""A dash that marks a list or parts a sentence, and is no sign."""
_OPERAND_AFTER = regex.compile(
    r"\^(?!\s*\{?\s*\\circ)|\+/-|[+*/×·÷]\s*\$?[\d(\\a-z]|\\?%\s*\$?\s*(?:\d|of\b)"
    rf"|[{MINUS}]\s*\$?\d|\\(?:times|cdot|div|cup|cap|choose|lor|land|vee|wedge)(?![A-Za-z])"
    r"|[<>]=|[≤≥≠]|<\s+[\w$\\]|>[ \t]+[\w$\\]|\\(?:to|approx|sim)\s*\$?\d"
    r"|\\(?:neq?|not|leq?|leqslant|geq?|geqslant|lt|gt)(?![A-Za-z])"
    r"|(?:less|fewer)\s+than\s+the\b|short\s+of\b"
)
_ENDINGS = frozenset(("", ".", "$", "$.", ".$", "$$", "\\)", "\\).", "\\]", "**", "**."))
"""What mostly follows a box, and makes no operand of it."""
_WRONG = regex.compile(
    r"[\s$)*]*+(?:(?:is|was)\s+(?:wrong|incorrect|not\s+(?:right|correct))"
    r"|(?:is|was)n['\N{RIGHT SINGLE QUOTATION MARK}]t\s+(?:right|correct))\b"
)
"""What strikes the box before it out."""
_JOINED_AFTER = regex.compile(
    r"[!({\d+'′]|[.:]\d|_\{?\d|[a-zA-Z](?<![mgshlLVWJNFCKA])(?!\p{L})"
    r"|\\(?:[dt]?frac|sqrt|pi)(?![A-Za-z])"
)
"""What makes a box one side of an operation where it follows at once."""
_FURTHER = regex.compile(
    r"(?:(?:,|;|、|\.{2,}|…|&)\s*+(?:(?:or|and)\s++)?+|(?:and|to|versus|vs\.?)\s++|[或和]\s*+)"
    rf"{_DELIMITERS}*+(?P<number>(?>{QUANTITY}))"
)
"""A further number directly behind a box."""
_EXTREME = regex.compile(
    r"\b(?:(?:must|can|could|should|will|would|needs?|ha[sd]|have|may)\s+(?:(?!be\b)\p{L}+\s+){0,4}"
    r"at\s+(?:least|most)|there\s+(?:can|could)\s+be|adds?\s+up\s+to"
    r"|(?:smallest|largest|greatest|least|most)\b[^.\n]{0,40}\bcan\s+be)\b",
    regex.IGNORECASE,
)
"""What leads to the answer of a question for a least, a most or a sum, and does not bound it."""
_TEXT = regex.compile(r"\\(?:text\p{L}*|math\p{L}+|mbox)\s*\{([^{}]*)\}")
_SPACE = regex.compile(r"\\(?:[,;: ]|q?quad(?![A-Za-z]))")
_SUPPOSED = regex.compile(
    r"(?r)\b(?:if|suppose|supposing|assum(?:e|ing))\s+(?:that\s+)?(?:(?:the\s+answer|it)\s+is\s+)?"
    r"[\s$\\(\[]*(?:[A-Za-z]\s*=\s*)?\Z",
    regex.IGNORECASE,
)
"""What only supposes the box behind it."""
_QUOTED = regex.compile(r"(?r)(?:\A|\n)[ \t]*>[ \t]*\Z")
"""A line that is quoted, which is no comparison."""
_EQUAL = regex.compile(rf"={_DELIMITERS}*+(?P<number>(?>{QUANTITY}))(?!\s*[-+*/^×·÷\\\d.,])")

_PLAIN = regex.compile(rf"({QUANTITY})[\s.,]*")
_FRACTION = regex.compile(r"(-?)\\[dt]?frac\{(\d{1,40})\}\{(\d{1,40})\}")
_MARKUP = regex.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|[{}\s$]")

_MOST = 200
"""Boxes above which a text does nothing but box."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    """A closed box: where it stands in its text, and its inside."""

    start: int
    end: int
    content: str


@lru_cache(maxsize=8)  # several formats ask the same of one text
def boxed(text: str) -> Reading | Missing:
    r"""The inside of the `\boxed{}` that a text stands by; boxes that differ are ambiguous.

    Boxes that the text denies or takes back, and places left free for an answer, do not count.
    Where steps are boxed too, the one marked as the final answer does. A last box that is not
    closed takes back those before it.
    """
    if "box" not in text:
        return "no answer"
    found, cut = _boxes(text)
    if cut > (found[-1].start if found else -1):
        return "malformed"
    boxes = [
        box for box in found if len(box.content) > _LONGEST or not _FREE.fullmatch(box.content)
    ]
    if not boxes:
        return "malformed" if found else "no answer"
    if len(boxes) > _MOST:
        return "ambiguous"
    rest = text[boxes[-1].end :]
    boxes = _committed(text, boxes)
    if not boxes or offers_another(rest, boxes[-1].content):
        return "ambiguous"
    if len(boxes) == 1:
        return Reading(content=boxes[0].content)
    written: dict[Fraction | str, str] = {}
    for box in reversed(boxes):
        written.setdefault(answer_key(box.content), box.content)
    if sum(isinstance(key, Fraction) for key in written) > 1:
        return "ambiguous"
    content, *others = written.values()
    return Reading(content=content, also=tuple(Reading(content=other) for other in others))


def has_box(text: str) -> bool:
    """Whether a text has a box, closed or not."""
    return "\\boxed" in text or "\\fbox" in text


def _boxes(text: str) -> tuple[list[_Box], int]:
    """The closed boxes of a text, of nested ones the outer, and where the last open one begins."""
    found: list[_Box] = []
    partial = _CUT.search(text, max(0, len(text) - 20))
    cut, covered = partial.start() if partial else -1, -1
    closing: dict[int, int] | None = None
    for match in _BOX.finditer(text):
        if match.start() < covered:
            continue
        if match["bare"]:
            bare = match["bare"].rstrip(".,")
            end = match.start("bare") + len(bare)
            found.append(_Box(start=match.start(), end=end, content=bare))
            continue
        closing = _closing_braces(text, match.start()) if closing is None else closing
        end = closing.get(match.end() - 1)
        if end is None:
            cut = max(cut, match.start())
        else:
            covered = end
            content = _unnested(text[match.end() : end].strip())
            found.append(_Box(start=match.start(), end=end + 1, content=content))
    return found, cut


def _unnested(content: str) -> str:
    r"""The inside of a box without the boxes in it: `\boxed{18} 20` becomes `{18} 20`."""
    if "box" not in content:
        return content
    content = _NESTED.sub("", content)
    closing = _closing_braces(content, 0)
    start, end = 0, len(content)
    while start < end and closing.get(start) == end - 1:
        start, end = start + 1, end - 1
    return content[start:end].strip()


def _committed(text: str, boxes: list[_Box]) -> list[_Box]:
    """The boxes that a text stands by; none if it changes the inside of one that counts."""
    if len(boxes) > 1:
        boxes = [b for b in boxes if not _WRONG.match(text, b.end, b.end + _NEAR)] or boxes
    nexts = [box.start for box in boxes[1:]] + [len(text)]
    kept = [
        box
        for box, end in zip(boxes, nexts, strict=True)
        if not _is_denied(text, box) and not is_taken_back(text[box.end : end])
    ]
    if len(kept) > 1 and len({answer_key(box.content) for box in kept}) > 1:
        final = {answer_key(box.content) for box in kept if _is_final(text, box)}
        if len(final) == 1 and answer_key(kept[-1].content) in final:
            kept = boxes = [box for box in kept if answer_key(box.content) in final]
    return [] if any(_is_operand(text, box) for box in boxes) else kept


def _is_final(text: str, box: _Box) -> bool:
    """Whether the text marks a box as its answer."""
    return _FINAL.search(text[max(0, box.start - _NEAR) : box.start]) is not None


def _is_denied(text: str, box: _Box) -> bool:
    """Whether the words before a box deny, bound or hedge it, or a question mark follows."""
    after = text[box.end : box.end + 20]
    if after.lstrip("$*) ").startswith("?"):
        return True
    before = text[max(0, box.start - _NEAR) : box.start]
    if before.rstrip().endswith(">"):
        before = _QUOTED.sub("", before)
    if _SUPPOSED.search(before):
        return True
    return is_altered(before, "") and is_altered(_EXTREME.sub(" ", before), "")


def _is_operand(text: str, box: _Box) -> bool:
    """Whether what stands around a box makes it one side of something else."""
    line = text[max(0, box.start - _NEAR) : box.start].rsplit("\n", 1)[-1]
    if line[-1:].isdigit() or line.lstrip().startswith("%"):  # a factor, or a comment of LaTeX
        return True
    if "\\" in line or not line.rstrip(" $")[-1:].isalpha():  # or else it stands behind a word
        opening = _OPENING.match(line)
        if _OPERAND_BEFORE.match(line, endpos=opening.start() if opening else len(line)):
            return True
        if _DASH_BEFORE.match(line) and not _DASH_APART.search(line):
            return True
    after = text[box.end : box.end + _NEAR]
    if after.strip() in _ENDINGS:
        return False
    if _JOINED_AFTER.match(after):
        return True
    if "\\" in after:
        after = _SPACE.sub(" ", _TEXT.sub(r" \1 ", after))
    if is_altered("", after):
        return True
    closing = _CLOSING.match(after)
    start = closing.end() if closing else 0
    if _OPERAND_AFTER.match(after, start):
        return True
    if further := _FURTHER.match(after, start):
        return answer_key(further["number"]) != answer_key(box.content)
    if equal := _EQUAL.match(after, start):
        own = answer_key(box.content)
        return isinstance(own, Fraction) and answer_key(equal["number"]) != own
    return False


def answer_key(answer: str) -> Fraction | str:
    """What two ways of writing one answer have in common; the value of a plain number."""
    if fraction := _FRACTION.fullmatch(answer):
        under = int(fraction[3])
        return Fraction(int(fraction[1] + fraction[2]), under) if under else answer
    number = _PLAIN.fullmatch(answer) if len(answer) <= _LONGEST else None
    if number is None:
        return _MARKUP.sub("", answer).replace("dfrac", "frac")
    plain = regex.sub(f"[{MINUS}]", "-", regex.sub(r"[\s,$€£¥₹%\\]", "", number[1]))
    try:
        exponent = plain.lower().partition("e")[2]
        if len(plain) > 50 or len(exponent) > 4:  # `1e999999999` would be written out
            return plain
        return Fraction(plain)
    except (ValueError, ZeroDivisionError):  # a mixed number
        return plain


def _closing_braces(text: str, start: int) -> dict[int, int]:
    """For each opening brace from a start on that is closed, the position of its closing one."""
    pairs: dict[int, int] = {}
    unclosed: list[int] = []
    for match in _BRACE.finditer(text, start):
        if match[0] == "{":
            unclosed.append(match.start())
        elif match[0] == "}" and unclosed:
            pairs[unclosed.pop()] = match.start()
    return pairs
