from dataclasses import replace

from made_up_study import planned
from plain_task import facts_of

from formatlab.launch.plan import PlannedTask
from formatlab.launch.state.task_state import State, TaskState
from formatlab.launch.state.time_left import study_seconds_left, with_time_left

BASES = [planned(f"base 0.04M s{seed}") for seed in range(4)]
RUNS = [planned(f"grpo 0.04M s{seed}", [base]) for seed, base in enumerate(BASES)]


def task(
    planned: PlannedTask, state: State, *, step: int = 0, pace: float | None = None
) -> TaskState:
    steps = planned.steps if state != "done" else step
    return TaskState(task=planned, state=state, step=step, steps=steps, seconds_per_step=pace)


def left(*tasks: TaskState) -> list[float | None]:
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


def test_without_any_by_those_of_its_scale_or_else_of_its_kind() -> None:
    same_scale = task(planned("ppo 0.04M s0"), "done", step=10, pace=3.0)
    other_scale = task(planned("grpo 0.13M s0"), "done", step=100, pace=1.0)
    base = task(BASES[0], "done", step=1000, pace=1.0)
    to_come = task(RUNS[0], "waiting")
    assert left(base, other_scale, same_scale, to_come)[-1] == 30
    assert left(base, other_scale, to_come)[-1] == 100
    assert left(base, to_come)[-1] is None


def test_a_base_whose_steps_are_not_known_takes_as_long_as_another() -> None:
    assert left(task(BASES[0], "done", step=60, pace=0.5), task(BASES[1], "waiting"))[-1] == 30


def test_what_the_plan_says_is_taken_where_nothing_of_the_arm_is_measured() -> None:
    to_come = task(replace(RUNS[0], seconds=70.0), "waiting")
    other = task(planned("ppo 0.04M s0"), "done", step=10, pace=3.0)
    same = task(RUNS[1], "done", step=32, pace=1.0)
    (_, timed) = with_time_left([other, to_come])
    assert (timed.seconds_left, timed.estimated) == (70, True)
    (_, timed) = with_time_left([same, to_come])
    assert (timed.seconds_left, timed.estimated) == (32, False)
    begun = task(replace(RUNS[0], seconds=60.0), "interrupted", step=8)  # from there
    assert left(begun) == [60]
    begun = task(replace(RUNS[0], seconds=80.0), "interrupted", step=8, pace=1.0)
    assert left(begun) == [24]


def test_what_earlier_commands_left_tells_of_its_arm() -> None:
    before = task(RUNS[1], "done", step=16, pace=2.0)
    unfinished = task(RUNS[2], "interrupted", step=16, pace=50.0)
    (timed,) = with_time_left([task(RUNS[0], "waiting")], [before, unfinished])
    assert (timed.seconds_left, timed.estimated) == (64, True)
    known = task(replace(RUNS[0], seconds=70.0), "waiting")
    assert [t.seconds_left for t in with_time_left([known], [before])] == [70]
    measured = task(RUNS[3], "done", step=32, pace=1.0)
    (timed, _) = with_time_left([task(RUNS[0], "waiting"), measured], [before])
    assert (timed.seconds_left, timed.estimated) == (32, False)


def wall(*tasks: TaskState, jobs: int) -> tuple[float, bool]:
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


def test_what_is_not_known_is_said_to_be_missing() -> None:
    running = task(RUNS[0], "running", step=12, pace=2.0)
    assert wall(running, task(BASES[1], "waiting"), jobs=2) == (40, False)


def test_more_running_than_jobs_go_side_by_side_too() -> None:
    running = [task(run, "running", step=22, pace=1.0) for run in RUNS]
    assert wall(*running, jobs=1) == (10, True)


def test_what_failed_is_not_waited_for() -> None:
    failed = task(BASES[0], "failed", step=3, pace=1.0)
    stuck = TaskState(task=RUNS[0], state="waiting", steps=32, stuck=True)
    assert wall(failed, stuck, jobs=1) == (0, True)


def test_needs_that_go_round_do_not_go_on_for_ever() -> None:
    one = PlannedTask(address="a/1", facts=facts_of("1"), needs=("a/2",), steps=1)
    two = PlannedTask(address="a/2", facts=facts_of("2"), needs=("a/1",), steps=1)
    assert wall(task(one, "waiting"), task(two, "waiting"), jobs=1)[0] == 0
