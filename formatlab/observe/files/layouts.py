"""Layouts: which columns of a rollout file hold the completion, the gold, the step and the prompt.

`find_layout` recognises the files of public trainers by their columns, and other files by usual
names of columns. Each known layout cites the code that writes it: repository, file and commit.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from formatlab.errors import InputError
from formatlab.observe.files.completion import NoCompletionError, completion
from formatlab.observe.files.layout import (
    Layout,
    cut_in,
    number_in,
    only,
    reply_after_turn,
    total_reward,
    verdict_in,
)
from formatlab.observe.files.nesting import (
    OUTER,
    Nesting,
    is_log_likelihood,
    lists_beside,
    samples_in,
    taken_out,
)
from formatlab.observe.files.rows import Row, value_at
from formatlab.observe.files.tagged_file import TAG_SCHEMA, WRITTEN_BY_TAG, kept_name
from formatlab.world.gold import gold_answer

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
    by: str | None = None
    """Column to compare by, of the file or of those that tagging adds."""


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
            truncated="stop_condition",
            reward="rewards",
            form="nodes",
        ),
        requires={"nodes", "task", "run"},
    ),
    # Trace, verifiers/v1/trace.py of PrimeIntellect-ai/verifiers at 00eee6c6308d; one a line in
    # traces.jsonl of its evaluations (write_trace, verifiers/v1/cli/output.py at 041e0a31a176) and
    # in rollouts/step_N/*/traces.jsonl of prime-rl before its episodes (its pull request 2983).
    _Known(
        layout=Layout(
            name="verifiers traces",
            text="nodes",
            gold="task.data.answer",
            prompt="task",
            truncated="stop_condition",
            reward="rewards",
            form="nodes",
        ),
        requires={"nodes", "task"},
        step_in_path=True,
    ),
    # RolloutOutput (state_to_output, save_outputs), verifiers/utils/save_utils.py of
    # PrimeIntellect-ai/verifiers at 00d832043321: results.jsonl of its evaluations, and
    # rollouts/step_N/train_rollouts.jsonl of prime-rl before its traces.
    _Known(
        layout=Layout(name="verifiers rollouts", text="completion", prompt="prompt"),
        requires={"example_id", "prompt", "completion", "reward"},
        golds=("answer",),
        step_in_path=True,
    ),
    # _write_generations of verl-project/verl, for rollout_data_dir and validation_data_dir:
    # verl/trainer/ppo/v1/trainer_base.py at 04141f84a365, ray_trainer.py before it at 0094eb2057e6.
    _Known(
        layout=Layout(name="verl rollout_data_dir", text="output", step="step", prompt="input"),
        requires={"input", "output", "score", "step"},
        golds=("gts",),
    ),
    # batch_generate_vllm and batch_rm_inference, openrlhf/cli/batch_inference.py of
    # OpenRLHF/OpenRLHF at 0551ff62af4a. Its trainer logs a sample a step to a table of W&B
    # (openrlhf/trainer/ppo_utils/loggers.py at 82c060e61b2a), whose columns have usual names; what
    # it writes of evaluations (eval_utils.py at 8ecef1cc05c6) holds no completions.
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
    "output_text",
    "generated_text",
    "generation",
    "raw_generation",
    "generated_solution",
    "generated_response",
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
    # batches of Anthropic's API; evalscope; rows of the Hub's viewer
    within=("", "result.", "sample_score.score.", "row."),
)
_GOLDS = _usual(
    "gold",
    "gold_answer",
    "golden_answer",
    "ground_truth",
    "ground_truth_answer",
    "gt",
    "gt_answer",
    "expected_answer",
    "expected",
    "reference_answer",
    "correct_answer",
    "reward_model.ground_truth",
    "target",
    "target_answer",
    "reference",
    "doc.answer",
    "info.answer",
    "metadata.answer",
    "extra_info.answer",
    "task.ground_truth",
    "task.answer",
    "row.answer",
    OUTER + "answer",  # where each rollout has an answer too, that one is the model's
    "label",  # slime; many others label a completion as right or wrong by it
    "answer",  # last: it may be the answer of the model, if another column holds the right one
)
_LABELS = ("label", "labels")
_ANSWER_LABEL = re.compile(
    r"(?![-+]?[01](?:\.0*)?\s*\Z)(?:[-+$£€.(\\{\[\s]*\d|[$(\\{]|[A-Ja-j]\)?\s*\Z|[A-Za-z]\s?[-+*/^=(])"
    r"|(?s:.*)####"
)
"""A label that is a right answer (a number, an option, mathematics), and no verdict or class."""
_STEPS = ("step", "global_step", "global_steps", "training_step", "train_step", "trainer_step")
_PROMPTS = _usual(
    *("prompt", "question", "problem", "query", "input", "prompt_id", "instruction", "doc"),
    "responses_create_params.input",
    "row.question",
    "row.prompt",
    "row.problem",
)
_WITHIN = tuple(
    f"{name}." if name else ""
    for name in ("", *("metrics", "metric", "info", "score", "scores", "eval", "evaluation"))
)
"""Objects in which a row keeps what is said of it."""
_VERDICTS = _usual(
    "file_correct",  # what `formatlab tag` wrote
    "correct",
    "is_correct",
    "answers_correctness",
    "symbolic_correct",
    "correctness",
    "correctness_math_verify",
    "accuracy",
    "acc",
    "exact_match",
    "passed",
    "grade",
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
_MOST_DEEP = 6
"""Lists within lists that are looked through for rollouts."""
_MOST_LISTED = 30
_BETWEEN_WORDS = re.compile(r"[ -]|(?<=[a-z])(?=[A-Z])")
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
    around = _around(_within(rows, lists[:-1]), nesting, rollouts)
    layout = _recognised(path, rollouts, columns, around)
    layout = replace(layout, nesting=nesting, one_prompt=not lists or _one_prompt(layout, taken))
    for flag in ("text", "gold", "step"):
        name = getattr(columns, flag)
        if name is not None and not any(_has(row, name) for row in rollouts):
            raise InputError(f"{path}: {_no_column(name, flag, rollouts)}")
    layout = _compared_by(layout, path, rollouts, columns.by)
    if layout.form == "tokens":
        return replace(layout, tokenizer=tokenizer or _trained_model(path))
    return replace(layout, cut=_cut(layout, rollouts))


def _compared_by(layout: Layout, path: Path, rows: Sequence[Row], by: str | None) -> Layout:
    """The layout with the column to compare by: `step`, one of the file, or one of tagging."""
    if by is None:
        return layout
    if by == "step" and (layout.step or layout.file_step is not None):
        return replace(layout, by=by, by_tagging=True)
    if any(_has(row, by) for row in rows):
        return replace(layout, by=by)
    if by == "source":
        return replace(layout, by="source_file", by_tagging=True)
    if by == "step":
        raise InputError(
            f"{path}: --by step: no column is known to hold the step; name it with --step"
        )
    if by in TAG_SCHEMA.names:
        return replace(layout, by=by, by_tagging=True)
    raise InputError(f"{path}: {_no_column(by, 'by', rows)}")


def _no_column(name: str, flag: str, rows: Sequence[Row]) -> str:
    """That there is no such column, which there are, and one in an object that may be meant."""
    inner = (
        f"{column}.{name}"
        for row in rows
        for column, value in row.items()
        if isinstance(value, Mapping) and name in value
    )
    meant = next(inner, None)
    return (
        f"no column {name!r}, which --{flag} names"
        + (f"; {meant!r} may be meant" if meant else "")
        + f" (columns: {_listed(rows)})"
    )


def _lists(rows: Sequence[Row], text: str | None, depth: int) -> tuple[str, ...] | None:
    """The lists, the outermost first, through which rows lead to completions.

    Args:
        rows: some rows.
        text: the column of the completion, if the user names it.
        depth: lists within lists that are looked through.

    Returns:
        Nothing for rows that are rollouts themselves, None where no completion is found.
    """
    known = _known_in(rows)
    if known and known.form != "text" and text is None:
        return ()
    held = dict.fromkeys(name for row in rows for name in row) if depth else {}
    for name in held if known is None and text is None else ():
        inner = _within(rows, (name,))
        # Before texts are looked for: an episode also has a list of errors, whose message is text.
        if inner is not rows and (trace := _known_in(inner)) and trace.form == "nodes":
            return (name,)
    names = (text,) if text else (known.text,) if known else _spelled(_TEXTS, rows)
    column = next((name for name in names if _holds_text(rows, name)), None)
    if column is not None:
        several = any(samples_in(value_at(row, column)) is not None for row in rows)
        return (column,) if several else ()
    for name in held:
        inner = _within(rows, (name,))
        if inner is not rows and (below := _lists(inner, text, depth - 1)) is not None:
            return (name, *below)
    return None


def _known_in(rows: Sequence[Row]) -> Layout | None:
    return next((k.layout for k in _LAYOUTS for row in rows if k.requires <= row.keys()), None)


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


def _around(rows: Sequence[Row], nesting: Nesting, rollouts: Sequence[Row]) -> Set[str]:
    """The fields of rows with several rollouts that belong to all of them, and to none alone.

    Args:
        rows: those that hold the innermost list.
        nesting: the lists.
        rollouts: the rows of the rollouts.
    """
    if not nesting.lists:
        return set()
    column = nesting.lists[-1]
    if all(len(samples_in(value_at(row, column)) or ()) < 2 for row in rows):
        return set()
    outer = {name for row in rows for name in row} - {column, *nesting.beside}
    own = {name.removeprefix(OUTER) for row in rollouts for name in row if name.startswith(OUTER)}
    return outer - own


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


def _recognised(path: Path, rows: Sequence[Row], columns: Columns, around: Set[str]) -> Layout:
    """The layout of rows that are rollouts; fields around several are no verdicts of one."""
    present = {name for row in rows for name in row}

    def names(usual: Sequence[str], text: str) -> list[str]:
        """The usual names without that of the completion; what tagging wrote is not the file's."""
        tagged = present >= WRITTEN_BY_TAG
        return [
            kept_name(name) if tagged and name in _OURS else name
            for name in _spelled(usual, rows)
            if name != text
        ]

    known = next((k for k in _LAYOUTS if k.requires <= present), None)
    if known and columns.text in (None, known.layout.text):
        layout = known.layout
        golds = (layout.gold,) if layout.gold else (*known.golds, *_GOLDS)
        gold = _first(names(golds, layout.text), rows, _has_gold)
        step = layout.step
        file_step = _file_step(path) if known.step_in_path else None
    else:
        texts = _spelled(_TEXTS, rows)
        text = columns.text or next((n for n in texts if _holds_text(rows, n)), None)
        text = text or next((name for name in texts if name in present), None)
        if text is None:
            raise InputError(
                f"{path}: no column is known to hold completions (columns: {_listed(rows)}); "
                "name it with --text COLUMN"
            )
        if any(is_log_likelihood(value_at(row, text)) for row in rows):
            raise InputError(
                f"{path}: {text!r} holds no text but log-likelihoods of given answers, as "
                "lm-evaluation-harness writes them of tasks that are multiple choice; only what a "
                "model wrote can be tagged, as in the samples of tasks with `generate_until`"
            )
        gold = _first(names(_GOLDS, text), rows, _has_gold)
        step = _first(_spelled(_STEPS, rows), rows, _is_one)
        prompt = _first(names(_PROMPTS, text), rows, _has)
        layout = Layout(name="columns by name", text=text, prompt=prompt)
        file_step = None
    if columns.step is not None:
        step, file_step = columns.step, None

    def alone(usual: Sequence[str]) -> list[str]:
        own = present - around
        return [name for name in usual if name in own or name.split(".")[0] in own]

    return replace(
        layout,
        gold=columns.gold or gold,
        step=step,
        file_step=file_step,
        truncated=layout.truncated
        or _first(alone(names(_TRUNCATIONS, layout.text)), rows, _says_cut),
        verdict=_verdict_column(
            layout, alone(names((*_VERDICTS, *_scorers(rows)), layout.text)), rows
        ),
        reward=layout.reward or _first(alone(_spelled(_REWARDS, rows)), rows, _has_number),
        sample=next((n for n in _SAMPLES if _numbers_samples(layout, n, rows)), None),
    )


