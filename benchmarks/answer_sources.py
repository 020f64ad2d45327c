"""Answers of which it is known from elsewhere whether they are right, for measuring the grader.

Each source says how it knows. Where a source has only right answers, each of them is also held
against a near miss: its right answer changed by one, by its sign, or by a power of ten; where that
is no number, the right answer of another row.
"""

import ast
import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import regex

from formatlab.errors import InputError
from formatlab.observe.answers.number import parse_number
from formatlab.world.families import FAMILIES
from formatlab.world.formats import FORMATS

_BOX = regex.compile(r"\\boxed\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_SOLUTION = regex.compile(r"<(solution|answer)>([^<]*)</\1>")
_FENCED = regex.compile(r"```(?:python)?\n(.*?)```", regex.DOTALL)
_CALCULATION = regex.compile(r"<<[^<>\n]*>>")
_LETTERS = regex.compile(r"\w+")
_NUMBER = regex.compile(r"-?\d[\d,]*(?:\.\d+)?")

_SECONDS = 2
"""Processor time that a program may take outside the sandbox."""
_MEMORY = 2**30
"""Bytes of its address space."""
_BARRED = frozenset(
    [
        *("open", "exec", "eval", "compile", "input", "breakpoint", "exit", "quit", "help"),
        *("getattr", "setattr", "delattr", "globals", "locals", "vars"),
    ]
)
"""Names that no program of the data sets uses, and with which one could leave its calculation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One answer with a verdict on it."""

    source: str
    place: str
    """File and row, or whatever finds it again."""
    text: str
    gold: str
    right: bool
    note: str = ""
    """What the source read in the text."""
    ended: bool = False
    """Whether the text is known to be whole, though it may not look like it."""

    @property
    def key(self) -> str:
        """A short hash of the text, to see that a review speaks of this one."""
        return sha256(self.text.encode()).hexdigest()[:8]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the folder that holds the data sets")
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def graded(folder: Path) -> Iterator[Case]:
    """Model answers to GSM8K with the verdicts of those who published them."""
    paths = sorted((folder / "graded").glob("*.jsonl"))
    if not paths:
        raise InputError(f"{folder}/graded: no JSONL files; give the folder of the data sets")
    for path in paths:
        for number, row in enumerate(rows(path)):
            yield Case(
                source="verdicts published with Rho-1 and ToRA, reviewed",
                place=f"{path.name}:{number}",
                text=row["text"],
                gold=str(row["gold"]),
                right=bool(row["upstream_correct"]),
                note=str(row["upstream_pred"]),
            )


def human_prose(folder: Path) -> Iterator[Case]:
    """GSM8K's own solutions, which end in `#### N`."""
    pairs = [
        (row["answer"], row["answer"].rpartition("####")[2].strip())
        for row in rows(folder / "gsm8k" / "test.jsonl")
    ]
    yield from _with_misses("GSM8K's own solutions, and near misses", "gsm8k/test", pairs)


def unmarked(folder: Path) -> Iterator[Case]:
    """Worked prose without the mark behind which it states its answer, as base models write it.

    Answers of Rho-1B (a base model) without their last sentence, `The answer is N.`, which says
    what they lead to, with the published verdict; and GSM8K's solutions without their last line.
    """
    for number, row in enumerate(rows(folder / "graded" / "rho-1b-cot.jsonl")):
        before, mark, stated = row["text"].rpartition("The answer is")
        if mark and len(stated) <= 40 and "answer is" not in before:
            yield Case(
                source="answers of Rho-1B without `The answer is N.`",
                place=f"rho-1b-cot.jsonl:{number} unmarked",
                text=before.rstrip().removesuffix("So").rstrip(),
                gold=str(row["gold"]),
                right=bool(row["upstream_correct"]),
                note=str(row["upstream_pred"]),
                ended=True,
            )
    pairs = []
    for row in rows(folder / "gsm8k" / "test.jsonl"):
        solution, _, gold = row["answer"].rpartition("####")
        pairs.append((_CALCULATION.sub("", solution).strip(), gold.strip()))
    source = "GSM8K's own solutions without their last line, and near misses"
    for case in _with_misses(source, "gsm8k/test unmarked", pairs):
        yield replace(case, ended=True)


def human_latex(folder: Path) -> Iterator[Case]:
    """MATH's own solutions, which end in a box."""
    pairs = [(row["solution"], row["answer"]) for row in rows(folder / "math500" / "math500.jsonl")]
    yield from _with_misses("MATH-500's own solutions, and near misses", "math500", pairs)


def model_latex(folder: Path) -> Iterator[Case]:
    """Solutions of OpenMathInstruct-2, kept by their makers because their answer is expected."""
    pairs = [
        (row["generated_solution"], row["expected_answer"])
        for row in rows(folder / "openmathinstruct2_100.jsonl")
    ]
    yield from _with_misses("OpenMathInstruct-2, and near misses", "openmathinstruct2_100", pairs)


def read_otherwise(folder: Path) -> Iterator[Case]:
    """Model answers whose answer can be read by one plain rule that shares no code with ours.

    Whether the answer is right is not known: what is measured is whether the grader reads the same.
    """
    pairs: dict[str, list[tuple[str, str]]] = {}
    for row in rows(folder / "format_samples.jsonl"):
        answer = _read_plainly(row["label"], row["text"])
        if answer:
            pairs.setdefault(row["label"], []).append((row["text"], answer))
    for label, read in pairs.items():
        source = f"answers of many models ({label}), read by one plain rule, and near misses"
        yield from _with_misses(source, f"format_samples[{label}]", read)


def run_otherwise(folder: Path) -> Iterator[Case]:
    """Programs and scripts of many models, run whole in CPython, which the grader does not use.

    Of scripts, which answer GSM8K's questions, the value of `ans` is held against the right answer.
    Of programs the right answer is not known: the value of their function is taken for it.
    """
    golds = {
        _plain(row["question"]): row["answer"].rpartition("####")[2].strip()
        for part in ("train", "test")
        for row in rows(folder / "gsm8k" / f"{part}.jsonl")
    }
    programs: list[tuple[str, str]] = []
    for number, row in enumerate(rows(folder / "format_samples.jsonl")):
        if row["label"] == "script" and (gold := golds.get(_plain(row["question"]))):
            value = _value_in_cpython(row["text"], "ans")
            if value is not None:
                yield Case(
                    source="scripts of Codex, run in CPython and held against GSM8K",
                    place=f"format_samples:{number}",
                    text=row["text"],
                    gold=gold,
                    right=abs(value - float(gold.replace(",", ""))) < 1e-6,
                    note=str(value),
                )
        elif row["label"] == "program":
            code = _FENCED.search(row["text"])
            code = code[1] if code else row["text"]
            value = _value_in_cpython(code, "simple_math_problem()")
            if value is not None and abs(value) < 1e15:
                programs.append((row["text"], str(Fraction(value).limit_denominator(10**6))))
    source = "programs of many models, run in CPython, and near misses"
    yield from _with_misses(source, "format_samples[program]", programs)


def rendered(*, per_format: int) -> Iterator[Case]:
    """Renderings of the controlled world, whose answers are known."""
    families = tuple(FAMILIES.values())
    for name, form in FORMATS.items():
        pairs = []
        for number in range(per_format):
            random = Random(f"{name}-{number}")
            problem = families[number % len(families)].problem(random, 1 + number % 4, 20)
            pairs.append((form.render(problem, random), problem.answer))
        source = "renderings of the controlled world, and near misses"
        yield from _with_misses(source, f"world[{name}]", pairs)


def near_miss(gold: str, random: Random, others: Sequence[str]) -> str:
    """A wrong right answer that is easily mistaken for the right one."""
    value = parse_number(gold)
    if value is None:
        return random.choice([other for other in others if other != gold])
    changed = [value + 1, value - 1, value * 10, value / 10, value * 100, -value]
    return _written(random.choice([other for other in changed if other != value]))


def _written(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else str(value)


def _value_in_cpython(code: str, expression: str) -> float | None:
    """The number that an expression has after code was run; None where there is none.

    The process has no sandbox around it: code that does anything but calculate is not run.
    """
    try:
        if not _only_calculates(ast.parse(code)):
            return None
    except SyntaxError:
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", f"{code}\nprint('\\n', float({expression}))"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={},
            preexec_fn=_limit,
            timeout=30 * _SECONDS,
        )
    except subprocess.TimeoutExpired:
        return None
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def _only_calculates(tree: ast.AST) -> bool:
    """Whether code imports nothing but `math`, and names nothing that leads out of it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(name.name != "math" for name in names):
                return False
            case ast.ImportFrom(module=module) if module != "math":
                return False
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _BARRED or name.startswith(
                "__"
            ):
                return False
            case _:
                pass
    return True


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _plain(question: str) -> str:
    return " ".join(_LETTERS.findall(question.lower()))


def _with_misses(source: str, place: str, pairs: Sequence[tuple[str, str]]) -> Iterator[Case]:
    others = [gold for _, gold in pairs if parse_number(gold) is None]
    for number, (text, gold) in enumerate(pairs):
        where = f"{place}:{number}"
        yield Case(source=source, place=where, text=text, gold=gold, right=True)
        miss = near_miss(gold, Random(where), others)
        yield Case(source=source, place=f"{where} miss", text=text, gold=miss, right=False)


def _read_plainly(label: str, text: str) -> str | None:
    match label:
        case "json":
            try:
                content = json.loads(text[text.index("{") : text.rindex("}") + 1])
            except ValueError:
                return None
            answer = str(content.get("answer", "")) if isinstance(content, dict) else ""
        case "code_tags" | "latex":
            boxes = {match[1].strip() for match in _BOX.finditer(text)}
            answer = boxes.pop() if len(boxes) == 1 else ""
        case "tool_tags":
            solutions = _SOLUTION.findall(text)
            answer = solutions[-1][1] if len(solutions) == 1 else ""
        case _:
            return None
    if label == "latex":
        return answer
    numbers = _NUMBER.findall(answer)
    return numbers[0] if len(numbers) == 1 else None
