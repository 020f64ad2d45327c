"""A run as figures and tables see it: its facts, its measures, its events and what it lacks."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from formatlab.measure import (
    DRIFT_COLUMNS,
    Drift,
    drift,
    run_winners,
    shares,
    up_to_date,
)
from formatlab.show.run_facts import RunFacts, run_facts
from formatlab.show.wording import epoch_text, name_text
from formatlab.store import RunFolder

_MOST_KINDS = 3
_MESSAGE_WIDTH = 320

LIMITS = ("time", "memory", "fault")
"""Reasons of a grade that say nothing about the answer: a limit was met, or formatlab failed."""

_ENOUGH_ROLLOUTS = 20
"""Rollouts of a format at the base below which its accuracy says nothing about the base."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEvent:
    """A trouble of training that begins at one step."""

    step: int
    """0-based index of the step."""
    kind: str
    """For example `truncation`; a run may have many events of a kind."""
    message: str
    """For people."""


def run_events(metrics: Iterable[Mapping[str, Any]]) -> list[RunEvent]:
    """Return the events among the lines of `metrics.jsonl`, in order."""
    return [
        RunEvent(
            step=row["step"],
            kind=str(event.get("kind", "event")),
            message=str(event.get("message", "")),
        )
        for row in metrics
        for event in row.get("events") or []
    ]


def event_notes(events: Sequence[RunEvent]) -> list[str]:
    """Return a sentence for each of the first kinds of event, and one that counts the others.

    The sentence of a kind has its first message, its number of events and their steps.
    """
    by_kind: dict[str, list[RunEvent]] = {}
    for event in events:
        by_kind.setdefault(event.kind, []).append(event)
    notes = []
    for kind, of_kind in list(by_kind.items())[:_MOST_KINDS]:
        first, last = of_kind[0], of_kind[-1]
        when = f"step {first.step}"
        if len(of_kind) > 1:
            when = f"{len(of_kind):,} times, steps {first.step} to {last.step}"
        message = name_text(first.message, _MESSAGE_WIDTH).rstrip(".")
        notes.append(
            f"{name_text(kind.replace('_', ' '), 40)} ({when}){f': {message}' if message else ''}."
        )
    further = len(by_kind) - _MOST_KINDS
    if further > 0:
        more = sum(len(of_kind) for of_kind in list(by_kind.values())[_MOST_KINDS:])
        kinds = "kind" if further == 1 else "kinds"
        notes.append(f"{more:,} more of {further} further {kinds}, in metrics.jsonl.")
    return notes


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run, measured. It may be unfinished, and any part of it may be missing."""

    name: str
    """The run folder's name."""
    facts: RunFacts
    config: Mapping[str, Any]
    """The whole configuration, to be shown; its facts are in `facts`."""
    env: Mapping[str, Any]
    winners: Sequence[Mapping[str, Any]]
    """Rows of `formatlab.measure.winners`, one an epoch of the probe, ascending."""
    training_shares: Sequence[Mapping[str, Any]]
    """Rows of `formatlab.measure.shares` by epoch and step of the training rollouts; none for
    training from documents, even if these were sampled beforehand."""
    metrics: Sequence[Mapping[str, Any]]
    """Lines of `metrics.jsonl`, ascending by step."""
    limited: Mapping[str, int]
    """Rollouts of training and the probe, by each of `LIMITS` that ended their grading."""
    resumes: Sequence[Mapping[str, Any]]
    """For each resume its step and the number of steps lost."""
    drift: Drift | None
    """From the probe of the start to the last one; None without both."""
    from_base: Drift | None = None
    """Drift from the chain's base. Set only for a run after other stages, when the study has a run
    that starts from that base."""
    done: bool
    failed: str | None
    several_of_base: bool = False
    """Whether the study trains each base with several sampling seeds. Such runs are no sample of
    bases, so the runs of one base are an arm."""

    @property
    def events(self) -> list[RunEvent]:
        """The events of training, by step."""
        return run_events(self.metrics)

    @property
    def collapse_step(self) -> int | None:
        """First step from which one format dominates the training rollouts, for any reward."""
        return self.winners[-1]["collapse_step"] if self.winners else None

    @property
    def seed(self) -> int:
        """The seed in which the runs of an arm differ: that of the base, or of sampling."""
        return self.facts.sampling_seed if self.several_of_base else self.facts.base_seed

    @property
    def undertrained(self) -> bool:
        """Whether the base was below the accuracy floor in every format."""
        stored = self.facts.undertrained
        if stored is not None or self.base is None:
            return bool(stored)
        floor = self.facts.accuracy_floor
        seen = [row for row in self.base["formats"] if row["rollouts"] >= _ENOUGH_ROLLOUTS]
        accuracies = [row["accuracy"] for row in seen if row["accuracy"] is not None]
        return bool(accuracies) and all(accuracy < floor for accuracy in accuracies)

    @property
    def base(self) -> Mapping[str, Any] | None:
        """The winners row of what the run started from, if it was probed."""
        return self.winners[0] if self.winners and self.winners[0]["epoch"] == 0 else None

    @property
    def final(self) -> Mapping[str, Any] | None:
        """The winners row of the last probe after some training, if there is one."""
        return self.winners[-1] if self.winners and self.winners[-1]["epoch"] > 0 else None

    def epoch_text(self, epoch: float) -> str:
        """Return an epoch without needless decimals; `base` or `start` for 0."""
        return epoch_text(epoch) if epoch else self.facts.start_name

    @property
    def notes(self) -> list[str]:
        """Sentences on missing parts of the run, and on limits to its interpretation."""
        found = []
        start = f"the {self.facts.start_name}"
        if self.failed is not None:
            found.append(f"Failed ({name_text(self.failed, 300)}).")
        elif not self.done:
            last = "not yet probed"
            if self.winners:
                epoch = self.winners[-1]["epoch"]
                last = f"last probe: {f'epoch {epoch_text(epoch)}' if epoch else start}"
            found.append(f"Unfinished ({last}).")
        if self.undertrained:
            found.append("The base is undertrained; the run is shown but not counted.")
        if not self.winners:
            found.append("There are no probe rollouts, so no winners.")
        elif self.base is None:
            found.append(f"{start.capitalize()} was not probed.")
        elif self.final is None:
            found.append(f"Only {start} has been probed.")
        if not self.training_shares and not self.facts.from_documents:
            found.append("There are no training rollouts.")
        if self.limited:
            counts = ", ".join(f"{n:,} {reason}" for reason, n in self.limited.items())
            found.append(f"Rollouts counted as wrong because grading met a limit: {counts}.")
        if self.resumes:
            times = "once" if len(self.resumes) == 1 else f"{len(self.resumes)} times"
            again = sum(row["lost"] for row in self.resumes)
            found.append(f"Interrupted {times}; {again} steps were made again, as they had been.")
        # The event that ended a run is the reason of its failure, which is there already.
        return found + event_notes([event for event in self.events if event.message != self.failed])


