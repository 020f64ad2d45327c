"""The reward: what a rollout is paid, correctness or a control that is compared with it.

Every claim of the lab is about correctness. A run with another reward says so in every title and
table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from formatlab.errors import InputError
from formatlab.observe.grader import Grade, grade
from formatlab.observe.tagger import NONE
from formatlab.world.formats import FORMATS
from formatlab.world.problem import digest

RewardKind = Literal["correctness", "random", "none", "inverted"]
Reading = Literal["strict", "flexible"]

Seeds = Callable[[int], Sequence[int]]
"""Given the number of rows in a batch, a seed for each: from the run and the step alone, so that
the same rollout is paid the same again after a resume."""


@dataclass(frozen=True, kw_only=True)
class Reward:
    """What a rollout is paid: 1 or 0."""

    version: ClassVar[int] = 1
    """Raised when the same grades and seeds are paid otherwise."""

    kind: RewardKind = "correctness"
    """`correctness`: a right answer is paid. `random`: as many rollouts of a batch are paid as are
    right in it, drawn at random; the mean is that of correctness without its signal, so any change
    is drift by the algorithm itself. `none`: nothing is paid; only noise and the other terms of the
    loss (KL, entropy, bonuses) act. `inverted`: all but right answers are paid; shows that the
    direction of the change follows the reward."""
    reading: Reading = "strict"
    """How answers are read to tell what is right. `strict`: an answer has to be stated, in the way
    of a format. `flexible`: where sentences state none, the last number that they commit to is the
    answer, so that more of what a base model means is paid. Accuracies, winners and the column
    `correct` are strict either way. With the kind `none` it decides nothing."""
    false_positives: dict[str, float] = field(default_factory=dict)
    """Format -> probability that a wrong answer in it is paid; 0 for formats not named. Together
    with `false_negatives` it simulates a verifier that favours a format."""
    false_negatives: dict[str, float] = field(default_factory=dict)
    """Format -> probability that a right answer in it is not paid; 0 for formats not named."""

    def __post_init__(self) -> None:
        """Check formats and probabilities."""
        for name, rates in self._errors:
            for form, rate in rates.items():
                if form not in FORMATS and form != NONE:
                    raise InputError(
                        f"reward: {name} names the format {form!r}; "
                        f"known formats: {', '.join((*FORMATS, NONE))}"
                    )
                if not 0 <= rate <= 1:
                    raise InputError(
                        f"reward: {name} of {form} is {rate}; a probability lies between 0 and 1"
                    )
            if rates and self.kind != "correctness":
                raise InputError(
                    f"reward: {name} are errors of a correctness reward, and kind is "
                    f"{self.kind!r}; leave one of the two out"
                )

    @property
    def name(self) -> str:
        """The reward in words, for titles and tables."""
        errors = [
            f"{form} {name.replace('_', ' ')} {100 * rate:.6g}%"
            for name, rates in self._errors
            for form, rate in _nonzero(rates).items()
        ]
        kind = self.kind if self._read_strictly else f"{self.reading} {self.kind}"
        return ", ".join([kind, *errors])

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON; a rate of 0 is no error."""
        errors = {name: kept for name, rates in self._errors if (kept := _nonzero(rates))}
        # The strict reading is not named, so that addresses are those of before there was another.
        reading = {} if self._read_strictly else {"reading": self.reading}
        return {"kind": self.kind, **reading, **errors}

    @property
    def _read_strictly(self) -> bool:
        return self.reading == "strict" or self.kind == "none"

    def pay(self, grades: Sequence[Grade], seeds: Sequence[int]) -> list[float]:
        """The reward of each rollout of a batch.

        Args:
            grades: of all rollouts that are rewarded together.
            seeds: one for each; they alone decide the draws, on every machine alike.
        """
        draws = [_draw(seed) for _, seed in zip(grades, seeds, strict=True)]
        right = [self.is_right(seen) for seen in grades]
        match self.kind:
            case "none":
                return [0.0] * len(grades)
            case "inverted":
                return [float(not of) for of in right]
            case "random":
                lucky = set(sorted(range(len(draws)), key=lambda row: draws[row])[: sum(right)])
                return [float(row in lucky) for row in range(len(draws))]
            case "correctness":
                return [
                    float(of != (draw < self._error_rate(seen.tag.format, right=of)))
                    for seen, of, draw in zip(grades, right, draws, strict=True)
                ]

    def is_right(self, seen: Grade) -> bool:
        """Whether a completion is right by the reading of this reward."""
        return seen.correct if self.reading == "strict" else seen.flexible_correct

    def _error_rate(self, form: str, *, right: bool) -> float:
        return (self.false_negatives if right else self.false_positives).get(form, 0.0)

    @property
    def _errors(self) -> tuple[tuple[str, dict[str, float]], ...]:
        return (
            ("false_positives", self.false_positives),
            ("false_negatives", self.false_negatives),
        )


class RewardFunction:
    """The reward as TRL calls it; keeps the texts, grades and rewards of the last batch."""

    __name__ = "reward"

    def __init__(
        self,
        reward: Reward,
        seeds: Seeds,
        truncated: Callable[[], Sequence[bool | None]] | None = None,
    ) -> None:
        """Start with no batch seen.

        Args:
            reward: what is paid.
            seeds: called once a batch. Where several processes train, each rewards its own rows,
                with seeds of their own; `random` then keeps the mean within each process.
            truncated: called once a batch; whether the length limit ended each of its rollouts.
                Without it the look of a text decides.
        """
        self._reward = reward
        self._seeds = seeds
        self._truncated = truncated
        self.texts: list[str] = []
        self.grades: list[Grade] = []
        self.rewards: list[float] = []

    def __call__(self, completions: list[str], gold: list[str], **_: object) -> list[float]:
        """Grade and pay a batch of completions against the right answers of their prompts."""
        self.texts = list(completions)
        cut = self._truncated() if self._truncated else [None] * len(completions)
        # A group repeats itself: the same text is graded once.
        graded: dict[tuple[str, str, bool | None], Grade] = {}
        for answered in zip(completions, gold, cut, strict=True):
            if answered not in graded:
                text, right, ended_early = answered
                graded[answered] = grade(text, right, truncated=ended_early)
        self.grades = [graded[answered] for answered in zip(completions, gold, cut, strict=True)]
        self.rewards = self._reward.pay(self.grades, self._seeds(len(self.grades)))
        return list(self.rewards)


def _draw(seed: int) -> float:
    """A uniform number in [0, 1) that depends on the seed alone, and on no other use of it."""
    return (digest("reward", seed) >> 11) / 2**53  # as many bits as a float holds


def _nonzero(rates: dict[str, float]) -> dict[str, float]:
    return {form: rates[form] for form in sorted(rates) if rates[form]}
