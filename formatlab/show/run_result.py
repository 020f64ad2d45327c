"""Events of a run: what training noticed and wrote into `metrics.jsonl`, told in few sentences.

A run as figures and tables see it: its folder, read and measured.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from formatlab.measure import (
    DRIFT_COLUMNS,
    FROM_DOCUMENTS,
    Drift,
    drift,
    run_winners,
    shares,
    winners_schema,
)
from formatlab.show.wording import epoch_text, name_text, reward_name
from formatlab.store import RunFolder

_MOST_KINDS = 3
_MESSAGE_WIDTH = 320


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEvent:
    """Something out of the ordinary at one step."""

    step: int
    """0-based index of the step."""
    kind: str
    """What it is, for example `truncation`; one run may have many of a kind."""
    message: str
    """What happened, for people."""


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
    """Return a sentence for each of the first kinds of event, and one for how many more there are.

    Of each kind it tells the first message, and how often and at which steps there was one.
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


_ENOUGH_ROLLOUTS = 20
"""Rollouts of a format at the base below which its accuracy says nothing of the base."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run, measured. It may be unfinished, and any of its pieces may be missing."""

    name: str
    """The run folder's name."""
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    winners: Sequence[Mapping[str, Any]]
    """Rows of `formatlab.measure.winners`, one an epoch of the probe, ascending."""
    training: Sequence[Mapping[str, Any]]
    """Rows of `formatlab.measure.counts` by epoch and step of the training rollouts; none where
    training is from texts made beforehand, though these may have been sampled from the start."""
    signals: Sequence[Mapping[str, Any]]
    """Lines of `metrics.jsonl`, ascending by step."""
    resumes: Sequence[Mapping[str, Any]]
    """Each time that the run went on after an interruption: the step, and steps made again."""
    drift: Drift | None
    """Between the last probe after some training and that of the start; None without both."""
    from_base: Drift | None = None
    """The same from the true base, for a stage after others whose base is in the study."""
    done: bool
    failed: str | None
    several_of_base: bool = False
    """Whether the study trains bases with several seeds of sampling each. Such runs are no sample
    of bases, so the runs of one base are an arm."""

    @property
    def reward(self) -> str:
        """Name of the reward."""
        return reward_name(self.config)

    @property
    def from_documents(self) -> bool:
        """Whether training is from texts made beforehand, so that nothing can collapse."""
        return self.config["algorithm"] in FROM_DOCUMENTS

    @property
    def start_name(self) -> str:
        """What the run started from: the base, or for a stage after others the start."""
        return "start" if self.config.get("before") else "base"

    @property
    def events(self) -> list[RunEvent]:
        """What training noticed, in order of step."""
        return run_events(self.signals)

    @property
    def collapse_step(self) -> int | None:
        """First step from which one format holds the training rollouts, whatever the reward."""
        return self.winners[-1]["collapse_step"] if self.winners else None

    @property
    def seed(self) -> int:
        """What tells the run from the others of its arm: the base's seed, or that of sampling."""
        return self.config["seed"] if self.several_of_base else self.base_seed

    @property
    def base_seed(self) -> int:
        """Seed of the base's weights; of a real model, which has one, that of sampling."""
        base = self.config.get("base", {}).get("config", {})
        return base.get("seed", self.config["seed"])

    @property
    def world_seed(self) -> int:
        """Seed of problems and documents; 0 for real problems."""
        world = self.config.get("world")
        return world.get("seed", 0) if isinstance(world, Mapping) else 0

    @property
    def undertrained(self) -> bool:
        """Whether the base was below the accuracy floor in every format."""
        told = self.config.get("base", {}).get("undertrained")
        if told is not None or self.base is None:
            return bool(told)
        floor = self.config.get("base", {}).get("floor", 0.0)
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
        """Return an epoch without needless decimals; what the run started from by its name."""
        return epoch_text(epoch) if epoch else self.start_name

    def _epoch_words(self, epoch: float) -> str:
        return f"epoch {epoch_text(epoch)}" if epoch else f"the {self.start_name}"

    @property
    def notes(self) -> list[str]:
        """What is missing or has to be known when this run is read, as sentences."""
        found = []
        if self.failed is not None:
            found.append(f"Failed ({name_text(self.failed, 300)}).")
        elif not self.done:
            at = self.winners[-1]["epoch"] if self.winners else None
            last = "not yet probed" if at is None else f"last probe: {self._epoch_words(at)}"
            found.append(f"Unfinished ({last}).")
        if self.undertrained:
            found.append("The base is undertrained; the run is shown but not counted.")
        if not self.winners:
            found.append("There are no probe rollouts, so no winners.")
        elif self.base is None:
            found.append(f"The {self.start_name} was not probed.")
        elif self.final is None:
            found.append(f"Only the {self.start_name} has been probed.")
        if not self.training and not self.from_documents:
            found.append("There are no training rollouts.")
        if self.resumes:
            times = "once" if len(self.resumes) == 1 else f"{len(self.resumes)} times"
            again = sum(row["lost"] for row in self.resumes)
            found.append(f"Interrupted {times}; {again} steps were made again, as they had been.")
        # An event that ended the run is its reason to fail.
        return found + event_notes([event for event in self.events if event.message != self.failed])


