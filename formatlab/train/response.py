"""The response of format shares to an update: how far the first update of RL moves each of them.

The rollouts of the base's probe stand for the first batches of RL. Their policy gradient, scaled as
the optimiser scales it, is the direction of the update. A step of one learning rate is made in it,
and the log-probabilities of the tokens that decide on a rollout's format say what it gained: its
first tokens, up to where nearly all rollouts that begin alike have one format. Direction and gain
are of different prompts; on the same ones a format would gain by its own noise.

AdamW divides each coordinate of the gradient by the root of its mean square over steps. So what
moves a share is not its advantage alone, but how large the gradient usually is in the weights that
decide on it. The response under plain gradient descent stands beside it, made as large over all, to
show what that scaling does.

R: rollouts, D: trained weights, Q: parts of the prompts.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch

from formatlab.train.base_divergence import completion_logprobs, padded

if TYPE_CHECKING:
    from pathlib import Path

    from formatlab.store import RunFolder

OPTIMISERS = ("adamw", "sgd")

PARTS = 8
"""Parts that the prompts are split into; the direction for one comes from the others."""

OTHER_RATE = 1e-3
"""Learning rate of the update where the run's own is not AdamW's."""

OF_ONE_FORMAT = 0.95
"""Part of the rollouts that begin alike from which on their format counts as decided."""
MOST_DECIDING = 16
"""Tokens after which it counts as decided in any case."""

PER_TOKEN_MEAN = ("grpo", "sapo")
"""Losses of TRL that are a mean over a completion's tokens; in others each token counts alike."""

MOST_WEIGHTS = 20_000_000
"""Weights beyond which nothing is measured: a gradient of each part is held in memory."""

