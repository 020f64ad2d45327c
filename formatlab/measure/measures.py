"""All measures of a set of rollouts: how often it is right, in which formats, and how varied it is.

Measures of diversity are means over prompts, and look at the same number of rollouts of each, `k`.
`subset` says which: all rollouts, or the right ones alone, since wrong ones are varied for free.
The right ones are those among the first `k`, and where their number matters the first `k` / 2 of
them; a prompt with fewer does not count, and `n_prompts` says how many prompts do.

P: prompts, F: tags.
"""

import math
import re
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
from formatlab.measure.samples import PromptRollouts
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
    "format_entropy_given_prompt_corrected": "H(F|X): H(F) corrected less I(F; X), nats",
    "format_information": "I(F; X), jackknife: 0 on average where formats ignore the prompt, nats",
    "format_collision": "probability that two rollouts of a prompt have the same tag",
    "format_distinct@k": "different tags among k rollouts of a prompt",
    "right_formats@k": "different tags among the right ones of k rollouts of a prompt",
    "answer_collision": "probability that two rollouts of a prompt give the same answer",
    "answer_distinct@k": "different answers among k rollouts of a prompt",
    "answer_entropy_corrected": "entropy of the answers in k rollouts of a prompt, jackknife, nats",
    "text_distinct@k": "different texts among k rollouts of a prompt",
    "right_texts@k": "different texts among the right ones of k rollouts of a prompt",
    "distinct_1": "different words over words, in k rollouts of a prompt",
    "distinct_2": "the same of pairs of words",
    "distinct_3": "the same of triples",
    "expectation_adjusted_distinct": "EAD, mean of 1- to 5-grams, vocabulary 50,257",
    "compression_ratio": "bytes of k rollouts over their bytes after gzip",
    "self_bleu": "mean BLEU of a rollout against the other k - 1, 0 to 100",
    "chrf_clusters": "clusters of k rollouts by chrF (UPGMA, cut at similarity 60)",
    "chrf_distance": "mean of 1 - chrF over pairs of the first k rollouts of a prompt",
    "chrf_distance_of_prompts": "1 - chrF of the first rollouts of two prompts",
    "chrf_vendi": "Vendi score of k rollouts with chrF as the kernel",
    "rouge_l_distance": "1 - ROUGE-L's F measure, over the same pairs as chrf_distance",
    "subtree_distance": "1 - Jaccard index of the syntax trees of two programs of a prompt",
    "semantic_distance": "1 - cosine of the embeddings of two rollouts of a prompt",
    "semantic_distance_of_prompts": "the same of the first rollouts of two prompts",
    "semantic_vendi": "Vendi score of k rollouts with the cosine as the kernel",
}
"""What each measure is."""


def words_in_lines(words: Mapping[str, str]) -> str:
    """Names and what they are, a line each, for help pages."""
    width = max(map(len, words))
    return "\n".join(f"  {name:<{width}}  {meaning}" for name, meaning in words.items())


FRACTIONS = (
    "share",
    "accuracy",
    "pass@k",
    "maj@k",
    "truncated",
    "format_collision",
    "answer_collision",
)
"""Measures that are probabilities, which have an interval where all resamples agree, too."""

_CODE_TAGS = ("program", "script", "code_fenced")
"""Tags whose text is a program, or holds one in a fence."""

