"""The sampler: samples completions from a causal language model; fast for small models.

Each row has its own stream of uniform numbers, one a position, and the sampler finds a token by
inverting the cumulative distribution at that number. A row's completion therefore depends on its
own seed alone. Rows that have ended are dropped from the batch (half of the work where lengths
differ), a prompt sampled several times is read once, and PyTorch's global random state does not
change.

Shapes: B rows, P prompt tokens (left-padded), C completion tokens, V vocabulary.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from formatlab.models.llama import Decoding, is_plain_llama
from formatlab.world.problem import digest

if TYPE_CHECKING:
    from transformers import PreTrainedModel


_SHRINK = 0.75
"""Drop ended rows from the batch once at most this share of it is still running."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """One completion in tokens."""

    tokens: list[int]
    """Completion token ids, the end mark included where there is one."""
    logprobs: list[float]
    """Log-probability of each token under the model at temperature 1, in nats."""
    entropies: list[float]
    """Entropy of the model's distribution at each position at temperature 1, in nats."""
    ended: bool
    """Whether the model ended it; otherwise it was cut at the length limit."""

    @property
    def logprob(self) -> float | None:
        """Sum over the tokens, in nats; None where the log-probabilities are not known."""
        return sum(self.logprobs) if self.logprobs else None

    @property
    def entropy(self) -> float | None:
        """Mean over the tokens, in nats; None where the entropies are not known."""
        return sum(self.entropies) / len(self.entropies) if self.entropies else None


def row_seeds(
    kind: Literal["train", "reward"], *, seed: int, step: int, rows: Iterable[int]
) -> list[int]:
    """The seeds of some rows of a step, the same whatever process or algorithm samples them.

    Args:
        kind: what the seeds are for: completions, or the chance in a reward.
        seed: of the run.
        step: 0-based index of the step.
        rows: positions in the step's whole batch.
    """
    stream = digest(kind, seed, step)
    return [(stream + row) % 2**63 for row in rows]


@torch.no_grad()
def sample(
    model: "PreTrainedModel",
    prompts: Sequence[Sequence[int]],
    *,
    seeds: Sequence[int],
    limit: int,
    temperature: float,
    pad: int,
    eos: Sequence[int],
) -> list[Sampled]:
    """Sample one completion for each prompt, from the whole distribution (no top-p or top-k).

    Args:
        model: any causal language model of transformers with a dynamic key-value cache.
        prompts: B lists of token ids; a prompt may occur many times.
        seeds: B numbers, one a row.
        limit: most tokens of a completion.
        temperature: divides the logits; 0 takes the most probable token.
        pad: id used for padding.
        eos: ids that end a completion.
    """
    device = model.device
    group = _group_size(prompts)
    unique = prompts[::group]  # a prompt is read once for its whole group
    width = max(len(prompt) for prompt in unique)
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in unique])  # (B / group, P)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in unique])
    ids, mask = ids.to(device), mask.to(device)
    uniform = _uniform(seeds, limit).to(device)  # (B, C)
    stops = torch.tensor(list(eos), device=device)

    tokens = torch.full((len(prompts), limit), pad, device=device)  # (B, C)
    logprobs = torch.zeros((len(prompts), limit), device=device)  # (B, C)
    entropies = torch.zeros((len(prompts), limit), device=device)  # (B, C)
    rows = torch.arange(len(prompts), device=device)  # rows still in the batch (b,)
    running = torch.ones(len(prompts), dtype=torch.bool, device=device)  # (b,)
    kind = Decoding if is_plain_llama(model) else _Decoding
    decoding = kind(model, ids, mask, group=group)

    for step in range(limit):
        choice, logprob, entropy = _draw(
            decoding.logits().float(), uniform[rows, step], temperature
        )  # (b,) each
        # A row that has ended and is still in the batch goes on, behind its end.
        tokens[rows, step], logprobs[rows, step], entropies[rows, step] = choice, logprob, entropy
        running &= ~torch.isin(choice, stops)
        left = running.nonzero()[:, 0]
        if len(left) == 0 or step + 1 == limit:
            break
        if len(left) <= _SHRINK * len(rows):
            rows, choice, running = rows[left], choice[left], running[left]
            decoding.keep(left)
        decoding.add(choice)

    ends = torch.isin(tokens, stops)  # (B, C)
    ended = ends.any(1)
    lengths = torch.where(ended, ends.int().argmax(1) + 1, limit)
    return [
        Sampled(tokens=ids[:length], logprobs=logp[:length], entropies=entropy[:length], ended=end)
        for ids, logp, entropy, length, end in zip(
            *(each.tolist() for each in (tokens, logprobs, entropies, lengths, ended)), strict=True
        )
    ]