def _scorers(rows: Sequence[Row]) -> dict[str, None]:
    """The verdicts of Inspect's scorers, which have names: `scores.match.value` is `C` or `I`."""
    scores = [row["scores"] for row in rows if isinstance(row.get("scores"), Mapping)]
    return dict.fromkeys(f"scores.{name}.value" for of_row in scores for name in of_row)


def _verdict_column(layout: Layout, names: Sequence[str], rows: Sequence[Row]) -> str | None:
    """The first column that says nothing but right or wrong; a graded reward says more."""
    for name in (*names, *([layout.reward] if layout.reward else [])):
        values = [value for row in rows if (value := value_at(row, name)) not in (None, "", {})]
        values = [total_reward(value) if name == layout.reward else value for value in values]
        if values and all(verdict_in(value) is not None for value in values):
            return name
    return None


def _numbers_samples(layout: Layout, name: str, rows: Sequence[Row]) -> bool:
    """Whether a column numbers the rollouts of each prompt.

    The number of a row in the data set, or of a rollout in its batch, grows from prompt to prompt.
    """
    if not any(_has(row, name) for row in rows):
        return False
    if name == "sample":
        return True
    numbers: dict[str, list[Any]] = {}
    for row in rows:
        numbers.setdefault(repr(layout.prompt_of(row)), []).append(value_at(row, name))
    return all(
        all(type(number) is int for number in of_prompt)
        and len(set(of_prompt)) == len(of_prompt)
        and min(of_prompt) <= 1
        for of_prompt in numbers.values()
    )


