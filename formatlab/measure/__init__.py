"""Measures over rollouts: shares, winners, collapse, drift, gain, diversity, attractors, errors."""

from formatlab.measure.attractor import Attractor, SeedInterval, attractor, seed_interval
from formatlab.measure.collapse import collapse_step
from formatlab.measure.comparison import Comparison, compare, measures
from formatlab.measure.counts import shares
from formatlab.measure.drift import DRIFT_COLUMNS, Drift, drift
from formatlab.measure.entropy import format_entropy, format_entropy_given_prompt
from formatlab.measure.error_rates import ErrorRate, grader_errors
from formatlab.measure.gain import Gain, gain
from formatlab.measure.pass_at_k import PassRate, pass_at_k, pass_rates
from formatlab.measure.statistic import Estimate
from formatlab.measure.winners import (
    FROM_DOCUMENTS,
    UNDECIDED,
    run_winners,
    up_to_date,
    winners,
    winners_schema,
)

__all__ = [
    "DRIFT_COLUMNS",
    "FROM_DOCUMENTS",
    "UNDECIDED",
    "Attractor",
    "Comparison",
    "Drift",
    "ErrorRate",
    "Estimate",
    "Gain",
    "PassRate",
    "SeedInterval",
    "attractor",
    "collapse_step",
    "compare",
    "drift",
    "format_entropy",
    "format_entropy_given_prompt",
    "gain",
    "grader_errors",
    "measures",
    "pass_at_k",
    "pass_rates",
    "run_winners",
    "seed_interval",
    "shares",
    "up_to_date",
    "winners",
    "winners_schema",
]
