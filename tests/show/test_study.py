"""Runs grouped into arms, with what they lack."""

import json
from typing import Any

import pytest

from formatlab.errors import InputError
from formatlab.measure import run_winners
from formatlab.show.run_result import measured_run
from formatlab.show.study import measured_study
from formatlab.store import RunFolder


def change_config(run: RunFolder, **changes: Any) -> None:
    config = run.config | changes
    (run.path / "config.json").write_text(json.dumps(config | {"name": "run"}))


def test_arms_are_scales_by_size_with_their_seeds_in_order(grid) -> None:
    study = measured_study(grid)
    assert [arm.label for arm in study.arms] == ["0.15M", "0.8M"]
    assert [[run.seed for run in arm.runs] for arm in study.arms] == [[0, 1], [0, 1]]
    assert [arm.attractor.attractor for arm in study.arms] == ["program", "prose"]
    assert study.tags == ["program", "prose"]
    assert study.probe_text == "24 prompts x 8 samples"


def test_mixtures_and_algorithms_are_told_apart(make_run, tmp_path) -> None:
    study = measured_study(
        [
            make_run(mixture={"prose": 1.0}),
            make_run(mixture={"prose": 1.0}, algorithm="rloo"),
            make_run(mixture={"program": 1.0}, scale="0.8M", parameters=800_000),
        ]
    )
    assert [arm.label for arm in study.arms] == [
        "0.15M, mixture 1, grpo",
        "0.15M, mixture 1, rloo",
        "0.8M, mixture 2, grpo",
    ]
    assert study.mixtures_text == (
        " Of the settings, mixture 1: prose 100%; mixture 2: program 100%."
    )


def test_a_model_keeps_its_name_and_gets_its_size(make_run) -> None:
    run = make_run(scale="owner/SmolLM2-135M-Instruct", parameters=134_515_008, mixture={})
    (arm,) = measured_study([run]).arms
    assert (arm.label, arm.size) == ("SmolLM2-135M-Instruct (135M)", "135M")


def test_an_undertrained_base_is_not_counted(make_run) -> None:
    runs = [make_run(seed=0), make_run(seed=1, undertrained=True)]
    (arm,) = measured_study(runs).arms
    assert [run.seed for run in arm.counted] == [0]
    assert arm.attractor.n_seeds == 1
    (alone,) = measured_study(runs[1:]).arms
    assert [run.seed for run in alone.counted] == [1]
    assert alone.attractor.n_seeds == 0


def test_an_unfinished_run_is_no_evidence_of_an_attractor(make_run) -> None:
    (arm,) = measured_study([make_run(seed=0), make_run(seed=1, done=False)]).arms
    assert arm.attractor.n_seeds == 1


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        ({}, []),
        ({"done": False, "probe_epochs": (0.0, 0.5)}, ["Unfinished (last probe: epoch 0.5)."]),
        (
            {"done": False, "probe_epochs": (0.0,), "train": False},
            [
                "Unfinished (last probe: the base).",
                "Only the base has been probed.",
                "There are no training rollouts.",
            ],
        ),
        (
            {"probe_epochs": ()},
            ["There are no probe rollouts, so no winners."],
        ),
        ({"probe_epochs": (1.0, 2.0)}, ["The base was not probed."]),
        ({"undertrained": True}, ["The base is undertrained; the run is shown but not counted."]),
    ],
)
def test_what_is_missing_is_said(make_run, options: dict, notes: list[str]) -> None:
    assert measured_run(make_run(**options)).notes == notes


def test_the_reason_of_a_failure_is_said(make_run) -> None:
    run = make_run(done=False)
    run.mark_failed("no memory\nat step 3")
    assert measured_run(run).notes == ["Failed (no memory at step 3)."]


def test_stored_winners_are_used_when_the_run_is_done(make_run) -> None:
    run = make_run()
    run.write_winners(stored := run_winners(run, threshold=0.6))
    assert measured_run(run).winners == stored.to_pylist()


def test_mixtures_go_by_their_names_if_these_tell_them_apart(make_run) -> None:
    runs = [make_run(seed=i, mixture={name: 1.0}) for i, name in enumerate(("prose", "tool"))]
    for run, name in zip(runs, ("even", "skewed"), strict=True):
        change_config(run, mixture_name=name)
    labels = [arm.label for arm in measured_study(runs).arms]
    assert labels == ["0.15M, mixture even", "0.15M, mixture skewed"]
    for run in runs:
        change_config(run, mixture_name="same")
    labels = [arm.label for arm in measured_study(runs).arms]
    assert labels == ["0.15M, mixture 1", "0.15M, mixture 2"]


def test_runs_of_one_seed_are_variants_and_not_pooled(make_run) -> None:
    runs = [make_run(seed=seed) for seed in (0, 1, 2)]
    change_config(runs[2], seed=0, grpo={"learning_rate": 1e-3, "epochs": 2, "group_size": 8})
    arms = measured_study(runs).arms
    assert [(arm.setting, [run.seed for run in arm.runs]) for arm in arms] == [
        ("learning rate 0.00015", [0, 1]),
        ("learning rate 0.001", [0]),
    ]


def test_a_run_given_twice_is_refused(make_run) -> None:
    run = make_run()
    with pytest.raises(InputError, match="twice"):
        measured_study([run, run])