class _Decoding:
    """What `Decoding` does, for any model: by the module's own forward pass and a growing cache."""

    def __init__(
        self,
        model: "PreTrainedModel",
        ids: torch.Tensor,
        mask: torch.Tensor,
        *,
        group: int,
    ) -> None:
        """Read the prompts (U, P) once for their groups."""
        from transformers import DynamicCache

        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._mask = mask
        self._positions = (mask.cumsum(1) - 1).clamp(min=0)  # (U, P)
        self._read(ids)
        if group > 1:
            self._cache.batch_repeat_interleave(group)
            self._logits = self._logits.repeat_interleave(group, dim=0)
            self._mask = self._mask.repeat_interleave(group, dim=0)
            self._positions = self._positions.repeat_interleave(group, dim=0)

    def logits(self) -> torch.Tensor:
        """Logits of the next token of every row, (b, V)."""
        return self._logits

    def add(self, tokens: torch.Tensor) -> None:
        """Append a token to every row, (b,)."""
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=1)
        self._positions = self._positions[:, -1:] + 1
        self._read(tokens[:, None])

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some of the rows, (b',)."""
        self._cache.batch_select_indices(rows)
        self._mask, self._positions = self._mask[rows], self._positions[rows]

    def _read(self, ids: torch.Tensor) -> None:
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._logits = output.logits[:, -1]


def _group_size(prompts: Sequence[Sequence[int]]) -> int:
    """How many times in a row every prompt occurs; 1 where that differs between prompts."""
    run = next((i for i, p in enumerate(prompts) if p != prompts[0]), len(prompts))
    whole = len(prompts) % run == 0
    same = whole and all(prompts[i] == prompts[i - i % run] for i in range(len(prompts)))
    return run if same else 1


def _uniform(seeds: Sequence[int], limit: int) -> torch.Tensor:
    """Uniform numbers (B, C): row `i` is the start of the stream of `seeds[i]`."""
    rows = np.empty((len(seeds), limit), dtype=np.float32)
    for row, seed in enumerate(seeds):
        rows[row] = np.random.Generator(np.random.Philox(key=seed)).random(limit, np.float32)
    return torch.from_numpy(rows)


def _draw(
    logits: torch.Tensor, uniform: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw a token of every row (b,), given logits (b, V) and uniform numbers (b,).

    Returns:
        Token ids, and their log-probabilities and the entropies at temperature 1, (b,) each.
    """
    logits = logits - logits.amax(dim=-1, keepdim=True)
    p = torch.softmax(logits, dim=-1)
    total = -p.amax(dim=-1).log()  # log of the sum of exp(logits)
    if temperature == 0:
        choice = logits.argmax(dim=-1)
    else:
        drawn = p if temperature == 1 else torch.softmax(logits / temperature, dim=-1)
        cumulative = drawn.cumsum(dim=-1)  # (b, V)
        # Scaling by the total keeps rounding from ever pointing past the last token.
        point = (uniform * cumulative[:, -1])[:, None]
        choice = torch.searchsorted(cumulative, point, right=True)[:, 0]
        choice = choice.clamp(max=logits.shape[-1] - 1)
    logprob = logits.gather(1, choice[:, None])[:, 0] - total
    return choice, logprob, total - torch.linalg.vecdot(p, logits)
