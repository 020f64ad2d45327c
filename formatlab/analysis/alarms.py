"""The runs that words of the command line name, as alarms watch them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from formatlab.analysis.sides import is_study, sound_runs
from formatlab.errors import InputError
from formatlab.measure.alarms import NULL_REWARDS, WatchedRun, run_signals
from formatlab.show.run_facts import RunFacts, run_facts
from formatlab.store import RunFolder
from formatlab.store.config import config_hash
from formatlab.store.track import Track, untracked


@dataclass(frozen=True, kw_only=True)
class WatchedRuns:
    """Runs that alarms can be measured on."""

    runs: Sequence[WatchedRun]
    left_out: Counter[str]
    """Why runs are left out -> how many."""


def watched_runs(words: Sequence[str], *, track: Track = untracked) -> WatchedRuns:
    """Read the signals of runs.

    A run that is in several studies with the same rollouts counts once.

    Args:
        words: studies and run folders.
        track: shows how many are read.

    Raises:
        InputError: a word is neither, or the runs do not have both kinds of ends.
        RunError: a run folder is damaged.
    """
    folders: dict[Path, RunFolder] = {}
    for word in words:
        if not is_study(word):
            raise InputError(f"{word} is no study or run folder; alarms are measured on runs")
        folders |= {run.path.resolve(): run for run in sound_runs(Path(word), track=track)}
    runs: list[WatchedRun] = []
    left_out = Counter[str]()
    seen = set[tuple[bytes, ...]]()
    for folder in track([*folders.values()], "reading signals"):
        facts = run_facts(folder.config)
        if facts.from_documents or not folder.done:
            left_out["trained on documents" if facts.from_documents else "not finished"] += 1
            continue
        collapse, steps, signals = run_signals(folder)
        rollouts = (steps.tobytes(), *(signals[name].tobytes() for name in sorted(signals)))
        if not len(steps):
            left_out["without rollouts"] += 1
        elif collapse == steps[0]:
            left_out["collapsed from the first step on"] += 1
        elif rollouts in seen:
            left_out["with the rollouts of another"] += 1
        else:
            seen.add(rollouts)
            runs.append(
                WatchedRun(
                    name=folder.name,
                    base=_base(facts),
                    seed=facts.base_seed,
                    null=facts.reward.kind in NULL_REWARDS,
                    collapse=collapse,
                    steps=steps,
                    signals=signals,
                )
            )
    collapsed = sum(run.collapse is not None for run in runs)
    if collapsed in (0, len(runs)):
        out = f" ({left_out_text(left_out)})" if left_out else ""
        raise InputError(
            f"{', '.join(words)}: {collapsed} of {len(runs)} runs collapse{out}; alarms are "
            "measured on finished runs of which some collapse and some do not, so name more"
        )
    return WatchedRuns(runs=runs, left_out=left_out)


def left_out_text(left_out: Counter[str]) -> str:
    """How many runs are left out, and why."""
    return "left out: " + ", ".join(f"{count} {why}" for why, count in left_out.items())


def _base(facts: RunFacts) -> str:
    """What tells the base of a run from others; of a real model, the model and the seed."""
    return config_hash(
        {
            "scale": facts.scale,
            "mixture": [facts.mixture_name, dict(facts.mixture)],
            "mistranslates": {tag: list(of) for tag, of in facts.mistranslates.items()},
            "seeds": [facts.world_seed, facts.base_seed],
        }
    )
