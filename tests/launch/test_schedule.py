from hypothesis import given
from hypothesis import strategies as st
from plain_task import Node

from formatlab.launch.schedule import Outcome, Schedule
from formatlab.study.task import Task, graph

BASE = Node("base")
FIRST = Node("first", (BASE,))
SECOND = Node("second", (FIRST,))
OTHER = Node("other", (Node("other base"),))


def names(tasks: list[Task]) -> list[str]:
    return [task.label for task in tasks]


def test_a_graph_holds_everything_once_and_after_what_it_needs():
    assert names(graph([SECOND, FIRST, OTHER, FIRST])) == [
        "base",
        "first",
        "second",
        "other base",
        "other",
    ]


def test_what_needs_something_waits_for_it():
    schedule = Schedule(graph([SECOND, OTHER]))
    assert names(schedule.ready()) == ["base", "other base"]
    schedule.under_way.add(BASE.address)
    assert names(schedule.ready()) == ["other base"]
    schedule.end(BASE, Outcome("base"))
    assert names(schedule.ready()) == ["first", "other base"]


def test_what_is_done_before_is_ended_and_counted():
    schedule = Schedule(graph([SECOND, OTHER]))
    assert schedule.end_done(lambda task: task.label != "second") == 4
    assert names(schedule.ready()) == ["second"]


def test_what_needs_a_task_that_is_not_done_is_not_done_before():
    schedule = Schedule(graph([SECOND, OTHER]))
    assert schedule.end_done(lambda task: task.label != "base") == 2
    assert names(schedule.ready()) == ["base"]


def test_what_cannot_be_looked_at_is_left_for_its_turn():
    def is_done(task: Task) -> bool:
        if task.label == "base":
            raise OSError("the network is down")
        return True

    schedule = Schedule(graph([SECOND, OTHER]))
    assert schedule.end_done(is_done) == 2
    assert names(schedule.ready()) == ["base"]


def test_what_is_given_back_may_begin_again():
    schedule = Schedule(graph([FIRST]))
    schedule.under_way.add(BASE.address)
    schedule.under_way.discard(BASE.address)
    assert names(schedule.ready()) == ["base"]


def test_a_failure_ends_what_needs_it_and_nothing_else():
    schedule = Schedule(graph([SECOND, OTHER]))
    schedule.end(BASE, Outcome("base", "no space", 1))
    assert {task: of.error for task, of in schedule.outcomes.items()} == {
        "study/base": "no space",
        "study/first": "not begun, because base failed",
        "study/second": "not begun, because first failed",
    }
    assert {of.exit_status for of in schedule.outcomes.values()} == {1}
    assert names(schedule.ready()) == ["other base"]
    assert not schedule.finished


@given(
    st.lists(st.sets(st.integers(0, 9), max_size=3), min_size=1, max_size=10),
    st.sets(st.integers(0, 9)),
    st.randoms(use_true_random=False),
)
def test_every_task_of_any_graph_ends_once_and_in_order(needs, failing, random):
    nodes: list[Node] = []
    for index, of in enumerate(needs):
        nodes.append(Node(str(index), tuple(nodes[n] for n in sorted(of) if n < index)))
    schedule = Schedule(graph(nodes))
    ended: list[str] = []
    while not schedule.finished:
        task = random.choice(schedule.ready())
        assert {need.label for need in task.needs} <= set(ended)
        schedule.under_way.add(task.address)
        failed = int(task.label) in failing
        schedule.end(task, Outcome(task.label, "broke" if failed else None, int(failed)))
        if not failed:
            ended.append(task.label)
    assert len(schedule.outcomes) == len(nodes)
    assert sorted(ended) == sorted(
        of.label for of in schedule.outcomes.values() if of.error is None
    )
