"""Rollouts to read."""

from pathlib import Path

import pytest
from synthetic_runs import probe_rollouts, rollout

from formatlab.show.report.examples import examples_of
from formatlab.store import RunFolder, rollout_file


def test_the_first_correct_and_the_first_wrong_of_each_tag(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    run.write_rollouts("probe", 0.0, probe_rollouts({"p": "aAB", "q": "AaB"}))
    run.write_rollouts("probe", 1.0, probe_rollouts({"p": "ccc"}, epoch=1.0))
    first, second = examples_of(run, 0.0)
    assert (first.tag, first.n_rollouts, first.n_correct) == ("a", 4, 2)
    assert [(s.prompt_id, s.sample) for s in first.examples] == [("p", 1), ("p", 0)]
    assert (second.tag, second.n_rollouts, len(second.examples)) == ("b", 2, 1)
    assert [of_tag.tag for of_tag in examples_of(run, 1.0)] == ["c"]
    assert examples_of(run, 2.0) == []


def test_probes_are_read_a_few_rollouts_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    rows = probe_rollouts({"p": "aaab", "q": "bbA", "r": "aAbBc"})
    run.write_rollouts("probe", 0.0, rows)
    whole = examples_of(run, 0.0)
    monkeypatch.setattr(rollout_file, "_BATCH_ROWS", 2)
    monkeypatch.delattr(RunFolder, "rollouts")
    assert examples_of(run, 0.0) == whole
    assert [(s.prompt_id, s.sample) for s in whole[0].examples] == [("q", 2), ("p", 0)]


def test_oddities_are_told_and_long_or_odd_texts_made_readable(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    row = rollout(
        completion="a\x00" + "b" * 5000 + "The answer is 14.",
        tokens=1234,
        truncated=True,
        mixed=True,
        well_formed=False,
        correct=False,
        reason="wrong",
        answer=None,
    )
    run.write_rollouts("probe", 0.0, [row])
    ((example,),) = [of_tag.examples for of_tag in examples_of(run, 0.0)]
    assert example.remarks == "1,234 tokens, not well formed, mixed formats, truncated"
    assert (example.verdict, example.answer) == ("wrong", "-")
    assert example.completion.startswith("a␀b") and example.completion.endswith("is 14.")
    assert len(example.completion) < 1_600


def test_what_was_not_graded_is_not_called_wrong(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    run.write_rollouts("probe", 0.0, [rollout(gold=None, correct=None, answer=None)])
    (of_tag,) = examples_of(run, 0.0)
    (example,) = of_tag.examples
    assert (example.gold, example.verdict) == ("-", "not graded")
