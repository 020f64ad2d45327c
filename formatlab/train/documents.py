"""Documents to fine-tune on: solutions that the world renders, in formats of one's choice."""

from collections.abc import Sequence
from random import Random

from formatlab.errors import InputError
from formatlab.train.examples import Example
from formatlab.train.sft import Sft
from formatlab.world.formats import FORMATS
from formatlab.world.problem import Problem, digest
from formatlab.world.prompt import Prompt, plain_prompt
from formatlab.world.world import World

_FRESH = 10**9
"""Index from which pretraining problems are drawn here; no corpus reaches as far."""


def render_documents(
    world: World | None, prompts: Sequence[Prompt], settings: Sft, seed: int
) -> list[Example]:
    """Exactly `settings.examples` documents, decided by the seed.

    Problems are taken in turn; when they begin anew, each gets the next of the formats.

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
