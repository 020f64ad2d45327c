"""Layouts: which columns of a rollout file hold the completion, the gold, the step and the prompt.

`find_layout` recognises the files of public trainers by their columns, and other files by usual
names of columns. Each known layout cites the code that writes it: repository, file and commit.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
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
from formatlab.observe.files.nesting import (
    ONE_ROLLOUT,
    Nesting,
    lists_beside,
    samples_in,
    taken_out,
)
from formatlab.observe.files.rows import Row, value_at
from formatlab.observe.files.tagged_file import WRITTEN_BY_TAG, kept_name
from formatlab.world.gold import gold_answer


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

    @property
    def columns(self) -> tuple[str, ...]:
        """The top-level columns to read."""
        paths = [self.text, self.gold, self.step, self.prompt]
        paths += [self.truncated, self.verdict, self.reward, self.sample]
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
        gold = repr(self.gold) if self.gold else "none"
        lists = self.nesting.lists
        names = lists if lists[-1:] == (self.text,) else (*lists, self.text)
        each = "each of " if lists else ""
        text = each + " > ".join(map(repr, names))
        return f"{self.name}: completion {text}{held}{cut}, gold {gold}, step {step}"

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
        number = _number(value)
        if number is None and isinstance(value, str) and len(found := _WHOLE.findall(value)) == 1:
            number = float(found[0])
        if number is None or not math.isfinite(number):
            raise InputError(f"the step is no number but {value!r}"[:80])
        return number

    def truncated_of(self, row: Row) -> bool | None:
        """Whether the completion was cut off; None where the row does not say."""
        return _was_cut(value_at(row, self.truncated)) if self.truncated else None

    def verdict_of(self, row: Row) -> bool | None:
        """Whether the file calls the completion right; None where it does not say."""
        return _verdict(value_at(row, self.verdict)) if self.verdict else None

    def reward_of(self, row: Row) -> float | None:
        """The reward in the file; None where there is none."""
        reward = _number(_only(value_at(row, self.reward))) if self.reward else None
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
        """The prompt, text or not; None where there is none."""
        return value_at(row, self.prompt) if self.prompt else None


def _only(value: object) -> object:
    """The item of a list of one; any other value as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _verdict(value: object) -> bool | None:
    value = _only(value)
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    number = float(value) if isinstance(value, bool) else _number(value)
    return {0.0: False, 1.0: True}.get(number) if number is not None else None


def _was_cut(value: object) -> bool | None:
    value = _only(value)
    if isinstance(value, str) and value.strip().lower() in _ENDS:
        return _ENDS[value.strip().lower()]
    return _verdict(value)


