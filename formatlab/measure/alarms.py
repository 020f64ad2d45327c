"""Early warning: which signal of a run's first steps says that one format will take over.

A signal is a number of every step. An alarm goes off at the first of the first k steps at which the
signal passes a threshold. In a run that collapses (`formatlab.measure.collapse`) it is right if it
goes off before the step of the collapse, and the steps between are its lead; in any other run, such
as those under `NULL_REWARDS`, it is a false alarm.

Moving the threshold gives a curve: share of collapses warned of against share of false alarms, with
the median lead. The area under it (AUC) is the probability that a run that collapses comes closer
to an alarm than one that does not. A signal that says nothing has .5 where all collapses come after
the first k steps. A run that collapses within them is read up to its collapse and not longer, which
can only make a signal look worse.

The threshold is the one with the largest difference of the two shares (Youden, Index for Rating
Diagnostic Tests (1950)). What it gives on the runs that chose it flatters it, so it is also chosen
on all seeds but one and tried on that one. `chosen_elsewhere` lets the other seeds choose the
signal, too.

Runs of one base are not independent: intervals come from a bootstrap over bases. That of the AUC
takes the standard error of its logit from the resamples and Student's quantile (Pepe, The
Statistical Evaluation of Medical Tests for Classification and Prediction (2003)): with 20 to 30
bases it covers in 94% to 98% of simulations, percentiles of the AUC itself in 89% to 94%.

T: steps of a run, N: runs, C: bases, B: resamples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from formatlab.measure.bootstrap import (
    DEFAULT_LEVEL,
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    resampled,
)
from formatlab.measure.collapse import collapse_step
from formatlab.measure.counts import Tally, counts, tally_of_counts
from formatlab.measure.entropy import corrected_entropies, entropy_of_samples
from formatlab.measure.statistic import NOT_DEFINED, Estimate, estimate, ratio
from formatlab.store import RunFolder
from formatlab.store.alarm import FALLING, SHARE_SIGNALS

DEFAULT_STEPS = 16
"""First steps that alarms may go off in: half of the lab's own runs."""

NULL_REWARDS = ("random", "none", "inverted")
"""Rewards that right answers cannot earn, the control arms; see `Warnings.n_null`."""

SIGNALS = {
    "share_slope": "slope of the leader's share over the last 8 steps (4 at least), share a step",
    "leader_share": "largest share of a format",
    "format_information": "I(F; X): what the prompt says of the format, jackknife, nats",
    "format_entropy": "H(F): entropy of the formats, plug-in, nats; warns when low",
    "format_entropy_given_prompt": "H(F|X): the same within prompts, jackknife, nats; when low",
    "token_entropy": "mean entropy of the policy at a sampled token, nats; warns when low",
    "kl": "divergence of the policy from its base, nats a token",
    "reward_spread": "standard deviation of the reward within the rollouts of a prompt",
}
"""What each signal is at a step; it warns when high, unless it is said to when low."""


@dataclass(frozen=True, kw_only=True)
class WatchedRun:
    """A run with its signals."""

    name: str
    base: str
    """The base that it started from: runs of one are drawn together."""
    seed: int
    """Of the base: thresholds fitted on some are tried on others."""
    null: bool = False
    """Whether its reward is one of `NULL_REWARDS`."""
    collapse: int | None
    """Step from which one format dominates; None where none does."""
    steps: np.ndarray
    """Numbers of the steps with rollouts, ascending; (T,)."""
    signals: Mapping[str, np.ndarray]
    """Name -> its value at each step, nan where it has none; (T,)."""


