"""A prompt: what the model is given for a problem, and what its answer is checked against."""

from dataclasses import dataclass

from formatlab.world.problem import Problem, digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One problem as the model sees it."""

    id: str
    """Derived from the question: the same problem has the same id in every run."""
    text: str
    gold: str
    family: str


def prompt_id(question: str) -> str:
    """Sixteen hexadecimal digits that stand for a question."""
    return f"{digest('prompt', question):016x}"


def plain_prompt(problem: Problem) -> Prompt:
    """The question and a line break: how documents of the controlled world begin."""
    return Prompt(
        id=prompt_id(problem.question),
        text=problem.question + "\n",
        gold=problem.answer,
        family=problem.family,
    )
