"""A completion, taken apart once: fenced blocks, tags, and the text that stands around them."""

from functools import cached_property

import regex

from formatlab.world.formats.block import JSON_LANGUAGES, Block, blocks
from formatlab.world.formats.element import Element, elements
from formatlab.world.formats.json_object import JsonObject, find_object
from formatlab.world.formats.limits import limit
from formatlab.world.formats.snippet import Snippet

_END_MARKS = (
    *("</s>", "<s>", "<eos>", "<pad>", "<unk>", "[PAD]", "[EOS]", "[INST]", "[/INST]"),
    *("<end_of_turn>", "<turn|>", "<｜end▁of▁sentence｜>"),
)
"""What tokenizers and chat templates leave at the end of a decoded completion."""
_SPECIAL = regex.compile(r"(?r)<\|[\w ]{1,30}\|>\Z")
"""A special token in the notation of most tokenizers."""
_NEXT_TURN = regex.compile(
    r"<\|endoftext\|>|<\|im_start\|>\s*user|<\|start_header_id\|>\s*user|<start_of_turn>\s*user"
)
"""Where a model that was not stopped goes on behind its own end."""

_NEXT_QUESTION = regex.compile(
    r"\n[ \t#*]*(?:(?:Question|Problem|Q|Exercise|Example|Human|User|Instruction|Input)[ \t]*\d*"
    r"[ \t*]*[:.]|(?:问题|问|Вопрос)[ \t]*\d*[:\N{FULLWIDTH COLON}])"
    r"|\n#+[ \t]*(?:Problem|Question|Exercise|Example)[ \t]*\d+",
    regex.IGNORECASE,
)

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


class Page:
    """One completion and its parts, each found on first use."""

    def __init__(self, text: str) -> None:
        """Take a completion as it was sampled."""
        self.text = _trimmed(text)
        """The completion, with line ends normalised and without what ends a chat turn."""

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Fenced and marked blocks in their order; a fence within one line is none."""
        return blocks(self.text)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """Tagged parts (`<think>...</think>`) outside the blocks, nested ones included."""
        if not any(mark in self.text for mark in "<[◁"):
            return ()
        return elements(self.text, [(block.start, block.end) for block in self.blocks])

    @cached_property
    def code(self) -> tuple[Block, ...]:
        """The blocks that hold code, be they closed or cut off."""
        held = (block for block in self.blocks if block.holds_code)
        return tuple(block for block in held if block not in self.quoted)

    @cached_property
    def quoted(self) -> tuple[Block, ...]:
        """The blocks of code that the words around them call a mistake."""
        if not self.blocks or not any(word in self.text.lower() for word in _WRONG):
            return ()
        return tuple(block for block in self.blocks if self._is_refuted(block))

    def _is_refuted(self, block: Block) -> bool:
        """Whether the words around a block say that it is quoted as a mistake."""
        before = self.text[max(0, block.start - 80) : block.start]
        after = self.text[block.end : block.end + 120]
        said = _WRONG_WAY.search(before) is not None or _IS_WRONG.match(after) is not None
        return said and bool(after.strip()) and block.holds_code

    @cached_property
    def outputs(self) -> tuple[Block, ...]:
        """The blocks that hold what code printed."""
        return tuple(block for block in self.blocks if block.holds_output)

    @cached_property
    def snippet(self) -> Snippet | None:
        """Code outside any block: what the text begins with, or a function in lines of its own."""
        return None if self._bare is None else self._bare[0]

    @cached_property
    def session(self) -> Snippet | None:
        """The code of all blocks, as a session that keeps its state would run it."""
        if not self.code:
            return None
        return Snippet.parse("\n".join(block.body.strip("\n") for block in self.code))

    @cached_property
    def object(self) -> JsonObject | None:
        """The JSON object that the text consists of, or that carries an answer in it."""
        if "{" not in self.text:
            return None
        fenced = [block for block in self.blocks if block.language in JSON_LANGUAGES]
        taken = [(block.start, block.end) for block in self.code]
        taken += [(element.start, element.end) for element in self.elements]
        taken += [] if self._bare is None else [self._bare[1:]]
        return find_object(self.text, [(b.start, b.body, bool(b.language)) for b in fenced], taken)

    @cached_property
    def outside(self) -> str:
        """The text without code, output, tagged parts and the object."""
        return self._without(0)

    @cached_property
    def after(self) -> str:
        """What stands outside, after the last code or output; all of it where there is neither."""
        ends = [block.end for block in (*self.code, *self.outputs)]
        ends += [e.end for e in self.elements if e.kind in ("code", "output")]
        return up_to_next_question(self._without(max(ends, default=0)))

    @cached_property
    def after_in_words(self) -> bool:
        """Whether at least three words follow the last code."""
        return len(_WORD.findall(self.after[:500])) >= 3

    @cached_property
    def statement(self) -> str:
        """What stands outside, up to where a model goes on to ask itself the next question."""
        return up_to_next_question(self.outside)

    @cached_property
    def open_ended(self) -> bool:
        """Whether the text ends inside a block or a tagged part that it opened."""
        parts = (*self.blocks[-1:], *self.elements)
        return any(not part.closed and part.end >= len(self.text) for part in parts)

    @cached_property
    def _bare(self) -> tuple[Snippet, int, int] | None:
        """Code outside any block, and its span; blocks and tags that hold code leave no room."""
        if self.code or self.quoted or any(element.runs for element in self.elements):
            return None
        snippet = Snippet.opening(self.text)
        if snippet is not None:
            return snippet, 0, _end_of_line(self.text, 0, snippet.lines)
        if "def " not in self.text:
            return None
        for match in _LINE_WITH_DEFINITION.finditer(self.text, timeout=limit(self.text)):
            start = match.start()
            if _BODY.match(self.text, start, timeout=limit(self.text)):
                snippet = Snippet.parse(self.text[start:])
                return snippet, start, _end_of_line(self.text, start, snippet.lines)
        return None

    def _without(self, start: int) -> str:
        apart = (*self.code, *self.quoted, *self.outputs)
        spans = [(block.start, block.end) for block in apart]
        spans += [(element.start, element.end) for element in self.elements]
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
    match = _NEXT_QUESTION.search(text, timeout=limit(text))
    if match is None or not text[: match.start()].strip():
        return text
    return text[: match.start()]


def _trimmed(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.lstrip("\ufeff\u200b")
    text = text[text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1 :]  # keeps an indentation
    if "<" in text:
        further = _NEXT_TURN.search(text, timeout=limit(text))
        if further and text[: further.start()].strip():
            text = text[: further.start()]
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


def _end_of_line(text: str, start: int, lines: int) -> int:
    """Position after so many lines from a start on, or the end of the text."""
    end = start
    for _ in range(lines):
        end = text.find("\n", end) + 1
        if end == 0:
            return len(text)
    return end
