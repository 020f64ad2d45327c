import io
import re
from pathlib import Path

import pytest
from made_up_study import begin, finish, hold, plan, planned
from rich.console import Console

from formatlab.cli.status_table import screen
from formatlab.launch.status import StudyStatus, read_studies

BASE = planned("base 0.04M s0")
RUNS = [planned(f"{name} 0.04M s0", [BASE]) for name in ("grpo", "ppo", "rloo")]
REASON = "the loss is nan at step 12, so it cannot go on; take another seed, or more documents"


@pytest.fixture
def study(tmp_path: Path) -> StudyStatus:
    plan(tmp_path, [BASE, *RUNS])
    finish(tmp_path, BASE)
    finish(tmp_path, RUNS[0], winner="undecided")
    hold(begin(tmp_path, RUNS[1], step=8, share={"program": 0.75}).path, host="node17")
    begin(tmp_path, RUNS[2], step=12).mark_failed(REASON)
    (found,) = read_studies(tmp_path)
    return found


def lines(
    *studies: StudyStatus,
    width: int,
    most: int | None = None,
    wrap: bool = True,
    colour: bool = False,
) -> list[str]:
    """The lines that a terminal shows."""
    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False)
    console.print(screen(studies, most=most, wrap=wrap))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_where_there_is_room_every_task_has_one_line(study: StudyStatus) -> None:
    found = lines(study, width=1000)
    assert len(found) == 3 + 4
    assert any(line.endswith(REASON) for line in found)


def test_notes_that_are_too_long_for_a_terminal_wrap_in_their_column(study: StudyStatus) -> None:
    found = lines(study, width=80)
    heading = next(line for line in found if line.startswith("task"))
    tasks = found[found.index(heading) :]
    assert max(map(len, tasks)) <= 80
    assert REASON in " ".join(line[heading.index("notes") :].strip() for line in tasks)


def test_where_nothing_wraps_a_task_has_one_line(study: StudyStatus) -> None:
    found = lines(study, width=80, wrap=False)
    rows = found[next(i for i, line in enumerate(found) if line.startswith("task")) + 1 :]
    assert len(rows) == 4
    assert max(map(len, rows)) <= 80
    assert any(line.endswith("…") for line in rows)


def test_of_an_undecided_run_the_leader_is_told_with_its_share(study: StudyStatus) -> None:
    (row,) = (line for line in lines(study, width=120) if line.startswith("grpo"))
    assert row.endswith(" program 70%, undecided")


def test_columns_without_anything_in_them_are_left_out(tmp_path: Path) -> None:
    plan(tmp_path, RUNS)
    (study,) = read_studies(tmp_path)
    assert lines(study, width=120)[3].split() == ["task", "state", "step", "time", "left"]


def test_the_state_and_the_reason_have_the_colour(study: StudyStatus) -> None:
    (row,) = (line for line in lines(study, width=1000, colour=True) if line.startswith("rloo"))
    red = re.findall("\x1b\\[31m(.*?)\x1b", row)
    assert red == ["failed", REASON]


SCALES = ("0.04M", "0.13M", "0.8M", "4.1M")


@pytest.fixture
def large(tmp_path: Path) -> StudyStatus:
    """Four scales and five seeds, of which the first scale was begun."""
    tasks = {}
    for scale in SCALES:
        for seed in range(5):
            base = tasks[f"base {scale} s{seed}"] = planned(f"base {scale} s{seed}")
            tasks[f"grpo {scale} s{seed}"] = planned(f"grpo {scale} s{seed}", [base])
    plan(tmp_path, list(tasks.values()))
    for seed in range(5):
        finish(tmp_path, tasks[f"base 0.04M s{seed}"])
    for seed in range(2):
        finish(tmp_path, tasks[f"grpo 0.04M s{seed}"])
    begin(tmp_path, tasks["grpo 0.04M s2"], step=3).mark_failed(REASON)
    begin(tmp_path, tasks["grpo 0.04M s3"], step=4)
    hold(begin(tmp_path, tasks["grpo 0.04M s4"], step=8, share={"program": 0.75}).path)
    (found,) = read_studies(tmp_path)
    return found


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("most", [None, 0, 3, 10, 40])
def test_what_has_no_row_is_counted(large: StudyStatus, width: int, most: int | None) -> None:
    found = lines(large, width=width, most=most)
    rows = [line for line in found if re.match(r"(base|grpo) \S+ s\d +\w", line)]
    assert len(rows) == (40 if most is None else most)
    rest = re.search(r"not shown: (.*);", " ".join(found))
    counts = re.findall(r"\d+", rest[1]) if rest else []
    assert len(rows) + sum(map(int, counts)) == 40


def test_what_needs_attention_comes_first_and_bases_before_runs(large: StudyStatus) -> None:
    found = [line.split()[:4] for line in lines(large, width=140)]
    found = [line for line in found if line[0] in ("base", "grpo")]
    states = [line[3] for line in found]
    assert states == ["running", "failed", "interrupted", *["done"] * 7, *["waiting"] * 30]
    assert [line[0] for line in found if line[3] == "done"] == ["base"] * 5 + ["grpo"] * 2


def test_several_studies_stand_one_below_the_other(large: StudyStatus, tmp_path: Path) -> None:
    plan(tmp_path / "other", RUNS)
    for run in RUNS:
        finish(tmp_path / "other", run)
    (ended,) = read_studies(tmp_path / "other")
    found = lines(ended, large, width=80, most=3)
    assert found[0].startswith("formats: done 3, running 0")
    assert sum(line.startswith(("base", "grpo", "ppo", "rloo")) for line in found) == 6
    after = found[found.index("") + 1]
    assert after.startswith("formats: done 7, running 1")
