"""Stages from documents cannot collapse; stages after others start from a start, not the base."""

import io
from pathlib import Path

import pytest

from formatlab.show.figures.accuracy_by_scale import accuracy_by_scale
from formatlab.show.figures.share_over_training import share_over_training, share_rows
from formatlab.show.figures.training_signals import training_signals
from formatlab.show.figures.winner_by_scale import winner_by_scale
from formatlab.show.report.report import write_report
from formatlab.show.study import measured_study
from formatlab.show.tables.collapse import collapse_rows, collapse_table
from formatlab.show.tables.drift import drift_rows, drift_table
from formatlab.show.tables.results import markdown, print_study, result_rows, study_table

SFT = {"algorithm": "sft", "settings": {}}
ONE_SIDED = {"prose": 1.0}
"""What would be a collapse at step 0."""


def chain(make_run, **options) -> list:
    """An SFT on documents and GRPO after it."""
    first = {"algorithm": "sft", "chain": "sft prose"}
    second = {"algorithm": "grpo", "chain": "sft prose, grpo", "before": [SFT]}
    options["mixture"] = {"program": 0.4, "prose": 0.6}
    moved = {"start": {"program": 0.1, "prose": 0.9}, "end": {"program": 0.9, "prose": 0.1}}
    return [
        make_run(config=first, train=False, end=moved["start"], **options),
        make_run(config=second, **moved, **options),
    ]


@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_samples_of_the_start_are_no_collapse(make_run, algorithm: str) -> None:
    run = make_run(algorithm=algorithm, start=ONE_SIDED, end=ONE_SIDED)
    study = measured_study([run])
    assert study.runs[0].collapse_step is None
    assert {row["collapse_step"] for row in result_rows(study)} == {None}
    assert [row[-1] for row in study_table(study).rows] == ["", "", "-"]
    (row,) = collapse_rows(study)
    assert (row["collapsed"], row["formats"], row["median_step"]) == (None, "", None)
    assert collapse_table(study).rows[0][2] == "no rollouts"


@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_samples_of_the_start_are_not_drawn(all_text, make_run, algorithm: str) -> None:
    study = measured_study([make_run(algorithm=algorithm)])
    assert {row["split"] for row in share_rows(study)} == {"probe"}
    figure = share_over_training(study)
    assert "training rollouts of each step" not in " ".join(all_text(figure).split())
    assert any(line.get_linestyle() == ":" for line in figure.axes[0].lines)


def test_a_chain_starts_from_its_start(all_text, make_run, tmp_path: Path) -> None:
    runs = chain(make_run)
    study = measured_study(runs)
    epochs = [row[3] for row in study_table(study).rows]
    assert epochs == ["base", "1", "2", "start", "1", "2"]
    for words in ("H(F) start", "Drift from the start", "From the base: "):
        assert words in markdown(study)
    assert "start: at the start" not in all_text(accuracy_by_scale(study))
    assert "sft prose, grpo: at the start" in all_text(accuracy_by_scale(study))
    page = write_report(tmp_path / "study", runs).read_text()
    assert "<h3>Start</h3>" in page and "<h3>Base</h3>" in page
    unprobed = make_run(config={"before": [SFT]}, probe_epochs=(0.0,), seed=9, done=False)
    assert "Only the start has been probed." in measured_study([unprobed]).runs[0].notes


def test_the_distance_of_a_chain_is_from_the_base_too(make_run) -> None:
    study = measured_study([run for seed in (0, 1) for run in chain(make_run, seed=seed)])
    rows = drift_rows(study)
    assert [row["from_base"] is None for row in rows] == [True] * 3 + [False] * 3
    last = rows[-2]
    shares = [
        {of["tag"]: of["share"] for of in row["formats"]}["prose"]
        for run, row in ((study.arms[0].runs[1], 0), (study.arms[1].runs[1], -1))
        for row in [run.winners[row]]
    ]
    assert last["from_base"] == pytest.approx(abs(shares[0] - shares[1]))
    assert last["from_base_low"] <= last["from_base"] <= last["from_base_high"]
    assert rows[-1]["from_base"] == pytest.approx(sum(r["from_base"] for r in rows[3:5]) / 2)
    table = drift_table(study)
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert [row[-1] == "-" for row in table.rows] == [True] * 3 + [False] * 3


