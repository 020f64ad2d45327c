import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_study import STUDY, begin, finish, hold, hold_here, plan, planned
from plain_task import facts_of

from formatlab.errors import InputError
from formatlab.launch import status
from formatlab.launch.plan import PlannedTask
from formatlab.launch.status import (
    State,
    StudyStatus,
    TaskStatus,
    find_study,
    read_studies,
    read_task,
    study_seconds_left,
    with_time_left,
)
from formatlab.store.runs_folder import PLAN_FILE

BASES = [planned(f"base 0.04M s{seed}") for seed in range(4)]
RUNS = [planned(f"grpo 0.04M s{seed}", [base]) for seed, base in enumerate(BASES)]
BASE, RUN = BASES[0], RUNS[0]


def look(runs: Path) -> TaskStatus:
    return read_task(runs, RUN)


def test_what_was_not_begun_waits(tmp_path: Path) -> None:
    state = look(tmp_path)
    assert (state.state, state.step, state.steps) == ("waiting", 0, 32)


def test_a_finished_run_has_its_winner_and_margin(tmp_path: Path) -> None:
    finish(tmp_path, RUN, winner="undecided", margin=0.02, seconds=3.0)
    state = look(tmp_path)
    assert (state.state, state.step, state.winner, state.leader) == (
        "done",
        32,
        "undecided",
        "program",
    )
    assert (state.margin, state.seconds_per_step) == (0.02, 3.0)


def test_a_failed_one_has_the_reason(tmp_path: Path) -> None:
    begin(tmp_path, RUN, step=3).mark_failed("no reward\nat all")
    state = look(tmp_path)
    assert (state.state, state.step, state.reason) == ("failed", 3, "no reward\nat all")
    assert state.notes == ["no reward"]


def test_one_begun_that_nobody_is_at_is_interrupted(tmp_path: Path) -> None:
    run = begin(tmp_path, RUN, step=12, share={"program": 0.25, "prose": 0.75})
    run.note_resumed(step=4, lost=1)
    run.note_resumed(step=8, lost=1)
    hold_here(run.path, alive=False)
    state = look(tmp_path)
    assert (state.state, state.step, state.steps) == ("interrupted", 12, 32)
    assert (state.leader, state.share) == ("prose", 0.75)
    assert state.notes == ["resumed 2 times"]


def test_one_held_here_is_running_and_its_lock_says_no_more(tmp_path: Path) -> None:
    run = begin(tmp_path, RUN, step=12)
    run.mark_failed("of an earlier start")
    hold_here(run.path, alive=True)
    state = look(tmp_path)
    assert (state.state, state.step, state.owner) == ("running", 12, None)
    assert state.notes == []


def test_one_that_is_just_beginning_is_running(tmp_path: Path) -> None:
    hold_here(tmp_path / RUN.address, alive=True)
    assert look(tmp_path).state == "running"


def test_one_held_elsewhere_says_by_whom_and_when_it_was_last_seen(tmp_path: Path) -> None:
    lock = hold(begin(tmp_path, RUN, step=1).path, host="node17", pid=99)
    now = time.time()
    os.utime(lock, (now - 100, now - 100))
    state = look(tmp_path)
    assert (state.state, state.owner) == ("running", "process 99 on node17")
    assert state.silent is not None
    assert 100 <= state.silent < 160
    assert state.notes[0] == "held by process 99 on node17"
    assert state.notes[1].startswith("no sign of life for 1:4")


def test_a_heartbeat_from_the_future_has_no_age(tmp_path: Path) -> None:
    """A file's time may lie in the future, where another machine's clock is wrong."""
    lock = hold(begin(tmp_path, RUN, step=1).path, host="node17")
    os.utime(lock, (time.time() + 3600, time.time() + 3600))
    state = look(tmp_path)
    assert (state.state, state.silent) == ("running", None)
    assert state.notes == ["held by process 4242 on node17"]


def test_a_process_here_that_stands_still_is_noticed(tmp_path: Path) -> None:
    lock = hold_here(begin(tmp_path, RUN, step=1).path, alive=True)
    then = time.time() - 600
    os.utime(lock, (then, then))
    assert look(tmp_path).notes[0].startswith("no sign of life for 10:0")


