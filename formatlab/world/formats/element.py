"""Tagged parts of a text: `<think>...</think>`, `<llm-code>...</llm-code>` and their like."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import regex

from formatlab.world.formats.call import end_of_calls, is_whole_call
from formatlab.world.formats.ending import breaks_off
from formatlab.world.formats.react import react_parts
from formatlab.world.formats.snippet import gives_answer

Kind = Literal["turn", "answer", "code", "output"]

_MARK = re.compile(
    r"<(?P<close>/)?(?P<name>[A-Za-z][\w.:-]{0,40}+)(?P<rest>[^<>\n]{0,200}+)>"
    r"|\[(?P<shut>/)?(?P<square>[A-Z][A-Z_]{3,30}+)\]"
    r"|◁(?P<slash>/)?(?P<angle>\w{1,30}+)▷"
    r"|<[|｜](?P<token>[A-Za-z][\w▁ ]{0,40}+)[|｜]>"
)
_PARTIAL = regex.compile(r"</[A-Za-z]\w{0,30}\Z")
"""A closing tag of which the end is cut off."""
_PREFIX = regex.compile(r"(?:begin|start)(?:_of)?_|(?P<end>end(?:_of)?_)")
# What the parts of a name say that a tagged part is for; of several the first in this order.
_KINDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    (
        "output",
        frozenset("output outputs observation observations stdout results execution".split()),
    ),
    ("code", frozenset("code python py pot jupyter ipython interpreter program script".split())),
    ("answer", frozenset("answer solution final response result".split())),
    (
        "turn",
        frozenset(
            "think thinking thought thoughts reason reasoning reflect reflection plan planning "
            "act action execute tool tools call calls function invoke step steps scratchpad "
            "search query verify verification critique analysis conclusion summary calculator "
            "calculate calc channel subtask rationale explanation work working".split()
        ),
    ),
)
_SESSION = frozenset(("execute", "tool", "tools", "calculator", "calculate", "calc", "act"))
_MARKUP = frozenset(
    "a abbr b big blockquote body br center cite dd details div dl dt em figure font footer form "
    "h1 h2 h3 h4 h5 h6 head header hr html i img inst kbd li link main mark math mfrac mi mn mo "
    "mrow msub msup nav ol p pre q s samp section small span strike strong style sub summary sup "
    "svg sys table tbody td th thead title tr tt u ul var".split()
)
_FEW = 4
"""Parts that a text may end in without having closed them."""

_TURN_RESULTS = frozenset(("tool_response", "function_response", "tool_result"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Element:
    """A part of a text between an opening tag and its closing one."""

    name: str
    """In lower case, without `begin_of_` and its like."""
    kind: Kind
    body: str
    start: int
    """Position of the opening tag; 0 where only the closing one was found."""
    end: int
    """Position after the closing tag, or the end of the text."""
    closed: bool
    runs: bool
    """Whether the body is meant to be run by a tool."""

    @property
    def whole(self) -> bool:
        """Whether the body is all there.

        A server may have stopped at the closing tag and cut it off: what is to be the answer is
        whole if it does not break off, code if it comes to an answer, a call if it is an object.
        Thoughts are whole only if they are closed.
        """
        if self.closed:
            return True
        if self.kind == "answer":
            return not breaks_off(self.body)
        return self.runs and (is_whole_call(self.body) or gives_answer(self.body))


@dataclass(slots=True)
class _Open:
    name: str
    start: int
    body: int
    first_in_line: bool


def elements(text: str, blocks: Sequence[tuple[int, int]]) -> tuple[Element, ...]:
    """Find the tagged parts of a text, in the order of their opening tags.

    A tag counts where it is closed, or where its name says what it is for and it begins a line or
    follows another tag. Markup of HTML is none. The steps of ReAct are parts as well.

    Args:
        text: a completion.
        blocks: spans of fenced blocks, in which tags mean nothing.
    """
    found: list[Element] = []
    waiting: dict[str, list[_Open]] = {}
    inline: list[_Open] = []
    token = _Token(text)
    ended = 0
    if "Action" in text:
        found += [
            Element(
                name="react",
                kind=part.kind,
                body=part.body,
                start=part.start,
                end=part.end,
                closed=True,
                runs=part.runs,
            )
            for part in react_parts(text, blocks)
        ]
    spans = iter((*blocks, (len(text) + 1, len(text) + 1)))
    left, right = next(spans)
    for match in _MARK.finditer(text):
        while match.start() >= right:
            left, right = next(spans)
        if left <= match.start():
            continue
        name, closes = _name(match)
        before, ended = ended, match.end()
        if match["token"]:
            found += token.next(name, match.start(), match.end(), closes=closes)
            continue
        if name in _MARKUP or len(name) < 2:
            continue
        if name == "tool_calls" and match["square"] and not closes:  # Mistral closes them in no way
            end = end_of_calls(text, match.end())
            opened = _Open(name, match.start(), match.end(), True)
            broken = text.find("[TOOL_", match.end())
            to = end or (broken if broken >= 0 else len(text))
            found.append(_element(text, opened, "turn", to, to, closed=end is not None))
            continue
        if not closes:
            line = max(before, text.rfind("\n", before, match.start()) + 1)
            first = not text[line : match.start()].strip() if match.start() - line < 40 else False
            waiting.setdefault(name, []).append(_Open(name, match.start(), match.end(), first))
            continue
        pending = waiting.get(name)
        if pending:
            opened = pending.pop()
            kind = _kind(name) or ("turn" if opened.first_in_line else None)
            if name == "code" and "\n" not in text[opened.body : match.start()]:
                kind = None  # markup for a word of code, unless it turns out to have been run
                inline.append(opened)
            if kind:
                found.append(_element(text, opened, kind, match.start(), match.end(), closed=True))
        elif (kind := _kind(name)) and not any(e.name == name for e in found[-1:]):
            opened = _Open(name, 0, 0, True)  # the prompt may have ended with the opening tag
            found.append(_element(text, opened, kind, match.start(), match.end(), closed=True))
    found += token.last(len(text))
    # Of tags that are never closed, the last one of a name counts, and of names the last few.
    partial = _PARTIAL.search(text, max(0, len(text) - 40))
    cut = partial.start() if partial else len(text)
    never = sorted((p[-1] for p in waiting.values() if p), key=lambda opened: opened.start)
    for opened in never[-_FEW:]:
        kind = _kind(opened.name)
        if kind and opened.first_in_line:
            found.append(_element(text, opened, kind, cut, len(text), closed=False))
    if inline and any(element.kind == "output" for element in found):
        for opened in inline:
            end = text.index("<", opened.body)
            found.append(_element(text, opened, "code", end, end + len("</code>"), closed=True))
    return tuple(_thoughts_ended(sorted(found, key=lambda element: element.start), len(text)))


def _thoughts_ended(found: list[Element], end: int) -> list[Element]:
    """End thoughts that are never closed where an answer begins with which the text ends."""
    if len(found) < 2 or found[-1].kind != "answer" or found[-1].end < end:
        return found
    last = found[-1]
    return [
        replace(part, end=last.start, body=part.body[: last.start - end])
        if part.kind == "turn" and not part.closed and part.end >= end
        else part
        for part in found
    ]


class _Token:
    """Parts that begin with a special token such as `<|python_tag|>` and last to the next one.

    A decoded text may have lost the token that ended the last part, so that one counts as closed,
    but for thoughts, behind which a model goes on.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._opened: _Open | None = None
        self._channel = ""

    def last(self, end: int) -> list[Element]:
        """The part at the end of the text; thoughts that no token ends are cut off."""
        opened = self._opened
        kept = opened is not None and opened.name == "message" and self._channel != "analysis"
        made = self.next("", end, end, closes=True)
        return [replace(part, closed=part.kind != "turn" or kept) for part in made]

    def next(self, name: str, start: int, end: int, *, closes: bool) -> list[Element]:
        """The part that a token ends, if there is one; the token may begin the next."""
        made = []
        if self._opened is not None:
            kind = self._kind(self._opened.name)
            if self._opened.name == "channel":
                self._channel = self._text[self._opened.body : start].strip()
            if kind is not None:
                made.append(
                    _element(
                        self._text, self._opened, kind, start, end if closes else start, closed=True
                    )
                )
        self._opened = None if closes else _Open(name, start, end, True)
        return made

    def _kind(self, name: str) -> Kind | None:
        if name == "message" and self._channel:  # of gpt-oss, which answers in its final channel
            return "answer" if self._channel == "final" else "turn"
        return _kind(name)


