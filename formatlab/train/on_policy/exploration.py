"""Outcome-based exploration: a bonus for rollouts whose outcome, answer or format, is rare.

Song, Kempe and Munos, "Outcome-based Exploration for LLM Reasoning" (arXiv 2509.06941). The bonus
is added to the advantage after it was normalised, and not to the reward. With N(x, a) the number of
earlier rollouts of prompt x with outcome a, n the rollouts of x in the batch, b_i the historical
bonus min(1, sqrt(1 / N(x, a_i))), and c the coefficient:

    historical, mean baseline       c (b_i - mean of b_j over j != i)
    historical, constant baseline   c (b_i - b_0)
    batch                           -(c / n) (number of j != i with a_j = a_i)

A group whose rollouts are all right gets none. A bonus for rare answers is not given to the tokens
of the answer itself (`answer_tokens`): the gradient then changes the steps that lead to an answer,
while on the answer itself the policy would learn to swap the last number.
"""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
import regex

from formatlab.errors import InputError
from formatlab.observe.answers.number import read_number
from formatlab.observe.grader import Grade
from formatlab.store.rollout import encodable
from formatlab.world.formats.format import Reading
from formatlab.world.formats.limits import NUMBER

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_NUMBER = regex.compile(NUMBER)
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer decodes the first bytes of a character to."""


def answer_tokens(
    tokens: Sequence[int], reading: Reading | None, tokenizer: "PreTrainedTokenizerBase"
) -> list[bool]:
    """Tell for each token of a completion whether it holds a part of the answer.

    The answer is taken at the last place in the text that says what the format reads; a token that
    holds a part of it and something else counts. No token counts where there is no answer, or where
    code computes it: then all of the text leads to it.

    Args:
        tokens: the completion, marks such as the end of the sequence included.
        reading: where its format puts the answer, `Tag.reading`; None where it gives none.
        tokenizer: what decodes the tokens.
    """
    mask = [False] * len(tokens)
    if reading is None or reading.code:
        return mask
    ids = list(tokens)

    def decoded(count: int) -> str:
        text = tokenizer.decode(
            ids[:count], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str), "one list of tokens is one text"
        return text

    def finished(count: int) -> int:
        """Number of characters that are whole after so many tokens; grows with them."""
        return len(decoded(count).rstrip(_UNFINISHED))

    span = answer_span(decoded(len(ids)), reading.content)
    if span is None:
        return mask
    start, end = span
    counts = range(len(ids) + 1)
    after = bisect_left(counts, end, key=finished)
    # The token that completes the first character, and those before it that began it.
    first = bisect_left(counts, start + 1, key=finished) - 1
    while first > 0 and len(decoded(first)) > start:
        first -= 1
    return [first <= index < after for index in range(len(ids))]


def answer_span(text: str, answer: str) -> tuple[int, int] | None:
    """Where a text says an answer for the last time: first character, and the one after the last.

    Parts of longer numbers or words do not count. Where the text does not have the answer as it was
    read (markup inside it was left out, or JSON writes it in another way), the last number with the
    same value is taken; None where there is none either.
    """
    if not answer:
        return None
    bounded = _not_after(answer[0]) + regex.escape(answer) + _not_before(answer[-1])
    last = None  # neither pattern needs a time limit: both go through a text once
    for match in regex.compile(bounded, cache_pattern=False).finditer(text):
        last = match
    if last is None and (value := read_number(answer)) is not None:
        for match in _NUMBER.finditer(text):
            number = read_number(match[0])
            if number is not None and number.value == value.value:
                last = match
    return None if last is None else last.span()


def _not_after(first: str) -> str:
    """Pattern that lets no match begin inside a number or, in Latin letters, a word."""
    if first.isdigit():
        return r"(?<!\d)(?<!\d[.,])"
    return "(?<![A-Za-z])" if first.isascii() and first.isalpha() else ""


def _not_before(last: str) -> str:
    """Pattern that lets no match end inside a number or, in Latin letters, a word."""
    if last.isdigit():
        return r"(?!\d|[.,]\d)"
    return "(?![A-Za-z])" if last.isascii() and last.isalpha() else ""


BonusName = Literal["none", "ucb_mean", "ucb_constant", "batch"]

Outcome = str | None
"""The outcome of a rollout: its answer as graded, with `7.0` and `7 apples` both the number 7; or
the name of its format. None is an answer that cannot be read. All of those are one outcome, counted
like any other: if they were not counted, a text without an answer would always be new, and the
bonus would pay for breaking the format. Among formats that outcome is `none`."""

_WORDS = {
    "none": "none",
    "ucb_mean": "UCB with mean baseline",
    "ucb_constant": "UCB with constant baseline",
    "batch": "batch",
}


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """Settings of outcome-based exploration. The defaults of the numbers are the paper's."""

    version: ClassVar[int] = 1
    """Raised when the same outcomes give another bonus, or other tokens count as the answer."""

    bonus: BonusName = "none"
    """Which bonus: against what the whole training has seen (`ucb_mean`, `ucb_constant`), or
    against the other rollouts of the prompt in the batch (`batch`)."""
    over: Literal["answer", "format"] = "answer"
    """What counts as an outcome. Over answers, the tokens of the answer get no bonus (see
    `formatlab.train.on_policy.exploration`), or the policy would only swap the last number."""
    coefficient: float = 0.2
    """Weight of the bonus (c), in units of the advantage."""
    baseline: float = 0.5
    """What `ucb_constant` subtracts (b0): with 0.5 an outcome seen more than 4 times is punished.
    The paper takes 1 for easy problems."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        if self.bonus not in _WORDS:
            raise InputError(
                f"exploration: unknown bonus {self.bonus!r}; known: {', '.join(_WORDS)}"
            )
        if self.over not in ("answer", "format"):
            raise InputError(f"exploration: over is {self.over!r}; answer or format")
        if not 0 <= self.coefficient < math.inf:
            raise InputError(
                f"exploration: coefficient is {self.coefficient}; it cannot be negative"
            )
        if not 0 <= self.baseline <= 1:
            raise InputError(
                f"exploration: baseline is {self.baseline}; the bonus it is taken from lies "
                "between 0 and 1, and so must it"
            )

    @property
    def name(self) -> str:
        """The bonus in words, for titles and tables."""
        if self.bonus == "none":
            return "none"
        constant = f" {self.baseline:g}" if self.bonus == "ucb_constant" else ""
        return f"{_WORDS[self.bonus]}{constant} over {self.over}s, coefficient {self.coefficient:g}"

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        if self.bonus == "none":
            return {"bonus": "none"}
        settings: dict[str, Any] = {
            "bonus": self.bonus,
            "over": self.over,
            "coefficient": self.coefficient,
        }
        return settings | ({"baseline": self.baseline} if self.bonus == "ucb_constant" else {})

    def outcomes(self, grades: Sequence[Grade]) -> list[Outcome]:
        """The outcomes of rollouts."""
        return [
            _outcome(seen.answer if self.over == "answer" else seen.tag.format) for seen in grades
        ]

    def bonuses(
        self,
        prompt_ids: Sequence[str],
        outcomes: Sequence[Outcome],
        correct: Sequence[bool],
        counts: "OutcomeCounts",
    ) -> list[float]:
        """What is added to the advantage of each rollout of a batch, the coefficient included.

        Args:
            prompt_ids: of each rollout; equal ones make a group, wherever they stand.
            outcomes: see `outcomes`.
            correct: whether the answer is right, by the grader and not by what was paid.
            counts: of the rollouts before this batch.
        """
        groups: dict[str, list[int]] = defaultdict(list)
        for row, (prompt_id, _, _) in enumerate(zip(prompt_ids, outcomes, correct, strict=True)):
            groups[prompt_id].append(row)
        found = [0.0] * len(prompt_ids)
        if self.bonus == "none":
            return found
        for prompt_id, rows in groups.items():
            if all(correct[row] for row in rows):
                continue
            group = [outcomes[row] for row in rows]
            for row, bonus in zip(rows, self._of_group(prompt_id, group, counts), strict=True):
                found[row] = self.coefficient * bonus
        return found

    def _of_group(
        self, prompt_id: str, outcomes: Sequence[Outcome], counts: "OutcomeCounts"
    ) -> list[float]:
        if self.bonus == "batch":
            return batch_bonuses(outcomes)
        seen = [ucb(counts.of(prompt_id, outcome)) for outcome in outcomes]
        if self.bonus == "ucb_constant":
            return [bonus - self.baseline for bonus in seen]
        return less_mean_of_others(seen)


class OutcomeCounts:
    """How often each outcome of each prompt was seen: N(x, a).

    A batch is counted after its bonuses were computed, so that an outcome is new the first time.
    After a resume the recorded training rollouts are counted again.
    """

    def __init__(self, exploration: Exploration) -> None:
        """Start with nothing seen."""
        self._over = exploration.over
        self._counts: Counter[tuple[str, Outcome]] = Counter()

    @property
    def columns(self) -> tuple[str, str]:
        """The columns of a rollout table that are counted."""
        return "prompt_id", "answer" if self._over == "answer" else "tag"

    def add(self, prompt_ids: Sequence[str], outcomes: Sequence[Outcome]) -> None:
        """Count a batch."""
        self._counts.update(zip(prompt_ids, outcomes, strict=True))

    def add_rollouts(self, table: pa.Table) -> None:
        """Count training rollouts, as `RunFolder.rollouts("train", columns=...)` gives them."""
        prompts, outcomes = self.columns
        for row in table.group_by([prompts, outcomes]).aggregate([([], "count_all")]).to_pylist():
            self._counts[row[prompts], _outcome(row[outcomes])] += row["count_all"]

    def of(self, prompt_id: str, outcome: Outcome) -> int:
        """Earlier rollouts of the prompt with the outcome."""
        return self._counts[prompt_id, outcome]


def ucb(count: int) -> float:
    """The bonus of an outcome seen `count` times: min(1, sqrt(1 / N)); 1 where it is new."""
    return math.sqrt(1 / max(count, 1))


def less_mean_of_others(values: Sequence[float]) -> list[float]:
    """Each value less the mean of all others; 0 where there are none."""
    others = len(values) - 1
    if others == 0:
        return [0.0]
    total = math.fsum(values)
    return [value - (total - value) / others for value in values]


def batch_bonuses(outcomes: Sequence[Outcome]) -> list[float]:
    """The bonuses of one group against itself: -(1/n) times the others with the same outcome.

    Their mean is -((n - 1)/n) times the unbiased estimate of the collision probability.
    """
    counts = Counter(outcomes)
    return [-(counts[outcome] - 1) / len(outcomes) for outcome in outcomes]


def _outcome(written: str | None) -> Outcome:
    """As a rollout file stores it, so that a resumed run counts the same."""
    return None if written is None else encodable(written)
