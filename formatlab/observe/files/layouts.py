"""Layouts: which columns of a rollout file hold the completion, the gold, the step and the prompt.

`find_layout` recognises the files of public trainers by their columns, and other files by usual
names of columns. Each known layout cites the code that writes it: repository, file and commit.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from formatlab.errors import InputError
from formatlab.observe.files.completion import (
    NoCompletionError,
    after_turn,
    completion,
    decoded,
    reply_of_nodes,
)
from formatlab.observe.files.rows import Row
from formatlab.world.problem_set import gold_answer


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
    form: Literal["text", "tokens", "nodes"] = "text"
    """What the text column holds: text or a chat; token ids; the message nodes of a trace."""
    cut: Literal["", "prompt", "turn"] = ""
    """What precedes the completion in its text: the prompt, or the other turns of a chat."""
    file_step: int | None = None
    """The step in the path of the file, if no column holds one."""
    tokenizer: str | None = None
    """Model whose tokenizer decodes token ids: a folder or hub id."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The top-level columns to read."""
        paths = [self.text, self.gold, self.step, self.prompt, self.truncated]
        return tuple(
            dict.fromkeys(name for path in paths if path for name in (path, path.split(".")[0]))
        )

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
        """The gold as text; None where there is none to compare an answer with."""
        value = value_at(row, self.gold) if self.gold else None
        if self.form == "tokens" and isinstance(value, list):
            tokens = all(type(token) is int for token in value)
            value = decoded(self.tokenizer or "", value) if tokens else value
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, float) and not math.isfinite(value):
            return None  # how tables mark a missing number
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
    """The rows of an episode, one for each trace; any other row as it is."""
    if "traces" not in row or "task" not in row or not isinstance(row["traces"], list):
        return (row,)
    rest = {name: value for name, value in row.items() if name != "traces"}
    return [rest | {"trace": trace} for trace in row["traces"]]


def value_at(row: Row, path: str) -> Any:
    """The value of a column, or of a dotted path into one; None where there is none."""
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


SAMPLE_ROWS = 64
"""Rows at the beginning of a file from which its layout is recognised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Columns that the user names; those that are None are recognised.

    A dot reaches into an object: `reward_model.ground_truth`.
    """

    text: str | None = None
    gold: str | None = None
    step: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """A layout, and the columns by which it is recognised."""

    layout: Layout
    requires: Set[str]
    """All of these columns are in the file."""
    golds: tuple[str, ...] = ()
    """The first of these columns that the file has holds the gold."""
    step_in_path: bool = False


_LAYOUTS = (
    _Known(
        layout=Layout(
            name="formatlab rollouts",
            text="completion",
            gold="gold",
            step="step",
            prompt="prompt_id",
            truncated="truncated",
        ),
        requires={"run_id", "prompt_id", "completion", "gold", "step"},
    ),
    # RolloutRecord, open_instruct/rl_utils.py of allenai/open-instruct at 00feb3a56731. It has
    # tokens and no text.
    _Known(
        layout=Layout(
            name="open-instruct save_traces",
            text="response_tokens",
            step="step",
            prompt="prompt_tokens",
            form="tokens",
        ),
        requires={"response_tokens", "prompt_tokens", "step"},
        golds=("ground_truth",),
    ),
    # Episode, verifiers/v1/episode.py of PrimeIntellect-ai/verifiers at 11eb4d611d99, as logged by
    # src/prime_rl/monitors/file/monitor.py of PrimeIntellect-ai/prime-rl at 048a6e23428e. A row of
    # it is taken once for each of its traces, which then is in the column `trace`.
    _Known(
        layout=Layout(
            name="prime-rl episodes",
            text="trace.nodes",
            gold="trace.task.data.answer",
            step="run.work.step",
            prompt="task",
            form="nodes",
        ),
        requires={"trace"},
    ),
    # Trace, verifiers/v1/trace.py at 00eee6c6308d; one a line in rollouts/step_N/*/traces.jsonl of
    # prime-rl (its pull request 2983).
    _Known(
        layout=Layout(
            name="prime-rl traces",
            text="nodes",
            gold="task.data.answer",
            prompt="task",
            form="nodes",
        ),
        requires={"nodes", "task"},
        step_in_path=True,
    ),
    # RolloutOutput, verifiers/utils/save_utils.py of PrimeIntellect-ai/verifiers at 00d832043321:
    # rollouts/step_N/train_rollouts.jsonl of prime-rl before its traces.
    _Known(
        layout=Layout(name="verifiers rollouts", text="completion", prompt="prompt"),
        requires={"example_id", "prompt", "completion", "reward"},
        golds=("answer",),
        step_in_path=True,
    ),
    # _write_generations, verl/trainer/ppo/ray_trainer.py of verl-project/verl at 0094eb2057e6.
    _Known(
        layout=Layout(name="verl rollout_data_dir", text="output", step="step", prompt="input"),
        requires={"input", "output", "score", "step"},
        golds=("gts",),
    ),
    # batch_generate_vllm and batch_rm_inference, openrlhf/cli/batch_inference.py of
    # OpenRLHF/OpenRLHF at 0551ff62af4a. Its trainer writes no rollouts to files.
    _Known(
        layout=Layout(name="OpenRLHF samples", text="output", prompt="input"),
        requires={"input", "output"},
    ),
    # GRPOTrainer.log, trl/trainer/grpo_trainer.py of TRL 1.16.0; `solution` is what its
    # accuracy_reward adds to the table.
    _Known(
        layout=Layout(name="TRL completions", text="completion", step="step", prompt="prompt"),
        requires={"step", "prompt", "completion"},
        golds=("solution", "gold", "ground_truth"),
    ),
)

