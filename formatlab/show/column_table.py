"""The table of columns: what a table holds, from the descriptions in its schema."""

from typing import Any

import pyarrow as pa

from formatlab.show.markdown_text import markdown_code, markdown_table, markdown_text

_UNITS = {
    "step": "steps",
    "epoch": "passes",
    "tokens": "tokens",
    "tokens_mean": "tokens",
    "tokens_max": "tokens",
    "logprob": "nats",
    "entropy": "nats a token",
    "kl": "nats",
    "format_entropy": "nats",
    "format_entropy_given_prompt": "nats",
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
"""Of columns that hold numbers; truth values and texts have none."""

_FRACTIONS = ("share", "margin", "accuracy")
"""What names of fractions begin with."""


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
    return "fraction" if field.name.startswith(_FRACTIONS) else _UNITS.get(field.name, "")


def _type_text(kind: Any) -> str:
    if pa.types.is_dictionary(kind):
        return _type_text(kind.value_type)
    if pa.types.is_list(kind):
        return f"list of {'objects' if pa.types.is_struct(kind.value_type) else kind.value_type}"
    return {"double": "float64"}.get(str(kind), str(kind))