SAMPLE_ROWS = 64
"""Rows at the beginning of a file from which its layout is recognised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Columns that the user names; those that are None are recognised.

    A dot reaches into an object, or a list: `reward_model.ground_truth`, `choices.0.text`. For
    rollouts in lists they are columns of a rollout, with those of the row around it.
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
    # src/prime_rl/monitors/file/monitor.py of PrimeIntellect-ai/prime-rl at 048a6e23428e: a list
    # `traces`, and the step in `run`.
    _Known(
        layout=Layout(
            name="prime-rl episodes",
            text="nodes",
            gold="task.data.answer",
            step="run.work.step",
            prompt="task",
            form="nodes",
        ),
        requires={"nodes", "task", "run"},
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


def _usual(*names: str, within: Sequence[str] = ("",)) -> tuple[str, ...]:
    """Names of columns, each followed by its plural, by themselves and in objects."""
    return tuple(place + name + end for place in within for name in names for end in ("", "s"))


_TEXTS = _usual(
    "completion",
    "response",
    "model_response",
    "full_model_response",
    "output",
    "generated_text",
    "generation",
    "raw_generation",
    "generated_solution",
    "model_output",
    "message",
    "text",
    "messages",
    "conversation",
    "trajectory",
    "sample",
    "candidate",
    "rollout",
    "resps",  # lm-evaluation-harness
    "solution_str",
    "raw_output",
    "content",
    "model_answer",
    "generated_answer",
    "prediction",
    "code",  # evaluate/evaluation of Qwen2.5-Math: what the model wrote
)
_GOLDS = _usual(
    "gold",
    "gold_answer",
    "golden_answer",
    "ground_truth",
    "ground_truth_answer",
    "gt",
    "expected_answer",
    "reference_answer",
    "correct_answer",
    "reward_model.ground_truth",
    "target",
    "doc.answer",
    "info.answer",
    "metadata.answer",
    "extra_info.answer",
    "answer",  # last: it may be the answer of the model, if another column holds the right one
)
_STEPS = ("step", "global_step", "global_steps", "training_step", "train_step", "trainer_step")
_PROMPTS = _usual(
    *("prompt", "question", "problem", "query", "input", "prompt_id", "instruction", "doc"),
    "responses_create_params.input",
)
_WITHIN = ("", "metrics.", "metric.", "info.")
_VERDICTS = _usual(
    "file_correct",  # what `formatlab tag` wrote
    "correct",
    "is_correct",
    "correctness",
    "correctness_math_verify",
    "accuracy",
    "acc",
    "exact_match",
    "passed",
    "accuracy_reward",
    "score",
    "reward",
    within=_WITHIN,
)
_REWARDS = _usual("file_reward", "reward", "score", within=_WITHIN)
_TRUNCATIONS = (
    *_usual("file_truncated", "truncated", "is_truncated", "finish_reason", within=_WITHIN),
    *_usual("stop_reason", "response.status"),
)
_SAMPLES = ("sample", "sample_index", "sample_idx", "sample_id")
_OURS = {"answer", "correct", "truncated"}
"""Usual names that are those of columns which tagging writes."""
_WORDS = {"true": True, "false": False}
_ENDS = {
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "max_length"), True),
    "incomplete": True,
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence"), False),
    **dict.fromkeys(("tool_calls", "completed", "end_of_text"), False),
}
"""Why generation stopped, in the words of servers -> whether at the limit of length."""
_WHOLE = re.compile(r"\d+")
_MOST_DEEP = 6
"""Lists within lists that are looked through for rollouts."""
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
    lists = _lists(rows, columns.text, _MOST_DEEP) or ()
    beside = lists_beside(_within(rows, lists[:-1]), lists[-1]) if lists else ()
    nesting = Nesting(lists=lists, beside=beside)
    taken = [[rollout for rollout, _ in nesting.rollouts(row)] for row in rows]
    rollouts = [rollout for of_row in taken for rollout in of_row][:SAMPLE_ROWS] or rows
    layout = _recognised(path, rollouts, columns)
    layout = replace(layout, nesting=nesting, one_prompt=not lists or _one_prompt(layout, taken))
    named = {
        flag: name
        for flag, name in (("text", columns.text), ("gold", columns.gold), ("step", columns.step))
        if name is not None
    }
    for flag, name in named.items():
        if not any(_has(row, name) for row in rollouts):
            raise InputError(
                f"{path}: no column {name!r}, which --{flag} names (columns: {_listed(rollouts)})"
            )
    if layout.form == "tokens":
        return replace(layout, tokenizer=tokenizer or _trained_model(path))
    return replace(layout, cut=_cut(layout, rollouts))


def _lists(rows: Sequence[Row], text: str | None, depth: int) -> tuple[str, ...] | None:
    """The lists, the outermost first, through which rows lead to completions.

    Args:
        rows: some rows.
        text: the column of the completion, if the user names it.
        depth: lists within lists that are looked through.

    Returns:
        Nothing for rows that are rollouts themselves, None where no completion is found.
    """
    known = next((k.layout for k in _LAYOUTS for row in rows if k.requires <= row.keys()), None)
    if known and known.form != "text" and text is None:
        return ()
    names = (text,) if text else (known.text,) if known else _TEXTS
    column = next((name for name in names if _holds_text(rows, name)), None)
    if column is not None:
        several = any(samples_in(value_at(row, column)) is not None for row in rows)
        return (column,) if several else ()
    for name in dict.fromkeys(name for row in rows for name in row) if depth else ():
        inner = _within(rows, (name,))
        if inner is not rows and (below := _lists(inner, text, depth - 1)) is not None:
            return (name, *below)
    return None


def _within(rows: Sequence[Row], lists: Sequence[str]) -> Sequence[Row]:
    """Some of the rows of the objects in lists of rows; the same rows if there are none."""
    for column in lists:
        items = [
            taken_out(row, column, item)
            for row in rows
            for item in samples_in(value_at(row, column)) or ()
            if isinstance(item, Mapping)
        ]
        rows = items[:SAMPLE_ROWS] or rows
    return rows


def _holds_text(rows: Sequence[Row], column: str) -> bool:
    """Whether a column holds completions in any of some rows."""
    for row in rows:
        value = value_at(row, column)
        samples = samples_in(value)
        if samples is not None and any(isinstance(s, Mapping) and not s for s in samples):
            continue
        for held in (value,) if samples is None else samples[:1]:
            try:
                completion(held)
            except NoCompletionError:
                continue
            return True
    return False


def _one_prompt(layout: Layout, taken: Sequence[Sequence[Row]]) -> bool:
    """Whether rollouts of one list are samples of one prompt.

    They are if a list has a prompt twice. Where no column tells prompts apart, a row stands for
    one; but the only object of a file is the file, and no prompt.
    """
    if layout.prompt is None:
        return len(taken) > 1
    prompts = [[repr(layout.prompt_of(row)) for row in of_row] for of_row in taken]
    return any(a == b for of_row in prompts for a, b in pairwise(of_row)) or all(
        len(of_row) < 2 for of_row in prompts
    )


def _recognised(path: Path, rows: Sequence[Row], columns: Columns) -> Layout:
    """The layout of rows that are rollouts."""
    present = {name for row in rows for name in row}

    def names(usual: Sequence[str], text: str) -> list[str]:
        """The usual names without that of the completion; what tagging wrote is not the file's."""
        tagged = present >= WRITTEN_BY_TAG
        return [
            kept_name(name) if tagged and name in _OURS else name for name in usual if name != text
        ]

    known = next((k for k in _LAYOUTS if k.requires <= present), None)
    if known and columns.text in (None, known.layout.text):
        layout = known.layout
        golds = (layout.gold,) if layout.gold else (*known.golds, *_GOLDS)
        gold = _first(names(golds, layout.text), rows, _has_gold)
        step = layout.step
        file_step = _file_step(path) if known.step_in_path else None
    else:
        text = columns.text or next((n for n in _TEXTS if _holds_text(rows, n)), None)
        text = text or next((name for name in _TEXTS if name in present), None)
        if text is None:
            raise InputError(
                f"{path}: no column is known to hold completions (columns: {_listed(rows)}); "
                "name it with --text COLUMN"
            )
        gold = _first(names(_GOLDS, text), rows, _has_gold)
        step = _first(_STEPS, rows, _is_one)
        prompt = _first(names(_PROMPTS, text), rows, _has)
        layout = Layout(name="columns by name", text=text, prompt=prompt)
        file_step = None
    if columns.step is not None:
        step, file_step = columns.step, None
    return replace(
        layout,
        gold=columns.gold or gold,
        step=step,
        file_step=file_step,
        truncated=layout.truncated or _first(names(_TRUNCATIONS, layout.text), rows, _says_cut),
        verdict=next((n for n in names(_VERDICTS, layout.text) if _is_verdict(rows, n)), None),
        reward=_first(_REWARDS, rows, _has_number),
        sample=_first(_SAMPLES, rows, _has),
    )