def test_without_chains_there_is_no_such_column(grid) -> None:
    study = measured_study(grid)
    assert "from_base" not in drift_rows(study)[0]
    assert drift_table(study).headings[-1] == "accuracy change [95%]"


def test_the_kl_of_a_chain_is_to_its_start(all_text, make_run) -> None:
    metrics = [{"step": step, "epoch": step / 4, "kl": 0.1} for step in range(2)]
    plain = make_run(metrics=metrics)
    later = make_run(metrics=metrics, config={"before": [SFT]})
    assert "KL to the base" in all_text(training_signals(measured_study([plain])))
    assert "KL to the start" in all_text(training_signals(measured_study([later])))


def test_correctness_is_named_beside_other_rewards_in_chains(make_run) -> None:
    words = {"chain": "sft prose, grpo", "before": [SFT]}
    runs = [make_run(config=words | {"reward": of}) for of in ("correctness", "random")]
    sft = make_run(config={"chain": "sft prose", "algorithm": "sft"}, train=False)
    study = measured_study([*runs, sft])
    # What learns from documents is not rewarded.
    assert study.settings == [
        "sft prose",
        "sft prose, grpo, correctness reward",
        "sft prose, grpo, random reward",
    ]
    only = measured_study([runs[1], sft])
    assert "Trained with random reward." in markdown(only)


LORA = {"rank": 4, "alpha": 32}
BONUS = {"bonus": "ucb_mean", "over": "format", "coefficient": 0.2}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, ""),
        ({"chain": "grpo", "exploration": {"bonus": "none"}, "lora": None}, ""),
        ({"algorithm": "ppo", "chain": "ppo"}, "Trained with PPO."),
        ({"algorithm": "dr_grpo"}, "Trained with Dr. GRPO."),
        ({"exploration": BONUS}, "Trained with GRPO, bonus ucb_mean over formats."),
        (
            {"algorithm": "ppo", "exploration": BONUS, "lora": LORA},
            "Trained with PPO, bonus ucb_mean over formats, LoRA rank 4.",
        ),
        ({"before": [SFT, {"algorithm": "dpo"}]}, "Trained with SFT then DPO then GRPO."),
    ],
)
def test_what_trained_a_single_arm_is_said(
    make_run, tmp_path: Path, config: dict, sentence: str
) -> None:
    run = make_run(config=config)
    study = measured_study([run])
    output = io.StringIO()
    print_study(study, output)
    page = write_report(tmp_path / "study", [run]).read_text()
    head = page[page.index("<header>") : page.index("</header>")]
    for text in (output.getvalue(), markdown(study), head):
        assert sentence in text
        assert ("Trained with" in text) == bool(sentence)


def test_only_what_all_arms_share_is_said(make_run) -> None:
    runs = [make_run(config={"chain": of, "algorithm": of, "lora": LORA}) for of in ("grpo", "ppo")]
    assert "Trained with LoRA rank 4." in markdown(measured_study(runs))
    runs = [make_run(config={"chain": of, "algorithm": of}) for of in ("grpo", "ppo")]
    assert "Trained with" not in markdown(measured_study(runs))


def test_a_bonus_is_said_beside_stages_that_cannot_have_one(make_run) -> None:
    sft = make_run(config={"algorithm": "sft", "chain": "sft"}, train=False)
    grpo = make_run(config={"chain": "sft, grpo", "before": [SFT], "exploration": BONUS})
    assert "Trained with bonus ucb_mean over formats." in markdown(measured_study([sft, grpo]))


def test_an_unprobed_chain_has_a_cell(all_text, make_run) -> None:
    run = make_run(config={"before": [SFT]}, probe_epochs=(0.0,), done=False)
    assert "start only" in all_text(winner_by_scale(measured_study([run])))
