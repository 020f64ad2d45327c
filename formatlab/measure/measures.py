"""All measures of a set of rollouts: what it is right, what it writes, and how varied that is.

Measures of one prompt's rollouts are means over prompts, and look at equally many rollouts of each:
`k` of them. Those that would only grow with `k` are so comparable, and the others have one size of
sample. `subset` says which rollouts: all of them, or the right ones alone, since wrong ones are
varied for free (a prompt without enough right ones does not count; `n_prompts` says how many do).

P: prompts, F: tags.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from formatlab.errors import InputError, missing_package
from formatlab.measure.entropy import (
    corrected_entropies,
    entropy_of_samples,
    plug_in_entropies,
)
from formatlab.measure.lexical import (
    compression_ratio,
    distinct_n,
    expectation_adjusted_distinct,
    self_bleu,
)
from formatlab.measure.majority import majority_at_k
from formatlab.measure.pass_at_k import pass_at_k
from formatlab.measure.rarefaction import collision, distinct_at_k
from formatlab.measure.samples import Samples
from formatlab.measure.similarity import (
    chrf_similarities,
    clusters,
    cosine_similarities,
    mean_distance,
    rouge_l_similarities,
    subtree_similarities,
    vendi_score,
)
from formatlab.measure.statistic import Statistic, mean_of_prompts, ratio

Embed = Callable[[Sequence[str]], np.ndarray]
"""Embeds texts: n of them -> (n, D)."""

NAN = math.nan

MEASURES_IN_WORDS = {
    "share": "of the rollouts, those with the tag that `subset` names",
    "accuracy": "right of the graded rollouts; in a subset of one tag, of those with it",
    "pass@k": "probability that one of k rollouts is right, unbiased",
    "maj@k": "probability that the most frequent answer of k rollouts is right, unbiased",
    "truncated": "of the rollouts, those that the length limit ended",
    "tokens": "mean tokens of a rollout",
    "token_entropy": "mean entropy of the policy at a sampled token, nats",
    "sequence_entropy": "mean of minus the log-probability of a rollout, nats",
    "format_entropy": "H(F), plug-in, nats",
    "format_entropy_corrected": "H(F), jackknife, nats",
    "format_entropy_given_prompt": "H(F|X), plug-in, from k rollouts of each prompt, nats",
    "format_entropy_given_prompt_corrected": "H(F|X), jackknife, likewise",
    "format_information": "I(F; X), jackknife: 0 on average where formats ignore the prompt, nats",
    "format_collision": "probability that two rollouts of a prompt have the same tag",
    "format_distinct@k": "different tags among k rollouts of a prompt",
    "right_formats@k": "different tags among the right ones of k rollouts of a prompt",
    "answer_collision": "probability that two rollouts of a prompt give the same answer",
    "answer_distinct@k": "different answers among k rollouts of a prompt",
    "answer_entropy_corrected": "entropy of the answers in k rollouts of a prompt, jackknife, nats",
    "text_distinct@k": "different texts among k rollouts of a prompt",
    "distinct_1": "different words over words, in k rollouts of a prompt",
    "distinct_2": "the same of pairs of words",
    "distinct_3": "the same of triples",
    "expectation_adjusted_distinct": "EAD, mean of 1- to 5-grams, vocabulary 50,257",
    "compression_ratio": "bytes of k rollouts over their bytes after gzip",
    "self_bleu": "mean BLEU of a rollout against the other k - 1, 0 to 100",
    "chrf_clusters": "clusters of k rollouts by chrF (UPGMA, cut at similarity 60)",
    "chrf_distance": "mean of 1 - chrF over pairs of the first k rollouts of a prompt",
    "rouge_l_distance": "the same of ROUGE-L's F measure",
    "chrf_vendi": "Vendi score of k rollouts with chrF as the kernel",
    "subtree_distance": "1 - Jaccard index of the syntax trees of two programs of a prompt",
    "semantic_distance": "1 - cosine of the embeddings of two rollouts of a prompt",
    "semantic_distance_of_prompts": "the same of two rollouts of different prompts",
    "semantic_vendi": "Vendi score of k rollouts with the cosine as the kernel",
}
"""What each measure is."""


def words_in_lines(words: Mapping[str, str]) -> str:
    """Names and what they are, a line each, for help pages."""
    width = max(map(len, words))
    return "\n".join(f"  {name:<{width}}  {meaning}" for name, meaning in words.items())


FRACTIONS = {
    *("share", "accuracy", "pass@k", "maj@k", "truncated", "format_collision"),
    "answer_collision",
}
"""Measures that are probabilities, which have an interval where all resamples agree, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How many rollouts of each prompt measures look at."""

    samples: int
    """For those of diversity."""
    graded: int
    """Largest k of pass@k and maj@k."""

    @property
    def ks(self) -> list[int]:
        """The powers of two up to `graded`, and itself."""
        powers = [1 << power for power in range(self.graded.bit_length())]
        return sorted({*powers, self.graded} - {0})


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernels:
    """How alike the first k rollouts of each prompt are."""

    of: Mapping[str, Sequence[np.ndarray | None]]
    """Name -> for each prompt (k, k); None where it has fewer rollouts, or no texts."""
    of_prompts: Sequence[float] = ()
    """Semantic distance of a prompt's first rollout from that of the next prompt, or nan."""


