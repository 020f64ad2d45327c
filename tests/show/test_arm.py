"""What tells configurations apart."""

import pytest

from formatlab.show.arm import variant_labels


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