def test_the_latest_event_is_told(tmp_path: Path) -> None:
    begin(tmp_path, RUN, step=5, events=[{"kind": "no_reward", "message": "none in 8 steps"}])
    assert look(tmp_path).notes == ["no reward at step 4"]


def test_a_base_has_its_pace_from_a_clock_that_runs_on(tmp_path: Path) -> None:
    begin(tmp_path, BASE, step=30, seconds=0.5, loss=0.25)
    state = read_task(tmp_path, BASE)
    assert (state.step, state.steps, state.seconds_per_step) == (30, 60, 0.5)
    assert state.notes == ["loss 0.25"]


def test_an_undertrained_base_says_so(tmp_path: Path) -> None:
    begin(tmp_path, BASE, step=60).mark_done({"undertrained": True})
    assert read_task(tmp_path, BASE).notes == ["undertrained"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("env.json", b"{", "env.json is not JSON"),
        ("config.json", b"[]", "config.json is not a JSON object"),
        ("DONE", b"\xff\xff", "DONE is not JSON"),
        ("winners.parquet", b"PAR1", "winners.parquet is not whole"),
        ("FAILED", b"\xff\xfe", "utf-8"),
    ],
)
def test_a_damaged_folder_is_a_state_and_no_error(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    make = begin if name == "FAILED" else finish
    (make(tmp_path, RUN).path / name).write_bytes(content)
    state = look(tmp_path)
    assert state.state == "damaged"
    assert reason in state.reason


@pytest.mark.parametrize(
    "line", ['{"step": 2, "share": {"program": null}, "seconds": null, "events": null}', "7"]
)
def test_lines_with_gaps_and_unfinished_ones_do_no_harm(tmp_path: Path, line: str) -> None:
    run = begin(tmp_path, RUN, step=3)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(f'{line}\n{{"ste')
    state = look(tmp_path)
    assert (state.state, state.step, state.leader) == ("interrupted", 3, None)
    assert state.seconds_per_step == 2.0


def test_metrics_of_another_make_are_damage_and_no_error(tmp_path: Path) -> None:
    run = begin(tmp_path, RUN, step=3)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": "x"}\n')
    assert look(tmp_path).state == "damaged"


def test_a_folder_that_goes_while_it_is_looked_at_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finish(tmp_path, RUN)

    def gone(path: Path, rows: int) -> list:
        shutil.rmtree(run.path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(status, "metrics_tail", gone)
    assert look(tmp_path).state == "waiting"


def studies(runs: Path, *names: str) -> list[StudyStatus]:
    return read_studies(runs, names or None)


def states(study: StudyStatus) -> dict[str, str]:
    return {task.task.label: task.state for task in study.tasks}


def test_every_planned_task_is_told_bases_first(tmp_path: Path) -> None:
    plan(tmp_path, [BASES[0], RUNS[0], BASES[1], RUNS[1]], jobs=2)
    finish(tmp_path, BASES[0])
    hold(begin(tmp_path, RUNS[0], step=16).path)
    (study,) = studies(tmp_path)
    assert states(study) == {
        "base 0.04M s0": "done",
        "base 0.04M s1": "waiting",
        "grpo 0.04M s0": "running",
        "grpo 0.04M s1": "waiting",
    }
    assert study.totals == {"done": 1, "running": 1, "waiting": 2}
    assert study.left


def test_what_waits_says_for_what(tmp_path: Path) -> None:
    plan(tmp_path, [*BASES[:2], *RUNS[:2]])
    finish(tmp_path, BASES[0])
    (study,) = studies(tmp_path)
    notes = {task.task.label: task.notes for task in study.tasks}
    assert notes["grpo 0.04M s0"] == []
    assert notes["grpo 0.04M s1"] == ["waits for base 0.04M s1"]


def test_what_needs_a_failed_one_cannot_begin_and_is_not_left_to_do(tmp_path: Path) -> None:
    later = planned("ppo 0.04M s0", [RUNS[0]])
    plan(tmp_path, [BASES[0], RUNS[0], later])
    begin(tmp_path, BASES[0]).mark_failed("nan")
    (study,) = studies(tmp_path)
    _, run, last = study.tasks
    assert (run.stuck, run.notes) == (True, ["cannot begin: base 0.04M s0 failed"])
    assert last.stuck
    assert (study.left, study.totals) == (False, {"failed": 1, "waiting": 2})


def test_runs_of_earlier_commands_are_counted_beside(tmp_path: Path) -> None:
    plan(tmp_path, [BASES[0], RUNS[0]])
    finish(tmp_path, BASES[0])
    finish(tmp_path, RUNS[1])
    finish(tmp_path, planned("grpo 0.04M s7"))
    begin(tmp_path, planned("grpo 0.04M s8"))
    (study,) = studies(tmp_path)
    assert study.beside == {"done": 2, "interrupted": 1}


def test_time_left_and_what_is_left_are_those_of_the_selected_runs(tmp_path: Path) -> None:
    plan(tmp_path, [*BASES[:2], *RUNS[:2]], selected=[BASES[0], RUNS[0]])
    finish(tmp_path, BASES[0])
    begin(tmp_path, RUNS[0], step=16, seconds=2.0)
    begin(tmp_path, BASES[1], step=3, seconds=9.0)
    (study,) = read_studies(tmp_path)
    assert study.seconds_left == 32
    assert study.complete
    assert (study.left, study.unselected) == (True, 2)
    finish(tmp_path, RUNS[0])
    (study,) = read_studies(tmp_path)
    assert (study.seconds_left, study.left, study.unselected) == (0, False, 2)
    assert study.totals == {"done": 2, "interrupted": 1, "waiting": 1}
    hold_here(tmp_path / BASES[1].address, alive=True)  # by another launcher
    (study,) = read_studies(tmp_path)
    assert (study.left, study.unselected) == (True, 1)
    assert study.document()["unselected"] == 1


def test_without_a_plan_there_is_what_is_there(tmp_path: Path) -> None:
    finish(tmp_path, BASES[0])
    finish(tmp_path, RUNS[0])
    begin(tmp_path, RUNS[1], step=4)
    (study,) = studies(tmp_path)
    (bases,) = studies(tmp_path, "bases")
    assert (study.name, study.plan) == (STUDY, None)
    names = [task.address.partition("/")[2] for task in (*RUNS[:2], BASES[0])]
    assert states(study) == {names[0]: "done", names[1]: "interrupted"}
    assert (bases.name, states(bases)) == ("bases", {names[2]: "done"})


def test_a_damaged_plan_is_remarked_on_and_the_rest_is_shown(tmp_path: Path) -> None:
    finish(tmp_path, RUNS[0])
    (tmp_path / STUDY / PLAN_FILE).write_text("{")
    (study,) = studies(tmp_path)
    assert "plan.json" in study.remark
    assert [task.state for task in study.tasks] == ["done"]


def test_folders_of_other_things_are_no_studies(tmp_path: Path) -> None:
    (tmp_path / "corpora" / "0a1b2c3d").mkdir(parents=True)
    (tmp_path / "models" / "gpt").mkdir(parents=True)
    (tmp_path / "models" / "gpt" / "config.json").write_text("{}")
    (tmp_path / ".aside" / "x").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    assert studies(tmp_path) == []


def test_a_study_that_goes_meanwhile_is_empty(tmp_path: Path) -> None:
    (study,) = studies(tmp_path, "gone")
    assert (study.tasks, study.left) == ((), False)


def test_paths_are_of_runs_folders_or_of_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(tmp_path / "runs", RUNS)
    plan(tmp_path / "runs", RUNS, study="other")
    runs = tmp_path / "runs"
    assert find_study(runs) == (runs, None)
    assert find_study(runs / STUDY) == (runs, [STUDY])
    monkeypatch.chdir(runs / STUDY)
    assert find_study(Path()) == (runs, [STUDY])


def test_other_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        find_study(tmp_path / "runs")
    with pytest.raises(InputError, match="is one run"):
        find_study(begin(tmp_path, RUNS[0]).path)


def task(
    planned: PlannedTask, state: State, *, step: int = 0, pace: float | None = None
) -> TaskStatus:
    steps = planned.steps if state != "done" else step
    return TaskStatus(task=planned, state=state, step=step, steps=steps, seconds_per_step=pace)


def left(*tasks: TaskStatus) -> list[float | None]:
    return [task.seconds_left for task in with_time_left(tasks)]


def test_a_task_under_way_is_measured_by_its_own_pace() -> None:
    done = task(RUNS[1], "done", step=32, pace=100.0)
    assert left(done, task(RUNS[0], "running", step=12, pace=2.0)) == [0, 40]
    assert left(done, task(RUNS[0], "interrupted", step=32, pace=2.0)) == [0, 0]


def test_one_to_come_is_measured_by_the_finished_ones_of_its_arm() -> None:
    tasks = [
        task(RUNS[0], "done", step=32, pace=1.0),
        task(RUNS[1], "done", step=32, pace=3.0),
        task(planned("ppo 0.04M s0"), "done", step=32, pace=50.0),
        task(RUNS[2], "waiting"),
    ]
    assert left(*tasks)[-1] == 64


def test_those_of_other_arms_tell_nothing() -> None:
    same_scale = task(planned("ppo 0.04M s0"), "done", step=10, pace=3.0)
    other_scale = task(planned("grpo 0.13M s0"), "done", step=100, pace=1.0)
    assert left(same_scale, other_scale, task(RUNS[0], "waiting"))[-1] is None


def test_a_base_whose_steps_are_not_known_takes_as_long_as_another() -> None:
    assert left(task(BASES[0], "done", step=60, pace=0.5), task(BASES[1], "waiting"))[-1] == 30


def test_an_intermediate_base_takes_no_time_worth_telling() -> None:
    part = replace(BASES[1], facts=replace(BASES[1].facts, after=0.25))
    done = task(BASES[0], "done", step=60, pace=0.5)
    assert left(done, task(part, "waiting"), task(BASES[2], "waiting")) == [0, 0, 30]


def wall(*tasks: TaskStatus, jobs: int) -> tuple[float, bool]:
    return study_seconds_left(with_time_left(tasks), jobs)


def test_jobs_go_side_by_side() -> None:
    done = task(RUNS[0], "done", step=32, pace=1.0)
    to_come = [task(run, "waiting") for run in RUNS[1:]]
    assert wall(done, *to_come, jobs=1) == (96, True)
    assert wall(done, *to_come, jobs=2) == (64, True)
    assert wall(done, *to_come, jobs=8) == (32, True)


def test_runs_begin_after_the_bases_that_they_need() -> None:
    tasks = [
        task(BASES[0], "done", step=50, pace=1.0),
        task(BASES[1], "waiting"),
        task(RUNS[0], "done", step=32, pace=1.0),
        task(RUNS[1], "waiting"),
    ]
    assert wall(*tasks, jobs=4) == (82, True)
    assert wall(*tasks, task(BASES[2], "waiting"), task(RUNS[2], "waiting"), jobs=2) == (82, True)


def test_what_is_not_known_is_said_to_be_missing() -> None:
    running = task(RUNS[0], "running", step=12, pace=2.0)
    assert wall(running, task(BASES[1], "waiting"), jobs=2) == (40, False)


def test_more_running_than_jobs_go_side_by_side_too() -> None:
    running = [task(run, "running", step=22, pace=1.0) for run in RUNS]
    assert wall(*running, jobs=1) == (10, True)


def test_what_failed_is_not_waited_for() -> None:
    failed = task(BASES[0], "failed", step=3, pace=1.0)
    stuck = TaskStatus(task=RUNS[0], state="waiting", steps=32, stuck=True)
    assert wall(failed, stuck, jobs=1) == (0, True)


def test_needs_that_go_round_do_not_go_on_for_ever() -> None:
    one = PlannedTask(address="a/1", facts=facts_of("1"), needs=("a/2",), steps=1)
    two = PlannedTask(address="a/2", facts=facts_of("2"), needs=("a/1",), steps=1)
    assert wall(task(one, "waiting"), task(two, "waiting"), jobs=1)[0] == 0
