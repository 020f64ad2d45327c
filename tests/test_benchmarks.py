"""What the benchmarks write, and what their page must have for it."""

from pathlib import Path

import pytest

from benchmarks.confusion import Answer, f1_scores, macro_f1
from benchmarks.page import write_measured
from formatlab.errors import InputError

INSTRUMENTS = Path(__file__).parents[1] / "docs" / "instruments.md"


@pytest.mark.parametrize("benchmark", ["benchmarks.confusion", "benchmarks.grading"])
def test_the_page_has_a_place_for_what_is_measured(benchmark: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(INSTRUMENTS.read_text(encoding="utf-8"), encoding="utf-8")
    write_measured(page, benchmark, "| new |")
    write_measured(page, benchmark, "| newer |")
    text = page.read_text(encoding="utf-8")
    assert f"<!-- {benchmark} -->\n\n| newer |\n\n<!-- end of {benchmark} -->" in text
    assert "| new |" not in text
    assert text.count("## ") == INSTRUMENTS.read_text(encoding="utf-8").count("## ")


def test_a_page_without_marks_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(InputError, match="no marks"):
        write_measured(page, "benchmarks.grading", "new")
    assert page.read_text(encoding="utf-8") == "nothing"


def test_f1_of_answers() -> None:
    pairs = [*[("prose", "prose")] * 3, ("prose", "none"), ("json", "json"), ("json", "prose")]
    seen = [Answer(source="s", place="p", label=a, tag=b, text="") for a, b in pairs]
    scores = f1_scores(seen)
    assert scores["prose"] == (4, 0.75, 0.75, 0.75)
    assert scores["json"] == (2, 1.0, 0.5, pytest.approx(2 / 3))
    assert macro_f1(seen) == pytest.approx((0.75 + 2 / 3) / 2)
