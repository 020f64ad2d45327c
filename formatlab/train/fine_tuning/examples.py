"""Examples to fine-tune on, tokenised as the pretraining corpus is.

They come from one of two sources: documents that the world renders in chosen formats, or the
starting model's own rollouts. SFT learns from single completions; DPO learns from pairs of a right
answer in the chosen format and a wrong or malformed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING

from formatlab.errors import InputError, RunError
from formatlab.models.model import load_saved, load_tokenizer
from formatlab.observe.recorder import sample_numbers
from formatlab.store.rollout import Rollout, rollouts_from_table
from formatlab.train.policy import half_precision, observe_policy
from formatlab.train.probe import Probe
from formatlab.train.stage import StageInputs
from formatlab.world.formats import FORMATS
from formatlab.world.problem import Problem, digest
from formatlab.world.prompt import Prompt, plain_prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from formatlab.train.fine_tuning.settings import FineTuning, Sft

UNLEARNED = -100
"""Label of a token that is no part of the loss, by PyTorch's convention."""

_FRESH = 10**9
"""Index from which pretraining problems are drawn here; no corpus reaches as far."""

_PART = 4_096
"""Own rollouts in one file: what a kill costs at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One completion to learn."""

    prompt: str
    completion: str
    ended: bool = True
    """Whether the end mark belongs to it; a rollout that was cut at the length limit has none."""


def completion_of(row: Rollout) -> Example:
    """A rollout as an example."""
    return Example(prompt=row.prompt, completion=row.completion, ended=not row.truncated)


def right_answers(rows: Sequence[Rollout], formats: Sequence[str] = ()) -> list[Example]:
    """The rollouts that are right, well formed, not cut, and distinct by text for each prompt.

    The first ones of all prompts come first, then the second ones: where only some are taken,
    prompts count as equally as possible.

    Args:
        rows: rollouts.
        formats: only those tagged as one of these; empty for all.
    """
    found = {
        (row.prompt_id, row.completion): completion_of(row)
        for row in rows
        if row.correct
        and row.well_formed
        and not row.truncated
        and (not formats or row.tag in formats)
    }
    of_prompt = sample_numbers([prompt_id for prompt_id, _ in found])
    return [
        example
        for _, example in sorted(
            zip(of_prompt, found.values(), strict=True), key=lambda numbered: numbered[0]
        )
    ]


def paid_answers(rows: Sequence[Rollout]) -> list[Example]:
    """The rollouts that the reward paid, distinct by text for each prompt."""
    found = {
        (row.prompt_id, row.completion): completion_of(row) for row in rows if (row.reward or 0) > 0
    }
    return list(found.values())


