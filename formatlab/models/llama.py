"""The forward pass of a small Llama: the numbers of transformers' module, sooner.

A small model spends its time on memory and on calls, not on arithmetic. So, in comparison with
transformers' module, which holds the weights here too:

* projections of the same states are one matrix product, with the weights of the norm before it
  multiplied in, and rotary positions are one complex product;
* a prompt is computed once for all of its completions, which attend to its keys and values, and a
  completion that occurs twice once;
* completions are computed in buckets of like lengths, without most of the padding;
* logits are computed for completion tokens only, a block at a time, and again in the backward pass
  rather than kept;
* the last layer goes on behind its attention only for tokens whose states are needed;
* keys and values of tokens that are being sampled are written in place, with room for more.

Shapes: B completions of U different prompts; P prompt tokens (left-padded), C completion tokens
(right-padded), V vocabulary, D width, H heads and K key-value heads of d numbers, N tokens.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedModel

_BUCKET_TOKENS = 4_096
"""Most tokens in a bucket of completions: what a processor's cache holds of their states."""
_BLOCK_TOKENS = 2_048
"""Tokens whose logits are computed at a time."""
_ROOM = 32
"""Tokens that there is room for when keys and values are copied."""

Memory = tuple[torch.Tensor, ...]
"""Keys and values of one layer, (rows, K, tokens, d) each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What a model says of the tokens of completions; 0 where there is padding."""

    logprobs: torch.Tensor
    """Log-probability of each token, in nats, (B, C)."""
    entropies: torch.Tensor | None
    """Entropy of the distribution that each token was drawn from, in nats, (B, C), if asked for."""
    states_of_tokens: torch.Tensor
    """Last hidden state, normalised, that each token is predicted from, of N tokens, (N, D)."""
    token_of: torch.Tensor
    """Which of the N tokens stands at each place, (B, C); N where there is padding."""

    @property
    def states(self) -> torch.Tensor:
        """The states of the tokens at their places, (B, C, D)."""
        return _at_places(self.states_of_tokens, self.token_of)


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_in: torch.Tensor  # ((H + 2 K) d, D): queries, keys and values, times the norm before
    attention_out: torch.Tensor  # (D, H d)
    mlp_in: torch.Tensor  # (2 M, D): gate and up, times the norm before
    mlp_out: torch.Tensor  # (D, M)


def is_plain_llama(model: object) -> bool:
    """Whether `Llama` gives the numbers of a model: transformers' class, unwrapped, in float32."""
    if type(model) is not LlamaForCausalLM:
        return False
    config: Any = model.config
    return (
        not torch.is_autocast_enabled(model.device.type)
        and config.hidden_act == "silu"
        and config.rope_parameters["rope_type"] == "default"
        and not (config.attention_bias or config.mlp_bias or config.attention_dropout)
        and all(parameter.dtype == torch.float32 for parameter in model.parameters())
    )


