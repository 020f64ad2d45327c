"""Problems of real data sets, from the hub or from a local file."""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from formatlab.errors import InputError
from formatlab.world.gold import gold_answer
from formatlab.world.problem import Problem

VERSION = 1
"""Raised when the same files give other problems."""

HUB_IDS = {"gsm8k": "openai/gsm8k:main", "openai/gsm8k": "openai/gsm8k:main"}
"""Short names of problem sets of the hub, and the configuration of those that need one."""

_SUFFIXES = (".jsonl", ".json", ".parquet", ".csv")
_SPLITS = ("train", "test", "validation", "valid", "dev")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """Which fields of a row hold the question and the right answer."""

    question: tuple[str, ...]
    answer: str

    @property
    def fields(self) -> tuple[str, ...]:
        return (*self.question, self.answer)


_LAYOUTS = (
    _Layout(question=("Body", "Question"), answer="Answer"),  # SVAMP
    _Layout(question=("input",), answer="target"),  # MAWPS as packed by PAL
    _Layout(question=("problem",), answer="answer"),  # MATH
    _Layout(question=("question",), answer="answer"),  # GSM8K and most others
)

_Row = tuple[str, Mapping[str, Any]]
"""Where a row is, in words for an error message, and its fields."""


def load_problems(spec: str, *, split: str = "train") -> list[Problem]:
    """Read a set of problems with known answers.

    Rows are read as GSM8K (`question`, `answer` that ends in `#### N`), MAWPS (`input`, `target`),
    SVAMP (`Body`, `Question`, `Answer`), MATH (`problem`, `answer`) or any other pair of `question`
    and `answer`; the fields decide. The name of the set becomes the problems' family. A question
    that comes twice is taken once: prompts are told apart by their questions.

    Args:
        spec: A local `.jsonl`, `.json`, `.parquet` or `.csv` file; a folder with one such file for
            the split; `gsm8k`; or a data set of the hub as `owner/name`, with `:configuration`
            where it has several.
        split: Which part of a folder or of a set of the hub. A file is taken as it is.

    Raises:
        InputError: nothing is found by that name, or a row cannot be read.
    """
    path = find_problems(spec, split=split)
    if path is not None:
        rows, where, family = _file_rows(path), str(path), _family(path)
    else:
        hub_id, _, configuration = HUB_IDS.get(spec, spec).partition(":")
        rows, where = _hub_rows(hub_id, configuration or None, split), f"{hub_id} ({split})"
        family = hub_id.rpartition("/")[2]
    problems = list(_distinct(_read_rows(rows, family)))
    if not problems:
        raise InputError(f"problems: {where} is empty")
    return problems


def find_problems(spec: str, *, split: str) -> Path | None:
    """The local file of a problem set; None for a set of the hub. Nothing is read.

    Args:
        spec: see `load_problems`.
        split: likewise.

    Raises:
        InputError: the name is that of a file or folder, and there is none.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        path = _split_file(path, split)
    if path.is_file():
        return path
    if spec not in HUB_IDS and (path.suffix in _SUFFIXES or spec.startswith((".", "/", "~"))):
        raise InputError(f"problems: there is no file or folder {path.absolute()}")
    return None


def problem_answer(row: Mapping[str, Any]) -> str | None:
    """The field of a row that has the right answer; None for a row that is no problem."""
    return next((of.answer for of in _LAYOUTS if all(name in row for name in of.fields)), None)


def take_problems(
    spec: str, split: str, count: int, *, option: str, without: Set[str] = frozenset()
) -> list[Problem]:
    """The first `count` problems of a set.

    Args:
        spec: the set, see `load_problems`.
        split: its split.
        count: how many.
        option: what to lower where the set is smaller.
        without: questions to pass over.

    Raises:
        InputError: the set is smaller, or cannot be read.
    """
    found = [p for p in load_problems(spec, split=split) if p.question not in without]
    if len(found) < count:
        others = " that are not trained on" if without else ""
        raise InputError(
            f"{spec} holds {len(found)} different problems{others}, and {count} were asked for; "
            f"lower {option}, or give a larger set"
        )
    return found[:count]


@cache
def problems_digest(spec: str) -> str | None:
    """SHA-256 of a problem set on this machine, its files in a row; None for one of the hub."""
    path = Path(spec).expanduser()
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [file.read_bytes() for file in files if file.is_file()]
    return hashlib.sha256(b"".join(found)).hexdigest() if found else None


def _read_rows(rows: Iterator[_Row], family: str) -> Iterator[Problem]:
    layout = None
    for where, row in rows:
        layout = layout or _layout(where, row)
        for name in layout.fields:
            if _is_empty(row.get(name)):
                state = "is empty" if name in row else "is missing"
                raise InputError(
                    f"{where}: field {name!r} {state} (fields present: {_listed(row)})"
                )
        try:
            answer = gold_answer(row[layout.answer])
        except InputError as error:
            raise InputError(f"{where}: field {layout.answer!r}: {error}") from None
        if not answer:
            raise InputError(f"{where}: field {layout.answer!r} holds no answer")
        yield Problem(
            question=_sentences([str(row[name]).strip() for name in layout.question]),
            answer=answer,
            family=family,
        )


def _distinct(problems: Iterator[Problem]) -> Iterator[Problem]:
    seen: set[str] = set()
    for problem in problems:
        if problem.question not in seen:
            seen.add(problem.question)
            yield problem


def _is_empty(value: object) -> bool:
    """Whether a field holds nothing; tables write NaN where a number is lacking."""
    return value is None or str(value).strip() in ("", "nan")


def _layout(where: str, row: Mapping[str, Any]) -> _Layout:
    for layout in _LAYOUTS:
        if any(name in row for name in layout.fields[:-1]):
            return layout
    accepted = "; ".join(" + ".join(layout.fields) for layout in _LAYOUTS)
    raise InputError(
        f"{where}: no question found (fields present: {_listed(row)}); "
        f"fields that are understood: {accepted}"
    )


def _listed(row: Mapping[str, Any]) -> str:
    return ", ".join(map(str, row)) or "none"


def _sentences(parts: list[str]) -> str:
    """Join the story and the question; SVAMP's stories often lack the full stop."""
    *stories, question = parts
    ended = [story if story.endswith((".", "?", "!", ",")) else f"{story}." for story in stories]
    return " ".join([*ended, question])