_BATCH = 256
"""Most rollouts in one pass."""
_EPSILON = 1e-4
"""What GRPO adds to the standard deviation of a group."""


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A rollout of the base."""

    prompt_id: str
    prompt: list[int]
    completion: list[int]
    """With its end mark, if it ended."""
    tag: str
    correct: bool


def write_response(run: RunFolder, model: Path) -> None:
    """Measure the response of a run that trains all weights for correctness, and write it.

    Args:
        run: with the probe of its base; what else is in it is not read.
        model: folder of the model that it starts from.
    """
    from formatlab.models.model import load_saved, load_tokenizer

    config = run.config
    if config.get("reward") != "correctness" or config.get("lora") or run.response() is not None:
        return
    columns = ["prompt_id", "prompt", "completion", "tokens", "truncated", "tag", "correct"]
    rows = run.rollouts("probe", epoch=0.0, columns=columns)
    rows = rows.filter(rows["correct"].is_valid()).to_pylist()
    rollouts = _encoded(rows, load_tokenizer(model))
    policy = load_saved(model)
    if rollouts and sum(weight.numel() for weight in policy.parameters()) <= MOST_WEIGHTS:
        run.write_response(responses(policy, rollouts, config))


def responses(
    model: Any, rollouts: Sequence[Sampled], config: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """Return the response of each format's share to the first update.

    Args:
        model: the policy before RL; its weights are as they were afterwards.
        rollouts: of it; R.
        config: of the run: algorithm and settings.

    Returns:
        Format -> `adamw`, the change of the logarithm of its share in an update by AdamW at the
        run's full learning rate (`OTHER_RATE`, if another optimiser trains it); `sgd`, that of
        plain gradient descent, whose step is chosen so that both move the shares equally far; and
        standard errors by the jackknife over parts of the prompts, `adamw_error` and `sgd_error`.
        Empty with fewer prompts than parts.
    """
    settings = config["settings"]
    of_adamw = settings.get("optimiser", "adamw") == "adamw"
    rate = settings["learning_rate"] if of_adamw else OTHER_RATE
    temperature = settings["temperature"]
    prompts = sorted({rollout.prompt_id for rollout in rollouts})
    random.Random(0).shuffle(prompts)
    part_of = {prompt: place % PARTS for place, prompt in enumerate(prompts)}
    if len(prompts) < PARTS:
        return {}
    parts = [
        [place for place, of in enumerate(rollouts) if part_of[of.prompt_id] == part]
        for part in range(PARTS)
    ]
    advantages = _advantages(rollouts, config)
    per_token = settings.get("loss_type") in PER_TOKEN_MEAN
    weights = [
        advantage / (len(rollout.completion) if per_token else 1)
        for rollout, advantage in zip(rollouts, advantages, strict=True)
    ]
    begun = [
        replace(rollout, completion=rollout.completion[:count])
        for rollout, count in zip(rollouts, deciding_tokens(rollouts), strict=True)
    ]
    training = model.training
    model.eval()
    gradients = [
        _gradient(model, [rollouts[at] for at in part], [weights[at] for at in part], temperature)
        for part in parts
    ]
    scale = torch.stack([gradient.square() for gradient in gradients]).mean(0).sqrt()  # (D,)
    scale = torch.where(scale > 0, scale, torch.inf)  # what no rollout moves stays
    total = torch.stack(gradients).sum(0)
    length = float((total / scale).norm() / total.norm().clamp(min=1e-30))
    tags = sorted({rollout.tag for rollout in rollouts})
    gains = torch.full((len(OPTIMISERS), len(tags), PARTS, PARTS), torch.nan)  # by part, direction
    for place, part in enumerate(parts):
        of_part = [begun[at] for at in part]
        before = _logprobs(model, of_part, temperature)  # (r,)
        of_tag = [torch.tensor([of.tag == tag for of in of_part]) for tag in tags]
        for other, gradient in enumerate(gradients):
            if other == place:
                continue
            for row, direction in enumerate((gradient / scale, gradient * length)):
                with _moved(model, rate * direction):
                    gained = _logprobs(model, of_part, temperature) - before
                for column, chosen in enumerate(of_tag):
                    if chosen.any():
                        gains[row, column, place, other] = gained[chosen].mean() - gained.mean()
    model.train(training)
    counts = Counter(rollout.tag for rollout in rollouts)
    found = {tag: {} for tag in tags}
    for row, name in enumerate(OPTIMISERS):
        for column, tag in enumerate(tags):
            found[tag][name], found[tag][f"{name}_error"] = _jackknife(gains[row, column])
    moved = {
        name: sum(counts[tag] * abs(of[name]) for tag, of in found.items()) for name in OPTIMISERS
    }
    factor = moved["adamw"] / moved["sgd"] if moved["sgd"] else 0.0
    for of in found.values():
        of["sgd"], of["sgd_error"] = factor * of["sgd"], factor * of["sgd_error"]
    return found


def deciding_tokens(rollouts: Sequence[Sampled]) -> list[int]:
    """After how many of its first tokens each rollout's format is decided, at least 1; R."""
    begun: dict[tuple[int, ...], Counter[str]] = defaultdict(Counter)
    for rollout in rollouts:
        for count in range(1, min(MOST_DECIDING, len(rollout.completion)) + 1):
            begun[tuple(rollout.completion[:count])][rollout.tag] += 1

    def decided(rollout: Sampled) -> int:
        longest = min(MOST_DECIDING, len(rollout.completion))
        for count in range(1, longest):
            tags = begun[tuple(rollout.completion[:count])]
            if max(tags.values()) >= OF_ONE_FORMAT * tags.total():
                return count
        return longest

    return [decided(rollout) for rollout in rollouts]


def _encoded(rows: Sequence[dict[str, Any]], tokenizer: Any) -> list[Sampled]:
    """Rollouts as tokens; those whose text is read as other tokens than it was written in go."""
    prompts = {text: tokenizer(text)["input_ids"] for text in {row["prompt"] for row in rows}}
    found = []
    for row in rows:
        completion = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
        completion += [] if row["truncated"] else [tokenizer.eos_token_id]
        if len(completion) == row["tokens"] and completion:
            found.append(
                Sampled(
                    prompt_id=row["prompt_id"],
                    prompt=prompts[row["prompt"]],
                    completion=completion,
                    tag=row["tag"],
                    correct=row["correct"],
                )
            )
    return found


