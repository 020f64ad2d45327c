import os
import shutil
import time
from pathlib import Path

import pytest
from made_up_study import begin, finish, hold, hold_here, planned

from formatlab.launch.state import task_state
from formatlab.launch.state.task_state import TaskReader, TaskState

BASE = planned("base 0.04M s0")
RUN = planned("grpo 0.04M s0", [BASE])


def look(runs: Path) -> TaskState:
    return TaskReader(runs).read(RUN)


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
    assert state.notes[0].startswith("held by process 99 on node17, last sign of life 1:4")


def test_heartbeats_are_measured_by_a_clock_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file's time may lie in the future, where another machine's clock is wrong."""
    folder = begin(tmp_path, RUN, step=1).path
    clock = [1000.0]
    monkeypatch.setattr(task_state.time, "monotonic", lambda: clock[0])
    reader = TaskReader(tmp_path)

    def silent(beat: int) -> float | None:
        lock = hold(folder, beat=beat)
        os.utime(lock, (time.time() + 3600, time.time() + 3600))
        return reader.read(RUN).silent

    assert silent(1) is None
    clock[0] += 2
    assert silent(1) == 2
    clock[0] += 70
    assert silent(1) == 72
    clock[0] += 2
    assert silent(2) == 0
    clock[0] += 4
    assert silent(2) == 4


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
    state = TaskReader(tmp_path).read(BASE)
    assert (state.step, state.steps, state.seconds_per_step) == (30, 60, 0.5)
    assert state.notes == ["loss 0.25"]


def test_an_undertrained_base_says_so(tmp_path: Path) -> None:
    begin(tmp_path, BASE, step=60).mark_done({"undertrained": True})
    assert TaskReader(tmp_path).read(BASE).notes == ["undertrained"]


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
    "line",
    [
        '{"step": "x", "share": [1], "seconds": null, "events": null}',
        '{"step": null, "share": {"program": null, "prose": "much"}, "events": [1]}',
        '{"step": 3, "seconds": "x", "share": 1, "events": "many"}',
        "{}",
    ],
)
def test_odd_lines_of_metrics_do_no_harm(tmp_path: Path, line: str) -> None:
    run = begin(tmp_path, RUN, step=3)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(f'{line}\n{{"ste')
    state = look(tmp_path)
    assert (state.state, state.leader, state.seconds_per_step) == ("interrupted", None, 2.0)


def test_a_folder_that_goes_while_it_is_looked_at_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finish(tmp_path, RUN)

    def gone(path: Path, rows: int) -> list:
        shutil.rmtree(run.path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(task_state, "metrics_tail", gone)
    assert look(tmp_path).state == "waiting"


def test_a_finished_run_is_read_again_only_when_it_was_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finish(tmp_path, RUN, winner="program")
    reader = TaskReader(tmp_path)
    first = reader.read(RUN)
    (run.path / "winners.parquet").unlink()
    assert reader.read(RUN) is first
    os.utime(run.path / "DONE", (1, 1))
    assert reader.read(RUN).winner is None
