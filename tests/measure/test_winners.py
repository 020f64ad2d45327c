"""Winners of probes and of run folders, with their intervals."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from synthetic_runs import SyntheticRun, probe_rollouts, write_run

from formatlab.measure.bootstrap import resampled
from formatlab.measure.winners import run_winners, up_to_date, winners, winners_schema
from formatlab.store import ROLLOUT_SCHEMA, RunFolder, rollout_file
from formatlab.store.rollout import rollouts_to_table


def probe(tags_by_prompt: dict[str, str], **changes) -> pa.Table:
    return rollouts_to_table(probe_rollouts(tags_by_prompt, **changes))


def winner(tags_by_prompt: dict[str, str]) -> dict:
    (row,) = winners(probe(tags_by_prompt)).to_pylist()
    return row


def random_prompts(generator: np.random.Generator, prompts: int, shares: list[float], lean: float):
    """Return prompts of 8 samples whose formats cluster by prompt (smaller `lean`: more)."""
    letters = "abcdefg"[: len(shares)]
    found = {}
    for i in range(prompts):
        p = generator.dirichlet(lean * np.array(shares))
        sampled = generator.choice(list(letters), size=8, p=p)
        found[f"p{i:03d}"] = "".join(
            letter.upper() if generator.random() < 0.6 else letter for letter in sampled
        )
    return found


def test_a_clear_winner() -> None:
    row = winner({f"p{i}": "AAAAAab" + ("c" if i % 2 else "b") for i in range(40)})
    assert (row["winner"], row["leader"], row["runner_up"]) == ("a", "a", "b")
    assert row["share"] == pytest.approx(6 / 8)
    assert row["margin"] == pytest.approx(6 / 8 - 60 / 320)
    assert row["margin_low"] < row["margin"] < row["margin_high"]
    assert row["accuracy"] == pytest.approx(5 / 8)
    assert (row["n_prompts"], row["n_rollouts"], row["samples_per_prompt"]) == (40, 320, 8)
    by_tag = {of["tag"]: of for of in row["formats"]}
    assert [of["rollouts"] for of in by_tag.values()] == [240, 60, 20]
    assert by_tag["a"]["accuracy"] == pytest.approx(5 / 6)
    assert by_tag["b"]["accuracy"] == by_tag["b"]["accuracy_low"] == 0
    # None of its answers is right, in 40 prompts that have any: Wilson's interval.
    assert by_tag["b"]["accuracy_high"] == pytest.approx(0.0876, abs=1e-4)


def test_a_lead_within_the_noise_is_undecided() -> None:
    row = winner({f"p{i}": "aaaa" if i % 2 else "bbbb" for i in range(21)})
    assert (row["winner"], row["leader"], row["runner_up"]) == ("undecided", "b", "a")
    assert row["margin_low"] < 0 < row["margin"] < row["margin_high"]


def test_a_tie_leads_by_name_and_is_undecided() -> None:
    row = winner({f"p{i}": "bbaac" for i in range(10)})
    assert (row["winner"], row["leader"], row["runner_up"]) == ("undecided", "a", "b")
    assert row["margin"] == 0
    assert row["margin_low"] == pytest.approx(-row["margin_high"])
    assert row["margin_low"] < 0


@pytest.mark.parametrize("prompts", [1, 2, 9])
def test_few_prompts_have_no_interval_and_no_winner(prompts: int) -> None:
    row = winner({f"p{i}": "AAAAAAAa" for i in range(prompts)})
    assert (row["winner"], row["leader"], row["runner_up"]) == ("undecided", "a", None)
    assert (row["share"], row["margin"]) == (1.0, 1.0)
    assert row["margin_low"] is row["margin_high"] is None
    assert row["formats"][0]["accuracy_low"] is row["formats"][0]["share_low"] is None


def test_one_format_wins_alone() -> None:
    row = winner({f"p{i}": "Aa" for i in range(10)})
    assert (row["winner"], row["runner_up"], row["margin_high"]) == ("a", None, 1.0)
    # As if a share of 1 over 10 prompts were that of the leader beside one rival.
    assert row["margin_low"] == pytest.approx(2 * 0.7225 - 1, abs=1e-3)
    assert row["formats"][0]["share_low"] == pytest.approx(0.7225, abs=1e-3)
    assert row["format_entropy"] == row["format_entropy_given_prompt"] == 0


def test_unrecognised_output_may_win() -> None:
    rows = [row for i in range(10) for row in probe_rollouts({f"p{i}": "xxx"})]
    table = rollouts_to_table(rows)
    tags = pa.array(["none"] * table.num_rows)
    table = table.set_column(table.schema.get_field_index("tag"), "tag", tags)
    (row,) = winners(table).to_pylist()
    assert (row["winner"], row["share"], row["accuracy"]) == ("none", 1.0, 0.0)


def test_both_entropies_are_reported() -> None:
    row = winner({"p": "AAAABBCD", "q": "aaaaaaaa"})
    pooled = np.array([12, 2, 1, 1]) / 16
    assert row["format_entropy"] == pytest.approx(-np.sum(pooled * np.log(pooled)))
    assert row["format_entropy_given_prompt"] == pytest.approx(1.213008 / 2, abs=1e-6)


def test_unequal_samples_are_marked() -> None:
    assert winner({"p": "aa", "q": "a"})["samples_per_prompt"] is None


def test_epochs_are_measured_apart_and_ordered() -> None:
    late = probe({f"p{i}": "bbb" for i in range(10)}, epoch=1.0, step=16)
    early = probe({f"p{i}": "aaa" for i in range(10)}, epoch=0.125, step=2)
    table = winners(pa.concat_tables([late, early]), collapse_step=7)
    assert table.schema.equals(winners_schema())
    assert table.select(["epoch", "step", "winner", "collapse_step"]).to_pylist() == [
        {"epoch": 0.125, "step": 2, "winner": "a", "collapse_step": 7},
        {"epoch": 1.0, "step": 16, "winner": "b", "collapse_step": 7},
    ]


def test_no_probe_makes_no_rows() -> None:
    table = winners(ROLLOUT_SCHEMA.empty_table())
    assert table.num_rows == 0 and table.schema.equals(winners_schema())


@pytest.mark.parametrize("shares", [[0.4, 0.35, 0.25], [0.9, 0.06, 0.04], [0.5, 0.5]])
def test_intervals_agree_with_a_loop_over_resamples(shares: list[float]) -> None:
    """The loop copies prompts with all their rollouts, counts them and sorts, without matrices."""
    resamples, seed = 200, 5
    prompts = random_prompts(np.random.default_rng(1), 15, shares, lean=2.0)
    (row,) = winners(probe(prompts), resamples=resamples, seed=seed).to_pylist()

    margins: list[float] = []
    accuracies: dict[str, list[float]] = {of["tag"]: [] for of in row["formats"]}
    names = sorted(prompts)
    (drawn_weights,) = resampled([np.eye(len(names))], resamples, seed)
    for weights in drawn_weights:
        drawn = "".join(prompts[n] * int(times) for n, times in zip(names, weights, strict=True))
        counts = Counter(drawn.lower())
        others = [count for tag, count in counts.items() if tag != row["leader"]]
        margins.append((counts[row["leader"]] - max(others, default=0)) / len(drawn))
        for tag, found in accuracies.items():
            if counts[tag]:
                found.append(drawn.count(tag.upper()) / counts[tag])

    assert [row["margin_low"], row["margin_high"]] == pytest.approx(
        np.quantile(margins, [0.025, 0.975])
    )
    for of in row["formats"]:
        low, high = np.quantile(accuracies[of["tag"]], [0.025, 0.975])
        if low == high:  # all resamples agree; Wilson's interval is wider
            assert of["accuracy_low"] <= low <= high <= of["accuracy_high"]
            assert of["accuracy_high"] - of["accuracy_low"] > 0.1
        else:
            assert [of["accuracy_low"], of["accuracy_high"]] == pytest.approx([low, high])


def test_the_interval_of_the_margin_covers_the_truth_as_often_as_it_says() -> None:
    """300 probes of clustered rollouts with a true margin of .2; 95% +- 2.5 standard errors."""
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        prompts = random_prompts(generator, 60, [0.6, 0.4], lean=2.0)
        (row,) = winners(probe(prompts), resamples=400, seed=seed).to_pylist()
        sign = 1 if row["leader"] == "a" else -1
        covered += row["margin_low"] <= sign * 0.2 <= row["margin_high"]
    assert 0.918 <= covered / 300 <= 0.982


def test_equal_formats_are_rarely_given_a_winner() -> None:
    """Clustered rollouts of two equal formats: about 5% of probes may name one by chance."""
    generator = np.random.default_rng(1)
    named = 0
    for seed in range(200):
        prompts = random_prompts(generator, 60, [0.5, 0.5], lean=1.0)
        (row,) = winners(probe(prompts), resamples=400, seed=seed).to_pylist()
        named += row["winner"] != "undecided"
    assert named / 200 <= 0.09


def test_without_known_answers_there_are_shares_and_no_accuracies() -> None:
    rows = [replace(row, correct=None) for row in probe_rollouts({"p": "aaab", "q": "aaab"})]
    (row,) = winners(rollouts_to_table(rows)).to_pylist()
    assert (row["leader"], row["share"], row["accuracy"]) == ("a", 0.75, None)
    assert {of["accuracy"] for of in row["formats"]} == {None}
    assert {of["accuracy_low"] for of in row["formats"]} == {None}


SPEC = SyntheticRun(
    start={"program": 0.5, "prose": 0.5},
    end={"program": 0.1, "prose": 1.9},
    accuracy={"program": 0.6, "prose": 0.9},
    rollouts_per_step=64,
    probe_prompts=32,
)


def test_a_whole_run(tmp_path: Path) -> None:
    run = write_run(tmp_path, SPEC)
    table = run_winners(run, threshold=0.8, resamples=100)
    assert table["epoch"].to_pylist() == [0.0, 0.125, 0.25, 0.5, 1.0, 2.0]
    assert table["winner"][-1].as_py() == "prose"
    assert 0 < table["collapse_step"][0].as_py() < 32


def test_rollouts_are_never_all_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, SPEC)
    columns = ["epoch", "step", "prompt_id", "tag", "correct"]
    whole = winners(run.rollouts("probe", columns=columns), resamples=100)
    monkeypatch.setattr(rollout_file, "_BATCH_ROWS", 100)
    monkeypatch.delattr(RunFolder, "rollouts")
    found = run_winners(run, threshold=0.8, resamples=100)
    assert found.drop_columns(["collapse_step"]) == whole.drop_columns(["collapse_step"])
    assert 0 < found["collapse_step"][0].as_py() < 32


def test_what_was_measured_by_an_older_rule_is_not_up_to_date(tmp_path: Path) -> None:
    run = write_run(tmp_path, SPEC)
    table = run_winners(run, resamples=10)
    run.write_winners(table)
    stored = run.winners()
    assert stored is not None
    assert up_to_date(stored)
    assert not up_to_date(stored.replace_schema_metadata(None))
    assert not up_to_date(stored.drop_columns(["accuracy"]))


def test_a_run_without_training_has_no_collapse(tmp_path: Path) -> None:
    run = write_run(tmp_path, SPEC, train=False)
    assert run_winners(run, resamples=10)["collapse_step"].to_pylist() == [None] * 6
    assert run.winners() is None


def test_a_run_that_has_only_begun_has_no_winners(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    assert run_winners(run).num_rows == 0


def test_a_stage_that_learns_from_examples_cannot_collapse(tmp_path: Path) -> None:
    run = write_run(tmp_path, replace(SPEC, algorithm="dpo", end={"program": 1.0}))
    assert set(run_winners(run, resamples=10)["collapse_step"].to_pylist()) == {None}
