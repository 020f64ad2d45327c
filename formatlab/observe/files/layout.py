"""The layout: which columns of somebody's rollout file hold the completion, the gold, the step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from formatlab.observe.files.chunk import Row
from formatlab.observe.files.completion import (
    NoCompletionError,
    after_turn,
    completion,
    decoded,
    reply_of_nodes,
)
from formatlab.world.problem_set import gold_answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where a row has what."""

    name: str
    text: str
    """Column of the completion."""
    gold: str | None = None
    step: str | None = None
    prompt: str | None = None
    """Column that rollouts of the same prompt share."""
    truncated: str | None = None
    """Column that says whether the length limit ended the completion."""
    form: Literal["text", "tokens", "nodes"] = "text"
    """What the text column holds: text or a chat; token ids; the message nodes of a trace."""
    cut: Literal["", "prompt", "turn"] = ""
    """What stands before the completion in its text: the prompt column, or a chat's other turns."""
    file_step: int | None = None
    """The step that the file's path names, where no column does."""
    tokenizer: str | None = None
    """Model whose tokenizer decodes token ids: a folder or hub id."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The top-level columns that are read."""
        paths = [self.text, self.gold, self.step, self.prompt, self.truncated]
        return tuple(
            dict.fromkeys(name for path in paths if path for name in (path, path.split(".")[0]))
        )

    @property
    def of_any_file(self) -> "Layout":
        """The layout without what its file alone says."""
        return self if self.file_step is None else replace(self, file_step=0)

    def __str__(self) -> str:
        held = {"text": "", "tokens": " (token ids)", "nodes": " (messages)"}[self.form]
        cut = {
            "": "",
            "prompt": f" after its copy of {self.prompt!r}",
            "turn": " after the last mark of the model's turn",
        }[self.cut]
        step = repr(self.step) if self.step else "none"
        if self.file_step is not None:
            step = "in the file's path"
        gold = repr(self.gold) if self.gold else "none"
        return f"{self.name}: completion {self.text!r}{held}{cut}, gold {gold}, step {step}"

    def completion_of(self, row: Row) -> str:
        """The completion of a row.

        Raises:
            NoCompletionError: there is none.
        """
        value = value_at(row, self.text)
        if self.form == "tokens":
            return decoded(self.tokenizer or "", value)
        if self.form == "nodes":
            return reply_of_nodes(value)
        text = completion(value)
        if self.cut == "turn":
            reply = after_turn(text)
            return text if reply is None else reply
        if self.cut == "prompt":
            prompt = self.prompt_of(row)
            if isinstance(prompt, str) and text.startswith(prompt):
                return text[len(prompt) :]
            raise NoCompletionError("does not begin with its prompt, as the first rows do")
        return text

    def gold_of(self, row: Row) -> str | None:
        """The gold as text; None where there is none, or nothing to compare an answer with."""
        value = value_at(row, self.gold) if self.gold else None
        if self.form == "tokens" and isinstance(value, list):
            tokens = all(type(token) is int for token in value)
            value = decoded(self.tokenizer or "", value) if tokens else value
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, float) and not math.isfinite(value):
            return None  # how tables write that a number is lacking
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        return gold_answer(value) or None

    def step_of(self, row: Row) -> float | None:
        """The step as a number; None where there is none."""
        value = value_at(row, self.step) if self.step else self.file_step
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        try:
            step = float(value)
        except (ValueError, OverflowError):
            return None
        return step if math.isfinite(step) else None

    def truncated_of(self, row: Row) -> bool | None:
        """Whether the completion was cut off; None where the row does not say."""
        value = value_at(row, self.truncated) if self.truncated else None
        return value if isinstance(value, bool) else None

    def prompt_of(self, row: Row) -> Any:
        """The prompt, text or not; None where there is none."""
        return value_at(row, self.prompt) if self.prompt else None


def expanded(row: Row) -> Sequence[Row]:
    """A row once for each trace of the episode that it is; any other row as it is."""
    if "traces" not in row or "task" not in row or not isinstance(row["traces"], list):
        return (row,)
    rest = {name: value for name, value in row.items() if name != "traces"}
    return [rest | {"trace": trace} for trace in row["traces"]]


def value_at(row: Row, path: str) -> Any:
    """The value of a column, or inside one; None where it is not there."""
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