def run_signals(run: RunFolder) -> tuple[int | None, np.ndarray, dict[str, np.ndarray]]:
    """Read the signals of a run from its training rollouts and `metrics.jsonl`.

    Returns:
        The step of the collapse, the steps, and name -> values at the steps, see `WatchedRun`;
        signals that have no value at any step are left out.
    """
    columns = ["step", "prompt_id", "tag", "correct"]
    train = counts(run.rollout_batches("train", columns=columns), by=["step", "prompt_id"])
    of_step = {step: tally_of_counts(part) for step, part in _parts(train)}
    steps = np.array(sorted(of_step), dtype=np.int64)
    lines = [{"step": step, "share": _shares(of_step[step])} for step in steps.tolist()]
    logged = {line["step"]: line for line in run.metrics()}
    spreads = _reward_spreads(run)
    routing = [_routing(of_step[step].rollouts) for step in steps.tolist()]
    values: dict[str, list[float | None]] = {
        name: [compute(lines[: place + 1]) for place in range(len(lines))]
        for name, compute in SHARE_SIGNALS.items()
    } | {
        "format_information": [information for information, _ in routing],
        "format_entropy_given_prompt": [within for _, within in routing],
        "token_entropy": [logged.get(step, {}).get("entropy") for step in steps.tolist()],
        "kl": [logged.get(step, {}).get("kl") for step in steps.tolist()],
        "reward_spread": [spreads.get(step) for step in steps.tolist()],
    }
    arrays = {name: np.array(values[name], dtype=np.float64) for name in SIGNALS}
    collapse = collapse_step(
        train["step"].to_numpy(), train["tag"].to_pylist(), rollouts=train["n_rollouts"].to_numpy()
    )
    return collapse, steps, {k: of for k, of in arrays.items() if not np.isnan(of).all()}


def _shares(tally: Tally) -> dict[str, float]:
    of_tags = tally.rollouts.sum(axis=0)
    return dict(zip(tally.tags, (of_tags / of_tags.sum()).tolist(), strict=True))


def _parts(counted: pa.Table) -> list[tuple[int, pa.Table]]:
    """The rows of each step."""
    ordered = counted.sort_by("step")
    steps = ordered["step"].to_numpy()
    starts = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    return [
        (int(steps[start]), ordered.slice(start, end - start))
        for start, end in pairwise(starts)
        if end > start
    ]


def _routing(rollouts: np.ndarray) -> tuple[float, float]:
    """I(F; X) and H(F|X) of a step, of the prompts with two rollouts or more; nan without any.

    Args:
        rollouts: by prompt and tag; (P, F).
    """
    several = rollouts[rollouts.sum(axis=1) >= 2]
    if not len(several):
        return np.nan, np.nan
    within = float(corrected_entropies(several).mean())
    each = int(several.sum(axis=1).min())
    return float(entropy_of_samples(several.sum(axis=0), each)) - within, within


def _reward_spreads(run: RunFolder) -> dict[int, float]:
    """Step -> mean over prompts of the standard deviation of their rollouts' rewards."""
    keys = ["step", "prompt_id"]
    sums = []
    for table in run.rollout_batches("train", columns=[*keys, "reward"]):
        paid = table.filter(table["reward"].is_valid())
        reward = paid["reward"].to_numpy()
        columns = {key: paid[key].cast(kind) for key, kind in zip(keys, _KEYS, strict=True)}
        sums.append(pa.table(columns | {"n": np.ones(len(reward)), "r": reward, "rr": reward**2}))
    if not sums:
        return {}
    groups = pa.concat_tables(sums).group_by(keys).aggregate([(of, "sum") for of in _SUMS])
    n, first, second = (groups[f"{of}_sum"].to_numpy() for of in _SUMS)
    spread = np.sqrt(np.maximum(second / n - (first / n) ** 2, 0.0))
    steps, place = np.unique(groups["step"].to_numpy(), return_inverse=True)
    means = np.bincount(place, weights=spread) / np.bincount(place)
    return dict(zip(steps.tolist(), means.tolist(), strict=True))


_KEYS = (pa.int64(), pa.string())
_SUMS = ("n", "r", "rr")