def text_kernels(prompts: Sequence[Samples], k: int, embed: Embed | None = None) -> Kernels:
    """Compare the texts of each prompt, which takes longer than all else.

    Args:
        prompts: the rollouts.
        k: how many of each prompt to compare.
        embed: for the kernel `semantic`; without it there is none.

    Raises:
        InputError: there are texts, and sacrebleu is not installed.
    """
    sets = [of.of("completion", range(k)) if len(of.tags) >= k > 1 else None for of in prompts]
    if any(sets) and find_spec("sacrebleu") is None:
        raise InputError(missing_package("sacrebleu"))
    found = {
        name: [None if of is None else compute(of) for of in sets]
        for name, compute in (("chrf", chrf_similarities), ("rouge_l", rouge_l_similarities))
    }
    texts = list(dict.fromkeys(text for of in sets if of for text in of))
    if embed is None or not texts:
        return Kernels(of=found)
    vectors = embed(texts)  # (texts, D)
    row = {text: number for number, text in enumerate(texts)}
    of_sets = [None if of is None else vectors[[row[text] for text in of]] for of in sets]
    found["semantic"] = [None if of is None else cosine_similarities(of) for of in of_sets]
    firsts = np.array([of[0] for of in of_sets if of is not None])  # (P, D)
    if len(firsts) < 2:
        return Kernels(of=found)
    pairs = zip(firsts, np.roll(firsts, -1, axis=0), strict=True)
    between = iter([mean_distance(cosine_similarities(np.stack(pair))) for pair in pairs])
    return Kernels(of=found, of_prompts=[NAN if of is None else next(between) for of in sets])


def statistics(
    prompts: Sequence[Samples], budget: Budget, kernels: Kernels | None
) -> list[Statistic]:
    """All statistics of a set of rollouts.

    Args:
        prompts: their rollouts.
        budget: how many of each prompt are looked at.
        kernels: how alike `budget.samples` texts of each prompt are; without them no statistics of
            texts.
    """
    found = [*_of_tags(prompts, budget), *_of_answers(prompts, budget), *_of_tokens(prompts)]
    if kernels is not None and any(of is not None for of in kernels.of["chrf"]):
        found += _of_texts(prompts, budget.samples, kernels)
    return found


def _of_tags(prompts: Sequence[Samples], budget: Budget) -> Iterator[Statistic]:
    k = budget.samples
    tags = sorted({tag for of in prompts for tag in of.tags})
    counts = np.array([[of.tags.count(tag) for tag in tags] for of in prompts])  # (P, F)
    totals = counts.sum(axis=1)
    graded = np.array([sum(right is not None for right in of.correct) for of in prompts])
    right = np.array([len(of.right) for of in prompts])
    for tag, column in zip(tags, counts.T, strict=True):
        yield _share("share", column, totals, subset=tag)
    if graded.any():
        yield _share("accuracy", right, graded)
        for tag in tags:
            known = [_verdicts(of, tag) for of in prompts]
            yield _share("accuracy", *np.array([(sum(of), len(of)) for of in known]).T, subset=tag)
    yield _of_all_tags("format_entropy", counts, plug_in_entropies)
    yield _of_all_tags("format_entropy_corrected", counts, corrected_entropies)
    if k > 1:
        yield from _of_tags_of_prompts(prompts, tags, k)


