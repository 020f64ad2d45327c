"""PPO's formulas against plain loops in float64, and against a step of the last public TRL PPO."""

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formatlab.train.on_policy.critic import (
    Total,
    explained_variance,
    generalised_advantage,
    masked_mean,
    token_rewards,
    value_losses,
    whiten,
)

STEP = json.loads(
    (Path(__file__).parent / "fixtures" / "trl_ppo" / "step.json").read_text(encoding="utf-8")
)


def step(name: str) -> torch.Tensor:
    return torch.tensor(STEP[name])


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """Random completions of random lengths; what stands behind their ends must not matter."""
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    lengths = draw(st.lists(st.integers(1, columns), min_size=rows, max_size=rows))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = ("rewards", "values", "new_values", "returns", "policy", "base")
    tensors = {name: torch.tensor(numbers.normal(size=(rows, columns))) for name in names}
    mask = torch.tensor([[int(t < n) for t in range(columns)] for n in lengths])
    return {
        **tensors,
        "scores": torch.tensor(numbers.normal(size=rows)),
        "lengths": lengths,
        "mask": mask,
        "discount": draw(st.sampled_from([0.0, 0.5, 0.97, 1.0])),
        "gae_lambda": draw(st.sampled_from([0.0, 0.5, 0.95, 1.0])),
    }


def tokens(batch: dict[str, Any], name: str) -> list[float]:
    rows = zip(batch[name].tolist(), batch["lengths"], strict=True)
    return [value for row, length in rows for value in row[:length]]


def padding_is_zero(found: torch.Tensor, mask: torch.Tensor) -> bool:
    return bool((found[mask == 0] == 0).all())


@given(batches(), st.sampled_from([0.0, 0.05, 1.0]))
def test_token_rewards_pay_the_score_last_and_charge_for_leaving_the_base(
    batch: dict[str, Any], kl_coefficient: float
):
    found = token_rewards(
        batch["scores"],
        policy=batch["policy"],
        base=batch["base"],
        kl_coefficient=kl_coefficient,
        mask=batch["mask"],
    )
    for row, length in enumerate(batch["lengths"]):
        for t in range(length):
            expected = -kl_coefficient * float(batch["policy"][row, t] - batch["base"][row, t])
            expected += float(batch["scores"][row]) if t == length - 1 else 0.0
            assert float(found[row, t]) == pytest.approx(expected, abs=1e-12)
    assert padding_is_zero(found, batch["mask"])


@given(batches())
def test_advantages_are_the_sums_of_the_definition(batch: dict[str, Any]):
    advantages, returns = generalised_advantage(
        batch["rewards"],
        batch["values"],
        discount=batch["discount"],
        gae_lambda=batch["gae_lambda"],
        mask=batch["mask"],
    )
    decay = batch["discount"] * batch["gae_lambda"]
    for row, length in enumerate(batch["lengths"]):
        r, v = batch["rewards"][row].tolist()[:length], batch["values"][row].tolist()[:length]
        after = [*v[1:], 0.0]
        delta = [r[t] + batch["discount"] * after[t] - v[t] for t in range(length)]
        for t in range(length):
            expected = sum(decay**k * delta[t + k] for k in range(length - t))
            assert float(advantages[row, t]) == pytest.approx(expected, abs=1e-12)
            assert float(returns[row, t]) == pytest.approx(expected + v[t], abs=1e-12)
    assert padding_is_zero(advantages, batch["mask"])
    assert padding_is_zero(returns, batch["mask"])


@given(batches())
def test_with_lambda_and_discount_1_an_advantage_is_what_is_still_to_come_less_the_value(
    batch: dict[str, Any],
):
    advantages, returns = generalised_advantage(
        batch["rewards"], batch["values"], discount=1.0, gae_lambda=1.0, mask=batch["mask"]
    )
    kept = batch["rewards"] * batch["mask"]
    to_come = kept.flip(1).cumsum(1).flip(1) * batch["mask"]
    torch.testing.assert_close(returns, to_come)
    torch.testing.assert_close(advantages, (to_come - batch["values"]) * batch["mask"])


@given(batches())
def test_whitening_gives_the_tokens_of_all_completions_mean_0_and_variance_1(batch: dict[str, Any]):
    found = whiten(batch["rewards"], batch["mask"])
    values = np.array(tokens(batch, "rewards"))
    variance = values.var(ddof=1) if len(values) > 1 else 0.0
    expected = (values - values.mean()) / math.sqrt(variance + 1e-8)
    assert tokens({**batch, "found": found}, "found") == pytest.approx(expected.tolist(), abs=1e-9)
    assert padding_is_zero(found, batch["mask"])


def on_processes(works: Sequence[Callable[[Total], Any]]) -> list[Any]:
    """Do the works at the same time, each told a sum over all of them; threads as processes."""
    meeting, shared = Barrier(len(works), timeout=600), list[Any](works)

    def do(rank: int) -> Any:
        def total(values: torch.Tensor) -> torch.Tensor:
            shared[rank] = values
            meeting.wait()
            result = torch.stack(shared).sum(0)
            meeting.wait()
            return result

        return works[rank](total)

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(do, range(len(works))))


