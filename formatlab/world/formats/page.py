"""A completion, taken apart once: fenced blocks, tags, and the text that stands around them."""

import re
from collections.abc import Callable
from itertools import islice
from typing import Generic, TypeVar

import regex

from formatlab.world.formats.block import JSON_LANGUAGES, Block, blocks
from formatlab.world.formats.element import Element, elements
from formatlab.world.formats.json_object import JsonObject, find_object
from formatlab.world.formats.plain_text import latin_digits, without_comments
from formatlab.world.formats.snippet import Snippet

_END_MARKS = (
    *("</s>", "<s>", "<eos>", "<pad>", "<unk>", "[PAD]", "[EOS]", "[INST]", "[/INST]"),
    *("<end_of_turn>", "<turn|>", "<｜end▁of▁sentence｜>"),
)
"""What tokenizers and chat templates leave at the end of a decoded completion."""
_SPECIAL = regex.compile(r"(?r)<\|[\w ]{1,30}\|>\Z")
"""A special token in the notation of most tokenizers."""

_TURNS = ("<|", "</s>", "<s>", "_turn>", "<eos>", "<bos>", "<｜")
"""One of them, or `[INST]`, stands in every text that has a `_JOINT` or an `_OPENING`."""
_OPENING = regex.compile(
    r"(?:\s*+(?:<s>|</s>|<bos>|<pad>|\[/INST\]|<\|(?:begin_of_text|startoftext|endoftext)\|>"
    r"|<\|im_start\|>\s*+assistant\b|<\|start_header_id\|>\s*+assistant\s*+<\|end_header_id\|>"
    r"|<start_of_turn>\s*+model\b|<\|assistant\|>|<｜Assistant｜>|<｜begin▁of▁sentence｜>))++"
    r"[^\S\n]*+\n*+"
)
"""What a chat template writes before the model's turn."""
_JOINT = regex.compile(
    r"(?:(?P<end></s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>|<\|end\|>(?!\s*<\|(?:start"
    r"|channel)\|>)"
    r"|<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|endofturn|end_of_turn|return)\|>)\s*+)++"
    r"(?P<begin><\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|\[INST\]|<\|user\|>"
    r"|<\|assistant\|>|<｜User｜>|<｜Assistant｜>)?"
    r"|(?P<begin><\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|\[INST\]|<\|user\|>|<｜User｜>"
    r"|<\|assistant\|>|<\|observation\|>)"
)
"""Where a turn ends or another one begins."""
_FURTHER = regex.compile(
    r"(?P<tool>(?:<\|im_start\|>|<start_of_turn>)\s*+(?:tool\b|user\s*+(?:<tool_response>"
    r"|```tool_output))"
    r"|<\|start_header_id\|>\s*+(?:ipython|tool)\s*+<\|end_header_id\|>|<\|observation\|>)"
    r"|(?P<results>\[TOOL_RESULTS\]|<｜tool▁outputs?▁begin｜>)"
    r"|(?P<model><\|im_start\|>\s*+assistant\b|<start_of_turn>\s*+model\b|<\|assistant\|>"
    r"|<｜Assistant｜>"
    r"|<\|start_header_id\|>\s*+assistant\s*+<\|end_header_id\|>)\s*+"
)
"""Whose the next turn is: a tool's, with or without marks of its own, or the model's."""

_NEXT_QUESTION = regex.compile(
    r"\n[ \t#*]*(?:(?:Question|Problem|Q|Exercise|Example|Human|User|Instruction|Input)[ \t]*\d*"
    r"[ \t*]*[:.]|(?:问题|问|Вопрос)[ \t]*\d*[:\N{FULLWIDTH COLON}])"
    r"|\n#+[ \t]*(?:Problem|Question|Exercise|Example)[ \t]*\d+",
    regex.IGNORECASE,
)

_MAY_ASK = re.compile(
    r"\n[*#]{0,8} ?(?:Question|Problem|Q|Exercise|Human|User|USER|QUESTION|Instruction)"
)
"""What every `_NEXT_ASKED` begins with, for `re`, which is four times as fast."""
_NEXT_ASKED = regex.compile(
    r"\n(?:\*\*|##+ ?)?(?:Question|Problem|Q|Exercise|Human|User|USER|QUESTION|Instruction)\b"
    r"(?:[ \t]?+\d{1,3}+)?[ \t*]*+(?:[:.]|(?<=##[^\n]{0,40}\d)$)",
    regex.MULTILINE,
)
"""A line that asks a further question, of the kind that may come between blocks and tags."""

_ANSWERED = regex.compile(
    r"\A\W*+[\d.,]++[^\w\n]*+$|\banswer\W{0,5}(?:is|was)\b|\b(?:answer|ans|a)\W{0,5}:|####"
    r"|\\boxed|```"
    r"|</\w*(?:answer|solution|code)\b|^(?: +return|print)\b|[\"']\s*:",
    regex.IGNORECASE | regex.MULTILINE,
)
"""What an answer begins with; a question behind it is the next one."""
_OBSERVED = regex.compile(r"\s*+(?:observation|output|result|feedback)\b|\s*+<", regex.IGNORECASE)
"""What an environment answers under a name of a person."""
_FEW = 20
"""Questions in a text that are looked at."""

