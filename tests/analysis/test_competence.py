"""Scale or competence: what is read from runs, and what is asked of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import Factory, run_factory

from formatlab.analysis.competence import (
    RunPoint,
    coefficient_rows,
    competence,
    pair_rows,
)
from formatlab.errors import InputError
from formatlab.show.study import measured_study

MIXTURE = {"program": 0.3, "tool_tags": 0.2, "prose": 0.5}
ACCURACY = {"program": 0.4, "tool_tags": 0.6, "prose": 0.8}
POINT = RunPoint(
    run="run",
    scale="0.04M",
    parameters=40_000,
    after=1.0,
    pretraining="0.04M w0s0",
    shares={"program": 0.5, "prose": 0.5},
    accuracies={"program": 0.5, "prose": 0.5},
    worked_share=0.5,
    gap=0.0,
    winner="prose",
    leader="prose",
    end_share=0.9,
)


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    """Runs that start as the mixture and end in prose."""
    make = run_factory(tmp_path)

    def of_mixture(**options: Any) -> Any:
        plain = {"start": MIXTURE, "end": {"prose": 1.0}, "accuracy": ACCURACY, "mixture": MIXTURE}
        few = {"probe_samples": 8, "probe_epochs": (0.0, 2.0), "train": False}
        return make(**plain | few | options)

    return of_mixture


def test_a_run_is_what_it_started_from_and_how_it_ended(make_run: Factory) -> None:
    run = make_run(seed=3, probe_prompts=200)
    (row,) = competence(measured_study([run])).runs
    assert {name: row[name] for name in ("run", "scale", "parameters", "pretraining", "after")} == {
        "run": run.name,
        "scale": "0.15M",
        "parameters": 150_000,
        "pretraining": "0.15M w0s3",
        "after": 1.0,
    }
    assert (row["winner"], row["leader"], row["worked"]) == ("prose", "prose", True)
    base = run.rollouts("probe", epoch=0.0).to_pylist()
    worked = [of for of in base if of["tag"] == "prose"]
    executed = [of for of in base if of["tag"] != "prose"]
    accuracies = [np.mean([of["correct"] for of in some]) for some in (worked, executed)]
    assert row["gap"] == pytest.approx(accuracies[0] - accuracies[1])
    assert row["worked_share"] == pytest.approx(len(worked) / len(base))
    assert row["end_share"] == 1.0
    of_tools = [of["correct"] for of in base if of["tag"] == "tool_tags"]
    assert row["accuracy_tool_tags"] == pytest.approx(np.mean(of_tools))
    assert row["share_tool_tags"] == pytest.approx(len(of_tools) / len(base))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"done": False}, "not finished"),
        ({"probe_epochs": (0.0,)}, "not finished"),
        ({"undertrained": True}, "of an undertrained base"),
        ({"start": {"prose": 1.0}}, "of a base with fewer than 20 rollouts of a kind of format"),
        ({"end": {"none": 1.0}}, "that end in no format"),
    ],
)
def test_runs_that_say_nothing_are_counted_with_the_reason(
    make_run: Factory, options: Mapping[str, Any], reason: str
) -> None:
    odd = make_run(seed=1, **options)
    found = competence(measured_study([make_run(seed=0), odd]))
    assert len(found.runs) == 1
    assert found.left_out == {reason: 1}
    with pytest.raises(InputError, match=f"no run of synthetic counts: 1 {reason}"):
        competence(measured_study([odd]))


def test_runs_of_several_settings_are_refused(make_run: Factory) -> None:
    runs = [make_run(seed=0), make_run(seed=0, algorithm="ppo")]
    with pytest.raises(InputError, match="2 combinations of stages, reward and mixture"):
        competence(measured_study(runs))


def test_an_accuracy_of_few_rollouts_is_no_accuracy(make_run: Factory) -> None:
    rare = make_run(start={"program": 0.5, "tool_tags": 0.01, "prose": 0.49})
    (row,) = competence(measured_study([rare])).runs
    assert row["accuracy_tool_tags"] is None
    assert row["accuracy_program"] is not None


def pairs_of(*points: RunPoint) -> dict[tuple[str, str], tuple[int, float | None, float | None]]:
    return {
        (row["scale"], row["accuracy"]): (row["pairs"], row["same_kind"], row["same_format"])
        for row in pair_rows(points)
    }


def test_pairs_are_told_by_scale_and_by_accuracy_in_every_format() -> None:
    near = {"program": 0.6, "prose": 0.41}
    close = replace(POINT, scale="0.27M", accuracies=near, leader="latex")
    apart = replace(POINT, accuracies={"program": 0.5, "prose": 0.61}, leader="program")
    found = pairs_of(POINT, close, apart)
    assert found == {
        ("different", "matched"): (1, 1.0, 0.0),  # both worked, in other formats
        ("same", "matched"): (0, None, None),
        ("same", "different"): (1, 0.0, 0.0),
        ("different", "different"): (1, 0.0, 0.0),
    }
    unknown = replace(POINT, accuracies={"program": None, "prose": 0.5})
    assert sum(count for count, _, _ in pairs_of(POINT, unknown).values()) == 0


def study(cause: str) -> list[RunPoint]:
    """A made-up study in which either the gap or the scale alone decides how runs end."""
    generator, points = np.random.default_rng(0), []
    for place, scale in enumerate(("0.04M", "0.08M", "0.13M", "0.27M")):
        for seed in range(4):
            talent = generator.normal(0, 0.1)
            for after in (0.15, 0.3, 0.6, 1.0):
                gap = 0.5 - 0.8 * np.exp(-2.2 * after * (1 + place)) + talent * after
                effect = 10 * gap if cause == "gap" else 3 * (place - 1.5)
                end = 1 / (1 + np.exp(-effect - generator.normal(0, 0.5)))
                share = 0.5 + generator.normal(0, 0.03)
                points.append(
                    replace(
                        POINT,
                        scale=scale,
                        parameters=40_000 * 2**place,
                        after=after,
                        pretraining=f"{scale} w0s{seed}",
                        shares={"program": 1 - share, "prose": share},
                        accuracies={"program": 0.48, "prose": 0.48 + gap},
                        worked_share=share,
                        gap=gap,
                        leader="prose" if end > 0.5 else "program",
                        end_share=end,
                    )
                )
    return points


@pytest.mark.parametrize("outcome", ["leader is worked", "end share of worked"])
@pytest.mark.parametrize(
    ("cause", "decides", "adds_nothing"),
    [
        ("gap", "accuracy gap", "log parameters"),
        ("scale", "log parameters", "accuracy gap"),
    ],
)
def test_what_decides_keeps_its_effect_beside_the_other(
    outcome: str, cause: str, decides: str, adds_nothing: str
) -> None:
    rows = coefficient_rows(study(cause))
    found = {
        (row["model"], row["predictor"]): (row["coefficient_low"], row["coefficient_high"])
        for row in rows
        if row["outcome"] == outcome
    }
    alone = {"log parameters": "scale", "accuracy gap": "competence"}
    for name in alone:  # each tells the end as long as the other is not in the model
        assert found[alone[name], name][0] > 0, name
    low, high = found["both", decides]
    assert 0 < low < high
    low, high = found["both", adds_nothing]
    assert low < 0 < high
    assert {row["pretrainings"] for row in rows} == {16} and {row["runs"] for row in rows} == {64}


def test_models_by_format_have_an_accuracy_and_a_share_of_each() -> None:
    points = study("gap")
    points[0] = replace(points[0], accuracies={"program": None, "prose": 0.1})
    rows = [row for row in coefficient_rows(points) if row["outcome"] == "end share of worked"]
    by_model: dict[str, list[str]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row["predictor"])
    formats = ["accuracy program", "accuracy prose", "share program"]
    assert by_model["competence by format"] == formats
    assert by_model["both by format"] == ["log parameters", *formats]
    # A base without one of the accuracies counts in the other models alone.
    counts = {row["model"]: row["runs"] for row in rows}
    assert counts["both"] == 64 and counts["both by format"] == 63


def test_a_made_up_study_is_matched_as_it_was_made() -> None:
    by_gap = {key: same for key, (_, same, _) in pairs_of(*study("gap")).items()}
    by_scale = {key: same for key, (_, same, _) in pairs_of(*study("scale")).items()}
    at_matched, at_same_scale = ("different", "matched"), ("same", "different")
    assert (by_gap[at_matched] or 0) > 0.85 > (by_gap[at_same_scale] or 1)
    assert (by_scale[at_same_scale] or 0) > 0.85 > (by_scale[at_matched] or 1)
