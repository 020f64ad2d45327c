"""The lab's Muon does what PyTorch's does, in float32."""

from itertools import pairwise
from typing import Any

import torch

from formatlab.train.pretraining.muon import Muon, orthogonal

SHAPES = [(16, 16), (40, 16), (16, 40), (16, 16)]
SETTINGS: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.95}


def matrices() -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape) / 4) for shape in SHAPES]


def learn(optimizer: torch.optim.Optimizer, of: list[torch.nn.Parameter], steps: range) -> None:
    for step in steps:
        for number, matrix in enumerate(of):
            torch.manual_seed(100 * step + number)
            matrix.grad = torch.randn(matrix.shape)
        optimizer.step()


def test_weights_are_those_of_pytorch_but_for_its_bfloat16():
    ours, theirs = matrices(), matrices()
    learn(Muon(ours, **SETTINGS), ours, range(5))
    learn(torch.optim.Muon(theirs, **SETTINGS, adjust_lr_fn="match_rms_adamw"), theirs, range(5))
    for one, other, before in zip(ours, theirs, matrices(), strict=True):
        change = (other - before).norm()
        assert (one - other).norm() < 0.03 * change


def test_singular_values_come_to_be_about_1():
    torch.manual_seed(1)
    for rows, columns in SHAPES:
        made = orthogonal(torch.randn(3, rows, columns))
        assert made.shape == (3, rows, columns)
        values = torch.linalg.svdvals(made)
        assert values.min() > 0.2 and values.max() < 1.3
        assert values.median() > 0.6


def test_it_goes_on_to_the_bit_from_what_it_stored():
    through = matrices()
    learn(Muon(through, **SETTINGS), through, range(6))
    halves = [0, 3, 6]
    parted, stored = matrices(), None
    for first, end in pairwise(halves):
        optimizer = Muon(parted, **SETTINGS)
        if stored is not None:
            optimizer.load_state_dict(stored)
        learn(optimizer, parted, range(first, end))
        stored = optimizer.state_dict()
    assert all(one.equal(other) for one, other in zip(through, parted, strict=True))