def token_ids(example: Example, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Ids of the prompt and of the completion with its end mark.

    Each is tokenised by itself, as in the corpus and as when a policy is sampled: tokenised
    together, tokens could merge across the boundary.
    """
    prompt = tokenizer(example.prompt)["input_ids"]
    completion = tokenizer(example.completion, add_special_tokens=False)["input_ids"]
    assert isinstance(prompt, list) and isinstance(completion, list)
    assert isinstance(tokenizer.eos_token_id, int)
    return prompt, completion + [tokenizer.eos_token_id] * example.ended


def sft_row(example: Example, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """A row of TRL's SFT, tokenised: the completion alone has labels."""
    prompt, completion = token_ids(example, tokenizer)
    return {
        "input_ids": prompt + completion,
        "labels": [UNLEARNED] * len(prompt) + completion,
    }


def render_documents(
    world: World | None, prompts: Sequence[Prompt], settings: Sft, seed: int
) -> list[Example]:
    """Exactly `settings.examples` documents, decided by the seed.

    Problems are taken in turn; when all were taken, each is taken again in the next format.

    Raises:
        InputError: there is no world, or the prompts are not of it.
    """
    world = _needed(world, "sft: source is 'documents'; choose 'rollouts'")
    count = settings.examples
    if settings.problems == "pretrain":
        first = _FRESH + digest("fine-tuning", seed) % _FRESH
        problems = [world.problem("pretrain", first + index) for index in range(count)]
    else:
        problems = list(problems_of(world, prompts).values())
    documents = []
    for index in range(count):
        problem = problems[index % len(problems)]
        random = Random(digest("fine-tuning", seed, index))
        form = _format(world, settings.formats, index, len(problems), random)
        render = faithful_solution if settings.faithful else world.solution
        documents.append(
            Example(
                prompt=plain_prompt(problem).text,
                completion=render(problem, form, random),
            )
        )
    return documents


def chosen_documents(
    world: World | None, prompts: Sequence[Prompt], form: str, seed: int
) -> dict[str, str]:
    """For the id of every prompt, its faithful solution in one format.

    Raises:
        InputError: there is no world, or the prompts are not of it.
    """
    world = _needed(world, "chosen is 'documents'; choose 'rollouts'")
    return {
        prompt: faithful_solution(problem, form, Random(digest("chosen", seed, prompt)))
        for prompt, problem in problems_of(world, prompts).items()
    }


def faithful_solution(problem: Problem, form: str, random: Random) -> str:
    """The solution in a format, without any mistranslation."""
    return FORMATS[form].render(problem, random)


def problems_of(world: World, prompts: Sequence[Prompt]) -> dict[str, Problem]:
    """The problem behind every prompt, by the prompt's id, in the order of the prompts.

    Raises:
        InputError: a prompt that is not among as many problems of the world's RL split.
    """
    known = {plain_prompt(p).id: p for p in world.problems("rl", len(prompts))}
    for prompt in prompts:
        if prompt.id not in known:
            raise InputError(
                f"fine-tuning: the prompt {prompt.text.strip()!r} is not one of the first "
                f"{len(prompts)} RL problems of this world, so no document can be rendered for it"
            )
    return {prompt.id: known[prompt.id] for prompt in prompts}


def _format(world: World, formats: Sequence[str], index: int, problems: int, random: Random) -> str:
    if formats:
        return formats[(index % problems + index // problems) % len(formats)]
    names = sorted(world.mixture.shares)
    return random.choices(names, weights=[world.mixture.shares[name] for name in names])[0]


def _needed(world: World | None, setting: str) -> World:
    if world is None:
        raise InputError(
            f"{setting}: documents are rendered by the controlled world, and a real model's "
            "problems have none"
        )
    return world


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two completions of one prompt."""

    chosen: Example
    rejected: Example


@dataclass(frozen=True, kw_only=True)
class PreferencePairs:
    """The pairs found, at most one a prompt so that every prompt weighs the same."""

    pairs: list[Pair]
    without_chosen: int
    """Prompts of which no rollout is right and well formed in the chosen format."""
    without_rejected: int
    """Other prompts, of which no rollout is wrong or malformed."""

    @property
    def skipped(self) -> int:
        """Prompts without a pair."""
        return self.without_chosen + self.without_rejected


def preference_pairs(
    rows: Sequence[Rollout], *, toward: str, documents: Mapping[str, str] | None = None
) -> PreferencePairs:
    """Make one pair of each prompt that has one: the first rollouts that fit either side.

    Args:
        rows: rollouts of the starting model, those of a prompt side by side.
        toward: the chosen format.
        documents: for each prompt's id a solution that is taken as chosen; None to take rollouts.
    """
    pairs: list[Pair] = []
    without_chosen = without_rejected = 0
    for prompt_id, group in groupby(rows, key=lambda row: row.prompt_id):
        rollouts = list(group)
        if documents is not None:
            chosen = Example(prompt=rollouts[0].prompt, completion=documents[prompt_id])
        else:
            chosen = next((completion_of(row) for row in rollouts if _fit(row, toward)), None)
        rejected = next(
            (completion_of(row) for row in rollouts if not (row.correct and row.well_formed)), None
        )
        if chosen is None:
            without_chosen += 1
        elif rejected is None:
            without_rejected += 1
        else:
            pairs.append(Pair(chosen=chosen, rejected=rejected))
    return PreferencePairs(
        pairs=pairs, without_chosen=without_chosen, without_rejected=without_rejected
    )


def require_pairs(found: PreferencePairs, *, stage: str, toward: str, least: int) -> None:
    """Check that there are enough pairs to learn from.

    Raises:
        RunError: there are fewer than `least`.
    """
    if len(found.pairs) >= least:
        return
    count = len(found.pairs)
    raise RunError(
        f"{stage}: {count} of {count + found.skipped} prompts gave a pair toward {toward}, and one "
        f"update needs {least}. Of {found.without_chosen} prompts no rollout was right and well "
        f"formed in {toward}, of {found.without_rejected} others none was wrong or malformed. Take "
        "more prompts or samples, a smaller batch, or chosen completions from documents"
    )


def dpo_row(pair: Pair, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """A row of TRL's DPO, tokenised."""
    prompt, chosen = token_ids(pair.chosen, tokenizer)
    _, rejected = token_ids(pair.rejected, tokenizer)
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}


def _fit(row: Rollout, toward: str) -> bool:
    """Whether a rollout can be the chosen one."""
    right = bool(row.correct) and row.well_formed
    return right and row.tag == toward and not row.mixed and not row.truncated


def own_rollouts(settings: FineTuning, inputs: StageInputs) -> list[Rollout]:
    """The starting model's `settings.samples` rollouts of every prompt; samples what is missing.

    They are recorded as training rollouts of step 0. The draws depend on the prompt, the number of
    the sample and the seed alone, so SFT and DPO of one model and seed look through the same ones.
    """
    folder = inputs.folder
    per_part = max(1, _PART // settings.samples)
    probe = Probe(
        samples=settings.samples,
        temperature=settings.temperature,
        batch=settings.micro_batch,
        seed=digest("own rollouts", inputs.seed),
    )
    tokenizer = load_tokenizer(inputs.model)
    policy = None
    for part, start in enumerate(range(0, len(inputs.prompts), per_part)):
        chunk = inputs.prompts[start : start + per_part]
        there = folder.rollouts("train", epoch=0.0, part=part, columns=["prompt_id"])
        if there.num_rows == len(chunk) * settings.samples:
            continue
        if policy is None:
            folder.remove_checkpoints()  # they were trained on other rollouts
            policy = load_saved(inputs.model)
        with half_precision(settings.precision, policy.device.type):
            rows = observe_policy(
                policy,
                tokenizer,
                chunk,
                probe,
                limit=settings.completion_length,
                run_id=folder.name,
                step=0,
                epoch=0.0,
                split="train",
            )
        paid = [replace(row, reward=float(bool(row.correct))) for row in rows]
        folder.write_rollouts("train", 0.0, paid, part=part)
    return rollouts_from_table(folder.rollouts("train", epoch=0.0))