def _element(
    text: str, opened: _Open, kind: Kind, end_of_body: int, end: int, *, closed: bool
) -> Element:
    return Element(
        name=opened.name,
        kind=kind,
        body=text[opened.body : end_of_body],
        start=opened.start,
        end=end,
        closed=closed,
        runs=kind == "code"
        or opened.name == "function_call"
        or not _SESSION.isdisjoint(_words(opened.name)),
    )


def _name(match: re.Match[str]) -> tuple[str, bool]:
    """Name of a tag in lower case, and whether it closes."""
    name = next(filter(None, match.group("name", "square", "angle", "token")))
    name = name.lower().replace("▁", "_").replace(" ", "_")
    closes = bool(match["close"] or match["shut"] or match["slash"])
    prefix = _PREFIX.match(name)
    if prefix:
        name = name[prefix.end() :]
        closes = closes or prefix["end"] is not None
    elif name.endswith(("_begin", "_end")):
        closes = closes or name.endswith("_end")
        name = name.rsplit("_", 1)[0]
    return name, closes


@lru_cache(maxsize=1024)
def _words(name: str) -> frozenset[str]:
    return frozenset(regex.split(r"[^a-z]+", name))


@lru_cache(maxsize=1024)
def _kind(name: str) -> Kind | None:
    """What a name says that a part is for; None where it says nothing."""
    if name in _TURN_RESULTS:
        return "output"
    words = _words(name)
    for kind, stems in _KINDS:
        if not words.isdisjoint(stems):
            return kind
    return None
