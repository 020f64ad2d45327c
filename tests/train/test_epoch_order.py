from collections.abc import Iterator, Sequence

import pytest

from formatlab.train.epoch_order import EpochOrder


def batched(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def order(epoch: int = 0, **changes: int) -> list[int]:
    settings = {"prompts": 12, "per_step": 4, "group": 3, "reuses": 2, "seed": 7} | changes
    sampler = EpochOrder(**settings)
    sampler.set_epoch(epoch)
    indices = list(sampler)
    assert len(indices) == len(sampler)
    return indices


def test_every_prompt_comes_once_an_epoch_with_its_whole_group_and_every_reuse():
    assert {index: order().count(index) for index in range(12)} == dict.fromkeys(range(12), 3 * 2)


def test_reuses_repeat_the_whole_step():
    steps = list(batched(order(), 4 * 3))
    assert steps[0] == steps[1]
    assert steps[1] != steps[2]


def test_a_group_stands_together():
    assert all(len(set(group)) == 1 for group in batched(order(), 3))


def test_epochs_differ_and_can_be_asked_for_in_any_order():
    assert order(1) != order(0)
    sampler = EpochOrder(prompts=12, per_step=4, group=3, reuses=2, seed=7)
    sampler.set_epoch(1)
    list(sampler)
    sampler.set_epoch(0)
    assert list(sampler) == order(0)


def test_seeds_differ():
    assert order(seed=8) != order(seed=7)


@pytest.mark.parametrize("prompts", [13, 15])
def test_prompts_beyond_whole_steps_are_left_out(prompts: int):
    assert len(order(prompts=prompts)) == 12 * 3 * 2