def _of_tags_of_prompts(
    prompts: Sequence[Samples], tags: Sequence[str], k: int
) -> Iterator[Statistic]:
    first = np.array([[of.tags[:k].count(tag) for tag in tags] for of in prompts])  # (P, F)
    enough = np.array([len(of.tags) >= k for of in prompts])
    given = np.where(enough, plug_in_entropies(first), NAN)
    yield mean_of_prompts("format_entropy_given_prompt", given, k=k)
    corrected = np.where(enough, corrected_entropies(first), NAN)
    yield mean_of_prompts("format_entropy_given_prompt_corrected", corrected, k=k)
    yield Statistic(
        measure="format_information",
        k=k,
        sums=np.hstack(
            [
                np.where(enough[:, None], first, 0),
                np.stack([np.where(enough, corrected, 0.0), enough], axis=1),
            ]
        ),
        of_sums=lambda sums: entropy_of_samples(sums[..., :-2], k) - ratio(sums[..., -2:]),
        bearing=enough,
        of_prompts=True,
    )
    for subset, places in _subsets(prompts):
        of_tags = [[of.tags[place] for place in at] for of, at in zip(prompts, places, strict=True)]
        yield from _of_things("format", of_tags, k if subset == "all" else _fewer(k), subset)
    graded = [sum(right is not None for right in of.correct) for of in prompts]
    if any(graded):
        formats_right = [
            distinct_at_k(_sizes([of.tags[place] for place in of.right]), known, k)
            if known >= k
            else NAN
            for of, known in zip(prompts, graded, strict=True)
        ]
        yield mean_of_prompts("right_formats@k", formats_right, k=k)


def _of_answers(prompts: Sequence[Samples], budget: Budget) -> Iterator[Statistic]:
    graded = [[p for p, right in enumerate(of.correct) if right is not None] for of in prompts]
    for k in budget.ks:
        rates = [
            pass_at_k([len(of.right)], [len(at)], k)[0] if len(at) >= k else NAN
            for of, at in zip(prompts, graded, strict=True)
        ]
        yield mean_of_prompts("pass@k", rates, k=k)
    if not any(answer is not None for of in prompts for answer in of.columns.get("answer", ())):
        return
    for k in budget.ks:
        rates = [
            majority_at_k(
                [bool(of.correct[place]) for place in at],
                [of.columns["answer"][place] for place in at],
                k,
            )
            if len(at) >= k
            else NAN
            for of, at in zip(prompts, graded, strict=True)
        ]
        yield mean_of_prompts("maj@k", rates, k=k)
    if (k := budget.samples) > 1:
        answers = [
            # Right answers are one, however they are written.
            [
                True if right else answer
                for right, answer in zip(of.correct, of.columns["answer"], strict=True)
            ]
            for of in prompts
        ]
        yield from _of_things("answer", answers, k, "all")
        entropies = [
            float(corrected_entropies(np.array(_sizes(of[:k])))) if len(of) >= k else NAN
            for of in answers
        ]
        yield mean_of_prompts("answer_entropy_corrected", entropies, k=k)


def _of_things(
    name: str, things: Sequence[Sequence[object]], k: int, subset: str
) -> Iterator[Statistic]:
    """How many different things there are, and how often two are alike; None is like nothing."""
    alike = [collision(_sizes(of), len(of)) if len(of) > 1 else NAN for of in things]
    if name != "text":
        yield mean_of_prompts(f"{name}_collision", alike, subset=subset)
    different = [distinct_at_k(_sizes(of), len(of), k) if len(of) >= k else NAN for of in things]
    yield mean_of_prompts(f"{name}_distinct@k", different, subset=subset, k=k)


def _of_tokens(prompts: Sequence[Samples]) -> Iterator[Statistic]:
    """Means over rollouts, of columns that not all rollouts have."""
    for measure, column, weight, sign in (
        ("truncated", "truncated", None, 1),
        ("tokens", "tokens", None, 1),
        ("token_entropy", "entropy", "tokens", 1),
        ("sequence_entropy", "logprob", None, -1),
    ):
        sums = np.zeros((len(prompts), 2))
        for row, of in enumerate(prompts):
            values = of.columns.get(column, ())
            weights = of.columns.get(weight, ()) if weight else [1] * len(values)
            for value, times in zip(values, weights, strict=False):
                if value is not None and times is not None:
                    sums[row] += sign * value * times, times
        if sums[:, 1].any():
            yield _share(measure, *sums.T)


_OF_SETS: dict[str, Callable[[Sequence[str]], float]] = {
    "distinct_1": lambda texts: distinct_n(texts, 1),
    "distinct_2": lambda texts: distinct_n(texts, 2),
    "distinct_3": lambda texts: distinct_n(texts, 3),
    "expectation_adjusted_distinct": expectation_adjusted_distinct,
    "compression_ratio": compression_ratio,
    "self_bleu": self_bleu,
}