def _family(path: Path) -> str:
    """The file's name, or its folder's where the file is named for a split."""
    named = path.resolve()
    return (named.parent.name if named.stem in _SPLITS else named.stem).lower()


def _split_file(folder: Path, split: str) -> Path:
    files = [folder / f"{split}{suffix}" for suffix in _SUFFIXES]
    for file in files:
        if file.is_file():
            return file
    found = sorted(file.name for file in folder.iterdir() if file.suffix in _SUFFIXES)
    raise InputError(
        f"problems: folder {folder} has no {split}{_SUFFIXES[0]} "
        f"(problem files found: {', '.join(found) or 'none'}); give the file itself"
    )


def _file_rows(path: Path) -> Iterator[_Row]:
    readers = {
        ".jsonl": _jsonl_rows,
        ".json": _json_rows,
        ".parquet": _parquet_rows,
        ".csv": _csv_rows,
    }
    if path.suffix not in readers:
        raise InputError(
            f"problems: {path} is not one of the kinds that can be read ({', '.join(_SUFFIXES)})"
        )
    try:
        yield from readers[path.suffix](path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _jsonl_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{where}: not JSON ({error}): {_shown(line)}") from None
            yield where, _object(where, row)


def _json_rows(path: Path) -> Iterator[_Row]:
    text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        return
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1 : error.lineno]
        raise InputError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}): {_shown(''.join(line))}; "
            "if the file holds one object a line, name it .jsonl"
        ) from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: a list of objects was expected, not {_shown(json.dumps(rows))}")
    for number, row in enumerate(rows, start=1):
        where = f"{path}, item {number}"
        yield where, _object(where, row)


def _csv_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def _parquet_rows(path: Path) -> Iterator[_Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a parquet file ({error})") from None
    for number, row in enumerate(rows, start=1):
        yield f"{path}, row {number}", row


def _hub_rows(hub_id: str, configuration: str | None, split: str) -> Iterator[_Row]:
    import datasets
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        # `datasets` retries for half a minute where there is no network; this asks once, and
        # finds what an earlier run has fetched
        snapshot_download(hub_id, repo_type="dataset", allow_patterns=["README.md"])
        rows: Any = datasets.load_dataset(hub_id, configuration, split=split)
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise InputError(
            f"problems {hub_id!r}: there is neither a file nor a data set of the hub by this name"
        ) from error
    except (LocalEntryNotFoundError, ConnectionError) as error:
        raise InputError(
            f"problems {hub_id!r} are not found on this machine and the hub cannot be reached; "
            f"give a local file ({', '.join(_SUFFIXES)})"
        ) from error
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"problems {hub_id!r} cannot be read: {reason}") from error
    for number, row in enumerate(rows, start=1):
        yield f"{hub_id} ({split}), row {number}", row


def _object(where: str, row: object) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise InputError(f"{where}: an object was expected, not {_shown(json.dumps(row))}")
    return row


def _shown(text: str) -> str:
    """The beginning of a text, for an error message."""
    text = text.strip()
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