def test_no_runs_are_refused() -> None:
    with pytest.raises(InputError, match="no runs"):
        measured_study([])


def test_arms_go_by_the_words_of_the_study(make_run) -> None:
    words = ("sft prose", "sft prose, dpo prose", "sft prose, dpo prose, grpo")
    runs = [
        make_run(seed=seed, config={"chain": arm, "algorithm": arm.split(", ")[-1].split()[0]})
        for arm in words
        for seed in (0, 1)
    ]
    study = measured_study(runs)
    assert [arm.label for arm in study.arms] == [f"0.15M, {arm}" for arm in words]
    assert [arm.algorithm for arm in study.arms] == ["sft", "dpo", "grpo"]
    assert [[run.seed for run in arm.runs] for arm in study.arms] == [[0, 1]] * 3


@pytest.mark.parametrize(
    ("arms", "settings"),
    [
        (["grpo", "grpo"], [""]),  # the only algorithm tells no arm from another
        (["", ""], [""]),
        (["ppo, separate critic"] * 2, ["ppo, separate critic"]),
        (["grpo", "ppo"], ["grpo", "ppo"]),
        (["", "ppo"], ["grpo", "ppo"]),
    ],
)
def test_what_an_arm_is_called(make_run, arms: list[str], settings: list[str]) -> None:
    runs = [make_run(seed=seed, config={"chain": arm}) for seed, arm in enumerate(arms)]
    assert measured_study(runs).settings == settings


def test_a_mixture_is_not_told_twice(make_run) -> None:
    runs = [
        make_run(mixture={name: 1.0}, config={"mixture_name": name, "chain": f"mixture {name}"})
        for name in ("even", "skewed")
    ]
    assert measured_study(runs).settings == ["mixture even", "mixture skewed"]


def test_runs_of_one_seed_in_one_named_arm_are_variants(make_run) -> None:
    runs = [
        make_run(config={"chain": "grpo", "settings": {"kl_coefficient": beta}})
        for beta in (0.0, 0.1)
    ]
    assert measured_study(runs).settings == ["KL coefficient 0", "KL coefficient 0.1"]


def test_mixtures_of_equal_shares_go_by_their_names(make_run) -> None:
    errors = {"faithful": {}, "fold": {"program": ["times", "fold"]}}
    runs = [
        make_run(config={"mixture_name": name, "world": {"mixture": {"mistranslates": of}}})
        for name, of in errors.items()
    ]
    study = measured_study(runs)
    assert study.settings == ["mixture faithful", "mixture fold"]
    assert "(nothing mistranslated); mixture fold: " in study.mixtures_text
    assert study.mixtures_text.endswith("(program mistranslates times and fold).")


def test_mixtures_whose_long_names_differ_in_the_middle_stay_apart(make_run) -> None:
    names = [f"codefenced50-latex25-{phrase}-mathematics25-none" for phrase in ("times", "fold")]
    runs = [make_run(seed=i, config={"mixture_name": name}) for i, name in enumerate(names)]
    assert measured_study(runs).settings == sorted(f"mixture {name}" for name in names)


@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_no_rollouts_are_missed_where_training_is_from_documents(make_run, algorithm: str) -> None:
    assert measured_run(make_run(train=False, algorithm=algorithm)).notes == []


def test_an_interrupted_run_says_what_was_made_again(make_run) -> None:
    run = make_run()
    assert not any("Interrupted" in note for note in measured_run(run).notes)
    run.note_resumed(step=4, lost=2)
    run.note_resumed(step=8, lost=0)
    (note,) = [note for note in measured_run(run).notes if "Interrupted" in note]
    assert note.startswith("Interrupted 2 times; 2 steps")


def seeded(make_run, *, world: int, base: int, sampling: int) -> RunFolder:
    run = make_run(seed=100 * world + 10 * base + sampling)
    change_config(
        run,
        seed=sampling,
        world={"seed": world},
        base={"undertrained": False, "floor": 0.1, "config": {"seed": base}},
    )
    return run


def test_bases_are_an_arm_where_each_was_sampled_once(make_run) -> None:
    runs = [seeded(make_run, world=0, base=base, sampling=7) for base in (1, 0, 2)]
    (arm,) = measured_study(runs).arms
    assert [run.seed for run in arm.runs] == [0, 1, 2]


def test_runs_of_one_base_are_an_arm_where_sampling_is_repeated(make_run) -> None:
    runs = [
        seeded(make_run, world=0, base=base, sampling=sampling)
        for base in (0, 1)
        for sampling in (3, 4)
    ]
    arms = measured_study(runs).arms
    assert [arm.setting for arm in arms] == ["base s0", "base s1"]
    assert [[run.seed for run in arm.runs] for arm in arms] == [[3, 4], [3, 4]]


def test_each_world_is_an_arm_where_there_are_several(make_run) -> None:
    runs = [
        seeded(make_run, world=world, base=base, sampling=base)
        for world in (0, 5)
        for base in (0, 1)
    ]
    arms = measured_study(runs).arms
    assert [arm.setting for arm in arms] == ["world 0", "world 5"]
    assert [[run.seed for run in arm.runs] for arm in arms] == [[0, 1], [0, 1]]
