"""Cards: what data cards and model cards have in common."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

import formatlab
from formatlab.show.grader_table import GRADER_HEADINGS, grader_cells
from formatlab.show.markdown_text import markdown_code, markdown_table, markdown_text


def card_template(name: str) -> jinja2.Template:
    """Return a template of this folder for Markdown, into which escaped texts are put."""
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
    """Return which licence holds, and what else may hold."""
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
