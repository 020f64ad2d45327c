import io
import pickle

import pytest
from rich.console import Console

from formatlab.launch.progress import LINE_INTERVAL, ProgressDisplay
from formatlab.show.wording import duration_text
from formatlab.train.progress import Progress


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def plain(clock: Clock, output: io.StringIO) -> ProgressDisplay:
    return ProgressDisplay(Console(file=output, width=40), clock=clock)


def event(step: int, stage: str = "grpo 0.07M s0", total: int = 100, note: str = "") -> Progress:
    return Progress(stage, step, total, "prose", 0.413, note)


def test_an_event_can_be_sent_through_a_queue() -> None:
    assert pickle.loads(pickle.dumps(event(3))) == event(3)


def test_a_line_names_stage_step_leader_time_left_and_note(
    plain: ProgressDisplay, clock: Clock, output: io.StringIO
) -> None:
    with plain:
        for step in range(0, 16, 4):
            plain.update(event(step, note="loss 0.02"))
            clock.now += 10
    assert output.getvalue().splitlines() == [
        "grpo 0.07M s0: step 0/100, prose 41%, loss 0.02",
        "grpo 0.07M s0: step 4/100, prose 41%, loss 0.02",
        "grpo 0.07M s0: step 8/100, prose 41%, loss 0.02",
        "grpo 0.07M s0: step 12/100, prose 41%, 3:40 left, loss 0.02",
    ]


@pytest.mark.parametrize(
    ("leader", "share", "written"),
    [(None, None, "step 1/2"), ("latex", None, "step 1/2, latex")],
)
def test_what_is_not_known_is_left_out(
    plain: ProgressDisplay, output: io.StringIO, leader: str | None, share: None, written: str
) -> None:
    plain.update(Progress("base 0.8M s0", 1, 2, leader, share))
    assert output.getvalue() == f"base 0.8M s0: {written}\n"


@pytest.mark.parametrize(
    ("total", "step", "told"),
    [
        (32, 2, False),  # three intervals
        (32, 3, True),
        (1000, 19, False),  # 2% of the steps
        (1000, 20, True),
    ],
)
def test_no_time_left_is_told_before_there_is_an_estimate(
    plain: ProgressDisplay,
    clock: Clock,
    output: io.StringIO,
    total: int,
    step: int,
    told: bool,
) -> None:
    for number in range(step + 1):
        plain.update(event(number, total=total))
        clock.now += 10
    lines = output.getvalue().splitlines()
    assert not any("left" in line for line in lines[:-1])
    assert ("left" in lines[-1]) == told


def test_a_slow_start_is_not_taken_for_the_pace(
    plain: ProgressDisplay, clock: Clock, output: io.StringIO
) -> None:
    plain.update(event(0, total=1, note="writing documents"))  # how many steps is not known yet
    clock.now += 40
    for step in range(1, 102, 20):
        plain.update(event(step, total=3387))
        clock.now += 10
    assert [line for line in output.getvalue().splitlines() if "left" in line] == [
        "grpo 0.07M s0: step 81/3387, prose 41%, 27:33 left",
        "grpo 0.07M s0: step 101/3387, prose 41%, 27:23 left",
    ]


def test_a_resumed_stage_measures_its_own_steps(
    plain: ProgressDisplay, clock: Clock, output: io.StringIO
) -> None:
    for step in range(500, 521, 5):
        plain.update(event(step, total=1000))
        clock.now += 10
    assert ["left" in line for line in output.getvalue().splitlines()] == [False] * 4 + [True]


def test_plain_lines_are_limited_per_stage(
    plain: ProgressDisplay, clock: Clock, output: io.StringIO
) -> None:
    for step in range(31):
        plain.update(event(step, "a"))
        plain.update(event(step, "b"))
        clock.now += LINE_INTERVAL / 10
    plain.finish("a")
    lines = output.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines if line.startswith("a")] == [
        "a: step 0/100",
        "a: step 10/100",
        "a: step 20/100",
        "a: step 30/100",
        "a: done after 0:31",
    ]
    assert len([line for line in lines if line.startswith("b")]) == 4


def left(output: io.StringIO) -> str:
    return output.getvalue().splitlines()[-1].split(", ", 2)[2]


def test_one_slow_step_does_not_move_the_time_left(
    plain: ProgressDisplay, clock: Clock, output: io.StringIO
) -> None:
    for step in range(10):
        plain.update(event(step))
        clock.now += 2
    clock.now += 600
    plain.update(event(10))
    assert left(output) == "3:00 left"


def test_events_that_waited_in_the_queue_do_not_shorten_the_time_left(
    plain: ProgressDisplay, clock: Clock, output: io.StringIO
) -> None:
    for burst in range(4):
        for step in range(10):
            plain.update(event(10 * burst + step))
        clock.now += 20
    plain.update(event(40))
    assert left(output) == "2:00 left"


def test_a_stage_that_begins_again_forgets_its_pace(
    plain: ProgressDisplay, clock: Clock, output: io.StringIO
) -> None:
    for step in (50, 53, 56, 59):
        plain.update(event(step))
        clock.now += 10
    assert "left" in output.getvalue().splitlines()[-1]
    for step in (20, 25, 30):
        plain.update(event(step))
        assert "left" not in output.getvalue().splitlines()[-1]
        clock.now += 10
    plain.update(event(35))
    assert left(output) == "2:10 left"


