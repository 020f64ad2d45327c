"""Parts that data cards and model cards share: front matter, Markdown, tables of columns, licence.

Published values and commands lose the folders of the machine that wrote them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import jinja2
import pyarrow as pa

import formatlab
from formatlab.show.tables.grader import GRADER_HEADINGS, grader_cells
from formatlab.show.tables.table import escaped, markdown_table
from formatlab.show.wording import visible_text


def markdown_text(text: str) -> str:
    """Return text on one line in which Markdown's marks have no effect."""
    return escaped(visible_text(" ".join(text.split())))


def markdown_code(text: str) -> str:
    """Return a name or a value as code, on one line."""
    line = visible_text(" ".join(text.split())).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return the YAML block with which a card begins; fields that are None are left out.

    Hubs and `datasets` read it. Its values are written as JSON, which is YAML too: no text can be
    mistaken for a date, a number or a mark.

    Args:
        fields: values of JSON.
    """
    lines = ["---"]
    for name, value in fields.items():
        if isinstance(value, list):
            lines += [f"{name}:", *(f"- {_json(item)}" for item in value)]
        elif value is not None:
            lines.append(f"{name}: {_json(value)}")
    return "\n".join([*lines, "---"]) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def published_value(value: Any) -> Any:
    """Return JSON values in which every absolute path is cut to its last part."""
    if isinstance(value, str):
        return _last_part(value)
    if isinstance(value, dict):
        return {key: published_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [published_value(item) for item in value]
    return value


def published_command(words: list[str]) -> str:
    """Return a command line in which every absolute path is cut to its last part."""
    return " ".join(_option(word) for word in words)


def _option(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name}={_last_part(value)}" if equals else _last_part(word)


def _last_part(text: str) -> str:
    if "\n" in text:
        return text
    if text.startswith(("/", "~/")):
        return PurePosixPath(text).name or text
    windows = PureWindowsPath(text)
    return windows.name if windows.drive and windows.root else text


_UNITS = {
    "step": "steps",
    "epoch": "passes",
    "tokens": "tokens",
    "tokens_mean": "tokens",
    "tokens_max": "tokens",
    "logprob": "nats",
    "entropy": "nats a token",
    "kl": "nats",
    "parameters": "parameters",
    "non_embedding_parameters": "parameters",
    "train_rollouts": "rollouts",
    "probe_rollouts": "rollouts",
    "rollouts": "rollouts",
    "correct": "rollouts",
    "n_prompts": "prompts",
    "n_rollouts": "rollouts",
    "samples_per_prompt": "rollouts",
    "truncated": "fraction",
    "well_formed": "fraction",
    "collapse_step": "steps",
    "seconds": "seconds",
}
"""Name of a column of numbers -> its unit, unless its schema has it."""

_FRACTIONS = ("share", "margin", "accuracy")
"""Beginnings of the names of fractions."""


def column_table(schema: pa.Schema) -> str:
    """Return name, type, unit and meaning of each column, and of each field of objects in it."""
    rows = []
    for field in schema:
        rows.append(_column(field.name, field))
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            rows += [_column(f"{field.name}.{part.name}", part) for part in field.type.value_type]
    return markdown_table(("column", "type", "unit", "meaning"), rows)


def _column(name: str, field: pa.Field) -> list[str]:
    meaning = (field.metadata or {}).get(b"description", b"").decode()
    return [markdown_code(name), _type_text(field.type), _unit(field), markdown_text(meaning)]


def _unit(field: pa.Field) -> str:
    if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
        return ""
    if unit := (field.metadata or {}).get(b"unit"):
        return unit.decode()
    return "fraction" if field.name.startswith(_FRACTIONS) else _UNITS.get(field.name, "")


def _type_text(kind: Any) -> str:
    if pa.types.is_dictionary(kind):
        return _type_text(kind.value_type)
    if pa.types.is_list(kind):
        return f"list of {'objects' if pa.types.is_struct(kind.value_type) else kind.value_type}"
    return {"double": "float64"}.get(str(kind), str(kind))


def card_template(name: str) -> jinja2.Template:
    """Return a Markdown template of this folder, which takes texts that are escaped already."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def grader_markdown(tags: Sequence[str]) -> str:
    """Return the table of the grader's errors in some formats."""
    return markdown_table(GRADER_HEADINGS, [[*map(markdown_text, c)] for c in grader_cells(tags)])


def licence_text(licence: str | None, *, synthetic: bool) -> str:
    """Return the licence in words, and whether others apply too."""
    if licence is None:
        return (
            "None was chosen yet, so nobody but the owner may use this. The texts were all made by "
            "formatlab and models trained on it, so the owner is free to choose: export once more "
            "with `--licence`, for example `--licence cc-by-4.0`."
        )
    if synthetic:
        return f"{markdown_code(licence)}, as chosen by the owner."
    return (
        f"{markdown_code(licence)}, as chosen by the owner. The licences of the model and of the "
        "problems hold for what was taken from them."
    )


def citation() -> str:
    """Return how formatlab is cited."""
    return (
        "```bibtex\n@software{formatlab,\n"
        "  title = {formatlab: a laboratory for which output format survives correctness-only "
        "reinforcement learning},\n"
        f"  version = {{{formatlab.__version__}}}\n}}\n```"
    )
