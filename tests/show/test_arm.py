"""What tells configurations apart."""

from typing import Any

import pytest
from small_runs import Factory

from formatlab.errors import InputError
from formatlab.show.arm import _without_seed, variant_labels
from formatlab.show.study import measured_study
from formatlab.store import RunFolder


def test_seeds_make_no_variant() -> None:
    one = {"seed": 0, "base": {"seed": 0, "sha256": "ab"}, "grpo": {"epochs": 2}}
    other = {"seed": 1, "base": {"seed": 1, "sha256": "cd"}, "grpo": {"epochs": 2}}
    assert variant_labels([one, other]) == ["", ""]


def test_what_seeds_change_splits_no_arm_beside_another_setting() -> None:
    def config(seed: int, epochs: int) -> dict:
        return {
            "seed": seed,
            "start_sha256": f"weights of {seed}",
            "base": {
                "config": {"seed": seed},
                "sha256": f"weights of {seed}",
                "held_out_loss": {"prose": 2.5 + seed},
                "token_shares": {"prose": 0.5 + seed},
                "undertrained": bool(seed),
            },
            "settings": {"epochs": epochs},
        }

    configs = [config(0, 2), config(1, 2), config(0, 1)]
    assert variant_labels(configs) == ["epochs 2", "epochs 2", "epochs 1"]


def test_runs_from_parts_of_a_pretraining_are_arms_of_their_own(make_run: Factory) -> None:
    def run(seed: int, after: float) -> RunFolder:
        of_base: dict[str, Any] = {"seed": seed, "pretraining": {"kept": [0.15, 0.6]}}
        if after < 1:
            of_base["after"] = after
        return make_run(seed=seed, config={"base": {"config": of_base}})

    runs = {(seed, after): run(seed, after) for seed in (1, 0) for after in (1.0, 0.6, 0.15)}
    arms = measured_study(list(runs.values())).arms
    assert [(arm.label, [of.seed for of in arm.runs]) for arm in arms] == [
        (f"0.15M, after {part}% of pretraining", [0, 1]) for part in (15, 60, 100)
    ]
    (whole,) = measured_study([runs[seed, 1.0] for seed in (1, 0)]).arms
    assert whole.label == "0.15M"


def test_what_differs_is_named() -> None:
    configs = [{"grpo": {"epochs": 1}}, {"grpo": {"epochs": 2}}, {"grpo": {"epochs": 1}}]
    assert variant_labels(configs) == ["epochs 1", "epochs 2", "epochs 1"]
    assert variant_labels([{"lora": None, "a": 1}, {"a": 1}]) == ["", ""]


def test_many_differences_are_numbered() -> None:
    configs = [{"a": 1, "b": 1, "c": 1, "d": i} for i in (2, 1, 2)]
    assert variant_labels(configs) == ["d 2", "d 1", "d 2"]
    kinds = [(1, 1, 1, 1), (1, 1, 1, 2), (2, 2, 2, 2)]
    labels = variant_labels([dict(zip("abcd", kind, strict=True)) for kind in kinds])
    assert labels == [
        *(f"a {of}, b {of}, c {of}, variant {n}" for n, of in enumerate((1, 1, 2), 1)),
    ]


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ([{"kl_coefficient": x} for x in (0.0, 1e-2)], ["KL coefficient 0", "KL coefficient 0.01"]),
        (
            [{"learning_rate": x} for x in (1e-4, 1e-5)],
            ["learning rate 0.0001", "learning rate 0.00001"],
        ),
        ([{"group_size": x} for x in (4, 16)], ["group size 4", "group size 16"]),
        ([{"ratio": x} for x in ("token", "sequence")], ["ratio token", "ratio sequence"]),
        (
            [{"formats": ["prose", "latex"]}, {"formats": []}],
            ["formats prose and latex", "formats none"],
        ),
        ([{"faithful": True}, {}], ["faithful yes", "faithful unset"]),
        ([{"cap": None}, {"cap": 3}], ["cap none", "cap 3"]),
    ],
)
def test_settings_are_words(settings: list, labels: list[str]) -> None:
    assert variant_labels([{"settings": of} for of in settings]) == labels


UCB = {"bonus": "ucb_mean", "over": "answer", "coefficient": 0.2}
BATCH = {"bonus": "batch", "over": "format", "coefficient": 0.2}


@pytest.mark.parametrize(
    ("bonuses", "labels"),
    [
        (
            [{"bonus": "none"}, UCB, BATCH],
            ["no bonus", "bonus ucb_mean over answers", "bonus batch over formats"],
        ),
        (
            [UCB, UCB | {"coefficient": 1.0}, BATCH],
            [
                "bonus ucb_mean over answers with coefficient 0.2",
                "bonus ucb_mean over answers with coefficient 1",
                "bonus batch over formats",
            ],
        ),
        ([None, BATCH], ["no bonus", "bonus batch over formats"]),
    ],
)
def test_a_bonus_is_one_unit(bonuses: list, labels: list[str]) -> None:
    assert variant_labels([{"exploration": of} for of in bonuses]) == labels


