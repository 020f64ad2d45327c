"""Markdown of a card: texts that are not ours, escaped, and tables."""

from collections.abc import Iterable, Sequence

from formatlab.show.wording import visible_text

_MARKS = "\\|*_<`[~#"


def markdown_text(text: str) -> str:
    """Return text on one line that is shown as it is, whatever marks are in it."""
    line = visible_text(" ".join(text.split()))
    return "".join(f"\\{character}" if character in _MARKS else character for character in line)


def markdown_code(text: str) -> str:
    """Return a name or a value in the type of code, on one line."""
    line = visible_text(" ".join(text.split())).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
