"""A layout: the columns of a rollout file, and how the values of a row are read from them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from formatlab.errors import InputError
from formatlab.observe.files.completion import (
    NoCompletionError,
    after_turn,
    completion,
    decoded,
    question,
    reply_of_nodes,
)
from formatlab.observe.files.nesting import ONE_ROLLOUT, Nesting
from formatlab.observe.files.rows import Row, value_at
from formatlab.world.gold import gold_answer

_LIMITS = {
    *("max_turns", "max_input_tokens", "max_output_tokens", "max_total_tokens"),
    "compaction_failed",
}
"""Stop conditions of a trace that verifiers counts as truncation."""
_WORDS = {
    **dict.fromkeys(("true", "correct", "right", "pass", "passed", "c"), True),
    **dict.fromkeys(("false", "incorrect", "wrong", "fail", "failed", "i"), False),
}
"""Verdicts in words; `C` and `I` are those of Inspect."""
_ENDS = {
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "max_length"), True),
    "incomplete": True,
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence"), False),
    **dict.fromkeys(("tool_calls", "completed", "end_of_text"), False),
}
"""Why generation stopped, in the words of servers -> whether at the limit of length."""
_WHOLE = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The columns of a file, and how to read them."""

    name: str
    text: str
    """Column of the completion."""
    gold: str | None = None
    step: str | None = None
    prompt: str | None = None
    """Column that rollouts of the same prompt share."""
    truncated: str | None = None
    """Column that says whether the completion was cut off by the length limit."""
    verdict: str | None = None
    """Column of the file's own verdict: right or wrong."""
    reward: str | None = None
    """Column of the reward, a number."""
    sample: str | None = None
    """Column of the number of the rollout among those of its prompt."""
    nesting: Nesting = ONE_ROLLOUT
    """The lists in which a row's rollouts are. All other columns are those of a rollout."""
    one_prompt: bool = True
    """Whether the rollouts of the innermost list are samples of one prompt."""
    form: Literal["text", "tokens", "nodes"] = "text"
    """What the text column holds: text or a chat; token ids; the message nodes of a trace."""
    cut: Literal["", "prompt", "turn"] = ""
    """What precedes the completion in its text: the prompt, or the other turns of a chat."""
    file_step: int | None = None
    """The step in the path of the file, if no column holds one."""
    tokenizer: str | None = None
    """Model whose tokenizer decodes token ids: a folder or hub id."""
    by: str | None = None
    """Column to compare by."""
    by_tagging: bool = False
    """Whether that is a column that tagging adds, and not one of the file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The top-level columns to read."""
        paths = [self.text, self.gold, self.step, self.prompt]
        paths += [self.truncated, self.verdict, self.reward, self.sample, self.by]
        paths += ["calls"] if self.form == "nodes" else []
        return tuple(
            dict.fromkeys(name for path in paths if path for name in (path, path.split(".")[0]))
        )

    @property
    def whole_file(self) -> bool:
        """Whether a row is all that the file holds, so that each rollout counts for itself."""
        return self.prompt is None and not self.one_prompt

    @property
    def of_any_file(self) -> "Layout":
        """The layout without the step of this one file."""
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
        prompt, gold = (repr(name) if name else "none" for name in (self.prompt, self.gold))
        lists = self.nesting.lists
        names = lists if lists[-1:] == (self.text,) else (*lists, self.text)
        text = ("each of " if lists else "") + " > ".join(map(repr, names)) + held + cut
        return f"{self.name}: completion {text}, prompt {prompt}, gold {gold}, step {step}"

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
            reply = reply_after_turn(text)
            return text if reply is None else reply
        if self.cut == "prompt":
            prompt = self.prompt_of(row)
            if isinstance(prompt, str) and text.startswith(prompt):
                return text[len(prompt) :]
            raise NoCompletionError("does not begin with its prompt, as the first rows do")
        return text

    def gold_of(self, row: Row) -> str | None:
        """The gold as text; None where there is none to compare an answer with.

        Raises:
            InputError: there is one that cannot be read.
        """
        value = value_at(row, self.gold) if self.gold else None
        if self.form == "tokens" and isinstance(value, list):
            tokens = all(type(token) is int for token in value)
            value = decoded(self.tokenizer or "", value) if tokens else value
        return gold_answer(value) or None

    def step_of(self, row: Row) -> float | None:
        """The step as a number; None where there is none. `global_step_10` is step 10.

        Raises:
            InputError: there is one, and it is no number.
        """
        value = value_at(row, self.step) if self.step else self.file_step
        if value is None or value == "":
            return None
        number = number_in(value)
        if number is None and isinstance(value, str) and len(found := _WHOLE.findall(value)) == 1:
            number = float(found[0])
        if number is None or not math.isfinite(number):
            raise InputError(f"the step is no number but {value!r}"[:80])
        return number

    def truncated_of(self, row: Row) -> bool | None:
        """Whether the completion was cut off; None where the row does not say."""
        if self.form == "nodes":
            return _trace_was_cut(row)
        return cut_in(value_at(row, self.truncated)) if self.truncated else None

    def verdict_of(self, row: Row) -> bool | None:
        """Whether the file calls the completion right; None where it does not say."""
        return verdict_in(self._total(value_at(row, self.verdict))) if self.verdict else None

    def reward_of(self, row: Row) -> float | None:
        """The reward in the file; None where there is none."""
        value = self._total(value_at(row, self.reward)) if self.reward else None
        reward = number_in(only(value))
        return reward if reward is not None and math.isfinite(reward) else None

    def sample_of(self, row: Row, place: int) -> int | None:
        """The number of a rollout among those of its prompt; None where it is not known.

        Args:
            row: the rollout.
            place: its place in the list that it was taken out of.
        """
        if self.nesting.lists:
            return place if self.one_prompt else None
        value = value_at(row, self.sample) if self.sample else None
        return value if type(value) is int else None

    def prompt_of(self, row: Row) -> Any:
        """The prompt, text or not; None where there is none.

        Without a column of prompts it is what a chat asks, or the text before the model's turn.
        """
        if self.prompt:
            return value_at(row, self.prompt)
        value = value_at(row, self.text) if self.form == "text" else None
        if self.cut == "turn" and isinstance(value, str):
            reply = reply_after_turn(value)
            return None if reply is None else value.removesuffix(reply)
        return question(value)

    def _total(self, value: object) -> object:
        return total_reward(value) if self.form == "nodes" else value


