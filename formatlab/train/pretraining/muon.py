"""Muon: momentum whose matrices are made orthogonal before they are added to the weights.

The same as `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, but in the precision of the
weights, where PyTorch's computes in bfloat16, and for all matrices of a shape at once. On a CPU
that emulates bfloat16 it takes a twentieth of the time of PyTorch's.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration, chosen for speed: singular values end near 1 (Jordan et al. 2024)."""


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum with Nesterov's look-ahead, and weight decay apart from it.

    An update's root mean square is about 0.2, like that of an update by AdamW, so that a learning
    rate means the same for both (Liu et al. 2025, arXiv 2502.16982).
    """

    def __init__(
        self, matrices: Iterable[torch.Tensor], *, lr: float, weight_decay: float, momentum: float
    ) -> None:
        """Take the matrices of the layers; embeddings and vectors are another optimiser's."""
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change the matrices by their gradients."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[torch.Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                alike[tuple(matrix.shape)].append(matrix)
            for shape, matrices in alike.items():
                updates = orthogonal(torch.stack([self._ahead(m, group) for m in matrices]))
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def _ahead(self, matrix: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        """The mean gradient of a matrix, a step ahead."""
        state, gradient = self.state[matrix], matrix.grad
        assert gradient is not None
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        return gradient.lerp(mean, group["momentum"])


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """About U V' for matrices U S V', by Newton and Schulz's iteration, (n, rows, columns)."""
    x = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        squares = x @ x.mT
        polynomial = torch.baddbmm(squares, squares, squares, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x.mT if matrices.shape[1] > matrices.shape[2] else x