def test_an_adapter_is_one_unit() -> None:
    adapters = [None, {"rank": 4, "alpha": 32}, {"rank": 8, "alpha": 16}]
    labels = variant_labels([{"lora": of} for of in adapters])
    assert labels == ["all weights", "LoRA rank 4", "LoRA rank 8"]


def test_what_a_base_of_another_seed_came_to_makes_no_variant() -> None:
    configs = [
        {"seed": i, "base": {"held_out_loss": {"prose": i}, "token_shares": {"prose": i}}}
        for i in range(2)
    ]
    assert variant_labels(configs) == ["", ""]


def test_what_is_stored_twice_is_told_once() -> None:
    configs = [{"world": {"largest": i}, "base": {"world": {"largest": i}}} for i in (9, 20)]
    assert variant_labels(configs) == ["largest 9", "largest 20"]


@pytest.mark.parametrize(
    ("name", "seed", "left"),
    [
        ("long-s0", 0, "long"),
        ("long_seed_3", 3, "long"),
        ("seed=3 long", 3, "long"),
        ("long-SEED03-x", 3, "long-x"),
        ("qwen2-s2", 2, "qwen2"),
        ("long-1-x", 1, "long-x"),
        ("long7", 7, "long"),
        ("s4", 4, "run"),
        ("long", 0, "long"),
        ("steps-s1", 0, "steps-s1"),
        ("0.04M-long", 0, "0.04M-long"),
        ("run10", 0, "run10"),
        ("lr1e-4", 4, "lr1e"),
        ("loss-10", 1, "loss-10"),
    ],
)
def test_a_folder_is_called_without_its_seed(name: str, seed: int, left: str) -> None:
    assert _without_seed(name, seed) == left


def recorded(make_run: Factory, name: str, *, seed: int = 0, **config: Any) -> RunFolder:
    """A run as `FormatRecorder` leaves it, in a folder of this name."""
    run = make_run(seed=seed, config={"trainer": {"beta": 0.0}, **config})
    return RunFolder.open(run.path.rename(run.path.with_name(name)))


def data(name: str, digest: str) -> dict[str, Any]:
    return {"data": {"train": {"name": name, "rows": 8, "digest": digest}, "eval": None}}


def settings_of(runs: list[RunFolder]) -> dict[str, int]:
    return {arm.setting: len(arm.runs) for arm in measured_study(runs).arms}


def test_recorded_runs_are_seeds_only_if_they_are_called_so(make_run) -> None:
    runs = [recorded(make_run, f"{name}-s{seed}", seed=seed) for name in "ab" for seed in (0, 1)]
    assert settings_of(runs) == {"a": 2, "b": 2}
    assert settings_of(runs[:2]) == {"": 2}


def test_recorded_runs_of_one_seed_go_by_their_folders(make_run) -> None:
    names = ("first", "second", "third-s42", "third")
    runs = [recorded(make_run, name, seed=42) for name in names]
    assert settings_of(runs) == dict.fromkeys(sorted(names), 1)


def test_recorded_runs_on_other_data_are_no_seeds(make_run) -> None:
    runs = [
        recorded(make_run, f"x-s{seed}", seed=seed, **data("", digest))
        for seed, digest in enumerate(("ab", "ab", "cd"))
    ]
    counts = settings_of(runs)
    assert sorted(counts.values()) == [1, 2]
    assert all(setting.startswith("data ") for setting in counts)
    named = [
        recorded(make_run, f"y-s{seed}", seed=seed, **data(name, name))
        for seed, name in enumerate(("gsm8k", "math", "gsm8k"))
    ]
    assert settings_of(named) == {"data gsm8k": 2, "data math": 1}
    same_name = [
        recorded(make_run, f"z-s{seed}", seed=seed, **data("gsm8k", digest))
        for seed, digest in enumerate(("ab", "cd"))
    ]
    assert [label[:11] for label in settings_of(same_name)] == ["data gsm8k "] * 2


def test_recorded_runs_with_other_settings_are_no_seeds(make_run) -> None:
    runs = [
        recorded(make_run, f"x-s{seed}", seed=seed, trainer={"beta": beta})
        for seed, beta in enumerate((0.0, 0.1, 0.1))
    ]
    assert settings_of(runs) == {"beta 0": 1, "beta 0.1": 2}


def test_a_real_model_on_other_problems_is_no_seed(make_run) -> None:
    runs = [
        make_run(seed=seed, config={"problems": name, "prompts_sha256": name})
        for seed, name in enumerate(("gsm8k", "math", "gsm8k"))
    ]
    assert settings_of(runs) == {"data gsm8k": 2, "data math": 1}


def test_the_same_run_twice_is_refused(make_run) -> None:
    run = recorded(make_run, "first")
    with pytest.raises(InputError, match="is there twice"):
        measured_study([run, run])