def test_the_end_of_a_stage_is_always_written(plain: ProgressDisplay, output: io.StringIO) -> None:
    plain.update(event(1, "a"))
    plain.finish("a", "program 96%")
    plain.fail("never begun", "no disk space")
    assert output.getvalue().splitlines()[1:] == [
        "a: done after 0:00, program 96%",
        "never begun: failed, no disk space",
    ]


def test_plain_lines_say_how_many_tasks_are_done(clock: Clock, output: io.StringIO) -> None:
    with ProgressDisplay(Console(file=output, width=40), tasks=84, clock=clock) as display:
        display.done_before(37)
        display.update(event(0, "a"))
        clock.now += 35
        display.finish("a")
        display.finish("b", "program 96%", task=True)
        display.fail("c", "no disk space")
    assert output.getvalue().splitlines() == [
        "37 of 84 done before",
        "a: step 0/100, prose 41%",
        "a: done after 0:35",
        "b: done, program 96% (38 of 84)",
        "c: failed, no disk space",
    ]


def test_nothing_done_before_is_not_worth_a_line(output: io.StringIO) -> None:
    with ProgressDisplay(Console(file=output), tasks=2) as display:
        display.done_before(0)
    assert output.getvalue() == ""


def test_the_live_table_begins_with_the_count_of_tasks(clock: Clock, output: io.StringIO) -> None:
    console = Console(file=output, width=80, height=20, force_terminal=True, color_system=None)
    with ProgressDisplay(console, tasks=84, clock=clock) as display:
        display.done_before(37)
        for name in "abcde":
            display.update(event(0, name))
        display.fail("z", "no disk space")
    stays, live = output.getvalue().split("z: failed, no disk space\n")
    assert "37 of 84 done before\n" in stays
    count, *stages, _ = live.strip().splitlines()
    assert count.endswith("37 of 84 tasks done, 1 failed")
    assert [line.split()[0] for line in stages] == [*"abcde"]


def test_on_a_narrow_terminal_notes_are_cut_first(clock: Clock, output: io.StringIO) -> None:
    console = Console(file=output, width=70, height=20, force_terminal=True, color_system=None)
    with ProgressDisplay(console, clock=clock) as display:
        display.update(event(50, note="a note that is longer than there is room for"))
    line = output.getvalue().splitlines()[-2].rsplit("\x1b[2K", 1)[-1].rstrip()
    assert "grpo 0.07M s0" in line and "step 50/100  prose 41%" in line
    assert line.endswith("…")


def test_a_line_that_is_said_stays_on_a_terminal(clock: Clock, output: io.StringIO) -> None:
    console = Console(file=output, width=80, height=20, force_terminal=True, color_system=None)
    with ProgressDisplay(console, clock=clock) as display:
        display.update(event(0, "a"))
        display.say("a: made again, the old folder is there")
        display.update(event(1, "a"))
    stays, _ = output.getvalue().rsplit("\x1b[2K", 1)
    assert "a: made again, the old folder is there\n" in stays


def test_names_are_not_markup(plain: ProgressDisplay, output: io.StringIO) -> None:
    plain.fail("base [bold] s0", "[/red] :warning: " + "long " * 20)
    assert output.getvalue() == (
        f"base [bold] s0: failed, [/red] :warning: {'long ' * 20}".rstrip(" ") + " \n"
    )


def test_the_live_table_holds_stages_under_way_only(clock: Clock, output: io.StringIO) -> None:
    console = Console(file=output, width=100, height=20, force_terminal=True, color_system=None)
    with ProgressDisplay(console, clock=clock) as display:
        display.update(event(0, "base 0.8M s0"))
        display.update(event(0, "grpo 0.07M s1"))
        for step in (10, 20, 30, 40, 50):
            clock.now += 1
            display.update(event(step, "grpo 0.07M s1", note="[epoch 2]"))
        display.finish("base 0.8M s0", "loss 0.31")
    written = output.getvalue()
    assert "base 0.8M s0: done after 0:05, loss 0.31\n" in written
    last = written.rsplit("loss 0.31\n", 1)[1]
    assert "base 0.8M s0" not in last
    for text in ("grpo 0.07M s1", "50/100", "prose 41%", "0:05 left", "[epoch 2]"):
        assert text in last


def test_the_terminal_is_given_back_on_ctrl_c(output: io.StringIO) -> None:
    hide, show = "\x1b[?25l", "\x1b[?25h"
    console = Console(file=output, force_terminal=True)
    with pytest.raises(KeyboardInterrupt), ProgressDisplay(console) as display:
        display.update(event(1))
        raise KeyboardInterrupt
    assert output.getvalue().rindex(show) > output.getvalue().rindex(hide)


@pytest.mark.parametrize("terminal", [True, False])
def test_draws_only_on_a_terminal(output: io.StringIO, terminal: bool) -> None:
    console = Console(file=output, force_terminal=terminal, color_system=None)
    with ProgressDisplay(console) as display:
        display.update(event(1))
    assert ("\x1b" in output.getvalue()) == terminal


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "--"),
        (0, "0:00"),
        (59.6, "1:00"),
        (125, "2:05"),
        (3725, "1:02:05"),
        (1e5, "27:46:40"),
    ],
)
def test_durations(seconds: float | None, written: str) -> None:
    assert duration_text(seconds) == written