_LINE_WITH_DEFINITION = regex.compile(r"^(?:async )?def \w", regex.MULTILINE)
_BODY = regex.compile(
    r"(?:async )?def \w++\([^\n]{0,300}\)[^\n:]{0,60}:[ \t]*(?:#[^\n]*)?\n"
    r"(?:[ \t]*\n)*+(?:[ \t]|\"{3}|'{3})"
)
"""A definition and the beginning of its body, which is indented, or a docstring that should be."""

_WRONG = ("wrong", "incorrect", "mistake", "faulty", "not right", "not correct")
_WRONG_WAY = regex.compile(
    r"\b(?:wrong|incorrect|mistaken|faulty|common mistake)\b[^.\n]{0,60}:?\s*$", regex.IGNORECASE
)
_IS_WRONG = regex.compile(
    r"\s*(?:but\s)?(?:this|that|it|which|the\s(?:code|program|function))\b[^.\n]{0,30}"
    r"\b(?:wrong|incorrect|mistaken|not\s(?:right|correct))\b",
    regex.IGNORECASE,
)
"""What is said of code that is quoted as a mistake."""

_WORD = regex.compile(r"\p{L}{2,}")

_Part = TypeVar("_Part")


class _once(Generic[_Part]):
    """A part of a page that is found on first use and kept.

    `functools.cached_property` takes a lock before Python 3.12, which costs more than most parts.
    """

    def __init__(self, find: "Callable[[Page], _Part]") -> None:
        self._find = find
        self.__doc__ = find.__doc__

    def __set_name__(self, owner: "type[Page]", name: str) -> None:
        self._name = name

    def __get__(self, page: "Page", owner: "type[Page]") -> _Part:
        part = page.__dict__[self._name] = self._find(page)
        return part


class Page:
    """One completion and its parts, each found on first use."""

    def __init__(self, text: str) -> None:
        """Take a completion as it was sampled."""
        self.text = latin_digits(_trimmed(text))
        """The completion, line ends and digits normalised, without comments and what ends a chat
        turn, and up to where the model goes on to ask itself the next question."""
        if _MAY_ASK.search(self.text):
            self.text = self._before_next_question()

    @_once
    def blocks(self) -> tuple[Block, ...]:
        """Fenced and marked blocks in their order; a fence within one line is none."""
        return blocks(self.text)

    @_once
    def elements(self) -> tuple[Element, ...]:
        """Tagged parts (`<think>...</think>`) outside the blocks, nested ones included."""
        text = self.text
        if not ("<" in text or "[" in text or "◁" in text or "Action" in text):
            return ()
        return elements(text, [(block.start, block.end) for block in self.blocks])

    @_once
    def code(self) -> tuple[Block, ...]:
        """The blocks that hold code, be they closed or cut off."""
        if not self.blocks:
            return ()
        return tuple(b for b in self.blocks if b.holds_code and b not in self.quoted)

    @_once
    def quoted(self) -> tuple[Block, ...]:
        """The blocks of code that the words around them call a mistake."""
        if not self.blocks:
            return ()
        lower = self.text.lower()
        if not any(word in lower for word in _WRONG):
            return ()
        return tuple(block for block in self.blocks if self._is_refuted(block))

    def _is_refuted(self, block: Block) -> bool:
        """Whether the words around a block say that it is quoted as a mistake."""
        before = self.text[max(0, block.start - 80) : block.start]
        after = self.text[block.end : block.end + 120]
        said = _WRONG_WAY.search(before) is not None or _IS_WRONG.match(after) is not None
        return said and bool(after.strip()) and block.holds_code

    @_once
    def outputs(self) -> tuple[Block, ...]:
        """The blocks that hold what code printed."""
        return tuple(block for block in self.blocks if block.holds_output) if self.blocks else ()

    @_once
    def snippet(self) -> Snippet | None:
        """Code outside any block: what the text begins with, or a function in lines of its own."""
        return None if self._bare is None else self._bare[0]

    @_once
    def session(self) -> Snippet | None:
        """The code of all blocks, as a session that keeps its state would run it."""
        if not self.code:
            return None
        return Snippet.parse("\n".join(block.body.strip("\n") for block in self.code))

    @_once
    def object(self) -> JsonObject | None:
        """The JSON object that the text consists of, or that carries an answer in it."""
        if "{" not in self.text:
            return None
        fenced = [block for block in self.blocks if block.language in JSON_LANGUAGES]
        taken = [(block.start, block.end) for block in self.code]
        taken += [(element.start, element.end) for element in self.elements]
        taken += [] if self._bare is None else [self._bare[1:]]
        return find_object(self.text, [(b.start, b.body, bool(b.language)) for b in fenced], taken)

    @_once
    def outside(self) -> str:
        """The text without code, output, tagged parts and the object."""
        return self._without(0)

    @_once
    def after(self) -> str:
        """What stands outside, after the last code or output; all of it where there is neither."""
        ends = [block.end for block in (*self.code, *self.outputs)]
        ends += [e.end for e in self.elements if e.kind in ("code", "output")]
        return up_to_next_question(self._without(max(ends))) if ends else self.statement

    @_once
    def after_in_words(self) -> bool:
        """Whether at least three words follow the last code."""
        return len(_WORD.findall(self.after[:500])) >= 3

    @_once
    def statement(self) -> str:
        """What stands outside, up to where a model goes on to ask itself the next question."""
        return up_to_next_question(self.outside)

    @_once
    def open_ended(self) -> bool:
        """Whether the text ends inside a block or a tagged part that it opened.

        One whose inside is complete lacks its closing mark alone, at which generation was stopped.
        """
        parts = (*self.blocks[-1:], *self.elements)
        return bool(parts) and any(p.end >= len(self.text) and not p.whole for p in parts)

    @_once
    def _bare(self) -> tuple[Snippet, int, int] | None:
        """Code outside any block, and its span; blocks and tags that hold code leave no room."""
        if self.code or self.quoted or any(element.runs for element in self.elements):
            return None
        snippet = Snippet.opening(self.text)
        if snippet is not None:
            return snippet, 0, _end_of_line(self.text, 0, snippet.lines)
        if "def " not in self.text:
            return None
        for match in _LINE_WITH_DEFINITION.finditer(self.text):
            start = match.start()
            if _BODY.match(self.text, start):
                snippet = Snippet.parse(self.text[start:])
                return snippet, start, _end_of_line(self.text, start, snippet.lines)
        return None

    def _before_next_question(self) -> str:
        """The text before a question that follows an answer, outside code, blocks and tags."""
        answered = _ANSWERED.search(self.text)
        if answered is None:
            return self.text
        following = _NEXT_ASKED.finditer(self.text, answered.end())
        for match in islice(following, _FEW):
            start = match.start()
            if _OBSERVED.match(self.text, match.end()) or self.text.count('"""', 0, start) % 2:
                continue
            if self.text.count("{", 0, start) > self.text.count("}", 0, start):
                continue  # in an object
            spans = ((part.start, part.end) for part in (*self.blocks, *self.elements))
            if not any(left <= start < right for left, right in spans):
                del self.blocks, self.elements
                return self.text[:start].rstrip()
        return self.text

    def _without(self, start: int) -> str:
        apart = (*self.code, *self.quoted, *self.outputs, *self.elements)
        spans = [(part.start, part.end) for part in apart]
        if self._bare is not None:
            spans.append(self._bare[1:])
        if self.object is not None:
            spans.append((self.object.start, self.object.end))
        if not spans:
            return self.text[start:]
        pieces: list[str] = []
        for left, right in sorted(spans):
            if left > start:
                pieces.append(self.text[start:left])
            start = max(start, right)
        pieces.append(self.text[start:])
        return "\n".join(pieces)