_FENCED = re.compile(r"```[^\n]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How many rollouts of each prompt measures look at."""

    samples: int
    """For those of diversity."""
    graded: int
    """Largest k of pass@k and maj@k."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernels:
    """How alike texts are."""

    within: Mapping[str, Sequence[np.ndarray | None]]
    """Name -> of each prompt, similarities of its first k rollouts, (k, k); None where it has
    fewer, or no texts."""
    between: Mapping[str, Sequence[float]]
    """Name -> of each prompt, distance of its first rollout from that of the next; or nan."""


def text_kernels(prompts: Sequence[PromptRollouts], k: int, embed: Embed | None = None) -> Kernels:
    """Compare texts within prompts and between them, which takes longer than all else.

    Args:
        prompts: the rollouts.
        k: how many of each prompt to compare.
        embed: for the kernel `semantic`; without it there is none.

    Raises:
        InputError: there are texts, and sacrebleu is not installed.
    """
    sets = [
        prompt.values("completion", range(k)) if len(prompt.tags) >= k else None
        for prompt in prompts
    ]
    if any(sets) and find_spec("sacrebleu") is None:
        raise InputError(missing_package("sacrebleu"))
    texts = list(dict.fromkeys(text for texts in sets if texts for text in texts))
    alike: dict[str, Callable[[Sequence[str]], np.ndarray]] = {
        "chrf": chrf_similarities,
        "rouge_l": rouge_l_similarities,
    }
    if embed is not None and texts:
        vectors = np.asarray(embed(texts))  # (texts, D)
        row = {text: number for number, text in enumerate(texts)}
        alike["semantic"] = lambda of: cosine_similarities(vectors[[row[text] for text in of]])
    within = {
        name: [None if not texts or k < 2 else similarities(texts) for texts in sets]
        for name, similarities in alike.items()
    }
    firsts = [texts[0] for texts in sets if texts]
    between = {}
    if len(firsts) > 1:
        pairs = list(zip(firsts, [*firsts[1:], firsts[0]], strict=True))
        for name in (name for name in alike if name != "rouge_l"):
            distances = iter([mean_distance(alike[name](pair)) for pair in pairs])
            between[name] = [next(distances) if texts else NAN for texts in sets]
    return Kernels(within=within, between=between)


def statistics(
    prompts: Sequence[PromptRollouts], budget: Budget, kernels: Kernels | None
) -> list[Statistic]:
    """All statistics of a set of rollouts.

    Args:
        prompts: their rollouts.
        budget: how many of each prompt are looked at.
        kernels: how alike `budget.samples` texts of each prompt are; without them no statistics of
            texts.
    """
    found = [*_tag_statistics(prompts, budget.samples), *_rate_statistics(prompts, budget.graded)]
    found += [*_answer_statistics(prompts, budget.samples), *_token_statistics(prompts)]
    if kernels is not None:
        found += _text_statistics(prompts, budget.samples, kernels)
    return found


def _tag_statistics(prompts: Sequence[PromptRollouts], k: int) -> Iterator[Statistic]:
    tags = sorted({tag for prompt in prompts for tag in prompt.tags})
    counts = np.array([[prompt.tags.count(tag) for tag in tags] for prompt in prompts])  # (P, F)
    graded = np.array([len(prompt.graded) for prompt in prompts])
    right = np.array([len(prompt.right) for prompt in prompts])
    for tag, column in zip(tags, counts.T, strict=True):
        yield _ratio_of_sums("share", column, counts.sum(axis=1), subset=tag)
    if graded.any():
        yield _ratio_of_sums("accuracy", right, graded)
        for tag in tags:
            known = [_verdicts(prompt, tag) for prompt in prompts]
            above, below = np.array([(sum(verdicts), len(verdicts)) for verdicts in known]).T
            yield _ratio_of_sums("accuracy", above, below, subset=tag)
    for measure, entropies in (
        ("format_entropy", plug_in_entropies),
        ("format_entropy_corrected", corrected_entropies),
    ):
        for subset, places in _subsets(prompts):
            written = [
                [prompt.tags[place] for place in at]
                for prompt, at in zip(prompts, places, strict=True)
            ]
            counts = np.array([[some.count(tag) for tag in tags] for some in written])
            counted = counts.sum(axis=1) > 0
            yield Statistic(
                measure=measure, subset=subset, sums=counts, of_sums=entropies, counted=counted
            )
    if k < 2:
        return
    yield from _prompt_entropies(prompts, tags, k)
    for subset, places in _subsets(prompts, k):
        written = [
            [prompt.tags[place] for place in at] for prompt, at in zip(prompts, places, strict=True)
        ]
        yield from _variety("format", written, k if subset == "all" else _half(k), subset)
    yield from _right_variety("right_formats@k", prompts, [prompt.tags for prompt in prompts], k)


def _prompt_entropies(
    prompts: Sequence[PromptRollouts], tags: Sequence[str], k: int
) -> Iterator[Statistic]:
    """H(F|X) and I(F; X), from the first k rollouts of each prompt that has as many."""
    first = np.array([[prompt.tags[:k].count(tag) for tag in tags] for prompt in prompts])  # (P, F)
    enough = np.array([len(prompt.tags) >= k for prompt in prompts])
    plug_in = np.where(enough, plug_in_entropies(first), NAN)
    yield mean_of_prompts("format_entropy_given_prompt", plug_in, k=k)
    given = np.where(enough, corrected_entropies(first), 0.0)
    sums = np.hstack([np.where(enough[:, None], first, 0), np.stack([given, enough], axis=1)])

    def information(sums: np.ndarray) -> np.ndarray:
        return entropy_of_samples(sums[..., :-2], k) - ratio(sums[..., -2:])

    def given_prompt(sums: np.ndarray) -> np.ndarray:
        # What is left of the error of k rollouts is the same in both terms of I(F; X).
        return corrected_entropies(sums[..., :-2]) - information(sums)

    for measure, of_sums in (
        ("format_entropy_given_prompt_corrected", given_prompt),
        ("format_information", information),
    ):
        yield Statistic(
            measure=measure, k=k, sums=sums, of_sums=of_sums, counted=enough, of_prompts=True
        )


def _rate_statistics(prompts: Sequence[PromptRollouts], most: int) -> Iterator[Statistic]:
    """pass@k and maj@k."""
    for k in _powers(most):
        rates = [
            pass_at_k([len(prompt.right)], [len(prompt.graded)], k)[0]
            if len(prompt.graded) >= k
            else NAN
            for prompt in prompts
        ]
        yield mean_of_prompts("pass@k", rates, k=k)
    if not _any_answers(prompts):
        return
    for k in _powers(most):
        rates = [
            majority_at_k(
                [bool(prompt.correct[place]) for place in prompt.graded],
                [prompt.columns["answer"][place] for place in prompt.graded],
                k,
            )
            if len(prompt.graded) >= k
            else NAN
            for prompt in prompts
        ]
        yield mean_of_prompts("maj@k", rates, k=k)


def _answer_statistics(prompts: Sequence[PromptRollouts], k: int) -> Iterator[Statistic]:
    if k < 2 or not _any_answers(prompts):
        return
    answers = [
        # Right answers are one, however they are written.
        [
            True if right else answer
            for right, answer in zip(prompt.correct, prompt.columns["answer"], strict=True)
        ]
        for prompt in prompts
    ]
    yield from _variety("answer", answers, k, "all")
    entropies = [
        float(corrected_entropies(np.array(_sizes(given[:k])))) if len(given) >= k else NAN
        for given in answers
    ]
    yield mean_of_prompts("answer_entropy_corrected", entropies, k=k)


def _token_statistics(prompts: Sequence[PromptRollouts]) -> Iterator[Statistic]:
    """Means over rollouts, of columns that not all rollouts have."""
    for measure, column, weight, sign in (
        ("truncated", "truncated", None, 1),
        ("tokens", "tokens", None, 1),
        ("token_entropy", "entropy", "tokens", 1),
        ("sequence_entropy", "logprob", None, -1),
    ):
        for subset, places in _subsets(prompts):
            sums = np.zeros((len(prompts), 2))
            for row, (prompt, at) in enumerate(zip(prompts, places, strict=True)):
                values = prompt.columns.get(column) or [None] * len(prompt.tags)
                weights = prompt.columns.get(weight) if weight else [1] * len(values)
                weights = weights or [None] * len(values)
                for value, times in ((values[place], weights[place]) for place in at):
                    if value is not None and math.isfinite(value) and times is not None:
                        sums[row] += sign * value * times, times
            if sums[:, 1].any():
                yield _ratio_of_sums(measure, *sums.T, subset=subset)


_OF_SETS: dict[str, Callable[[Sequence[str]], float]] = {
    "distinct_1": lambda texts: distinct_n(texts, 1),
    "distinct_2": lambda texts: distinct_n(texts, 2),
    "distinct_3": lambda texts: distinct_n(texts, 3),
    "expectation_adjusted_distinct": expectation_adjusted_distinct,
    "compression_ratio": compression_ratio,
    "self_bleu": self_bleu,
}
"""Measure -> from a set of texts to its value."""

_OF_KERNELS: dict[str, Callable[[np.ndarray], float]] = {
    "distance": mean_distance,
    "clusters": clusters,
    "vendi": vendi_score,
}
"""End of a measure's name -> from similarities (n, n) to its value."""


def _text_statistics(
    prompts: Sequence[PromptRollouts], k: int, kernels: Kernels
) -> Iterator[Statistic]:
    for name, distances in kernels.between.items():
        yield mean_of_prompts(f"{name}_distance_of_prompts", distances)
    if all(kernel is None for kernel in kernels.within["chrf"]):
        return
    for subset, places in _subsets(prompts, k):
        size = k if subset == "all" else _half(k)
        texts = [
            prompt.values("completion", at) or []
            for prompt, at in zip(prompts, places, strict=True)
        ]
        yield from _variety("text", texts, size, subset)
        for measure, compute in _OF_SETS.items():
            values = [compute(some[:size]) if len(some) >= size else NAN for some in texts]
            yield mean_of_prompts(measure, values, subset=subset, k=size)
        for name, of_prompts in kernels.within.items():
            yield from _kernel_statistics(name, of_prompts, places, subset, k)
    every = [prompt.values("completion", range(len(prompt.tags))) or [] for prompt in prompts]
    yield from _right_variety("right_texts@k", prompts, every, k)
    yield from _program_statistics(prompts, k)


def _kernel_statistics(
    name: str,
    kernels: Sequence[np.ndarray | None],
    places: Sequence[Sequence[int]],
    subset: str,
    k: int,
) -> Iterator[Statistic]:
    for end, compute in _OF_KERNELS.items():
        if f"{name}_{end}" not in MEASURES_IN_WORDS:
            continue
        # A mean over pairs is the same for any number of them; the others need equally many.
        size = k if subset == "all" or end == "distance" else _half(k)
        fewest = 2 if end == "distance" else size
        values = []
        for kernel, at in zip(kernels, places, strict=True):
            chosen = [place for place in at if place < k][:size]
            if kernel is None or len(chosen) < fewest:
                values.append(NAN)
            else:
                values.append(compute(kernel[np.ix_(chosen, chosen)]))
        yield mean_of_prompts(f"{name}_{end}", values, subset=subset, k=size)


def _program_statistics(prompts: Sequence[PromptRollouts], k: int) -> Iterator[Statistic]:
    """The distance of programs of one tag, over the pairs of a prompt's that can be parsed."""
    for tag in _CODE_TAGS:
        values = []
        for prompt in prompts:
            at = [place for place, written in enumerate(prompt.tags[:k]) if written == tag]
            texts = prompt.values("completion", at) if len(prompt.tags) >= k else None
            programs = [_program(text) for text in texts or []]
            values.append(mean_distance(subtree_similarities(programs)))
        if not np.isnan(values).all():
            yield mean_of_prompts("subtree_distance", values, subset=tag, k=k)


def _program(text: str) -> str:
    """The code of a text: what stands in its fences, or all of it."""
    return "\n".join(_FENCED.findall(text)) or text


def _variety(
    name: str, things: Sequence[Sequence[object]], k: int, subset: str
) -> Iterator[Statistic]:
    """How many different things there are, and how often two are alike; None is like nothing."""
    if name != "text":
        alike = [collision(_sizes(some), len(some)) if len(some) > 1 else NAN for some in things]
        yield mean_of_prompts(f"{name}_collision", alike, subset=subset)
    for size in _powers(k)[1:]:
        different = [
            distinct_at_k(_sizes(some), len(some), size) if len(some) >= size else NAN
            for some in things
        ]
        yield mean_of_prompts(f"{name}_distinct@k", different, subset=subset, k=size)


def _right_variety(
    measure: str, prompts: Sequence[PromptRollouts], things: Sequence[Sequence[str]], k: int
) -> Iterator[Statistic]:
    """How many different things there are among the right ones of k graded rollouts."""
    if not any(prompt.graded for prompt in prompts):
        return
    different = [
        distinct_at_k(_sizes([some[place] for place in prompt.right]), len(prompt.graded), k)
        if len(prompt.graded) >= k and some
        else NAN
        for prompt, some in zip(prompts, things, strict=True)
    ]
    yield mean_of_prompts(measure, different, k=k)


def _subsets(
    prompts: Sequence[PromptRollouts], k: int | None = None
) -> list[tuple[str, list[list[int]]]]:
    """The places of all rollouts of each prompt; those of the right ones, or of them among k."""
    found = [("all", [list(range(len(prompt.tags))) for prompt in prompts])]
    if any(prompt.graded for prompt in prompts):
        rights = [[place for place in prompt.right if k is None or place < k] for prompt in prompts]
        found.append(("right", rights))
    return found


def _powers(most: int) -> list[int]:
    """The powers of two up to a number, and itself."""
    return sorted({*(1 << power for power in range(most.bit_length())), most} - {0})


def _half(k: int) -> int:
    """Right rollouts that are compared where all of them are k."""
    return max(2, k // 2)


def _any_answers(prompts: Sequence[PromptRollouts]) -> bool:
    return any(
        answer is not None for prompt in prompts for answer in prompt.columns.get("answer", ())
    )


def _verdicts(prompt: PromptRollouts, tag: str) -> list[bool]:
    pairs = zip(prompt.tags, prompt.correct, strict=True)
    return [right for written, right in pairs if written == tag and right is not None]


def _sizes(things: Sequence[object]) -> list[int]:
    return list(Counter(thing for thing in things if thing is not None).values())


def _ratio_of_sums(
    measure: str, above: np.ndarray, below: np.ndarray, *, subset: str = "all"
) -> Statistic:
    return Statistic(
        measure=measure,
        subset=subset,
        sums=np.stack([above, below], axis=1).astype(np.float64),
        of_sums=ratio,
        counted=np.asarray(below) > 0,
    )
