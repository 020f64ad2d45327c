"""Events are told in few sentences, grouped by kind."""

import io

from synthetic_runs import rollout

from formatlab.show.run_result import RunEvent, event_notes, measured_run, run_events
from formatlab.show.study import measured_study
from formatlab.show.tables.results import print_study


def event(step: int, kind: str, message: str = "Something happened.") -> RunEvent:
    return RunEvent(step=step, kind=kind, message=message)


def lines(*events: RunEvent) -> list[dict]:
    return [
        {"step": of.step, "epoch": 0.0, "events": [{"kind": of.kind, "message": of.message}]}
        for of in events
    ]


def test_lines_without_events_have_none() -> None:
    assert run_events([{"step": 0}, {"step": 1, "events": None}]) == []
    assert run_events(lines(event(3, "truncation"))) == [event(3, "truncation")]


def test_events_of_a_kind_are_counted() -> None:
    found = [event(3, "no_reward", "First."), event(5, "truncation"), event(9, "no_reward", "2nd.")]
    assert event_notes(found) == [
        "no reward (2 times, steps 3 to 9): First.",
        "truncation (step 5): Something happened.",
    ]


def test_further_kinds_are_only_counted() -> None:
    notes = event_notes([event(step, f"kind {step % 5}") for step in range(25)])
    assert len(notes) == 4
    assert notes[-1] == "10 more of 2 further kinds, in metrics.jsonl."


def test_rollouts_that_met_a_limit_are_counted(make_run) -> None:
    run = make_run(probe_epochs=(0.0, 1.0))
    reasons = ["time", "time", "memory", "fault", "wrong", ""]
    for split, epoch in (("train", 5.0), ("probe", 1.0)):
        rows = [rollout(split=split, epoch=epoch, reason=reason) for reason in reasons]
        run.write_rollouts(split, epoch, rows)
    found = measured_run(run)
    assert found.limited == {"time": 4, "memory": 2, "fault": 2}
    said = "Rollouts counted as wrong because grading met a limit: 4 time, 2 memory, 2 fault."
    assert said in found.notes


def test_a_run_tells_its_events_and_its_failure_once(make_run) -> None:
    reason = "The loss is not finite at step 7."
    metrics = lines(event(2, "truncation", "60% were cut."), event(7, "not_finite", reason))
    run = make_run(done=False, metrics=metrics)
    run.mark_failed(reason)
    notes = measured_run(run).notes
    assert notes == [f"Failed ({reason}).", "truncation (step 2): 60% were cut."]
    assert [of.step for of in measured_run(run).events] == [2, 7]
    output = io.StringIO()
    print_study(measured_study([run]), output)
    assert "0.15M, seed 0: Failed" in output.getvalue()
    assert "60% were cut." in output.getvalue()
