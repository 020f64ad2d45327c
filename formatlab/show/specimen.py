"""Specimens: a few rollouts of each format and epoch, for people to read."""

from collections.abc import Sequence
from dataclasses import dataclass

from formatlab.show.palette import format_order
from formatlab.show.wording import shortened_text, visible_text
from formatlab.store import Rollout, RunFolder
from formatlab.store.rollout import rollouts_from_table

_LONGEST = 1_500
_LONGEST_PROMPT = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Specimen:
    """A rollout as it is shown: texts are shortened and their control characters made visible."""

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
    """Tokens and what else is odd about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecimenTray:
    """The specimens of one tag."""

    tag: str
    n_rollouts: int
    """Probe rollouts with this tag."""
    n_correct: int
    specimens: Sequence[Specimen]


def specimen_trays(run: RunFolder, epoch: float) -> list[SpecimenTray]:
    """Return for each tag of a probe the first correct and the first wrong rollout.

    First in the order of the probe, so that nobody chose them.

    Args:
        run: the run folder.
        epoch: of the probe.
    """
    by_tag: dict[str, list[Rollout]] = {}
    for row in rollouts_from_table(run.rollouts("probe", epoch=epoch)):
        by_tag.setdefault(row.tag, []).append(row)
    trays = []
    for tag in format_order(set(by_tag)):
        rows = by_tag[tag]
        firsts = [
            next((row for row in rows if row.correct), None),
            next((row for row in rows if not row.correct), None),
        ]
        trays.append(
            SpecimenTray(
                tag=tag,
                n_rollouts=len(rows),
                n_correct=sum(bool(row.correct) for row in rows),
                specimens=[_specimen(row) for row in firsts if row is not None],
            )
        )
    return trays


def _specimen(row: Rollout) -> Specimen:
    oddities = {
        "not well formed": not row.well_formed,
        "mixed formats": row.mixed,
        "truncated": row.truncated,
    }
    return Specimen(
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
