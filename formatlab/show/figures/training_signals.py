"""Figure: reward, entropy, KL and other signals of training over steps, one line an arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from formatlab.show.arm import Arm
from formatlab.show.figures.layout import (
    QUIET,
    STYLE,
    StudyFigure,
    exact_percent,
    figure_layout,
    number_range,
    titled,
)
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.wording import wrapped_text

_TITLE = "Training signals"

_PANELS = {
    "reward": "Reward",
    "entropy": "Entropy (nats a token)",
    "kl": "KL to the base",
    "truncated": "Truncated rollouts",
    "explained_variance": "Critic's explained variance",
}
"""Key of `metrics.jsonl` -> title of its panel."""

_SHARES = ("truncated",)
_SIGNALS = (*_PANELS, "loss", "value_loss", "grad_norm")
_MOST_POINTS = 80
_MOST_BANDS = 8
_ALIKE = 1.5
_LABEL_WIDTH = 60
_LEAST_EXPLAINED = -1.0

# Formats have other colours, so that nobody takes an arm for a format.
_COLOURS = "viridis"
_LIGHTEST = 0.8
# More settings than these differ in hue.
_MOST_SHADES = 4
_HUES = (
    *("#000000", "#7B2CBF", "#E0218A", "#8B5A2B", "#00A3A3"),
    *("#8A9A00", "#6B7A8F", "#FF7F50", "#1F3BFF"),
)
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One signal of one arm over its steps, in spans of equal length but for the last; S: spans."""

    at: np.ndarray
    """Middle of each span, in steps; (S,)."""
    middle: np.ndarray
    """Mean over the seeds; (S,)."""
    low: np.ndarray
    """Lowest seed; (S,)."""
    high: np.ndarray
    """Highest seed; (S,)."""


def signal_rows(study: Study) -> list[dict[str, Any]]:
    """Return the numbers behind the figure: one row a run and step; empty where not recorded."""
    return [
        {
            "arm": arm.label,
            "reward": arm.reward.name,
            "parameters": arm.parameters,
            "seed": run.seed,
            "run": run.name,
            "step": row["step"],
            "epoch": row.get("epoch"),
            "mean_reward": _number(row, "reward"),
            **{name: _number(row, name) for name in _SIGNALS if name != "reward"},
        }
        for arm in study.arms
        for run in arm.runs
        for row in run.metrics
    ]


def training_signals(study: Study) -> Figure:
    """Draw the figure, with a panel for each signal that a run has recorded."""
    names = [
        name
        for name in _PANELS
        if any(_number(row, name) is not None for run in study.runs for row in run.metrics)
    ]
    # Learning from documents records a loss only, which has no panel.
    arms = [
        arm for arm in study.arms if any(_line(arm.counted, name) is not None for name in names)
    ]
    by_step = _by_step(arms)
    looks = _looks(arms)
    legend = [
        (Line2D([], [], lw=1.8, **look), wrapped_text(arm.label, _LABEL_WIDTH))
        for arm, look in zip(arms, looks, strict=True)
    ]
    lines = [line for _, label in legend for line in label.split("\n")]
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title=titled(_TITLE, study.rewards),
            caption=_caption(study, arms, by_step=by_step),
            panels=max(1, len(names)),
            columns=2 if len(names) == 4 else 3,
            panel_size=(3.1, 1.9),
            gap=0.6,
            legend=legend,
            legend_entry=0.6 + 0.078 * max(map(len, lines), default=0),
        )
        if not names:
            (panel,) = panels
            panel.text(0.5, 0.5, "nothing recorded yet", ha="center", color=QUIET)
            panel.set_axis_off()
        for panel, name in zip(panels, names, strict=False):
            several = name == "reward" and len({arm.reward for arm in arms}) > 1
            title = f"KL to the {study.start_name}" if name == "kl" else _PANELS[name]
            panel.set_title(f"{title} (each arm's own)" if several else title)
            panel.set_xlabel("step" if by_step else "epoch")
            for arm, look in zip(arms, looks, strict=True):
                _draw_arm(panel, arm, name, look, arms=len(arms), by_step=by_step)
            _set_axes(panel, name, by_step=by_step)
    return figure


def _draw_arm(
    panel: Axes, arm: Arm, name: str, look: Mapping[str, Any], *, arms: int, by_step: bool
) -> None:
    scale = (None if by_step else _epochs_a_step(arm)) or 1.0
    if arms == 1 and len(arm.runs) > 1:
        for run in arm.runs:
            if (one := _line([run], name)) is not None:
                dashes = "-" if run in arm.counted else (0, (4, 2))
                colour = look["color"]
                panel.plot(one.at * scale, one.middle, color=colour, lw=0.7, ls=dashes, alpha=0.4)
    line = _line(arm.counted, name)
    if line is None:
        return
    at = line.at * scale
    if 1 < arms <= _MOST_BANDS:
        panel.fill_between(at, line.low, line.high, color=look["color"], alpha=0.13, lw=0)
    marker = "." if len(at) == 1 else ""
    panel.plot(at, line.middle, lw=1.6, marker=marker, zorder=3, **look)