class Llama:
    """A pass over the weights that a module of transformers has now; gradients flow to them."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Take the weights of a model that `is_plain_llama`."""
        module: Any = model
        config = module.config
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._head: int = config.head_dim
        self._epsilon: float = config.rms_norm_eps
        trunk = module.model
        self._embedding: torch.Tensor = trunk.embed_tokens.weight  # (V, D)
        self._padding: int | None = trunk.embed_tokens.padding_idx  # has no gradient
        self.output: torch.Tensor = module.lm_head.weight  # (V, D)
        self._norm: torch.Tensor = trunk.norm.weight  # (D,)
        self._frequencies: torch.Tensor = trunk.rotary_emb.inv_freq  # (d / 2,)
        self._layers = [
            _Layer(
                torch.cat(
                    [
                        self._paired(layer.self_attn.q_proj.weight),
                        self._paired(layer.self_attn.k_proj.weight),
                        layer.self_attn.v_proj.weight,
                    ]
                )
                * layer.input_layernorm.weight,
                layer.self_attn.o_proj.weight,
                torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight])
                * layer.post_attention_layernorm.weight,
                layer.mlp.down_proj.weight,
            )
            for layer in trunk.layers
        ]

    def score(
        self,
        prompt_ids: torch.Tensor,
        prompt_mask: torch.Tensor,
        completion_ids: torch.Tensor,
        completion_mask: torch.Tensor,
        *,
        temperature: float,
        entropies: bool = False,
    ) -> Scores:
        """Log-probabilities of completions after their prompts.

        Args:
            prompt_ids: (B, P); the rows of a prompt need not be neighbours.
            prompt_mask: 1 where a token is no padding, (B, P).
            completion_ids: (B, C).
            completion_mask: (B, C).
            temperature: divides the logits.
            entropies: whether entropies are asked for, too.
        """
        texts, row_of, prompts, prompt_of = _different(
            torch.where(prompt_mask.bool(), prompt_ids, -1),
            torch.where(completion_mask.bool(), completion_ids, -1),
        )  # (W, C), (B,), (U, P), (W,)
        length, mask = texts.shape[1], prompts >= 0
        memories, last = self.read(prompts.clamp(min=0), mask)
        lengths = (texts >= 0).sum(1)
        some = lengths.nonzero()[:, 0]  # texts that are not empty
        states, places = [last[prompt_of[some]]], [some * length]
        for bucket, width in _buckets(lengths - 1):
            of = prompt_of[bucket]  # (b,)
            begun = mask[of]  # (b, P)
            going = texts[bucket, 1 : width + 1] >= 0  # (b, T)
            found, _ = self._run(
                texts[bucket, :width].clamp(min=0),
                positions=begun.sum(1)[:, None] + torch.arange(width, device=last.device),
                mask=_prefixed(begun, width),
                before=[(keys[of], values[of]) for keys, values in memories],
                asked=going.flatten().nonzero()[:, 0],
            )  # (n, D)
            states.append(found)
            at = bucket[:, None] * length + torch.arange(1, width + 1, device=last.device)
            places.append(at[going])
        place, state = torch.cat(places), torch.cat(states)  # (N,), (N, D)
        found, spread = _TokenScores.apply(
            state, self.output, texts.flatten()[place], temperature, entropies
        )
        token_of = torch.full((texts.numel(),), len(place), device=place.device)
        token_of[place] = torch.arange(len(place), device=place.device)
        token_of = token_of.view(-1, length)[row_of]  # (B, C)
        return Scores(
            logprobs=_at_places(found, token_of),
            entropies=_at_places(spread, token_of) if entropies else None,
            states_of_tokens=state,
            token_of=token_of,
        )

    def losses(self, ids: torch.Tensor, learned: torch.Tensor) -> torch.Tensor:
        """Negative log-probabilities of tokens of documents, in nats, in reading order (N,).

        Args:
            ids: (B, T), padded on the right.
            learned: True where a token is asked for, (B, T); nothing predicts the first of a row.
        """
        before = functional.pad(learned[:, 1:], (0, 1)).flatten().nonzero()[:, 0]  # (N,)
        states, _ = self._run(
            ids,
            positions=torch.arange(ids.shape[1], device=ids.device)[None],
            mask=None,
            before=None,
            asked=before,
        )
        logits = functional.linear(states, self.output)  # (N, V)
        return functional.cross_entropy(logits, ids.flatten()[before + 1], reduction="none")

    def read(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[list[Memory], torch.Tensor]:
        """Read prompts: what every layer keeps of them, and their last states (U, D).

        Args:
            ids: (U, P).
            mask: False where a token is padding, (U, P).
        """
        width = ids.shape[1]
        seen = torch.ones(width, width, dtype=torch.bool, device=ids.device).tril()
        # Padding sees itself: a row that sees nothing would be no number.
        itself = torch.eye(width, dtype=torch.bool, device=ids.device)
        last, memories = self._run(
            ids,
            positions=(mask.cumsum(1) - 1).clamp(min=0),
            mask=((seen & mask[:, None]) | itself)[:, None],
            before=None,
            asked=torch.arange(1, len(ids) + 1, device=ids.device) * width - 1,
        )
        return memories, last

    def read_next(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        attend: Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """The states (b, D) of one token of every row.

        Args:
            tokens: (b,).
            positions: (b,).
            attend: what the queries (b, H, d) of a layer find, (b, H d), given the layer's number,
                the queries, and the keys and values (b, K, d) of the tokens.
        """
        x = functional.embedding(tokens, self._embedding)  # (b, D)
        turns = self._turns(positions[:, None])
        for number, layer in enumerate(self._layers):
            parts = self._attention_in(layer, x[:, None], turns)
            queries, keys, values = (part[:, :, 0] for part in parts)
            x = self._layer_out(layer, x, attend(number, queries, keys, values))
        return self._normed(x) * self._norm

    def _run(
        self,
        ids: torch.Tensor,
        *,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        before: list[Memory] | None,
        asked: torch.Tensor,
    ) -> tuple[torch.Tensor, list[Memory]]:
        """Normalised last states (n, D) of some tokens, and the keys and values of each layer.

        Args:
            ids: (b, T).
            positions: (b, T), or (1, T) if they are the same in all rows.
            mask: True where a token may look, (b, 1, T, S): at what was before, then at these.
                Without one it looks at these, up to itself.
            before: keys and values of what was before, if anything.
            asked: places among the b * T tokens whose states are asked for, (n,).
        """
        x = functional.embedding(ids, self._embedding, padding_idx=self._padding)  # (b, T, D)
        turns = self._turns(positions)  # (b, T, 1, d / 2)
        memories: list[Memory] = []
        for number, layer in enumerate(self._layers):
            queries, keys, values = self._attention_in(layer, x, turns)
            memories.append((keys, values))
            if before is not None:
                keys = torch.cat([before[number][0], keys], dim=2)
                values = torch.cat([before[number][1], values], dim=2)
            found = self._attention(queries, keys, values, mask)
            if layer is self._layers[-1]:
                x, found = (each.flatten(0, 1).index_select(0, asked) for each in (x, found))
            x = self._layer_out(layer, x, found)
        return self._normed(x) * self._norm, memories

    def _attention_in(
        self, layer: _Layer, x: torch.Tensor, turns: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries (b, H, T, d), keys and values (b, K, T, d) of states (b, T, D)."""
        rows, width, _ = x.shape
        turned = self._heads + self._kv_heads
        both = functional.linear(self._normed(x), layer.attention_in)
        both = both.view(rows, width, turned + self._kv_heads, self._head)  # (b, T, H + 2 K, d)
        unplaced, values = both.split([turned, self._kv_heads], dim=2)
        pairs = torch.view_as_complex(unplaced.unflatten(-1, (-1, 2)))
        placed = torch.view_as_real(pairs * turns).flatten(-2)
        queries, keys = placed.split([self._heads, self._kv_heads], dim=2)
        return queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)

    def _attention(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """What queries (b, H, T, d) find, (b, T, H d)."""
        found = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=self._heads != self._kv_heads,
        )
        return found.transpose(1, 2).flatten(2)

    def _layer_out(self, layer: _Layer, x: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        """The states (..., D) behind a layer, of those before it and of what attention found."""
        x = x + functional.linear(found, layer.attention_out)
        gate, up = functional.linear(self._normed(x), layer.mlp_in).chunk(2, -1)
        return x + functional.linear(functional.silu(gate) * up, layer.mlp_out)

    def _normed(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, x.shape[-1:], eps=self._epsilon)

    def _turns(self, positions: torch.Tensor) -> torch.Tensor:
        """Rotary positions as complex numbers of length 1, (b, T, 1, d / 2)."""
        angles = positions[..., None].float() * self._frequencies  # (b, T, d / 2)
        return torch.polar(torch.ones_like(angles), angles)[:, :, None]

    def _paired(self, weight: torch.Tensor) -> torch.Tensor:
        """A projection (rows, D) whose heads have the two numbers of a rotation side by side.

        transformers has them half a head apart. Queries and keys are ordered alike, which leaves
        their products as they are.
        """
        halves = weight.unflatten(0, (-1, 2, self._head // 2))
        return halves.transpose(1, 2).flatten(0, 2)


class Decoding:
    """Completions while they are sampled, a token at a time.

    The keys and values of a prompt are kept once for all of its rows, whose queries are asked
    together. Those of a row's own tokens stand in tensors that have room for some tokens more, and
    are copied when that is used up. Attention looks at the whole of them, since a product over a
    part of a tensor would copy it; a mask hides what is not filled.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        ids: torch.Tensor,
        mask: torch.Tensor,
        *,
        group: int,
    ) -> None:
        """Read the prompts.

        Args:
            model: one that `is_plain_llama`.
            ids: (U, P).
            mask: 1 where a token is no padding, (U, P).
            group: completions of each prompt; the rows of a prompt are neighbours.
        """
        self._llama = Llama(model)
        memories, last = self._llama.read(ids, mask.bool())
        self._prompts: list[Memory] = [
            tuple(tensor.contiguous() for tensor in memory) for memory in memories
        ]  # (U, K, P, d) each
        self._hidden = torch.zeros(mask.shape, device=mask.device)  # (U, P), added to scores
        self._hidden.masked_fill_(mask == 0, -torch.inf)
        self._states = last.repeat_interleave(group, dim=0)  # (b, D)
        self._positions = mask.sum(1).repeat_interleave(group)  # (b,)
        keys = self._prompts[0][0]
        _, heads, _, head = keys.shape
        empty = keys.new_empty(len(ids) * group, heads, 0, head)
        self._own: list[Memory] = [(empty, empty) for _ in self._prompts]  # (b, K, S, d) each
        self._unfilled = self._hidden.new_empty(0)  # (S,), added to scores
        self._filled = 0
        self._set_prompts(torch.arange(len(ids), device=ids.device).repeat_interleave(group))

    def logits(self) -> torch.Tensor:
        """Logits of the next token of every row, (b, V)."""
        return functional.linear(self._states, self._llama.output)

    def add(self, tokens: torch.Tensor) -> None:
        """Append a token to every row, (b,)."""
        if self._filled == len(self._unfilled):
            self._own = [
                tuple(functional.pad(tensor, (0, 0, 0, _ROOM)) for tensor in memory)
                for memory in self._own
            ]
            self._unfilled = functional.pad(self._unfilled, (0, _ROOM), value=-torch.inf)
        self._unfilled[self._filled] = 0
        self._states = self._llama.read_next(tokens, self._positions, self._attend)
        self._positions = self._positions + 1
        self._filled += 1

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some of the rows, in their order, (b',)."""
        self._own = [tuple(tensor[rows] for tensor in memory) for memory in self._own]
        self._states, self._positions = self._states[rows], self._positions[rows]
        self._set_prompts(self._prompt_of[rows])

    def _set_prompts(self, prompt_of: torch.Tensor) -> None:
        """Keep the prompts that the rows (b,) continue, and number the places of their queries."""
        kept, self._prompt_of, counts = prompt_of.unique_consecutive(
            return_inverse=True, return_counts=True
        )
        if len(kept) < len(self._hidden):
            self._prompts = [tuple(tensor[kept] for tensor in memory) for memory in self._prompts]
            self._hidden = self._hidden[kept]
        heads = self._prompts[0][0].shape[1]
        self._unseen = self._hidden.repeat_interleave(heads, dim=0)[:, None]  # (U K, 1, P)
        self._most = int(counts.max())  # rows of a prompt
        before = counts.cumsum(0) - counts
        number = torch.arange(len(prompt_of), device=prompt_of.device) - before[self._prompt_of]
        head = torch.arange(heads, device=prompt_of.device)
        first = (self._prompt_of[:, None] * heads + head) * self._most
        self._places = (first + number[:, None]).flatten()  # (b K,), among U K places of each

    def _attend(
        self, number: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """See `Llama.read_next`."""
        own_keys, own_values = self._own[number]
        own_keys[:, :, self._filled], own_values[:, :, self._filled] = keys, values
        prompt_keys, prompt_values = (tensor.flatten(0, 1) for tensor in self._prompts[number])
        rows, heads, room, head = own_keys.shape
        width = prompt_keys.shape[1]
        own_shape = (rows * heads, -1, head)
        asked = queries.reshape(own_shape)  # (b K, H / K, d)
        own = torch.baddbmm(
            self._unfilled.expand(1, 1, room),
            asked,
            own_keys.view(own_shape).transpose(1, 2),
            alpha=head**-0.5,
        )  # (b K, H / K, S)
        of_prompt = torch.baddbmm(
            self._unseen,
            self._by_prompt(asked),
            prompt_keys.transpose(1, 2),
            alpha=head**-0.5,
        )  # (U K, places H / K, P)
        of_prompt = self._by_row(of_prompt, asked.shape[1])  # (b K, H / K, P)
        weights = torch.cat([of_prompt, own], dim=2).softmax(-1)
        found = torch.bmm(self._by_prompt(weights[..., :width]), prompt_values)
        found = self._by_row(found, asked.shape[1])  # (b K, H / K, d)
        found = found.baddbmm_(weights[..., width:], own_values.view(own_shape))
        return found.view(rows, -1)

    def _by_prompt(self, rows: torch.Tensor) -> torch.Tensor:
        """What rows (b K, n, m) ask, together with the others of their prompt: (U K, most n, m)."""
        _, asked, size = rows.shape
        prompts = len(self._unseen)
        spread = rows.new_zeros(prompts * self._most, asked, size)
        return spread.index_copy_(0, self._places, rows).view(prompts, -1, size)

    def _by_row(self, found: torch.Tensor, asked: int) -> torch.Tensor:
        """The inverse of `_by_prompt`."""
        return found.view(-1, asked, found.shape[2]).index_select(0, self._places)


class _TokenScores(torch.autograd.Function):
    """Log-probabilities and entropies of tokens (N,) from states (N, D), a block at a time."""

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        output: torch.Tensor,
        tokens: torch.Tensor,
        temperature: float,
        entropies: bool,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        logprobs = states.new_empty(len(states))
        spread = states.new_empty(len(states)) if entropies else None
        for block in _blocks(len(states)):
            logp = _log_softmax(states[block], output, temperature)  # (n, V)
            logprobs[block] = logp.gather(1, tokens[block, None])[:, 0]
            if spread is not None:
                spread[block] = -torch.linalg.vecdot(logp.exp(), logp)
        ctx.save_for_backward(states, output, tokens, spread)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)
        return logprobs, spread

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        of_logprobs, of_entropies = gradients
        states, output, tokens, entropies = ctx.saved_tensors
        of_states, of_output = torch.empty_like(states), torch.zeros_like(output)
        own = states.new_zeros(len(states)) if of_logprobs is None else of_logprobs
        for block in _blocks(len(states)):
            logp = _log_softmax(states[block], output, ctx.temperature)  # (n, V)
            # dlogp / dlogit = 1 at the token, less p; dH / dlogit = -p (log p + H)
            factor = own[block, None]
            if of_entropies is not None:
                spread = of_entropies[block, None]
                factor = factor + spread * (logp + entropies[block, None])
            of_logits = logp.exp_().mul_(factor).neg_()
            of_logits.scatter_add_(1, tokens[block, None], own[block, None])
            if ctx.temperature != 1:
                of_logits /= ctx.temperature
            of_states[block] = of_logits @ output
            of_output.addmm_(of_logits.T, states[block])
        return of_states, of_output, None, None, None


def _log_softmax(states: torch.Tensor, output: torch.Tensor, temperature: float) -> torch.Tensor:
    logits = functional.linear(states, output)
    return torch.log_softmax(logits if temperature == 1 else logits / temperature, dim=-1)


def _different(
    prompts: torch.Tensor, completions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The different texts of a batch; padding is -1.

    Args:
        prompts: (B, P).
        completions: (B, C).

    Returns:
        Completions of the different texts (W, C) and which of them each row is (B,); their
        different prompts (U, P) and which of these each text has (W,).
    """
    width = prompts.shape[1]
    texts, row_of = torch.cat([prompts, completions], dim=1).unique(dim=0, return_inverse=True)
    # Texts are in order, so those of a prompt are neighbours.
    different, prompt_of = texts[:, :width].unique_consecutive(dim=0, return_inverse=True)
    return texts[:, width:], row_of, different, prompt_of


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK_TOKENS):
        yield slice(start, start + _BLOCK_TOKENS)


def _buckets(lengths: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
    """Rows (b,) of like lengths and the longest of these, for the rows that are not empty."""
    order = lengths.argsort(descending=True)
    sizes = lengths[order].tolist()
    start = 0
    while start < len(sizes) and sizes[start] > 0:
        end = min(start + max(1, _BUCKET_TOKENS // sizes[start]), len(sizes))
        yield order[start:end], sizes[start]
        start = end


def _prefixed(prompt: torch.Tensor, width: int) -> torch.Tensor:
    """Where tokens of a completion may look: at the prompt (b, P), then up to themselves.

    Returns:
        (b, 1, T, P + T).
    """
    own = torch.ones(width, width, dtype=torch.bool, device=prompt.device).tril()
    rows = len(prompt)
    seen = torch.cat(
        [prompt[:, None].expand(rows, width, -1), own.expand(rows, width, width)], dim=2
    )
    return seen[:, None]


def _at_places(values: torch.Tensor, token_of: torch.Tensor) -> torch.Tensor:
    """Values (N, ...) of tokens at their places (B, C), 0 where there is none."""
    none = values.new_zeros(1, *values.shape[1:])
    return (
        torch.cat([values, none]).index_select(0, token_of.flatten()).unflatten(0, token_of.shape)
    )