def _spelled(usual: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The usual names, spelled as the columns of rows: `Ground Truth` for `ground_truth`."""
    there = {name: name for row in rows for name in row}
    for name in list(there):
        there.setdefault(_BETWEEN_WORDS.sub("_", name).lower(), name)
    return [there.get(name, name) for name in usual]


def _first(
    names: Sequence[str], rows: Sequence[Row], has: Callable[[Row, str], bool]
) -> str | None:
    return next((name for name in names if any(has(row, name) for row in rows)), None)


def _has_gold(row: Row, path: str) -> bool:
    value = value_at(row, path)
    if path.lower() in _LABELS and not _ANSWER_LABEL.match(str(only(value))):
        return False
    try:
        return bool(gold_answer(value))
    except InputError:
        return path.lower() not in _LABELS  # told row by row


def _is_one(row: Row, path: str) -> bool:
    """Whether a column holds one value; `step` may also be a list of the steps of a solution."""
    return path in row and not isinstance(row[path], list | Mapping)


def _says_cut(row: Row, path: str) -> bool:
    return cut_in(value_at(row, path)) is not None


def _has_number(row: Row, path: str) -> bool:
    return number_in(only(value_at(row, path))) is not None


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
    return "turn" if all(reply_after_turn(text) is not None for text, _ in texts) else ""


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
