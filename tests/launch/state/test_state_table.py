from pathlib import Path

import pytest
from made_up_study import begin, finish, hold, plan, planned

from formatlab.launch.state.state_table import study_text
from formatlab.launch.state.study_state import StudyState, read_studies
from formatlab.launch.state.task_state import TaskReader

BASE = planned("base 0.04M s0")
RUNS = [planned(f"{name} 0.04M s0", [BASE]) for name in ("grpo", "ppo", "rloo")]
REASON = "the loss is nan at step 12, so it cannot go on; take another seed, or more documents"


@pytest.fixture
def study(tmp_path: Path) -> StudyState:
    plan(tmp_path, [BASE, *RUNS])
    finish(tmp_path, BASE)
    finish(tmp_path, RUNS[0], winner="tool_tags")
    hold(begin(tmp_path, RUNS[1], step=8, share={"program": 0.75}).path, host="node17")
    begin(tmp_path, RUNS[2], step=12).mark_failed(REASON)
    (found,) = read_studies(TaskReader(tmp_path), None)
    return found


def lines(study: StudyState, width: int | None) -> list[str]:
    return study_text(study, width=width).plain.splitlines()


def test_without_a_width_every_task_has_one_line(study: StudyState) -> None:
    found = lines(study, None)
    assert len(found) == 3 + 4
    assert found[-1].endswith(REASON)
    assert "━━────────" in found[-2]


def test_what_is_too_long_for_a_terminal_has_lines_of_its_own(study: StudyState) -> None:
    found = lines(study, 80)
    tasks = found[found.index(next(line for line in found if line.startswith("task"))) :]
    assert max(map(len, tasks)) <= 80
    assert " ".join(line.strip() for line in tasks[-2:]) == REASON
    assert not any("━" in line for line in tasks)


def test_columns_without_anything_in_them_are_left_out(tmp_path: Path) -> None:
    plan(tmp_path, RUNS)
    (study,) = read_studies(TaskReader(tmp_path), None)
    assert lines(study, 120)[3].split() == ["task", "state", "step", "time", "left"]


def test_the_state_and_the_reason_have_the_colour(study: StudyState) -> None:
    text = study_text(study, width=None)
    red = [text.plain[span.start : span.end] for span in text.spans if span.style == "red"]
    assert sorted(red) == ["failed", REASON]
