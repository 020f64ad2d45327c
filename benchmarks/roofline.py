"""What a machine would allow a training step: its rates, and the work of a step that is counted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from formatlab.models.scale import Scale

_NUMBER = 4
"""Bytes of a number in float32."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a phase of a step has to do at the least."""

    flops: float
    """Floating-point operations; a multiplication and an addition are two."""
    bytes: float
    """Read and written, where every operation reads its inputs once and writes its outputs once."""

    def __add__(self, other: "Work") -> "Work":
        return Work(flops=self.flops + other.flops, bytes=self.bytes + other.bytes)

    def __mul__(self, times: float) -> "Work":
        return Work(flops=times * self.flops, bytes=times * self.bytes)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Rates of one thread."""

    flops: float
    """Operations a second in a product of large float32 matrices."""
    bytes: float
    """Bytes a second, read and written, in a copy too large for any cache."""

    def seconds(self, work: Work) -> float:
        """What the work takes at these rates, arithmetic and memory at the same time."""
        return max(work.flops / self.flops, work.bytes / self.bytes)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What a rollout costs depends on this."""

    prompt: str
    """Its id: rollouts of a prompt share its tokens."""
    prompt_tokens: int
    tokens: int
    """Of the completion."""
    learned: bool
    """Whether the loss has a gradient of it."""


def step_work(scale: Scale, vocabulary: int, rollouts: Sequence[Rollout]) -> dict[str, Work]:
    """What each phase of a step has to do at the least.

    With width D, depth L, MLP width M, vocabulary V, a forward pass costs for each token

        2 L (4 D^2 + 3 D M)    operations in the layers,
        4 L D s                in attention that sees s tokens,
        2 D V                  where its logits are needed: for all tokens of completions,

    and moves 12 D + 3 M numbers in each layer (states in and out of the four products and of
    attention), D + 2 V for logits (written, read once), and the weights once a pass. A prompt is
    read once for its group. Sampling reads the weights for every position and, for every token,
    the 2 L D numbers that attention has kept of each token before it. The base takes one forward
    pass; learning takes one, a backward pass of twice its cost, and logits once more. A gradient is
    written and AdamW reads 4 numbers and writes 3, which is 8 for each weight. Not counted:
    grading, recording, and what the layers compute beside products and attention.

    Args:
        scale: of the ladder.
        vocabulary: V.
        rollouts: of the step.
    """
    weights = Work(flops=0, bytes=_NUMBER * scale.parameters(vocabulary))
    once = _forward(scale, vocabulary, rollouts)
    kept = sum(_seen(of.prompt_tokens, of.tokens - 1) for of in rollouts)
    memory = Work(flops=0, bytes=_NUMBER * 2 * scale.depth * scale.width * kept)
    learned = [of for of in rollouts if of.learned]
    again = _forward(scale, vocabulary, learned)
    return {
        "sampling": once.layers
        + once.logits
        + memory
        + weights * max(of.tokens for of in rollouts),
        "base": once.layers + once.logits + weights,
        "learning": again.layers * 3 + again.logits * 4 + weights * (3 + 8),
    }


@dataclass(frozen=True, kw_only=True)
class _Pass:
    layers: Work
    logits: Work


def _forward(scale: Scale, vocabulary: int, rollouts: Sequence[Rollout]) -> _Pass:
    """A forward pass, each prompt once for its group, without reading the weights."""
    prompts = {of.prompt: of.prompt_tokens for of in rollouts}
    width, mlp, depth = scale.width, scale.mlp_width, scale.depth
    tokens = sum(prompts.values()) + sum(of.tokens - 1 for of in rollouts)  # the last is not fed
    seen = sum(_seen(0, length) for length in prompts.values())
    seen += sum(_seen(of.prompt_tokens, of.tokens - 1) for of in rollouts)
    predicted = sum(of.tokens for of in rollouts)
    return _Pass(
        layers=Work(
            flops=depth * (2 * (4 * width**2 + 3 * width * mlp) * tokens + 4 * width * seen),
            bytes=_NUMBER * depth * (12 * width + 3 * mlp) * tokens,
        ),
        logits=Work(
            flops=2 * width * vocabulary * predicted,
            bytes=_NUMBER * (width + 2 * vocabulary) * predicted,
        ),
    )


def _seen(before: int, tokens: int) -> int:
    """How many tokens all of some tokens see together, themselves included."""
    return tokens * before + tokens * (tokens + 1) // 2


def machine() -> Machine:
    """Measure the rates of this machine, on one thread: the best of several tries."""
    import torch

    products = []
    for size in (256, 512, 1_024):
        one, other = torch.randn(2, size, size)
        products.append(2 * size**3 / _least_seconds(partial(torch.mm, one, other)))
    large = torch.ones(2**26)  # 256 MiB
    copy = torch.empty_like(large)
    seconds = _least_seconds(partial(copy.copy_, large))
    return Machine(flops=max(products), bytes=2 * large.nbytes / seconds)


def _least_seconds(call: Callable[[], Any]) -> float:
    """Processor seconds of the fastest of some calls."""
    seconds = []
    for _ in range(20):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)
