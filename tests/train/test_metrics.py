"""The summary of rollouts: shares of tags and of reasons."""

from synthetic_runs import rollout

from formatlab.train.metrics import RolloutSummary


def test_reasons_are_shares_of_all_rollouts() -> None:
    reasons = ["", "time", "time", "wrong", "fault", "", "memory", "no answer"]
    summary = RolloutSummary([rollout(reason=reason, correct=not reason) for reason in reasons])
    expected = {"time": 0.25, "wrong": 0.125, "fault": 0.125, "memory": 0.125, "no answer": 0.125}
    assert summary.reasons == summary.line()["reason"] == expected