def _of_texts(prompts: Sequence[Samples], k: int, kernels: Kernels) -> Iterator[Statistic]:
    for subset, places in _subsets(prompts):
        size = k if subset == "all" else _fewer(k)
        sets = [of.of("completion", at) for of, at in zip(prompts, places, strict=True)]
        whole = [of[:size] if of is not None and len(of) >= size else None for of in sets]
        yield from _of_things("text", [of or [] for of in sets], size, subset)
        for measure, compute in _OF_SETS.items():
            values = [NAN if of is None else compute(of) for of in whole]
            yield mean_of_prompts(measure, values, subset=subset, k=size)
        for name, of_prompts in kernels.of.items():
            told = [what for what in _OF_KERNELS if f"{name}_{what}" in MEASURES_IN_WORDS]
            yield from _of_kernel(name, of_prompts, prompts, subset, k, told)
    if kernels.of_prompts:
        yield mean_of_prompts("semantic_distance_of_prompts", kernels.of_prompts)
    yield from _of_programs(prompts, k)


_OF_KERNELS: dict[str, Callable[[np.ndarray], float]] = {
    "distance": mean_distance,
    "clusters": clusters,
    "vendi": vendi_score,
}


def _of_kernel(
    name: str,
    kernels: Sequence[np.ndarray | None],
    prompts: Sequence[Samples],
    subset: str,
    k: int,
    told: Sequence[str],
) -> Iterator[Statistic]:
    """What is told from the similarities of the first k rollouts of each prompt."""
    for what in told:
        # A mean over pairs is the same for any number of them; the others need equally many.
        fewest = 2 if what == "distance" else k if subset == "all" else _fewer(k)
        values = []
        for of, kernel in zip(prompts, kernels, strict=True):
            places = list(range(k)) if subset == "all" else [at for at in of.right if at < k]
            if kernel is None or len(places) < fewest:
                values.append(NAN)
            else:
                at = places if what == "distance" else places[:fewest]
                values.append(_OF_KERNELS[what](kernel[np.ix_(at, at)]))
        size = k if what == "distance" else fewest
        yield mean_of_prompts(f"{name}_{what}", values, subset=subset, k=size)


def _of_programs(prompts: Sequence[Samples], k: int) -> Iterator[Statistic]:
    """The distance of programs, over the pairs of a prompt's that can be parsed."""
    values = []
    for of in prompts:
        at = [place for place, tag in enumerate(of.tags[:k]) if tag == "program"]
        programs = of.of("completion", at) if len(of.tags) >= k and len(at) > 1 else None
        values.append(NAN if programs is None else mean_distance(subtree_similarities(programs)))
    if not np.isnan(values).all():
        yield mean_of_prompts("subtree_distance", values, subset="program", k=k)


def _subsets(prompts: Sequence[Samples]) -> list[tuple[str, list[list[int]]]]:
    """The places of all rollouts of each prompt, and those of the right ones, if any is graded."""
    found = [("all", [list(range(len(of.tags))) for of in prompts])]
    if any(right is not None for of in prompts for right in of.correct):
        found.append(("right", [of.right for of in prompts]))
    return found


def _fewer(k: int) -> int:
    """Right rollouts that are compared where all of them are k."""
    return max(2, k // 2)


def _verdicts(of: Samples, tag: str) -> list[bool]:
    pairs = zip(of.tags, of.correct, strict=True)
    return [right for written, right in pairs if written == tag and right is not None]


def _sizes(things: Sequence[object]) -> list[int]:
    return list(Counter(thing for thing in things if thing is not None).values())


def _of_all_tags(
    measure: str, counts: np.ndarray, of_sums: Callable[[np.ndarray], np.ndarray]
) -> Statistic:
    bearing = counts.sum(axis=1) > 0
    return Statistic(measure=measure, sums=counts, of_sums=of_sums, bearing=bearing)


def _share(measure: str, above: np.ndarray, below: np.ndarray, *, subset: str = "all") -> Statistic:
    """A ratio of sums over all rollouts."""
    return Statistic(
        measure=measure,
        subset=subset,
        sums=np.stack([above, below], axis=1).astype(np.float64),
        of_sums=ratio,
        bearing=np.asarray(below) > 0,
    )
