"""Pages of the documents with a part that a benchmark writes, between two marks."""

from pathlib import Path

from formatlab.errors import InputError


def write_measured(page: Path, benchmark: str, measured: str) -> None:
    """Replace the part of a page that a benchmark writes.

    Args:
        page: holds `<!-- NAME -->` and `<!-- end of NAME -->`.
        benchmark: the name in these marks, such as `benchmarks.grading`.
        measured: Markdown.

    Raises:
        InputError: the page lacks the marks.
    """
    start, end = f"<!-- {benchmark} -->", f"<!-- end of {benchmark} -->"
    before, started, rest = page.read_text(encoding="utf-8").partition(start)
    _, ended, after = rest.partition(end)
    if not (started and ended):
        raise InputError(f"{page}: there are no marks {start} and {end}")
    page.write_text(f"{before}{start}\n\n{measured}\n\n{end}{after}", encoding="utf-8")