def up_to_next_question(text: str) -> str:
    """The text before a line that asks a further question, if something stands before it."""
    match = _NEXT_QUESTION.search(text)
    if match is None or not text[: match.start()].strip():
        return text
    return text[: match.start()]


def _trimmed(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.lstrip("\ufeff\u200b")
    text = text[text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1 :]  # keeps an indentation
    if ("[" in text and "INST]" in text) or ("<" in text and any(m in text for m in _TURNS)):
        text = _own_turns(text)
    text = without_comments(text)
    end = len(text)
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        if text.endswith(_END_MARKS, 0, end):
            end -= next(len(mark) for mark in _END_MARKS if text.endswith(mark, 0, end))
        elif special := text.endswith("|>", 0, end) and _SPECIAL.search(text, endpos=end):
            end = special.start()
        else:
            return text[:end]


def _own_turns(text: str) -> str:
    """The model's turn without the marks of its template, up to where it should have ended.

    A turn goes on behind what a tool answered, which is left out. Whatever else follows an end
    mark, a model that was not stopped has made up.
    """
    opening = _OPENING.match(text)
    start = opening.end() if opening else 0
    pieces: list[str] = []
    answering = False  # whether the turn is a tool's
    for joint in _JOINT.finditer(text, start):
        struck = joint["end"] == "</s>" and text.find("<s>", start, joint.start()) > start
        if joint.end() == len(text) or struck:  # `<s>...</s>` strikes words out
            continue
        begin = joint.start("begin") if joint["begin"] else joint.end()
        further = _FURTHER.match(text, begin)
        if further is None or (further["model"] and not answering):
            return "\n".join(pieces if answering else [*pieces, text[start : joint.start()]])
        if not answering:
            pieces.append(text[start : joint.start()])
        answering = further["tool"] is not None
        start = further.end() if further["model"] else begin
    return "\n".join(pieces if answering else [*pieces, text[start:]])


def _end_of_line(text: str, start: int, lines: int) -> int:
    """Position after so many lines from a start on, or the end of the text."""
    end = start
    for _ in range(lines):
        end = text.find("\n", end) + 1
        if end == 0:
            return len(text)
    return end
