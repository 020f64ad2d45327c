import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_study import begin, finish, hold, plan, planned
from rich.console import Console

from formatlab.launch.status import StudyStatus, read_studies
from formatlab.launch.status_table import screen_text

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


def lines(study: StudyStatus, width: int | None) -> list[str]:
    return screen_text([study], width=width).plain.splitlines()


def test_without_a_width_every_task_has_one_line(study: StudyStatus) -> None:
    found = lines(study, None)
    assert len(found) == 3 + 4
    assert found[-1].endswith(REASON)


def test_notes_that_are_too_long_for_a_terminal_wrap_in_their_column(study: StudyStatus) -> None:
    found = lines(study, 80)
    heading = next(line for line in found if line.startswith("task"))
    tasks = found[found.index(heading) :]
    assert max(map(len, tasks)) <= 80
    assert REASON in " ".join(line[heading.index("notes") :].strip() for line in tasks)


def test_of_an_undecided_run_the_leader_is_told_with_its_share(study: StudyStatus) -> None:
    (row,) = (line for line in lines(study, 120) if line.startswith("grpo"))
    assert row.endswith(" program 70%, undecided")


def test_a_time_left_that_is_not_measured_says_about(tmp_path: Path) -> None:
    plan(tmp_path, [replace(RUNS[0], seconds=65.0), *RUNS[1:]])
    (study,) = read_studies(tmp_path)
    (row,) = (line for line in lines(study, 80) if line.startswith("grpo"))
    assert row.endswith("about 1:05")


def test_columns_without_anything_in_them_are_left_out(tmp_path: Path) -> None:
    plan(tmp_path, RUNS)
    (study,) = read_studies(tmp_path)
    assert lines(study, 120)[3].split() == ["task", "state", "step", "time", "left"]


def test_the_state_and_the_reason_have_the_colour(study: StudyStatus) -> None:
    text = screen_text([study], width=None)
    red = [text.plain[span.start : span.end] for span in text.spans if str(span.style) == "red"]
    assert sorted(map(str.strip, red)) == ["failed", REASON]


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


def on_terminal(
    studies: list[StudyStatus], width: int, height: int, *, every: bool = False
) -> list[str]:
    """The lines that a terminal shows, too long ones broken."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(screen_text(studies, width=width, height=height, every=every), end="")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def told(found: list[str]) -> int:
    """Of how many tasks the lines tell."""
    states = r"done|running|failed|interrupted|waiting"
    rows = [
        re.match(rf"(?:base|grpo) \S+(?: s\d)? +(?:{states})(?: (\d+))?(?= |$)", line)
        for line in found
    ]
    rest = next((line for line in found if line.startswith("not shown: ")), "")
    return sum(int(row[1] or 1) for row in rows if row) + sum(map(int, re.findall(r"\d+", rest)))


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("width", [60, 80, 110, 140])
@pytest.mark.parametrize("height", [10, 12, 16, 24, 40, 60])
def test_a_screen_fits_the_terminal_and_leaves_nobody_out(
    large: StudyStatus, width: int, height: int, every: bool
) -> None:
    found = on_terminal([large], width, height, every=every)
    assert len(found) <= height
    assert told(found) == 40


def test_a_screen_with_room_enough_has_every_task_in_order(large: StudyStatus) -> None:
    found = on_terminal([large], 140, 60)
    labels = [task.task.label for task in large.tasks]
    assert [line[:13].strip() for line in found if line.startswith(("base", "grpo"))] == labels


def test_what_needs_attention_comes_first_on_a_low_terminal(large: StudyStatus) -> None:
    found = on_terminal([large], 80, 12)
    states = [line.split()[3] for line in found if line.startswith("grpo 0.04M s")]
    assert states == ["running", "failed", "interrupted"]
    assert found[-1].startswith("not shown: ")


def test_several_studies_share_a_terminal_and_what_needs_attention_comes_first(
    large: StudyStatus, tmp_path: Path
) -> None:
    plan(tmp_path / "other", RUNS)
    for run in RUNS:
        finish(tmp_path / "other", run)
    (ended,) = read_studies(tmp_path / "other")
    found = on_terminal([ended, large], 80, 11)
    assert len(found) <= 11
    assert found[0].startswith("formats: done 3, running 0")
    assert found[1] == ""
    assert found[2].startswith("formats: done 7, running 1")
    assert any(line.startswith("grpo 0.04M s3  interrupted") for line in found)
    found = on_terminal([ended, large], 80, 80)
    assert sum(line.startswith(("base", "grpo", "ppo", "rloo")) for line in found) == 43