def measured_run(run: RunFolder) -> RunResult:
    """Read and measure a run folder.

    The stored winners of a finished run are used if they were measured as today; all others are
    measured from the rollouts.
    """
    facts = run_facts(run.config)
    winners = run.winners() if run.done else None
    if winners is None or not up_to_date(winners):
        winners = run_winners(run)
    rows = winners.to_pylist()
    training: list[dict[str, Any]] = []
    limited: Counter[str] = Counter()
    if facts.from_documents:
        # Rollouts to learn from were sampled before the first step. Early folders store a collapse.
        rows = [row | {"collapse_step": None} for row in rows]
    else:
        columns = ["epoch", "step", "tag", "correct", "well_formed", "reason"]
        train = _counting(run.rollout_batches("train", columns=columns), limited)
        training = shares(train, by=["epoch", "step"]).to_pylist()
    for _ in _counting(run.rollout_batches("probe", columns=["reason"]), limited):
        pass
    return RunResult(
        name=run.name,
        facts=facts,
        config=run.config,
        env=run.env,
        winners=rows,
        training_shares=training,
        metrics=run.metrics(),
        limited={reason: limited[reason] for reason in LIMITS if limited[reason]},
        resumes=run.resumes(),
        drift=_drift(run, [row["epoch"] for row in rows]),
        done=run.done,
        failed=run.failed,
    )


def with_distance_from_base(
    folders: Sequence[RunFolder], results: Sequence[RunResult]
) -> list[RunResult]:
    """Return the runs, those after other stages with their drift from the base of the chain.

    The base's probe is epoch 0 of any run that started from the same base.

    Args:
        folders: the run folders.
        results: of each, in the same order.
    """
    bases: dict[str, RunFolder] = {}
    for folder, result in zip(folders, results, strict=True):
        if result.base and not result.facts.after_stages:
            bases.setdefault(_base_key(result), folder)
    found = []
    for folder, result in zip(folders, results, strict=True):
        base = bases.get(_base_key(result))
        if result.facts.after_stages and result.final and base:
            before = _probe(base, 0.0)
            after = _probe(folder, result.final["epoch"])
            found.append(replace(result, from_base=drift(before, after)))
        else:
            found.append(result)
    return found


def _base_key(result: RunResult) -> str:
    """Return a key that runs share if they have the same base and the same probe."""
    names = ("seed", "scale", "mixture", "mixture_name", "probe")
    key = {name: result.config.get(name) for name in names}
    sha256 = result.config.get("base", {}).get("sha256")
    return json.dumps([key, sha256], sort_keys=True)


def _drift(run: RunFolder, epochs: Sequence[float]) -> Drift | None:
    if len(epochs) < 2 or epochs[0] != 0:
        return None
    return drift(_probe(run, epochs[0]), _probe(run, epochs[-1]))


def _counting(tables: Iterable[pa.Table], into: Counter[str]) -> Iterator[pa.Table]:
    """Pass rollouts on, and count their reasons."""
    for table in tables:
        for found in table["reason"].value_counts().to_pylist():
            into[found["values"]] += found["counts"]
        yield table


def _probe(run: RunFolder, epoch: float) -> Iterator[pa.Table]:
    return run.rollout_batches("probe", epoch=epoch, columns=DRIFT_COLUMNS)