def total_reward(rewards: object) -> object:
    """The reward of a trace: the sum of those that have names, each a score with its weight."""
    if not isinstance(rewards, Mapping):
        return rewards
    parts = [
        number * (1.0 if weight is None else weight)
        for given in rewards.values()
        if (number := number_in(given.get("score") if isinstance(given, Mapping) else given))
        is not None
        for weight in [number_in(given.get("weight")) if isinstance(given, Mapping) else None]
    ]
    return sum(parts) if parts else None


def _trace_was_cut(trace: Row) -> bool | None:
    """Whether a limit ended a trace: its own condition says so, or its last call of the model."""
    stop = trace.get("stop_condition")
    if stop in _LIMITS:
        return True
    calls, nodes = (trace.get(name) or () for name in ("calls", "nodes"))
    ends = [call.get("finish_reason") for call in calls if call.get("error") is None]
    ends = ends or [node.get("finish_reason") for node in nodes if node.get("sampled")]
    cut = cut_in(ends[-1]) if ends else None
    return False if cut is None and stop is not None else cut


def reply_after_turn(text: str) -> str | None:
    """The text after the last mark of the model's turn, also where only the roles are left of it.

    OpenRLHF logs whole sequences decoded without special tokens.
    """
    reply = after_turn(text)
    if reply is None and text.startswith(("system\n", "user\n")):
        _, mark, said = text.rpartition("\nassistant\n")
        return said if mark else None
    return reply


def only(value: object) -> object:
    """The item of a list of one; any other value as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def number_in(value: object) -> float | None:
    """The number that a value is, or that its text is; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def verdict_in(value: object) -> bool | None:
    """Whether a value says right (1, true, correct) or wrong (0, false); None if neither."""
    value = only(value)
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    number = float(value) if isinstance(value, bool) else number_in(value)
    return {0.0: False, 1.0: True}.get(number) if number is not None else None


def cut_in(value: object) -> bool | None:
    """Whether a flag, or a reason why generation ended, says that a text was cut off."""
    value = only(value)
    if isinstance(value, str) and value.strip().lower() in _ENDS:
        return _ENDS[value.strip().lower()]
    return verdict_in(value)
