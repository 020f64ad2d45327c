"""A case: a run whose outcome is known, to fit forecasts on and to score them by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formatlab.errors import InputError
from formatlab.forecast.known import (
    PROBE_COLUMNS,
    BaseProbe,
    RunSettings,
    base_probe,
    run_settings,
)
from formatlab.measure.bootstrap import resampled
from formatlab.measure.counts import tally
from formatlab.store import RunFolder
from formatlab.store.config import config_hash

EARLY = (0.125, 0.25)
"""Epochs after which the early slope is read; forecasts are scored at later ones."""

_RESAMPLES = 1_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a probe of the run found after some epochs."""

    rollouts: Mapping[str, float]
    """Format -> rollouts of the probe."""
    correct: Mapping[str, float]
    """Format -> right ones."""
    leads: Mapping[str, float]
    """Format -> probability of having the largest share, over resamples of the prompts.

    A winner that is not told apart from the second is scored as this says, and not thrown away.
    """

    @property
    def shares(self) -> dict[str, float]:
        """Format -> share of the rollouts."""
        total = sum(self.rollouts.values())
        return {name: count / total for name, count in self.rollouts.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """What a forecast is made from."""

    probe: BaseProbe
    settings: RunSettings
    early: Mapping[float, Mapping[str, float]] = field(default_factory=dict)
    """Epoch -> share of each format, of the first probes in training; empty before RL."""
    response: np.ndarray | None = None
    """Change of the logarithm of each format's share in the first update at the run's learning
    rate, and its standard error; (2, F). None where it was not measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A run, what was known before it, and what came of it."""

    run: str
    """Study and name of the run folder."""
    base: str
    """Name of the pretraining that it began with; runs of one are no independent observations."""
    scale: str
    mixture: str
    """Shares of the formats in the documents, by name."""
    fidelity: str
    """Which formats' documents misread phrases: none, code, text, or both."""
    seed: int
    set_aside: bool
    """Whether it was set aside beforehand, and is no part of what forecasts are made or fitted on.
    """
    probe: BaseProbe
    settings: RunSettings
    outcomes: Mapping[float, Outcome]
    """Epoch -> outcome, ascending."""
    response: np.ndarray | None = None
    """See `Known`."""

    @cached_property
    def known(self) -> Known:
        """What a forecast is made from, the early probes beside it."""
        early = {epoch: of.shares for epoch, of in self.outcomes.items() if epoch in EARLY}
        return Known(probe=self.probe, settings=self.settings, early=early, response=self.response)

    @cached_property
    def epochs(self) -> np.ndarray:
        """Epochs whose outcome is forecast; (H,)."""
        return np.array([epoch for epoch in self.outcomes if epoch > max(EARLY)])

    @cached_property
    def leads(self) -> np.ndarray:
        """Probability of leading, by epoch and format of the base's probe; (H, F + 1).

        The last column is that of formats which the base did not show.
        """
        return self._by_format("leads")

    @cached_property
    def shares(self) -> np.ndarray:
        """Shares, arranged as `leads`."""
        return self._by_format("shares")

    def _by_format(self, name: str) -> np.ndarray:
        rows = []
        for epoch in self.epochs:
            of = getattr(self.outcomes[epoch], name)
            known = [of.get(form, 0.0) for form in self.probe.formats]
            rows.append([*known, max(0.0, 1.0 - sum(known))])
        return np.array(rows).reshape(len(rows), len(self.probe.formats) + 1)


def run_case(run: RunFolder, *, kinds: Mapping[str, str]) -> Case:
    """Read a finished run as a case that is not set aside.

    Args:
        run: of an on-policy algorithm, with probes.
        kinds: format -> code or text.

    Raises:
        InputError: it is a run of another algorithm, or has no probe of its base or of its end.
        RunError: the folder is damaged.
    """
    config = run.config
    settings = run_settings(config)
    probe = run.rollouts("probe", columns=["epoch", *PROBE_COLUMNS])
    epochs = sorted(set(probe["epoch"].to_pylist()))
    if len(epochs) < 2 or epochs[0] != 0:
        raise InputError(f"{run.path} has no probe of its base and of a later policy")
    base = base_probe(probe.filter(pc.field("epoch") == 0))
    mixture, _, _ = config["mixture_name"].partition("-")
    misreads = config.get("world", {}).get("mixture", {}).get("mistranslates", {})
    fidelity = sorted({kinds.get(form, form) for form in misreads})
    return Case(
        run=f"{config['study']}/{run.name}",
        base=pretraining_of(config["base"]),
        scale=config["scale"]["name"],
        mixture=mixture,
        fidelity="both" if len(fidelity) > 1 else fidelity[0] if fidelity else "none",
        seed=config["seed"],
        set_aside=False,
        probe=base,
        settings=settings,
        response=response_of(run, base.formats),
        outcomes={epoch: outcome(probe.filter(pc.field("epoch") == epoch)) for epoch in epochs[1:]},
    )


def response_of(run: RunFolder, formats: Sequence[str]) -> np.ndarray | None:
    """The response that a run wrote, as `Known` has it; None if it wrote none.

    A format whose rollouts were all left out of the measurement is taken not to move.
    """
    measured = run.response()
    if not measured:
        return None
    rows = [measured.get(form, {}) for form in formats]
    return np.array([[row.get(name, 0.0) for row in rows] for name in ("adamw", "adamw_error")])


def outcome(probe: pa.Table) -> Outcome:
    """Count the rollouts of a probe, and how often each format leads over resamples of prompts."""
    counted = tally(probe)
    (drawn,) = resampled([counted.rollouts], _RESAMPLES, seed=0)  # (B, F)
    leading = drawn == drawn.max(axis=1, keepdims=True)  # ties lead in equal parts
    leads = (leading / leading.sum(axis=1, keepdims=True)).mean(axis=0)
    return Outcome(
        rollouts=_by_name(counted.tags, counted.rollouts.sum(axis=0)),
        correct=_by_name(counted.tags, counted.correct.sum(axis=0)),
        leads=_by_name(counted.tags, leads),
    )


def pretraining_of(base: Mapping[str, Any]) -> str:
    """What names a base's pretraining, the same for all bases that were kept of it."""
    config = base.get("config", {})
    if not config.get("pretraining", {}).get("kept"):
        return base["sha256"][:12]  # equal weights are one base, whatever its mixture is called
    return config_hash({name: value for name, value in config.items() if name != "after"})


def _by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