@dataclass(frozen=True, kw_only=True)
class Warnings:
    """What alarms at one threshold, or at one a seed, do."""

    detected: Estimate
    """Share of the collapses that they come before."""
    false_alarms: Estimate
    """Share of the runs without a collapse in which they go off."""
    lead: Estimate
    """Median steps from an alarm to the collapse that it comes before; nan without one."""
    n_detected: int
    n_collapsed: int
    n_false: int
    n_others: int
    n_null_false: int
    """Of the false alarms, those under null rewards."""
    n_null: int
    """Of the runs without a collapse, those under null rewards."""


@dataclass(frozen=True, kw_only=True)
class SignalAlarms:
    """How well a signal warns."""

    signal: str
    auc: Estimate
    behind: Estimate
    """AUC less that of the best signal, on the same resamples."""
    threshold: float
    """The best one on all runs."""
    fitted: Warnings
    """At this threshold, on the runs that chose it."""
    held_out: Warnings | None
    """Each seed at the threshold that the others choose; None where they cannot."""
    curve: Sequence[tuple[float, Warnings]]
    """Threshold -> what it does on all runs, from the one that warns least."""


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """How well each signal warns, the best first."""

    signals: Sequence[SignalAlarms]
    chosen_elsewhere: Warnings | None
    """Each seed at the signal and threshold that the others choose; None where they cannot."""
    n_bases: int


