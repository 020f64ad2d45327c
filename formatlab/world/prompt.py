"""Prompts: what a model is given for a problem, and the answer to check its completions against.

A model of the ladder gets the bare question, as its pretraining documents begin. A real model gets
the question after worked examples (shots) in a chosen mix of formats, as plain text or in its chat
template; the examples are solved by hand in every format, below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from formatlab.errors import InputError
from formatlab.world.problem import Problem, digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


VERSION = 1
"""Raised when models are given other text for the same problem."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A small problem, solved by hand in every format that examples are given in."""

    question: str
    answer: str
    solutions: Mapping[str, str]
    """Format -> the solution in it."""


EXAMPLES = (
    Example(
        question="A baker makes 24 rolls in the morning and 18 rolls in the afternoon. "
        "How many rolls does the baker make that day?",
        answer="42",
        solutions={
            "prose": "The baker makes 24 + 18 = 42 rolls that day. The answer is 42.",
            "latex": "The number of rolls is\n\\[ 24 + 18 = 42 \\]\nso it is $\\boxed{42}$.",
            "program": "def solve():\n"
            "    morning = 24\n"
            "    afternoon = 18\n"
            "    return morning + afternoon",
            "json": '{"steps": ["24 + 18 = 42"], "answer": 42}',
            "direct": "42",
        },
    ),
    Example(
        question="Mara has 30 stickers. She gives 13 of them to her brother. "
        "How many stickers does she have left?",
        answer="17",
        solutions={
            "prose": "Mara keeps 30 - 13 = 17 stickers. The answer is 17.",
            "latex": "The number left is\n\\[ 30 - 13 = 17 \\]\nso it is $\\boxed{17}$.",
            "program": "def solve():\n    stickers = 30\n    return stickers - 13",
            "json": '{"steps": ["30 - 13 = 17"], "answer": 17}',
            "direct": "17",
        },
    ),
    Example(
        question="A crate holds 6 bottles. How many bottles do 8 crates hold?",
        answer="48",
        solutions={
            "prose": "The crates hold 8 x 6 = 48 bottles. The answer is 48.",
            "latex": "The number of bottles is\n\\[ 8 \\times 6 = 48 \\]\nso it is $\\boxed{48}$.",
            "program": "def solve():\n    crates = 8\n    bottles = 6\n    return crates * bottles",
            "json": '{"steps": ["8 * 6 = 48"], "answer": 48}',
            "direct": "48",
        },
    ),
    Example(
        question="Five friends share 45 shells equally. Then one of them finds 6 more. "
        "How many shells does that friend have now?",
        answer="15",
        solutions={
            "prose": "Each friend gets 45 / 5 = 9 shells. The friend who finds more has "
            "9 + 6 = 15 shells. The answer is 15.",
            "latex": "Each friend gets\n\\[ 45 \\div 5 = 9, \\]\nand that friend then has\n"
            "\\[ 9 + 6 = 15 \\]\nshells, so it is $\\boxed{15}$.",
            "program": "def solve():\n    each = 45 // 5\n    found = 6\n    return each + found",
            "json": '{"steps": ["45 / 5 = 9", "9 + 6 = 15"], "answer": 15}',
            "direct": "15",
        },
    ),
)
"""Written for this laboratory, so that none is in a public problem set."""

SHOT_FORMATS = tuple(EXAMPLES[0].solutions)
"""The formats that examples can be given in."""


@dataclass(frozen=True, kw_only=True)
class Shots:
    """How many worked examples of each format come before a question.

    Raises:
        InputError: a format without examples, or more examples of one than there are.
    """

    counts: Mapping[str, int] = field(
        default_factory=lambda: {"prose": 2, "latex": 2, "program": 2, "json": 2}
    )
    """Format -> number of examples written in it, at most four. After one of each, small chat
    models write little but prose."""
    seed: int = 0
    """Decides, together with the question, which example has which format and in what order."""

    def __post_init__(self) -> None:
        """Check names and counts."""
        for name, count in self.counts.items():
            if name not in SHOT_FORMATS:
                raise InputError(
                    f"worked examples: there are none in format {name!r}; "
                    f"formats with examples: {', '.join(SHOT_FORMATS)}"
                )
            if not 0 <= count <= len(EXAMPLES):
                raise InputError(
                    f"worked examples: {count} in format {name} were asked for; "
                    f"give a number from 0 to {len(EXAMPLES)}"
                )

    def drawn_for(self, problem: Problem) -> list[tuple[str, str]]:
        """The examples that come before this problem, as (question, solution).

        The order is drawn anew for every problem, because a model leans towards the format it saw
        last; no example appears twice in one format.
        """
        random = Random(digest("shots", self.seed, prompt_id(problem.question)))
        formats = [name for name in sorted(self.counts) for _ in range(self.counts[name])]
        examples = random.sample(EXAMPLES, len(EXAMPLES))
        drawn = [(examples[place % len(examples)], name) for place, name in enumerate(formats)]
        random.shuffle(drawn)
        return [(example.question, example.solutions[name]) for example, name in drawn]


def prompt_text(
    problem: Problem,
    *,
    shots: Shots | None = None,
    tokenizer: "PreTrainedTokenizerBase | None" = None,
) -> str:
    """Write what a real model is given for a problem.

    Args:
        problem: The problem to be solved.
        shots: The worked examples before it; None for the question alone.
        tokenizer: Wraps everything in this tokenizer's chat template, each example as a turn of
            the user and one of the assistant; None for plain text.

    Raises:
        InputError: the tokenizer has no chat template.
    """
    examples = [] if shots is None else shots.drawn_for(problem)
    if tokenizer is None:
        worked = "".join(f"{question}\n{solution}\n\n" for question, solution in examples)
        return f"{worked}{problem.question}\n"
    return _chat(examples, problem.question, tokenizer)


def real_prompts(
    problems: Sequence[Problem], shots: Shots, tokenizer: "PreTrainedTokenizerBase | None"
) -> list[Prompt]:
    """The problems as a real model is asked them; `tokenizer` is that of a chat, or None."""
    return [
        Prompt(
            id=prompt_id(problem.question),
            text=prompt_text(problem, shots=shots, tokenizer=tokenizer),
            gold=problem.answer,
            family=problem.family,
        )
        for problem in problems
    ]


def _chat(
    examples: list[tuple[str, str]], question: str, tokenizer: "PreTrainedTokenizerBase"
) -> str:
    if tokenizer.chat_template is None:
        raise InputError(
            "the model's tokenizer has no chat template, as is usual for models that were not "
            "tuned to follow instructions: ask it in plain text"
        )
    turns = []
    for asked, solution in examples:
        turns.append({"role": "user", "content": asked})
        turns.append({"role": "assistant", "content": solution})
    turns.append({"role": "user", "content": question})
    text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    start = tokenizer.bos_token
    if (
        isinstance(start, str)
        and text.startswith(start)
        and tokenizer("")["input_ids"] == [tokenizer.bos_token_id]
    ):
        # the tokenizer will put it there itself, and the model must not see it twice
        return text.removeprefix(start)
    return text
