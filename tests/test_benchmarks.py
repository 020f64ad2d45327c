"""What the benchmarks write, and what their page must have for it."""

from pathlib import Path

import pytest

from benchmarks import analysis
from benchmarks.confusion import Answer, f1_scores, macro_f1
from benchmarks.grading_speed import grading_speed, world_rollouts
from benchmarks.page import write_measured
from benchmarks.synthetic_study import write_study
from formatlab.errors import InputError
from formatlab.world.four_formats import FOUR_FORMATS

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


def test_what_is_analysed_is_what_was_written(tmp_path: Path, capsys) -> None:
    analysis.main(["--rows", "20000", "--runs", "3", "--folder", str(tmp_path / "made")])
    printed = capsys.readouterr().out
    assert "written: 20,000 rollouts; runs 3" in printed and "counts as written" in printed
    assert (tmp_path / "made" / "synthetic" / "report.html").exists()


def test_a_synthetic_study_is_decided_by_its_seed(tmp_path: Path) -> None:
    one, again, other = (
        write_study(tmp_path / name, rows=3_000, runs=2, seed=seed)
        for name, seed in (("one", 0), ("again", 0), ("other", 1))
    )
    assert sum(run.rows for run in one) == 3_000
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    for file in (file for file in files if file.suffix in (".parquet", ".jsonl", ".json")):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    results = analysis.analysed(tmp_path / "one")
    analysis.check(results, again)
    with pytest.raises(ValueError, match="was written"):
        analysis.check(results, other)


def test_rollouts_to_grade_are_the_same_each_time_and_some_are_broken() -> None:
    made = world_rollouts(400)
    assert made == world_rollouts(400)
    broken = [number for number, rollout in enumerate(made) if rollout.kind == "broken"]
    assert 20 <= len(broken) <= 60
    for number, rollout in enumerate(made):
        solution = FOUR_FORMATS.document(number).solution
        assert (rollout.text != solution) == (number in broken)


def test_the_speed_of_grading_is_told_by_format() -> None:
    speed = grading_speed(200, processes=1)
    assert set(speed.of_kind) == {"program", "tool_tags", "latex", "prose", "broken"}
    assert speed.processor > 0 and speed.clock > 0
