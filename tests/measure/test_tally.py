"""Counts by prompt and tag."""

from synthetic_runs import probe_rollouts, rollout

from formatlab.measure.counts import tally
from formatlab.store.rollout import rollouts_to_table


def test_counts_by_prompt_and_tag() -> None:
    counts = tally(rollouts_to_table(probe_rollouts({"q": "aAb", "p": "Bcc"})))
    assert counts.prompt_ids == ("p", "q")
    assert counts.tags == ("a", "b", "c")
    assert counts.rollouts.tolist() == [[0, 1, 2], [2, 1, 0]]
    assert counts.correct.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert counts.samples_per_prompt == 3


def test_unequal_samples_have_no_common_number() -> None:
    counts = tally(rollouts_to_table(probe_rollouts({"p": "aa", "q": "a"})))
    assert counts.samples_per_prompt is None


def test_rollouts_without_a_known_answer_are_counted_but_not_graded() -> None:
    rows = [rollout(correct=value) for value in (True, False, None, None)]
    counts = tally(rollouts_to_table(rows))
    assert (counts.rollouts.sum(), counts.graded.sum(), counts.correct.sum()) == (4, 2, 1)
