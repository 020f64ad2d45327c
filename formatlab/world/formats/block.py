"""Blocks of a text: between fences, or between marks that say what they hold."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import regex

from formatlab.world.formats.ending import breaks_off
from formatlab.world.formats.snippet import Snippet, gives_answer

_FENCE = re.compile(r"(?P<mark>```+|~~~+)[ \t]*(?P<info>[^\n`]*)")
_MARKED = regex.compile(
    r"\[(?P<word>PYTHON|CODE|OUTPUT|RESULT)\](?P<code>.*?)(?P<end>\[/(?P=word)\]|\Z)"
    r"|\\begin\{(?P<name>verbatim|lstlisting|minted)\}(?P<listing>.*?)"
    r"(?P<close>\\end\{(?P=name)\}|\Z)",
    regex.DOTALL,
)
_LANGUAGE = regex.compile(r"[\w+.#-]+(?:\s|\Z)|\{\.?\w+\}")
_CODE_LANGUAGES = frozenset(
    "python py python3 ipython pycon tool_code code javascript js java c cpp c++ c# csharp go rust "
    "ruby r julia typescript ts php matlab sql bash sh kotlin swift scala haskell lua".split()
)
_OUTPUT_LANGUAGES = frozenset("output out result stdout console tool_output".split())
JSON_LANGUAGES = frozenset(("", "json", "jsonc", "json5"))
_TEXT_LANGUAGES = frozenset(
    "json jsonc json5 xml yaml text txt plaintext markdown md latex tex math csv html".split()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced or marked part of a text."""

    language: str
    """The word after the opening fence, in lower case; may be empty."""
    body: str
    start: int
    """Position of the opening mark in the page's text."""
    end: int
    """Position after the closing mark."""
    closed: bool

    @property
    def whole(self) -> bool:
        """Whether the body is all there: a server may have stopped at the closing fence."""
        if self.closed:
            return True
        if self.holds_output:
            return False
        if self.holds_code:
            return gives_answer(self.body)
        body = self.body.strip()
        return not breaks_off(body) and (not body.startswith(("{", "[")) or body[-1] in "}]")

    @property
    def holds_code(self) -> bool:
        """Whether the block holds code, by its language or else by what is in it."""
        if self.language in _CODE_LANGUAGES:
            return True
        if self.holds_output or self.language in _TEXT_LANGUAGES:
            return False
        return Snippet.opening(self.body) is not None

    @property
    def holds_output(self) -> bool:
        """Whether the block holds what code printed."""
        return self.language in _OUTPUT_LANGUAGES


def blocks(text: str) -> tuple[Block, ...]:
    """The fenced and marked blocks of a text in their order; a fence within one line is none."""
    found: list[Block] = []
    if "```" in text or "~~~" in text:
        found += _fenced(text)
    if "\\begin{" in text or "[/" in text or _opens_marked(text):
        found += _marked(text)
        found.sort(key=lambda block: block.start)
    return tuple(found)


def _fenced(text: str) -> Iterator[Block]:
    """Blocks between fences. A fence with a language closes the block before it if it is open."""
    opened: tuple[str, str, int, int] | None = None  # mark, language, start, start of the body
    inline = False
    for match in _FENCE.finditer(text):
        mark, info = match["mark"][0], match["info"]
        language = _LANGUAGE.match(info)
        if inline:  # the end of a fence within one line
            inline = False
            continue
        if opened is not None:
            if mark != opened[0]:
                continue
            _, name, start, body = opened
            yield Block(
                language=name,
                body=text[body : match.start()],
                start=start,
                end=match.end("mark"),
                closed=True,
            )
            opened = None
            if language is None or language.end() < len(info.rstrip()):
                continue
        elif match.end() < len(text) and text[match.end()] == "`":
            inline = True
            continue
        name = language[0].strip().strip("{.}").lower() if language else ""
        whole = language is None or language.end() >= len(info.rstrip())
        if not whole and name not in _CODE_LANGUAGES:
            name, whole = "", False
        body = match.end() if whole else match.start("info") + (len(name) if name else 0)
        opened = (mark, name, match.start(), body)
    if opened is not None:
        _, name, start, body = opened
        if name or text[body:].strip():  # or else it is a closing fence that nothing opened
            yield Block(language=name, body=text[body:], start=start, end=len(text), closed=False)


def _opens_marked(text: str) -> bool:
    """Whether a block of code opens whose closing mark may be cut off."""
    return "[" in text and ("[PYTHON]" in text or "[CODE]" in text)


def _marked(text: str) -> Iterator[Block]:
    for match in _MARKED.finditer(text):
        word = (match["word"] or "CODE").lower()
        yield Block(
            language="output" if word in ("output", "result") else "python",
            body=match["code"] or match["listing"] or "",
            start=match.start(),
            end=match.end(),
            closed=bool(match["end"] or match["close"]),
        )
