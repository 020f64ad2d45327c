"""Examples: a few rollouts of each format and epoch, for people to read."""

from collections.abc import Sequence
from dataclasses import dataclass

from formatlab.measure.counts import counts
from formatlab.show.palette import format_order
from formatlab.show.wording import shortened_text, visible_text
from formatlab.store import Rollout, RunFolder
from formatlab.store.rollout import rollouts_from_table

_LONGEST = 1_500
_LONGEST_PROMPT = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A rollout to be shown, its texts shortened and their control characters visible."""

    prompt_id: str
    sample: int
    prompt: str
    completion: str
    gold: str
    """`-` if not known."""
    answer: str
    """`-` if none was read."""
    verdict: str
    """`correct`, the reason why not, or `not graded`."""
    remarks: str
    """Number of tokens, and whether it is malformed, mixed or truncated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TagExamples:
    """The examples of one tag."""

    tag: str
    n_rollouts: int
    """Probe rollouts with this tag."""
    n_correct: int
    examples: Sequence[Example]


def examples_of(run: RunFolder, epoch: float) -> list[TagExamples]:
    """Return for each tag of a probe the first correct and the first wrong rollout.

    They are the first in the order of the probe, so that nobody chose them.

    Args:
        run: the run folder.
        epoch: of the probe.
    """
    tags = counts(run.rollout_batches("probe", epoch=epoch, columns=["tag", "correct"]), by=[])
    of_tag = {row["tag"]: row for row in tags.to_pylist()}
    n_kinds = sum(
        (row["n_correct"] > 0) + (row["n_correct"] < row["n_rollouts"]) for row in of_tag.values()
    )
    firsts = _firsts(run, epoch, n_kinds)
    return [
        TagExamples(
            tag=tag,
            n_rollouts=of_tag[tag]["n_rollouts"],
            n_correct=of_tag[tag]["n_correct"],
            examples=[
                _example(firsts[tag, correct])
                for correct in (True, False)
                if (tag, correct) in firsts
            ],
        )
        for tag in format_order(set(of_tag))
    ]


def _firsts(run: RunFolder, epoch: float, n_kinds: int) -> dict[tuple[str, bool], Rollout]:
    """Return the first correct and the first wrong rollout of each tag.

    Args:
        run: the run folder.
        epoch: of the probe.
        n_kinds: how many of them there are; reading ends with the last one.
    """
    firsts: dict[tuple[str, bool], Rollout] = {}
    for batch in run.rollout_batches("probe", epoch=epoch):
        correct = batch["correct"].fill_null(False).to_pylist()
        for place, kind in enumerate(zip(batch["tag"].to_pylist(), correct, strict=True)):
            if kind not in firsts:
                (firsts[kind],) = rollouts_from_table(batch.slice(place, 1))
        if len(firsts) == n_kinds:
            break
    return firsts


def _example(row: Rollout) -> Example:
    oddities = {
        "not well formed": not row.well_formed,
        "mixed formats": row.mixed,
        "truncated": row.truncated,
    }
    return Example(
        prompt_id=visible_text(row.prompt_id),
        sample=row.sample,
        prompt=visible_text(shortened_text(row.prompt, _LONGEST_PROMPT)),
        completion=visible_text(shortened_text(row.completion, _LONGEST)),
        gold="-" if row.gold is None else visible_text(shortened_text(row.gold, 80)),
        answer="-" if row.answer is None else visible_text(shortened_text(row.answer, 80)),
        verdict=_verdict(row),
        remarks=", ".join(
            [f"{row.tokens:,} tokens", *(name for name, odd in oddities.items() if odd)]
        ),
    )


def _verdict(row: Rollout) -> str:
    if row.correct is None:
        return "not graded"
    return "correct" if row.correct else visible_text(row.reason) or "wrong"