def _first(
    names: Sequence[str], rows: Sequence[Row], has: Callable[[Row, str], bool]
) -> str | None:
    return next((name for name in names if any(has(row, name) for row in rows)), None)


def _has_gold(row: Row, path: str) -> bool:
    try:
        return bool(gold_answer(value_at(row, path)))
    except InputError:
        return True  # told row by row


def _is_one(row: Row, path: str) -> bool:
    """Whether a column holds one value; `step` may also be a list of the steps of a solution."""
    return path in row and not isinstance(row[path], list | Mapping)


def _says_cut(row: Row, path: str) -> bool:
    return _was_cut(value_at(row, path)) is not None


def _has_number(row: Row, path: str) -> bool:
    return _number(_only(value_at(row, path))) is not None


def _is_verdict(rows: Sequence[Row], path: str) -> bool:
    """Whether a column says right or wrong wherever it says anything; a graded reward does not."""
    values = [value for row in rows if (value := value_at(row, path)) not in (None, "")]
    return bool(values) and all(_verdict(value) is not None for value in values)


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


def _listed(rows: Sequence[Row]) -> str:
    """The columns of some rows, and of the objects in their lists."""
    names = {str(name) for row in rows for name in row}
    for row in rows:
        for name, value in row.items():
            for item in (samples_in(value) or ()) if isinstance(value, list) else ():
                if isinstance(item, Mapping):
                    names |= {f"{name}.{inner}" for inner in item}
    shown = sorted(names)
    more = f" and {len(shown) - _MOST_LISTED} more" if len(shown) > _MOST_LISTED else ""
    return (", ".join(shown[:_MOST_LISTED]) or "none") + more
