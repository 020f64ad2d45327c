"""Figure: the share of each format over training, one panel an arm, with marks of epochs."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from formatlab.show.arm import Arm
from formatlab.show.figures.layout import (
    QUIET,
    SPREAD_WORDS,
    STYLE,
    Measured,
    StudyFigure,
    draw_spreads,
    figure_layout,
    format_handle,
    number_range,
    spread,
    titled,
)
from formatlab.show.palette import format_style
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.tables.table import run_columns
from formatlab.show.wording import name_text, wrapped_text

_TITLE = "Format share over training"
_RARE = 0.02
_MOST_EPOCH_LABELS = 8
_TITLE_WIDTH = 38

# Steps of these algorithms are not RL steps.
_STEP_NAMES = {"sft": "SFT step", "dpo": "DPO step", "expert_iteration": "step"}


def share_rows(study: Study) -> list[dict[str, Any]]:
    """Return the numbers drawn: one row a run, split, step and tag.

    Training rows hold the batch sampled after `step` steps and have no interval; probe rows have
    the 95% cluster-bootstrap interval over prompts.
    """
    rows = []
    for arm in study.arms:
        for run in arm.runs:
            known = run_columns(study, arm, run)
            rows += [
                known
                | {
                    "split": "train",
                    "step": row["step"],
                    "epoch": row["epoch"],
                    "tag": row["tag"],
                    "share": row["share"],
                    "share_low": None,
                    "share_high": None,
                    "rollouts": row["total"],
                }
                for row in run.training_shares
            ]
            rows += [
                known
                | {
                    "split": "probe",
                    "step": epoch["step"],
                    "epoch": epoch["epoch"],
                    **{name: of[name] for name in ("tag", "share", "share_low", "share_high")},
                    "rollouts": epoch["n_rollouts"],
                }
                for epoch in run.winners
                for of in epoch["formats"]
            ]
    return rows


def share_over_training(study: Study) -> Figure:
    """Draw the figure."""
    common = {row["tag"] for row in share_rows(study) if row["share"] >= _RARE}
    tags = [tag for tag in study.tags if tag in common]
    columns = 2 if len(study.arms) == 4 else 3
    titles = [wrapped_text(_panel_title(arm), _TITLE_WIDTH) for arm in study.arms]
    lines = max(title.count("\n") + 1 for title in titles)
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title=titled(_TITLE, study.rewards),
            caption=_caption(study, [tag for tag in study.tags if tag not in common]),
            panels=len(study.arms),
            columns=columns,
            panel_size=(3.1, 2.3),
            heading=0.47 + 0.15 * lines,
            legend=[(format_handle(tag, width=1.8, size=5.5), name_text(tag, 16)) for tag in tags],
        )
        for place, (arm, panel) in enumerate(zip(study.arms, panels, strict=True)):
            _draw_arm(panel, arm, tags)
            panel.set_title(titles[place], pad=24)
            panel.set_xlabel(_STEP_NAMES.get(arm.algorithm, "RL step"))
            if place % columns == 0:
                panel.set_ylabel("share of rollouts")
                _name_epochs(panel)
            else:
                panel.tick_params(labelleft=False)
    return figure


def _draw_arm(panel: Axes, arm: Arm, tags: Sequence[str]) -> None:
    last_step = max(
        [row["step"] + 1 for run in arm.runs for row in run.training_shares]
        + [row["step"] for run in arm.runs for row in run.winners]
        + [1]
    )
    panel.set_xlim(-0.03 * last_step, 1.03 * last_step)
    panel.set_ylim(-0.03, 1.03)
    panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
    panel.yaxis.set_major_formatter(PercentFormatter(1))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _draw_epochs(panel, arm)
    if not any(run.training_shares or run.winners for run in arm.runs):
        panel.text(0.5, 0.5, "no rollouts yet", transform=panel.transAxes, ha="center", color=QUIET)
        return
    for tag in tags:
        _draw_lines(panel, arm, tag)
        _draw_probe(panel, arm, tag)


def _draw_lines(panel: Axes, arm: Arm, tag: str) -> None:
    by_run = [_by_step(run, tag) for run in arm.runs]
    colour = format_style(tag).colour
    if len(arm.runs) > 1:
        for run, of_run in zip(arm.runs, by_run, strict=True):
            dashes = "-" if run in arm.counted else (0, (4, 2))
            steps = list(of_run)
            panel.plot(
                steps, list(of_run.values()), color=colour, lw=0.7, ls=dashes, alpha=0.4, zorder=2
            )
    counted = [_by_step(run, tag) for run in arm.counted if run.training_shares]
    if not counted:
        return
    common = sorted(set.intersection(*map(set, counted)))
    means = [sum(of_run[step] for of_run in counted) / len(counted) for step in common]
    # One step alone would make no line.
    marker = "." if len(common) == 1 else ""
    panel.plot(common, means, color=colour, lw=1.8, marker=marker, zorder=3)


def _draw_probe(panel: Axes, arm: Arm, tag: str) -> None:
    by_step: dict[int, list[Measured]] = {}
    for run in arm.counted:
        for epoch in run.winners:
            by_step.setdefault(epoch["step"], []).append(_probe_share(epoch, tag))
    steps = sorted(by_step)
    points = [spread(by_step[step]) for step in steps]
    if not any(run.training_shares for run in arm.counted):
        middles = [point.middle for point in points]
        panel.plot(steps, middles, color=format_style(tag).colour, lw=1.2, ls=":", zorder=3)
    draw_spreads(panel, tag, steps, points, size=5, order=4)


def _draw_epochs(panel: Axes, arm: Arm) -> None:
    """Mark where each pass over the prompts ends, on an axis above the panel."""
    ends = {0: 0}
    for run in arm.runs:
        for row in run.winners:
            if row["epoch"] == int(row["epoch"]):
                ends[row["step"]] = int(row["epoch"])
        # In order of step, so that the first row of an epoch is that of its first step.
        starts: dict[float, int] = {}
        for row in run.training_shares:
            starts.setdefault(row["epoch"], row["step"])
        for epoch, first in starts.items():
            if epoch >= 1:
                ends.setdefault(first, int(epoch))
    for step in ends:
        if step:
            panel.axvline(step, color="#9a9a9a", lw=0.8, ls=(0, (3, 2)), zorder=1)
    every = -(-len(ends) // _MOST_EPOCH_LABELS)
    above = panel.secondary_xaxis("top")
    above.set_xticks(
        sorted(ends), [str(ends[s]) if ends[s] % every == 0 else "" for s in sorted(ends)]
    )
    above.tick_params(length=2.5, pad=1.5, labelsize=8, colors=QUIET)
    above.spines["top"].set_visible(False)


def _name_epochs(panel: Axes) -> None:
    panel.annotate(
        "epochs",
        (0, 1),
        xytext=(-6, 6.5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        size=8,
        color=QUIET,
    )


def _by_step(run: RunResult, tag: str) -> dict[int, float]:
    shares = {row["step"]: 0.0 for row in run.training_shares}
    shares |= {row["step"]: row["share"] for row in run.training_shares if row["tag"] == tag}
    return shares


def _probe_share(epoch: Any, tag: str) -> Measured:
    for of in epoch["formats"]:
        if of["tag"] == tag:
            return Measured(value=of["share"], low=of["share_low"], high=of["share_high"])
    return Measured(value=0.0, low=0.0, high=0.0)


def _panel_title(arm: Arm) -> str:
    undertrained = sum(run.undertrained for run in arm.runs)
    # No-break spaces, so that a wrapped title breaks before the bracket.
    seeds = f"{len(arm.runs)}\u00a0seed{'s' if len(arm.runs) > 1 else ''}"
    if undertrained:
        seeds += f",\u00a0{undertrained}\u00a0undertrained"
    return f"{arm.label}  ({seeds})"


def _caption(study: Study, rare: Sequence[str]) -> str:
    batches = [row["total"] for run in study.runs for row in run.training_shares]
    words = []
    if batches:
        words.append(
            f"Lines: share among the {number_range(batches)} training rollouts of each step; with "
            "several seeds the thick line is their mean, up to the last step of all, and thin "
            "lines are the seeds."
        )
    words.append(f"Markers: probe of {study.probe_text}; {SPREAD_WORDS}.")
    words.append("Vertical lines: ends of epochs.")
    if any(
        arm.algorithm in _STEP_NAMES and not any(r.training_shares for r in arm.runs)
        for arm in study.arms
    ):
        words.append("Dotted lines join the probes where training is from documents.")
    if any(run.undertrained for run in study.runs):
        words.append(
            "Seeds of an undertrained base are dashed and not in the mean where there are others."
        )
    if rare:
        names = ", ".join(f'"{name_text(tag, 16)}"' for tag in rare)
        words.append(f"Never at {_RARE:.0%} and not drawn: {names}.")
    return " ".join(words) + study.mixtures_text


SHARE_OVER_TRAINING = StudyFigure(
    name="share_over_training", title=_TITLE, draw=share_over_training, rows=share_rows
)
