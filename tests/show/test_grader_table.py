"""The grader's errors stand beside every accuracy."""

import csv
import io

import pytest
from rich.console import Console
from synthetic_runs import SyntheticRun, rollout, run_config

from formatlab.measure import grader_errors
from formatlab.show.report.report import write_report
from formatlab.show.study import measured_study
from formatlab.show.tables.grader import (
    error_text,
    grader_cells,
    grader_rows,
    grader_sentence,
    print_grader_errors,
)
from formatlab.show.tables.results import graded_tags, markdown, print_study
from formatlab.show.tables.table import csv_text
from formatlab.store import RunFolder


@pytest.mark.parametrize(
    ("count", "total", "share", "text"),
    [
        (2, 2094, (2 / 2094, 0.00026, 0.00347), "2 of 2,094: 0.10% [0.03, 0.35]"),
        (0, 1000, (0.0, 1e-18, 0.00383), "0 of 1,000: 0% [0, 0.38]"),
        (0, 0, None, "not tried"),
    ],
)
def test_a_rate_has_its_n_and_interval(
    count: int, total: int, share: tuple[float, float, float] | None, text: str
) -> None:
    assert error_text(count, total, share) == text


def test_a_format_of_ones_own_was_not_tried() -> None:
    assert grader_cells(["none", "mine"]) == [("mine", "not tried", "not tried")]
    assert grader_sentence(["none", "mine"]) == ""
    assert "of the right answers" in grader_sentence(["prose", "mine"])


def test_every_number_is_in_the_csv() -> None:
    (row,) = csv.DictReader(io.StringIO(csv_text(grader_rows(["prose"]))))
    (rate,) = grader_errors(["prose"])
    assert rate.false_negative is not None
    assert (int(row["right_answers"]), int(row["refused"])) == (rate.right, rate.refused)
    assert float(row["false_negative_high"]) == rate.false_negative[2]


def test_the_terminal_shows_it_in_100_columns() -> None:
    console = Console(file=io.StringIO(), width=100)
    print_grader_errors(["code_fenced", "prose", "[b]"], console)
    print_grader_errors(["none"], console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 2 + 1 + 3
    assert lines[-1].split() == ["[b]", *["not", "tried"] * 2]


def test_it_stands_under_the_results_of_a_study(grid, tmp_path) -> None:
    study = measured_study(grid)
    output = io.StringIO()
    print_study(study, output)
    page = write_report(tmp_path / "study", grid)
    table = (page.parent / "tables" / "grader_errors.csv").read_text(encoding="utf-8")
    assert [line.partition(",")[0] for line in table.splitlines()] == ["tag", "program", "prose"]
    for _, refused, paid in grader_cells(["program", "prose"]):
        for shown in (output.getvalue(), page.read_text(encoding="utf-8").replace("\u00a0", " ")):
            assert refused in shown and paid in shown
        assert refused.replace("[", "\\[") in markdown(study)


def test_where_nothing_was_graded_there_is_nothing_to_say(tmp_path) -> None:
    folder = RunFolder.create(
        tmp_path / "run",
        config=run_config(SyntheticRun(start={"prose": 1.0}, end={}, accuracy={})),
        env={},
    )
    rows = [rollout(run_id=folder.name, prompt_id=f"p{n}", correct=None) for n in range(4)]
    folder.write_rollouts("probe", 0.0, rows)
    study = measured_study([folder])
    assert study.tags == ["prose"]
    assert graded_tags(study) == []
    assert "refused" not in markdown(study)
