"""ReAct: Thought, Action, Action Input and Observation, each behind its label on a new line."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import regex

from formatlab.world.formats.call import runs_code

_LABEL = regex.compile(
    r"^[ \t*#]*+(?P<label>thought|action[ _]input|action|observation|final[ ]answer|answer)"
    r"(?:[ \t]*+\d{1,3}+)?+[ \t*]*+:[ \t*]*+",
    regex.IGNORECASE | regex.MULTILINE,
)
_CALL = regex.compile(
    r"(?P<tool>[\w .-]{1,60}?)\s*+(?P<open>[\[(])(?P<inside>.*)[\])]\s*+", regex.DOTALL
)
_FINISH = frozenset("finish final_answer final answer submit finalanswer".split()) | {
    "final answer"
}
"""Actions that give the answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReactPart:
    """What stands behind one label."""

    kind: Literal["turn", "output", "answer"]
    body: str
    start: int
    end: int
    runs: bool
    """Whether the body is code for a tool that runs it."""


def react_parts(text: str, blocks: Sequence[tuple[int, int]]) -> list[ReactPart]:
    """The parts of a text that acts and observes; none where it only thinks or only acts.

    What follows the last observation, or stands behind `Final Answer:`, is said, and is no part.

    Args:
        text: a completion.
        blocks: spans of fenced blocks, in which labels mean nothing.
    """
    starts = [left for left, _ in blocks]
    marks = [
        match
        for match in _LABEL.finditer(text)
        if not (block := bisect(starts, match.start())) or match.start() >= blocks[block - 1][1]
    ]
    labels = [match["label"].lower().replace("_", " ") for match in marks]
    if "action" not in labels or not {"thought", "action input", "observation"} & set(labels):
        return []
    parts: list[ReactPart] = []
    tool = ""
    for index, (label, mark) in enumerate(zip(labels, marks, strict=True)):
        last = index + 1 == len(marks)
        end = len(text) if last else marks[index + 1].start()
        if last and label == "observation":  # what it says is one line, or else nothing is said
            line = text.find("\n", mark.end())
            end = line if line >= 0 else end
        body = text[mark.end() : end].strip()
        if label.endswith("answer") or (last and label == "thought"):
            continue
        kind, runs = "turn", False
        if label == "observation":
            kind = "output"
        elif label == "action":
            call = _CALL.fullmatch(body)
            tool = (call["tool"] if call else body).strip("*_` \t").lower()
            body = call["inside"] if call else body
            kind, runs = _role(tool) if call else ("turn", False)
        elif label == "action input":
            kind, runs = _role(tool)
        parts.append(ReactPart(kind=kind, body=body, start=mark.start(), end=end, runs=runs))
    return parts


def _role(tool: str) -> tuple[Literal["turn", "answer"], bool]:
    return ("answer", False) if tool in _FINISH else ("turn", runs_code(tool))