_TEXTS = (
    "completion",
    "response",
    "output",
    "generated_text",
    "generation",
    "generated_solution",
    "model_output",
    "text",
    "messages",
    "conversations",
    "conversation",
)
# Not `answer`: it is as often the answer of the model.
_GOLDS = ("gold", "gold_answer", "ground_truth", "gts", "gt", "expected_answer", "reference_answer")
_STEPS = ("step", "global_step", "training_step")
_PROMPTS = ("prompt", "question", "problem", "query", "input", "prompt_id")
_MOST_LISTED = 30
_STEP_IN_PATH = re.compile(r"step[_=-]?(\d+)(?=\D|$)")


def find_layout(path: Path, rows: Sequence[Row], columns: Columns, tokenizer: str | None) -> Layout:
    """Recognise the layout of a file from its first rows.

    Args:
        path: the file.
        rows: at least one.
        columns: those that the user names; they replace the recognised ones.
        tokenizer: for files of token ids; by default that of the model that they name.

    Raises:
        InputError: no column is known to hold completions, or one that the user names is not
            there.
    """
    present = {name for row in rows for name in row}
    layout = _recognised(path, rows, present, columns)
    named = {
        flag: name
        for flag, name in (("text", columns.text), ("gold", columns.gold), ("step", columns.step))
        if name is not None
    }
    for flag, name in named.items():
        if not any(_has(row, name) for row in rows):
            raise InputError(
                f"{path}: no column {name!r}, which --{flag} names (columns: {_listed(present)})"
            )
    if layout.form == "tokens":
        return replace(layout, tokenizer=tokenizer or _trained_model(path))
    return replace(layout, cut=_cut(layout, rows))


def _recognised(path: Path, rows: Sequence[Row], present: set[str], columns: Columns) -> Layout:
    known = next((k for k in _LAYOUTS if k.requires <= present), None)
    if known and columns.text in (None, known.layout.text):
        layout = known.layout
        gold = layout.gold or next((name for name in known.golds if name in present), None)
        if gold and not any(_has(row, gold) for row in rows):
            gold = None
        step = layout.step
        file_step = _file_step(path) if known.step_in_path else None
    else:
        text = columns.text or next((name for name in _TEXTS if name in present), None)
        if text is None:
            raise InputError(
                f"{path}: no column is known to hold completions (columns: {_listed(present)}); "
                "name it with --text COLUMN"
            )
        gold = next((name for name in _GOLDS if name in present and name != text), None)
        step = next((name for name in _STEPS if name in present), None)
        prompt = next((name for name in _PROMPTS if name in present and name != text), None)
        layout = Layout(name="columns by name", text=text, prompt=prompt)
        file_step = None
    if columns.step is not None:
        step, file_step = columns.step, None
    return replace(layout, gold=columns.gold or gold, step=step, file_step=file_step)


def _cut(layout: Layout, rows: Sequence[Row]) -> Literal["", "prompt", "turn"]:
    """What precedes the completion in every one of the texts."""
    if layout.form != "text":
        return ""
    texts = [
        (text, value_at(row, layout.prompt) if layout.prompt else None)
        for row in rows
        if isinstance(text := value_at(row, layout.text), str) and text
    ]
    if not texts:
        return ""
    # One solution may begin by restating its question; if all texts begin with the whole prompt,
    # the file keeps prompt and completion in one text.
    if layout.prompt in ("prompt", "input", "query") and all(
        isinstance(prompt, str) and prompt and text.startswith(prompt) for text, prompt in texts
    ):
        return "prompt"
    return "turn" if all(after_turn(text) is not None for text, _ in texts) else ""


def _has(row: Row, path: str) -> bool:
    return path in row or value_at(row, path) is not None


def _file_step(path: Path) -> int | None:
    steps = _STEP_IN_PATH.findall(str(path))
    return int(steps[-1]) if steps else None


def _trained_model(path: Path) -> str | None:
    """The model that open-instruct's `<run>_metadata.jsonl` names, beside `<run>_rollouts_*`."""
    run = path.name.split("_rollouts_")[0]
    try:
        text = path.with_name(f"{run}_metadata.jsonl").read_text(encoding="utf-8")
        name = json.loads(text.partition("\n")[0])["model_name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and name != "unknown" else None


def _listed(names: set[str]) -> str:
    shown = sorted(map(str, names))
    more = f" and {len(shown) - _MOST_LISTED} more" if len(shown) > _MOST_LISTED else ""
    return (", ".join(shown[:_MOST_LISTED]) or "none") + more
