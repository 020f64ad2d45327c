"""What tells configurations apart."""

from formatlab.show.variant import variant_labels


def test_seeds_make_no_variant() -> None:
    one = {"seed": 0, "base": {"seed": 0, "sha256": "ab"}, "grpo": {"epochs": 2}}
    other = {"seed": 1, "base": {"seed": 1, "sha256": "cd"}, "grpo": {"epochs": 2}}
    assert variant_labels([one, other]) == ["", ""]


def test_what_differs_is_named() -> None:
    configs = [{"grpo": {"epochs": 1}}, {"grpo": {"epochs": 2}}, {"grpo": {"epochs": 1}}]
    assert variant_labels(configs) == ["epochs 1", "epochs 2", "epochs 1"]
    assert variant_labels([{"lora": None, "a": 1}, {"a": 1}]) == ["lora null", "lora absent"]


def test_many_differences_are_numbered() -> None:
    configs = [{"a": i, "b": i, "c": i} for i in (2, 1, 2)]
    assert variant_labels(configs) == [
        "a 2, b 2, variant 2",
        "a 1, b 1, variant 1",
        "a 2, b 2, variant 2",
    ]