def alarms(
    runs: Sequence[WatchedRun],
    *,
    steps: int = DEFAULT_STEPS,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Alarms:
    """Measure how well each signal warns of a collapse.

    Args:
        runs: of which some collapse and some do not. Of a run that lacks a signal nothing is told
            there.
        steps: the first steps with rollouts, in which alarms may go off.
        resamples: of the bootstrap over bases.
        seed: of the bootstrap.

    Returns:
        The signals that runs of both kinds have, and that differ among them.
    """
    drawn = _Drawn(runs, resamples, seed)
    watched = {
        name: signal
        for name in SIGNALS
        if (signal := _Signal(name, runs, steps)).separates(np.ones(len(signal.runs), bool))
    }
    areas = {name: drawn.auc(signal) for name, signal in watched.items()}
    order = sorted(areas, key=lambda name: -areas[name][0])
    found = []
    for name in order:
        signal, (area, of_draws) = watched[name], areas[name]
        best, of_best = areas[order[0]]
        threshold = signal.threshold(np.ones(len(signal.runs), bool))
        held_out = _held_out(signal.runs, lambda _, name=name: watched[name])
        curve = [(signal.value(at), drawn.warnings(signal.alarms(at))) for at in signal.cuts()]
        found.append(
            SignalAlarms(
                signal=name,
                auc=_area(area, of_draws, drawn.bases),
                behind=estimate(area - best, of_draws - of_best, drawn.bases),
                threshold=signal.value(threshold),
                fitted=drawn.warnings(signal.alarms(threshold)),
                held_out=drawn.warnings(held_out) if held_out else None,
                curve=curve,
            )
        )

    def best_elsewhere(known: Sequence[WatchedRun]) -> "_Signal | None":
        """The signal with the largest AUC on some runs."""
        able = [of for of in watched.values() if of.separates(of.among(known))]
        return max(able, key=lambda of: of.auc(of.among(known)), default=None)

    chosen = _held_out(runs, best_elsewhere)
    return Alarms(
        signals=found,
        chosen_elsewhere=drawn.warnings(chosen) if chosen else None,
        n_bases=drawn.bases,
    )


_Outcomes = Sequence[tuple[WatchedRun, int | None]]
"""Runs, each with the step at which its alarm goes off."""


class _Signal:
    """A signal of the runs that have it, turned so that it warns when it is high."""

    def __init__(self, name: str, runs: Sequence[WatchedRun], steps: int) -> None:
        """Read the first steps of the runs, or those before a collapse among them."""
        self._sign = -1 if name in FALLING else 1
        self.runs = [run for run in runs if name in run.signals]
        self._highest: list[np.ndarray] = []  # of each run so far, at each step that is read
        for run in self.runs:
            before = len(run.steps)
            if run.collapse is not None:
                before = int(np.searchsorted(run.steps, run.collapse))
            values = self._sign * run.signals[name][: min(steps, before)]
            known = np.where(np.isnan(values), -np.inf, values)
            self._highest.append(np.maximum.accumulate(known))
        # Of each run the largest of all, -inf where it has none, and whether it collapses; (N,).
        self.scores = np.array([of[-1] if len(of) else -np.inf for of in self._highest])
        self.collapsed = np.array([run.collapse is not None for run in self.runs], dtype=bool)

    def among(self, some: Sequence[WatchedRun]) -> np.ndarray:
        """Which of its runs are among some; bool (N,)."""
        names = {id(run) for run in some}
        return np.array([id(run) in names for run in self.runs], dtype=bool)

    def separates(self, which: np.ndarray) -> bool:
        """Whether some of these runs collapse, others do not, and they differ."""
        scores, collapsed = self.scores[which], self.collapsed[which]
        known = np.unique(scores[np.isfinite(scores)])
        return bool(collapsed.any() and not collapsed.all() and len(known) > 1)

    def auc(self, which: np.ndarray) -> float:
        return float(self.order[np.ix_(which[self.collapsed], which[~self.collapsed])].mean())

    @property
    def order(self) -> np.ndarray:
        """1 where a collapsing run scores above another one, 1/2 if equal; (collapsing, others)."""
        above, below = self.scores[self.collapsed][:, None], self.scores[~self.collapsed]
        return (above > below) + 0.5 * (above == below)

    def cuts(self, which: np.ndarray | None = None) -> np.ndarray:
        """Thresholds between the scores, and below and above all, from the highest."""
        scores = np.unique(self.scores if which is None else self.scores[which])
        known = scores[np.isfinite(scores)]
        beyond = np.ptp(known) / 2
        return np.concatenate(
            [[known[-1] + beyond], (known[1:] + known[:-1])[::-1] / 2, [known[0] - beyond]]
        )

    def threshold(self, which: np.ndarray) -> float:
        """The threshold with the largest difference of both shares; of equal ones the highest."""
        cuts = self.cuts(which)
        warned = self.scores[which] >= cuts[:, None]  # (cuts, N)
        of = self.collapsed[which]
        return float(cuts[(warned[:, of].mean(axis=1) - warned[:, ~of].mean(axis=1)).argmax()])

    def alarms(self, threshold: float) -> list[tuple[WatchedRun, int | None]]:
        """The step at which the alarm of each run goes off."""
        return [(run, self.alarm(place, threshold)) for place, run in enumerate(self.runs)]

    def alarm(self, place: int, threshold: float) -> int | None:
        passed = np.flatnonzero(self._highest[place] >= threshold)
        return int(self.runs[place].steps[passed[0]]) if len(passed) else None

    def value(self, threshold: float) -> float:
        """A threshold in the signal's own direction."""
        return self._sign * threshold


def _held_out(
    runs: Sequence[WatchedRun], choose: Callable[[Sequence[WatchedRun]], _Signal | None]
) -> list[tuple[WatchedRun, int | None]]:
    """The alarms of each seed by a signal and threshold that the others choose.

    Args:
        runs: seeds whose others cannot choose are left out.
        choose: the signal, by the runs of the other seeds.
    """
    outcomes = []
    for seed in sorted({run.seed for run in runs}):
        signal = choose([run for run in runs if run.seed != seed])
        others = signal and signal.among([run for run in runs if run.seed != seed])
        if signal is None or others is None or not others.any() or not signal.separates(others):
            continue
        threshold = signal.threshold(others)
        outcomes += [
            (run, signal.alarm(place, threshold))
            for place, run in enumerate(signal.runs)
            if run.seed == seed
        ]
    return outcomes


def _area(area: float, drawn: np.ndarray, bases: int) -> Estimate:
    """An area under the curve with its interval."""
    from scipy.special import expit, logit, stdtrit

    inside = logit(drawn[(drawn > 0) & (drawn < 1)])
    if bases < FEWEST_CLUSTERS or not 0 < area < 1 or len(inside) < 2:
        return estimate(area, drawn, bases, fraction=True)
    half = stdtrit(bases - 1, (1 + DEFAULT_LEVEL) / 2) * inside.std()
    low, high = expit(logit(area) - half), expit(logit(area) + half)
    return Estimate(value=area, low=float(low), high=float(high))


class _Drawn:
    """The draws of bases that all numbers share."""

    def __init__(self, runs: Sequence[WatchedRun], resamples: int, seed: int) -> None:
        self._place = {base: place for place, base in enumerate(sorted({of.base for of in runs}))}
        self.bases = len(self._place)
        (self._weights,) = resampled([np.eye(self.bases)], resamples, seed)  # (B, C)

    def auc(self, signal: _Signal) -> tuple[float, np.ndarray]:
        """The area under the curve, of the runs and of each draw, nan where it lacks a side."""
        every = np.ones(len(signal.runs), bool)
        weights = self._of(signal.runs)  # (B, N)
        above, below = weights[:, signal.collapsed], weights[:, ~signal.collapsed]
        pairs = above.sum(axis=1) * below.sum(axis=1)
        right = ((above @ signal.order) * below).sum(axis=1)
        return signal.auc(every), np.divide(
            right, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0
        )

    def warnings(self, outcomes: _Outcomes) -> Warnings:
        """Count alarms that are right and false, with intervals."""
        right = [run.collapse is not None and at is not None for run, at in outcomes]
        false = [run.collapse is None and at is not None for run, at in outcomes]
        collapsed = [run.collapse is not None for run, _ in outcomes]
        null = [run.collapse is None and run.null for run, _ in outcomes]
        runs = [run for run, _ in outcomes]
        others = [not of for of in collapsed]
        warned = [run for run, of in zip(runs, right, strict=True) if of]
        leads = [
            run.collapse - at for run, at in outcomes if run.collapse is not None and at is not None
        ]
        return Warnings(
            detected=self._share(runs, right, collapsed),
            false_alarms=self._share(runs, false, others),
            lead=self._median(warned, leads),
            n_detected=sum(right),
            n_collapsed=sum(collapsed),
            n_false=sum(false),
            n_others=sum(others),
            n_null_false=sum(of and run.null for run, of in zip(runs, false, strict=True)),
            n_null=sum(null),
        )

    def _of(self, runs: Sequence[WatchedRun]) -> np.ndarray:
        """How often each draw has the base of each run; (B, N)."""
        return self._weights[:, [self._place[run.base] for run in runs]]

    def _share(
        self, runs: Sequence[WatchedRun], part: Sequence[bool], of: Sequence[bool]
    ) -> Estimate:
        if not any(of):
            return NOT_DEFINED
        sums = np.zeros((self.bases, 2))
        np.add.at(sums, [self._place[run.base] for run in runs], np.stack([part, of], axis=1))
        drawn, bearing = ratio(self._weights @ sums), int((sums[:, 1] > 0).sum())
        return estimate(sum(part) / sum(of), drawn, bearing, fraction=True)

    def _median(self, runs: Sequence[WatchedRun], values: Sequence[int]) -> Estimate:
        """The median of a number of each run; of an even number of them the lower middle one."""
        if not values:
            return NOT_DEFINED
        order = np.argsort(values, kind="stable")
        ordered = np.array(values, dtype=np.float64)[order]
        middle = float(ordered[(len(ordered) - 1) // 2])
        summed = self._of(runs)[:, order].cumsum(axis=1)  # (B, n)
        total = summed[:, -1:]
        drawn = np.where(total[:, 0] > 0, ordered[(2 * summed >= total).argmax(axis=1)], np.nan)
        return estimate(middle, drawn, len({run.base for run in runs}))
