"""A world: which problems there are, and which documents a model is pretrained on."""

from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from random import Random
from typing import Any, Literal, NamedTuple

from formatlab.errors import InputError
from formatlab.world import families
from formatlab.world.draw import below, one_of
from formatlab.world.families import FAMILIES, PHRASES, Numbers, Phrases
from formatlab.world.formats import FORMATS
from formatlab.world.mixture import Mixture
from formatlab.world.problem import Problem, digest, digest_of, mistranslate

VERSION = 2
"""Raised when a world draws other problems or documents from the same families and formats."""

Split = Literal["pretrain", "rl", "probe"]

_BUCKETS: dict[Split, range] = {"probe": range(10), "rl": range(10, 30), "pretrain": range(30, 100)}
"""Which hundredths of all problems a split gets, by the hash of their content."""

_KINDS = 1_000
"""Kinds that are tried before a world is said to have no problem of a split."""

_NUMBERS = 1_000
"""How often numbers are drawn before a split is said to have no problem of a kind."""


class Document(NamedTuple):
    """One pretraining document."""

    form: str
    """Name of its format."""
    problem: Problem
    solution: str


@dataclass(frozen=True, kw_only=True)
class World:
    """Problems, formats and their mixture.

    Raises:
        InputError: an unknown family, ranges that allow no problem, or a mixture that
            mistranslates a phrase which no family uses.
    """

    mixture: Mixture
    families: tuple[str, ...] = tuple(FAMILIES)
    """Problem families, drawn with equal probability."""
    min_steps: int = 1
    """Fewest steps drawn. A family whose stories are of another length comes as near as it can."""
    max_steps: int = 3
    """Most steps drawn, at most 4."""
    largest: int = 20
    """Largest number drawn; sums, products and whole amounts are several times as large."""
    seed: int = 0
    """Seed of problems and documents."""

    def __post_init__(self) -> None:
        """Check families and ranges."""
        if not self.families:
            raise InputError("world: families is empty; name at least one of " + _known())
        for family in self.families:
            if family not in FAMILIES:
                raise InputError(f"world: unknown family {family!r}; known families: {_known()}")
        if not 1 <= self.min_steps <= self.max_steps <= 4:
            raise InputError(
                f"world: steps from {self.min_steps} to {self.max_steps}; "
                "1 <= min_steps <= max_steps <= 4 is needed"
            )
        if self.largest < 5:
            raise InputError(f"world: largest is {self.largest}; at least 5 is needed")
        used = {phrase for family in self.families for phrase in PHRASES[family]}
        for form, phrases in self.mixture.mistranslates.items():
            for phrase in phrases:
                if phrase not in used:
                    raise InputError(
                        f"world: mixture {self.mixture.name!r} mistranslates {phrase!r} in {form}, "
                        f"which none of its families ({', '.join(self.families)}) uses"
                    )

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides problems and documents, ready for JSON."""
        return {
            **asdict(self),
            "version": VERSION,
            "format_versions": {form: FORMATS[form].version for form in self.mixture.shares},
            "family_versions": {family: families.VERSIONS[family] for family in self.families},
        }

    def problem(self, split: Split, index: int) -> Problem:
        """Item `index` of a split.

        A problem belongs to the split that the hash of its content falls into, so no two splits
        share one.

        Raises:
            InputError: no problem of this world falls into the split.
        """
        random = Random(digest(self.seed, split, index))
        bits = random.getrandbits
        for _ in range(_KINDS):
            family = FAMILIES[name := one_of(bits, self.families)]
            steps = self.min_steps + below(bits, self.max_steps - self.min_steps + 1)
            phrases, _ = family.draw(random, steps, self.largest)
            kind = _kind(name, steps, self.largest, phrases, split)
            if kind and (numbers := kind.draw(random)):
                return family.tell(random, phrases, numbers)
        raise InputError(
            f"world: too few different problems for a {split} split; "
            "widen families, steps or largest"
        )

    def problems(self, split: Split, count: int) -> list[Problem]:
        """The first `count` problems of a split that differ in their question.

        Raises:
            InputError: the world does not hold that many.
        """
        found: dict[str, Problem] = {}
        index, newest = 0, 0
        while len(found) < count:
            problem = self.problem(split, index)
            if problem.question not in found:
                found[problem.question] = problem
                newest = index
            elif index - newest > 1000 + 10 * len(found):  # all there are, as good as certainly
                raise InputError(
                    f"world: {count} different {split} problems asked for, about {len(found)} "
                    "exist; ask for fewer, or widen families, steps or largest"
                )
            index += 1
        return list(found.values())

    def document(self, index: int) -> Document:
        """Pretraining document `index`."""
        problem = self.problem("pretrain", index)
        random = Random(digest(self.seed, "document", index))
        formats, sums = self._cumulative_shares
        form = formats[bisect(sums, random.random() * sums[-1], hi=len(sums) - 1)]
        return Document(form, problem, self.solution(problem, form, random))

    @cached_property
    def _cumulative_shares(self) -> tuple[list[str], list[float]]:
        """The formats, and what `Random.choices` sums of their shares to choose one.

        Summed once, as choosing from the shares themselves takes ten times as long.
        """
        formats = sorted(self.mixture.shares)  # equal mixtures give equal documents
        return formats, list(accumulate(self.mixture.shares[name] for name in formats))

    def documents(self, start: int = 0) -> Iterator[Document]:
        """Endless documents from index `start` on."""
        index = start
        while True:
            yield self.document(index)
            index += 1

    def solution(self, problem: Problem, form: str, random: Random) -> str:
        """The solution as documents of this world write it in a format, mistakes included."""
        misread = self.mixture.mistranslates.get(form)
        if misread:
            problem = problem._replace(steps=mistranslate(problem.steps, frozenset(misread)))
        return FORMATS[form].render(problem, random)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of problem: drawn first, so that every split has the same share of each kind.

    Otherwise kinds with few contents, which a hash divides unevenly, would be more frequent in one
    split than in another.
    """

    numbers: Callable[[Random, int, Phrases], Numbers | None]
    """Draws them, as in `Family`."""
    largest: int
    phrases: Phrases
    hashed: bytes
    """What the hash of a problem's content begins with: its family and phrases."""
    buckets: range

    def draw(self, random: Random) -> Numbers | None:
        """Draw numbers for a problem of this kind in its split; None if none are found."""
        draw, largest, phrases = self.numbers, self.largest, self.phrases
        hashed, buckets = self.hashed, self.buckets
        for _ in range(_NUMBERS):
            numbers = draw(random, largest, phrases)
            if numbers and digest_of(hashed + b"\x1f%d" * len(numbers) % numbers) % 100 in buckets:
                return numbers
        return None


@lru_cache(maxsize=4_096)  # a kind is met again and again, above all one that a split has none of
def _kind(family: str, steps: int, largest: int, phrases: Phrases, split: Split) -> _Kind | None:
    """A kind of problem in a split; None if the split has no problem of it."""
    hashed = "\x1f".join((family, *phrases)).encode()
    kind = _Kind(FAMILIES[family].numbers, largest, phrases, hashed, _BUCKETS[split])
    found = kind.draw(Random(digest("kind", family, steps, largest, phrases, split)))
    return kind if found else None


def _known() -> str:
    return ", ".join(FAMILIES)
