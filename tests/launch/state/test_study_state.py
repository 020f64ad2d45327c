from pathlib import Path

import pytest
from made_up_study import STUDY, begin, finish, hold, plan, planned

from formatlab.errors import InputError
from formatlab.launch.plan import PLAN_FILE
from formatlab.launch.state.study_state import StudyState, find_studies, read_studies
from formatlab.launch.state.task_state import TaskReader

BASES = [planned(f"base 0.04M s{seed}") for seed in range(2)]
RUNS = [planned(f"grpo 0.04M s{seed}", [base]) for seed, base in enumerate(BASES)]


def look(runs: Path, *names: str) -> list[StudyState]:
    return read_studies(TaskReader(runs), names or None)


def states(study: StudyState) -> dict[str, str]:
    return {task.task.label: task.state for task in study.tasks}


def test_every_planned_task_is_told_bases_first(tmp_path: Path) -> None:
    plan(tmp_path, [BASES[0], RUNS[0], BASES[1], RUNS[1]], jobs=2)
    finish(tmp_path, BASES[0])
    hold(begin(tmp_path, RUNS[0], step=16).path)
    (study,) = look(tmp_path)
    assert states(study) == {
        "base 0.04M s0": "done",
        "base 0.04M s1": "waiting",
        "grpo 0.04M s0": "running",
        "grpo 0.04M s1": "waiting",
    }
    assert study.totals == {"done": 1, "running": 1, "waiting": 2}
    assert (study.left, study.failed) == (True, False)


def test_what_waits_says_for_what(tmp_path: Path) -> None:
    plan(tmp_path, [*BASES, *RUNS])
    finish(tmp_path, BASES[0])
    (study,) = look(tmp_path)
    notes = {task.task.label: task.notes for task in study.tasks}
    assert notes["grpo 0.04M s0"] == []
    assert notes["grpo 0.04M s1"] == ["waits for base 0.04M s1"]


def test_what_needs_a_failed_one_cannot_begin_and_is_not_left_to_do(tmp_path: Path) -> None:
    later = planned("ppo 0.04M s0", [RUNS[0]])
    plan(tmp_path, [BASES[0], RUNS[0], later])
    begin(tmp_path, BASES[0]).mark_failed("nan")
    (study,) = look(tmp_path)
    _, run, last = study.tasks
    assert (run.stuck, run.notes) == (True, ["cannot begin: base 0.04M s0 failed"])
    assert last.stuck
    assert (study.left, study.failed) == (False, True)


def test_runs_of_earlier_commands_are_counted_beside(tmp_path: Path) -> None:
    plan(tmp_path, [BASES[0], RUNS[0]])
    finish(tmp_path, BASES[0])
    finish(tmp_path, RUNS[1])
    finish(tmp_path, planned("grpo 0.04M s7"))
    begin(tmp_path, planned("grpo 0.04M s8"))
    (study,) = look(tmp_path)
    assert study.beside == {"done": 2, "interrupted": 1}


def test_runs_and_bases_of_earlier_commands_tell_of_the_time_left(tmp_path: Path) -> None:
    plan(tmp_path, [BASES[0], RUNS[0]])
    finish(tmp_path, BASES[1], seconds=0.5)
    finish(tmp_path, RUNS[1], seconds=3.0)
    (study, _) = look(tmp_path)
    assert [task.seconds_left for task in study.tasks] == [30, 96]
    assert (study.seconds_left, study.complete) == (126, True)
    assert study.beside == {"done": 1}


def test_without_a_plan_there_is_what_is_there(tmp_path: Path) -> None:
    finish(tmp_path, BASES[0])
    finish(tmp_path, RUNS[0])
    begin(tmp_path, RUNS[1], step=4)
    study, bases = look(tmp_path)
    assert (study.name, study.plan) == (STUDY, None)
    assert states(study) == {"grpo 0.04M s0": "done", "grpo 0.04M s1": "interrupted"}
    assert (bases.name, states(bases)) == ("bases", {"base 0.04M s0": "done"})


def test_equal_names_without_a_plan_are_told_apart(tmp_path: Path) -> None:
    for name in ("aaaaaaaa", "bbbbbbbb"):
        folder = finish(tmp_path, RUNS[0]).path
        folder.rename(folder.with_name(f"0.04M-four-grpo-s0-{name}"))
    (study,) = look(tmp_path)
    assert set(states(study)) == {"grpo 0.04M s0, aaaaaaaa", "grpo 0.04M s0, bbbbbbbb"}


def test_a_damaged_plan_is_remarked_on_and_the_rest_is_shown(tmp_path: Path) -> None:
    finish(tmp_path, RUNS[0])
    (tmp_path / STUDY / PLAN_FILE).write_text("{")
    (study,) = look(tmp_path)
    assert "plan.json" in study.remark
    assert states(study) == {"grpo 0.04M s0": "done"}


def test_folders_of_other_things_are_no_studies(tmp_path: Path) -> None:
    (tmp_path / "corpora" / "0a1b2c3d").mkdir(parents=True)
    (tmp_path / "models" / "gpt").mkdir(parents=True)
    (tmp_path / "models" / "gpt" / "config.json").write_text("{}")
    (tmp_path / ".aside" / "x").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    assert look(tmp_path) == []


def test_a_study_that_goes_meanwhile_is_empty(tmp_path: Path) -> None:
    (study,) = look(tmp_path, "gone")
    assert (study.tasks, study.left) == ((), False)


def test_paths_are_of_runs_folders_or_of_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(tmp_path / "runs", RUNS)
    plan(tmp_path / "runs", RUNS, study="other")
    runs = tmp_path / "runs"
    assert find_studies([runs]) == {runs: None}
    assert find_studies([runs / STUDY, runs / "other"]) == {runs: [STUDY, "other"]}
    monkeypatch.chdir(runs / STUDY)
    assert find_studies([Path()]) == {runs: [STUDY]}


def test_other_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        find_studies([tmp_path / "runs"])
    with pytest.raises(InputError, match="is one run"):
        find_studies([begin(tmp_path, RUNS[0]).path])
