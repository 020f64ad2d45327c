"""The help of an experiment: common options first, then the others by group, one line each.

The lines are made from the fields of the options and of the study, their docstrings and the values
that they have with what else stands on the command line. tyro's own help, which has all choices and
whole docstrings, is five times as long; `--help-all` prints it.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

import tyro

from formatlab.study.study import SETTINGS

COMMON = (
    "preset",
    "name",
    "scales",
    "model",
    "problems",
    "seeds",
    "algorithm",
    "before",
    "train",
    "jobs",
    "only",
    "runs_dir",
    "dry_run",
    "launcher",
)
"""Fields of the study and of the command that most people change, in the order of the help."""

_WIDTH = 100
_COLUMN = 36
"""Where the text of an option begins."""


def experiment_help(options: Any, *, usage: str, docstring: str, presets: Sequence[str]) -> str:
    """The text that `formatlab run EXPERIMENT --help` prints.

    Args:
        options: the options of the command, the study under `study`; their values are shown.
        usage: the command line in short.
        docstring: that of the experiment.
        presets: names, the default one first.
    """
    study = options.study
    common: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    unused = _unused(study)
    for owner in (study, options):
        texts = field_texts(type(owner))
        for field in fields(owner):
            value, text = getattr(owner, field.name), texts.get(field.name, "")
            if field.name in ("study", *unused) or tyro.conf.Suppress in _marks(field.type):
                continue
            if field.name in COMMON:
                common[field.name] = _common(field.name, value, text, _choices(field.type))
                continue
            heading = "problems and prompts"
            if owner is options:
                heading = "where tasks run"
            elif is_dataclass(value):
                heading = f"{field.name.replace('_', ' ')}: {_sentence(text)}"
            groups.setdefault(heading, []).extend(_lines(field.name, value, text))
    more = ", ".join(f"--{name.replace('_', '-')}.*" for name in unused)
    left_out = (
        f"Left out, since this study does not use them: {more}. With --algorithm NAME, or --train "
        "lora, before --help they are shown. --help-all says everything about all options."
    )
    parts = [
        f"usage: {usage} [OPTIONS]",
        docstring,
        f"presets: {', '.join(presets)}",
        "\n".join(["common options", *(common[name] for name in COMMON if name in common)]),
        *("\n".join([heading, *lines]) for heading, lines in groups.items()),
        textwrap.fill(left_out, _WIDTH, break_on_hyphens=False),
    ]
    return "\n\n".join(parts) + "\n"


@cache
def field_texts(kind: type) -> Mapping[str, str]:
    """The docstrings below the fields of a dataclass and of what it inherits from."""
    found: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        try:
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(parent))).body
        except (OSError, TypeError, SyntaxError, ValueError):
            continue  # object, and classes that are made while the command runs
        body = node.body if isinstance(node, ast.ClassDef) else []
        for above, below in pairwise(body):
            match above, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found


def _unused(study: Any) -> list[str]:
    """The fields with settings that the study does not use."""
    used = set(study.algorithms)
    if used - set(SETTINGS):  # a preset over the settings of GRPO
        used.add("grpo")
    return [name for name in SETTINGS if name not in used] + ["lora"] * (study.train == "full")


def _marks(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _lines(name: str, value: Any, text: str) -> Iterator[str]:
    """A line for a field, or one for each field of a dataclass."""
    if is_dataclass(value):
        texts = field_texts(type(value))
        for field in fields(value):
            inner = getattr(value, field.name)
            yield from _lines(f"{name}.{field.name}", inner, texts.get(field.name, ""))
        return
    option = _option(name, value)
    if len(option) > _COLUMN - 3:
        option = _option(name, "...")
    sentence = textwrap.shorten(_sentence(text), _WIDTH - _COLUMN, placeholder=" ...")
    yield f"  {option:<{_COLUMN - 3}} {sentence}".rstrip()


def _common(name: str, value: Any, text: str, choices: Sequence[object]) -> str:
    """A common option with all of its text, and its choices if there are any."""
    option = f"  {_option(name, value):<{_COLUMN - 3}} "
    among = f" One of {', '.join(map(str, choices))}." if choices else ""
    return textwrap.fill(
        f"{text}{among}",
        _WIDTH,
        initial_indent=option,
        subsequent_indent=" " * _COLUMN,
        break_on_hyphens=False,
    )


def _option(name: str, value: Any) -> str:
    return f"--{name.replace('_', '-')} {_value(value)}".rstrip()


def _value(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_value(one)}" for key, one in value.items())
    if isinstance(value, tuple | list):
        return " ".join(map(_value, value))
    return "" if value is None or value is False else str(value)


def _sentence(text: str) -> str:
    """The first sentence, without its full stop."""
    return text.split(". ")[0].removesuffix(".")
