r"""The user's own formats: patterns in a TOML file, or classes in a Python file.

In a TOML file each table is a format by its label:

    [final]
    recognise = '<final>'
    answer = '<final>(?P<answer>.*?)</final>'

A completion in which the pattern `recognise` is found is in the format. The pattern `answer` has a
group `answer` around the answer; its last match counts, and without a match the completion is
malformed. With `code = true` the text of the group is run, and its value or its last printed line
is the answer. Patterns are those of the `regex` package; `.` matches line ends. Quotes as above
('...') keep backslashes as they are.

In a Python file every subclass of `Format` that it defines is a format, made without arguments. It
has a `name`, and `recognise(page)` and `read(page)`, which find the completion in `page.text`:

    from formatlab.world.formats import Format, Page, Reading

    class Shout(Format):
        name = "shout"

        def recognise(self, page: Page) -> bool:
            return page.text.isupper()

        def read(self, page: Page):
            words = page.text.split()
            return Reading(content=words[-1].strip("!")) if words else "no answer"

Own formats are asked before the built-in ones, in the order of the file.
"""

import inspect
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import regex

from formatlab.errors import InputError
from formatlab.world.formats import FORMATS, Format, Missing, Page, Reading

SECONDS = 2.0
"""Processor time that a pattern of the user's own may take on one text. Nobody has shown that it
takes time in proportion to the text, as the patterns of formatlab do."""

Found = regex.Match[str] | None

_LABEL = regex.compile(r"[\w.-]{1,40}")
_KEYS = {"recognise": str, "answer": str, "code": bool}
_RESERVED = {"none"}


class PatternFormat(Format):
    """A format that two patterns describe; each such format is a subclass, which has its name."""

    def __init__(
        self, recognised: regex.Pattern[str], answer: regex.Pattern[str], *, code: bool
    ) -> None:
        self._recognised = recognised
        self._answer = answer
        self._code = code

    def recognise(self, page: Page) -> bool:
        """Whether the first pattern is found."""
        found = _in_time(lambda seconds: self._recognised.search(page.text, timeout=seconds))
        return found is not None

    def includes(self, page: Page) -> frozenset[str]:
        """An answer in tags belongs to this format, not to `tool_tags`."""
        return frozenset(("tool_tags",))

    def read(self, page: Page) -> Reading | Missing:
        """The last match of the second pattern."""
        last = _in_time(lambda seconds: self._last_answer(page.text, seconds))
        if last is None or last["answer"] is None:
            return "malformed"
        content = last["answer"].strip()
        return Reading(content=content, code=self._code) if content else "no answer"

    def _last_answer(self, text: str, seconds: float) -> Found:
        last = None
        for match in self._answer.finditer(text, timeout=seconds):
            last = match
        return last


def _in_time(match: Callable[[float], Found]) -> Found:
    """What a match finds within `SECONDS` of the processor time of this thread.

    The limit that `regex` has counts what all threads of the process do, so where it is met and
    this thread has time left, the match begins anew with twice the limit.

    Raises:
        TimeoutError: the time is used up.
    """
    limit = SECONDS
    while True:
        start, found, ended = time.thread_time(), None, True
        try:
            found = match(limit)
        except TimeoutError:
            ended = False
        if time.thread_time() - start > 0.9 * SECONDS:
            raise TimeoutError(f"a pattern takes more than {0.9 * SECONDS:g} s")
        if ended:
            return found
        limit *= 2


def own_formats(path: Path) -> tuple[Format, ...]:
    """Read the formats of a `.toml` or `.py` file.

    Raises:
        InputError: the file cannot be read, holds no format, or one that cannot be used.
    """
    if path.suffix not in (".toml", ".py"):
        raise InputError(f"--formats: {path} is neither a .toml nor a .py file")
    if not path.is_file():
        raise InputError(f"--formats: there is no file {path}")
    try:
        source = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"--formats: cannot read {path}: {reason}") from error
    formats = _patterns(path, source) if path.suffix == ".toml" else _classes(path, source)
    if not formats:
        what = "a table such as [my_format]" if path.suffix == ".toml" else "a subclass of Format"
        raise InputError(f"--formats: {path} holds no format; write {what}")
    names = [form.name for form in formats]
    # A file that is an experiment's too may add its format to FORMATS itself.
    built_in = [name for name, form in FORMATS.items() if type(form) not in map(type, formats)]
    for name in names:
        if name in built_in or name in _RESERVED:
            raise InputError(
                f"--formats: {path}: {name!r} is a label of the built-in tagger; choose another "
                f"(taken: {', '.join([*built_in, *sorted(_RESERVED)])})"
            )
        if not _LABEL.fullmatch(name):
            raise InputError(
                f"--formats: {path}: {name!r} is no label; use up to 40 letters, digits, "
                "`_`, `-` and `.`"
            )
        if names.count(name) > 1:
            raise InputError(f"--formats: {path}: two formats are named {name!r}")
    return formats


def _patterns(path: Path, source: bytes) -> tuple[Format, ...]:
    try:
        tables = tomllib.loads(source.decode())
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"--formats: {path}: not TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"--formats: cannot read {path}: {error}") from None
    return tuple(_pattern_format(path, name, table) for name, table in tables.items())


def _pattern_format(path: Path, name: str, table: Any) -> Format:
    where = f"--formats: {path}, [{name}]"
    if not isinstance(table, dict):
        raise InputError(f"--formats: {path}: {name!r} stands outside a table such as [my_format]")
    for key, value in table.items():
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key {key!r}; known keys: {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):
            kind = "true or false" if _KEYS[key] is bool else "text in quotes"
            raise InputError(f"{where}: {key} should be {kind}, not {value!r}")
    for key in ("recognise", "answer"):
        if not table.get(key):
            raise InputError(f"{where}: {key} is missing")
    answer = _compiled(where, "answer", table["answer"])
    if "answer" not in answer.groupindex:
        raise InputError(
            f"{where}: the pattern under answer has no group (?P<answer>...) around the answer"
        )
    recognised = _compiled(where, "recognise", table["recognise"])
    kind = type("PatternFormat", (PatternFormat,), {"name": name})
    return kind(recognised, answer, code=table.get("code", False))


def _compiled(where: str, key: str, pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern, regex.DOTALL)
    except regex.error as error:  # its words end in "at position N"
        raise InputError(f"{where}: {key}: {error}: {pattern!r}") from None


def _classes(path: Path, source: bytes) -> tuple[Format, ...]:
    module = ModuleType(f"formats of {path.name}")
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except Exception as error:
        raise InputError(
            f"--formats: {_line_of(path, error)}: {type(error).__name__}: {error}"
        ) from error
    found = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Format) and kind.__module__ == module.__name__
    ]
    return tuple(_made(path, kind) for kind in dict.fromkeys(found))


def _made(path: Path, kind: type[Format]) -> Format:
    where = f"--formats: {path}: class {kind.__name__}"
    if lacking := sorted(kind.__abstractmethods__):
        raise InputError(f"{where} lacks {', '.join(lacking)}")
    if not isinstance(vars(kind).get("name", None) or getattr(kind, "name", None), str):
        raise InputError(f'{where} has no name; write name = "..."')
    try:
        return kind()
    except Exception as error:
        raise InputError(f"{where} cannot be made: {type(error).__name__}: {error}") from error


def _line_of(path: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}"
    trace = error.__traceback__
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return str(path) if line is None else f"{path}, line {line}"