def seeds_text(run: RunResult) -> str:
    """Return all seeds of a run: `0`, or `world 1, base 0, sampling 2` where they are not one."""
    sampling = run.config["seed"]
    if not run.world_seed and run.base_seed == sampling:
        return str(sampling)
    return f"world {run.world_seed}, base {run.base_seed}, sampling {sampling}"


def measured_run(run: RunFolder) -> RunResult:
    """Read and measure a run folder.

    The stored winners of a finished run are used; those of any other are made from its rollouts.
    """
    winners = run.winners() if run.done else None
    if winners is None or not winners.schema.equals(winners_schema()):
        winners = run_winners(run)
    rows = winners.to_pylist()
    training: list[dict[str, Any]] = []
    if run.config["algorithm"] in FROM_DOCUMENTS:
        # What was sampled of the start to learn from was there before the first step.
        rows = [row | {"collapse_step": None} for row in rows]
    else:
        train = run.rollout_batches(
            "train", columns=["epoch", "step", "tag", "correct", "well_formed"]
        )
        training = shares(train, by=["epoch", "step"]).to_pylist()
    return RunResult(
        name=run.name,
        config=run.config,
        env=run.env,
        winners=rows,
        training=training,
        signals=run.metrics(),
        resumes=run.resumes(),
        drift=_drift(run, [row["epoch"] for row in rows]),
        done=run.done,
        failed=run.failed,
    )


def with_distance_from_base(
    folders: Sequence[RunFolder], results: Sequence[RunResult]
) -> list[RunResult]:
    """Return the runs, stages after others with their drift from the base below the whole chain.

    Its probe is that at epoch 0 of any run on the same base that has no stage before it.

    Args:
        folders: the run folders.
        results: of each, in the same order.
    """
    bases: dict[str, RunFolder] = {}
    for folder, result in zip(folders, results, strict=True):
        if result.base and not result.config.get("before"):
            bases.setdefault(_base_key(result), folder)
    found = []
    for folder, result in zip(folders, results, strict=True):
        base = bases.get(_base_key(result))
        if result.config.get("before") and result.final and base:
            before = _probe(base, 0.0)
            after = _probe(folder, result.final["epoch"])
            found.append(replace(result, from_base=drift(before, after)))
        else:
            found.append(result)
    return found


def _base_key(result: RunResult) -> str:
    """Return what runs have in common that are probed alike on the same base."""
    names = ("seed", "scale", "mixture", "mixture_name", "probe")
    key = {name: result.config.get(name) for name in names}
    # The weights themselves, where they are known.
    sha256 = result.config.get("base", {}).get("sha256")
    return json.dumps([key, sha256], sort_keys=True)


def _drift(run: RunFolder, epochs: Sequence[float]) -> Drift | None:
    if len(epochs) < 2 or epochs[0] != 0:
        return None
    return drift(_probe(run, epochs[0]), _probe(run, epochs[-1]))


def _probe(run: RunFolder, epoch: float) -> Iterator[pa.Table]:
    return run.rollout_batches("probe", epoch=epoch, columns=DRIFT_COLUMNS)