def _line(runs: Sequence[RunResult], name: str) -> _Line | None:
    """Return the mean over the runs that recorded a signal, up to the last step of all of them."""
    by_run = []
    for run in runs:
        values = {row["step"]: _number(row, name) for row in run.metrics}
        known = {step: value for step, value in values.items() if value is not None}
        if known:
            by_run.append(known)
    common = sorted(set.intersection(*map(set, by_run))) if by_run else []
    if not common:
        return None
    values = np.array([[of_run[step] for step in common] for of_run in by_run])  # (runs, steps)
    length = -(-len(common) // _MOST_POINTS)
    spans = [slice(first, first + length) for first in range(0, len(common), length)]
    means = np.array([values[:, span].mean(axis=1) for span in spans])  # (S, runs)
    return _Line(
        at=np.array([np.mean(common[span]) for span in spans]),
        middle=means.mean(axis=1),
        low=means.min(axis=1),
        high=means.max(axis=1),
    )


def _set_axes(panel: Axes, name: str, *, by_step: bool) -> None:
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=by_step))
    panel.yaxis.set_major_locator(MaxNLocator(5))
    if name == "explained_variance":
        # An untrained critic may be far below.
        panel.set_ylim(bottom=max(panel.get_ylim()[0], _LEAST_EXPLAINED))
    if name in _SHARES:
        panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        panel.yaxis.set_major_formatter(FuncFormatter(exact_percent))
        panel.set_ylim(bottom=0)
        # Keeps a line of zeros at the bottom.
        panel.set_ylim(top=max(panel.get_ylim()[1], 0.05))


def _looks(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Return the look of each arm: a colour for its setting and dashes for its scale.

    With one scale the dashes are for the setting too.
    """
    scales = sorted({(arm.parameters, arm.scale) for arm in arms})
    settings = list(dict.fromkeys(arm.setting for arm in arms))
    shades = matplotlib.colormaps[_COLOURS](np.linspace(0, _LIGHTEST, len(settings)))
    colours: list[Any] = [tuple(shade) for shade in shades]
    if len(settings) > _MOST_SHADES:
        colours = [_HUES[number % len(_HUES)] for number in range(len(settings))]
    looks = []
    for arm in arms:
        setting = settings.index(arm.setting)
        dash = scales.index((arm.parameters, arm.scale)) if len(scales) > 1 else setting
        looks.append({"color": colours[setting], "ls": _DASHES[dash % len(_DASHES)]})
    return looks


def _by_step(arms: Sequence[Arm]) -> bool:
    """Whether a step is about the same part of an epoch in every arm."""
    sizes = [size for arm in arms if (size := _epochs_a_step(arm)) is not None]
    return not sizes or max(sizes) <= _ALIKE * min(sizes)


def _epochs_a_step(arm: Arm) -> float | None:
    """Return the part of an epoch that a step is, None if not known yet."""
    for run in arm.runs:
        last = run.metrics[-1] if run.metrics else {}
        if last.get("step") and last.get("epoch"):
            return last["epoch"] / last["step"]
    return None


def _alike(arms: Sequence[Arm]) -> list[list[str]]:
    """Return groups of labels of arms whose lines are the same in every panel."""
    groups: dict[tuple, list[str]] = {}
    for arm in arms:
        lines = [_line(arm.counted, name) for name in _PANELS]
        values = tuple((*of.at, *of.middle) if of else () for of in lines)
        groups.setdefault(values, []).append(arm.label)
    return [labels for labels in groups.values() if len(labels) > 1]


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _caption(study: Study, arms: Sequence[Arm], *, by_step: bool) -> str:
    runs = [run for arm in arms for run in arm.runs]
    lengths = [run.metrics[-1]["step"] + 1 for run in runs if run.metrics]
    n_seeds = [len(arm.counted) for arm in arms] or [0]
    words = [f"Recorded at each step of training; seeds an arm: {number_range(n_seeds)}."]
    if max(n_seeds) > 1 and len(arms) == 1:
        words.append(
            "Thick lines: mean over the seeds, up to the last step of all; thin: the seeds."
        )
    elif max(n_seeds) > 1:
        words.append("Lines: mean over the seeds, up to the last step of all.")
        if len(arms) <= _MOST_BANDS:
            words.append("Bands run from the lowest seed to the highest.")
    if not by_step:
        words.append("Epochs: passes over the prompts; arms differ in steps an epoch.")
    if max(lengths, default=0) > _MOST_POINTS:
        words.append(f"Means over spans of steps, {_MOST_POINTS} in a line at most.")
    if any(run.undertrained for run in runs):
        words.append("Seeds of an undertrained base are not in the mean where there are others.")
    if alike := _alike(arms):
        words.append(f"Exactly on one another: {'; '.join(' and '.join(of) for of in alike)}.")
    if left_out := [arm.label for arm in study.arms if arm not in arms]:
        words.append(f"Nothing of this is recorded for: {'; '.join(left_out)}.")
    return " ".join(words) + study.mixtures_text


TRAINING_SIGNALS = StudyFigure(
    name="training_signals", title=_TITLE, draw=training_signals, rows=signal_rows
)