@settings(max_examples=30, deadline=None)
@given(batches(), st.integers(1, 4))
def test_statistics_over_processes_are_those_of_the_whole_batch(batch: dict[str, Any], parts: int):
    shares = [
        {name: batch[name][rows] for name in ("rewards", "values", "returns", "mask")}
        for rows in torch.arange(len(batch["lengths"])).chunk(parts)
    ]
    whitened = on_processes([partial(whiten, s["rewards"], s["mask"]) for s in shares])
    torch.testing.assert_close(torch.cat(whitened), whiten(batch["rewards"], batch["mask"]))
    explained = on_processes(
        [partial(explained_variance, s["values"], s["returns"], s["mask"]) for s in shares]
    )
    whole = explained_variance(batch["values"], batch["returns"], batch["mask"])
    assert explained == pytest.approx([whole] * len(shares), nan_ok=True)


@given(batches(), st.floats(0.01, 2.0))
def test_a_value_loss_is_half_the_larger_of_two_squared_errors(batch: dict[str, Any], clip: float):
    found = value_losses(
        batch["new_values"], old=batch["values"], returns=batch["returns"], clip=clip
    )
    for row, length in enumerate(batch["lengths"]):
        for t in range(length):
            new, old, target = (
                float(batch[name][row, t]) for name in ("new_values", "values", "returns")
            )
            held = min(max(new, old - clip), old + clip)
            expected = 0.5 * max((new - target) ** 2, (held - target) ** 2)
            assert float(found[row, t]) == pytest.approx(expected, abs=1e-12)


def test_a_value_gets_no_gradient_once_it_has_gone_as_far_toward_its_target_as_it_may():
    values = torch.tensor([[0.1, 0.3, -0.3]], requires_grad=True)
    losses = value_losses(values, old=torch.zeros(1, 3), returns=torch.ones(1, 3), clip=0.2)
    losses.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [pytest.approx([-0.9, 0.0, -1.3])]


@given(batches())
def test_explained_variance_is_that_of_the_definition(batch: dict[str, Any]):
    found = explained_variance(batch["values"], batch["returns"], batch["mask"])
    returns, values = np.array(tokens(batch, "returns")), np.array(tokens(batch, "values"))
    if len(returns) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(1 - (returns - values).var() / returns.var())


def test_explained_variance_knows_a_perfect_critic_and_a_constant_one():
    returns, mask = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.ones(2, 2)
    assert explained_variance(returns, returns, mask) == 1
    assert explained_variance(torch.full((2, 2), 0.3), returns, mask) == pytest.approx(0, abs=1e-6)


@given(batches())
def test_a_mean_is_over_tokens_only(batch: dict[str, Any]):
    expected = np.mean(tokens(batch, "values"))
    assert masked_mean(batch["values"], batch["mask"]) == pytest.approx(expected)


@settings(max_examples=20)
@given(batches())
def test_what_stands_behind_the_end_of_a_completion_does_not_matter(batch: dict[str, Any]):
    other = {
        k: v.masked_fill(batch["mask"] == 0, 1e6)
        for k, v in batch.items()
        if k in ("rewards", "values")
    }
    one, two = (
        generalised_advantage(
            b["rewards"], b["values"], discount=1.0, gae_lambda=0.95, mask=batch["mask"]
        )
        for b in (batch, other)
    )
    assert all(a.equal(b) for a, b in zip(one, two, strict=True))


def test_a_step_of_the_last_public_trl_ppo_is_reproduced():
    """Float32 sums in another order: within 1e-5 of values around 1."""
    mask = step("mask_of_rewards")
    rewards = token_rewards(
        step("scores"),
        policy=step("logprobs"),
        base=step("ref_logprobs"),
        kl_coefficient=STEP["kl_coefficient"],
        mask=mask,
    )
    torch.testing.assert_close(rewards, step("rewards"), rtol=1e-5, atol=1e-5)
    advantages, returns = generalised_advantage(
        rewards,
        step("values"),
        discount=STEP["discount"],
        gae_lambda=STEP["gae_lambda"],
        mask=mask,
    )
    torch.testing.assert_close(advantages, step("advantages"), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(returns, step("returns"), rtol=1e-5, atol=1e-5)
    whitened = whiten(advantages, step("mask_of_advantages"))
    torch.testing.assert_close(whitened, step("whitened"), rtol=1e-5, atol=1e-5)


def test_the_step_holds_what_makes_it_a_test():
    ended = step("mask_of_advantages").sum(1) < step("mask_of_advantages").shape[1]
    assert 0 < ended.sum() < len(ended)
    assert (step("logprobs") - step("ref_logprobs")).abs().max() > 0.1
    assert step("values").abs().max() > 0.1
