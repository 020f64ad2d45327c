"""The order of prompts: a new permutation every epoch, the same after a resume.

TRL 1.16 seeds the generator of its `RepeatSampler` once, so a run resumed in a later epoch gets
the first epoch's order again (transformers mended its own samplers in #40691).
"""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class EpochOrder(Sampler[int]):
    """Indices of prompts, each repeated for its group, in blocks repeated for every reuse.

    With prompts a, b, c, d, two a step, groups of two and one reuse: `a a b b | c c d d`; with two
    reuses: `a a b b | a a b b | c c d d | c c d d`.
    """

    def __init__(self, *, prompts: int, per_step: int, group: int, reuses: int, seed: int) -> None:
        """Describe one epoch.

        Args:
            prompts: number of prompts; those beyond a multiple of `per_step` are left out.
            per_step: different prompts in one step.
            group: completions of each prompt.
            reuses: how many times TRL draws the same step from the loader.
            seed: decides all permutations, together with the epoch.
        """
        self._prompts = prompts
        self._per_step = per_step
        self._group = group
        self._reuses = reuses
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation; transformers calls this through accelerate."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Indices of the epoch."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order = torch.randperm(self._prompts, generator=generator).tolist()
        for start in range(0, self._prompts - self._per_step + 1, self._per_step):
            step = order[start : start + self._per_step]
            for _ in range(self._reuses):
                for index in step:
                    yield from [index] * self._group

    def __len__(self) -> int:
        """Number of indices in an epoch."""
        steps = self._prompts // self._per_step
        return steps * self._per_step * self._group * self._reuses