def _advantages(rollouts: Sequence[Sampled], config: dict[str, Any]) -> list[float]:
    """Advantages under a reward of 1 for a right answer, as the algorithm begins; R.

    PPO's critic knows nothing at first: what is usual over the batch is its baseline. That PPO's
    advantages fade towards the first tokens (its lambda) is left out.
    """
    one_group = config["algorithm"] == "ppo"
    groups = ["" if one_group else rollout.prompt_id for rollout in rollouts]
    rewards: dict[str, list[bool]] = defaultdict(list)
    for group, rollout in zip(groups, rollouts, strict=True):
        rewards[group].append(rollout.correct)
    means = {group: sum(of) / len(of) for group, of in rewards.items()}
    scaled = config["settings"].get("scale_rewards") == "group"
    spreads = {
        group: (mean * (1 - mean)) ** 0.5 + _EPSILON if scaled else 1.0
        for group, mean in means.items()
    }
    return [
        (rollout.correct - means[group]) / spreads[group]
        for group, rollout in zip(groups, rollouts, strict=True)
    ]


def _batches(rollouts: Sequence[Sampled]) -> Iterator[list[int]]:
    """Places of rollouts of about equal length, a batch at a time."""
    order = sorted(range(len(rollouts)), key=lambda place: len(rollouts[place].completion))
    for start in range(0, len(order), _BATCH):
        yield order[start : start + _BATCH]


def _token_logprobs(
    model: Any, rollouts: Sequence[Sampled], temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of a batch's completion tokens and which are none, (b, C) each."""
    ids, mask = padded(
        [rollout.prompt for rollout in rollouts],
        [rollout.completion for rollout in rollouts],
        pad=0,
        device=model.device,
    )
    length = max(len(rollout.completion) for rollout in rollouts)
    found = completion_logprobs(
        model, ids, mask, length=length, temperature=temperature, batch=_BATCH
    )
    return found, mask[:, -length:]


def _gradient(
    model: Any, rollouts: Sequence[Sampled], weights: Sequence[float], temperature: float
) -> torch.Tensor:
    """Gradient of the mean over rollouts of weight times log-probability; (D,)."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    summed = torch.zeros(sum(weight.numel() for weight in trained), device=model.device)
    paid = [place for place, weight in enumerate(weights) if weight]
    chosen = [rollouts[place] for place in paid]
    for batch in _batches(chosen):
        logprobs, mask = _token_logprobs(model, [chosen[place] for place in batch], temperature)
        weight = torch.tensor([weights[paid[place]] for place in batch], device=model.device)
        objective = (weight[:, None] * logprobs * mask).sum() / len(rollouts)
        found = torch.autograd.grad(objective, trained, allow_unused=True)
        summed += torch.cat(
            [
                (torch.zeros_like(weight) if of is None else of).flatten()
                for of, weight in zip(found, trained, strict=True)
            ]
        )
    return summed


@torch.no_grad()
def _logprobs(model: Any, rollouts: Sequence[Sampled], temperature: float) -> torch.Tensor:
    """Log-probability of each rollout's tokens together; (r,)."""
    found = torch.zeros(len(rollouts))
    for batch in _batches(rollouts):
        logprobs, mask = _token_logprobs(model, [rollouts[place] for place in batch], temperature)
        found[batch] = (logprobs * mask).sum(dim=1).cpu()
    return found


@contextmanager
def _moved(model: Any, step: torch.Tensor) -> Iterator[None]:
    """The model with its trained weights moved by a step (D,), and put back after."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    kept = [weight.detach().clone() for weight in trained]
    try:
        with torch.no_grad():
            for weight, of in zip(
                trained, step.split([weight.numel() for weight in trained]), strict=True
            ):
                weight += of.view_as(weight)
        yield
    finally:
        with torch.no_grad():
            for weight, of in zip(trained, kept, strict=True):
                weight.copy_(of)


def _jackknife(gains: torch.Tensor) -> tuple[float, float]:
    """Mean and standard error of gains by part and part of the direction; nan where there is none.

    A part is left out as both at a time, (Q, Q). What a single part has says nothing of its error,
    which is then as large as the value.
    """
    value = float(gains.nanmean())
    less = [
        float(gains[kept][:, kept].nanmean())
        for part in range(PARTS)
        if (kept := [other for other in range(PARTS) if other != part])
    ]
    known = [of for of in less if of == of]
    if len(known) < PARTS:
        return value, abs(value)
    mean = fmean(known)
    return value, ((PARTS - 1) / PARTS * sum((of - mean) ** 2 for of in known)) ** 0.5
