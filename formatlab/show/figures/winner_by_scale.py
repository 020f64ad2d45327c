"""Figure: the winner by scale and seed, one column an arm, one cell a run."""

from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from formatlab.measure import UNDECIDED
from formatlab.show.arm import Arm
from formatlab.show.figures.layout import QUIET, STYLE, StudyFigure, figure_layout, titled
from formatlab.show.palette import format_style, ink_on
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.tables.attractors import drift_verdict
from formatlab.show.tables.table import run_columns
from formatlab.show.wording import name_text, percent_text, wrapped_text

_TITLE = "Winner by scale and seed"

_CELL = (1.5, 0.78)
_MOST_COLUMNS = 8
_LABEL_WIDTH = 17


def winner_rows(study: Study) -> list[dict[str, Any]]:
    """Return the numbers drawn: one row a run, null where it has no probe after training."""
    names = (
        *("epoch", "winner", "leader", "share", "margin", "margin_low", "margin_high"),
        *("n_prompts", "n_rollouts"),
    )
    return [
        {
            **run_columns(study, arm, run),
            "done": run.done,
            "undertrained": run.undertrained,
            **{name: run.final[name] if run.final else None for name in names},
        }
        for arm in study.arms
        for run in arm.runs
    ]


def _title(study: Study) -> str:
    if not study.any_without_signal:
        return _TITLE
    mixed = any(arm.reward.has_signal for arm in study.arms)
    return f"{'Winning or leading' if mixed else 'Leading'} format by scale and seed"


def winner_by_scale(study: Study) -> Figure:
    """Draw the figure."""
    seeds = sorted({run.seed for run in study.runs})
    blocks = [study.arms[i : i + _MOST_COLUMNS] for i in range(0, len(study.arms), _MOST_COLUMNS)]
    columns = len(blocks[0])
    labels = [_head(arm) for arm in study.arms]
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title=titled(_title(study), study.rewards),
            caption=_caption(study),
            panels=len(blocks),
            columns=1,
            panel_size=(_CELL[0] * columns, _CELL[1] * len(seeds)),
            heading=0.18 + 0.16 * max(label.count("\n") + 1 for label in labels),
            legend=_legend(study),
        )
        for arms, panel in zip(blocks, panels, strict=True):
            panel.set_xlim(0, columns)
            panel.set_ylim(len(seeds), 0)
            panel.grid(visible=False)
            for spine in panel.spines.values():
                spine.set_visible(False)
            panel.tick_params(length=0, pad=5)
            panel.set_yticks([i + 0.5 for i in range(len(seeds))], [f"seed {s}" for s in seeds])
            panel.set_xticks([i + 0.5 for i in range(len(arms))], [_foot(arm) for arm in arms])
            for column, arm in enumerate(arms):
                _draw_head(panel, column, arm)
                for row, seed in enumerate(seeds):
                    of_seed = [run for run in arm.runs if run.seed == seed]
                    _draw_cell(panel, column, row, of_seed[0] if of_seed else None)
    return figure


def _head(arm: Arm) -> str:
    """Return the text above an arm's cells; without signal their formats lead and do not win."""
    label = wrapped_text(arm.label, _LABEL_WIDTH)
    return label if arm.reward.has_signal else f"{label}\nleads (drift)"


def _draw_head(panel: Axes, column: int, arm: Arm) -> None:
    panel.annotate(
        _head(arm),
        (column + 0.5, 0),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        weight="bold",
        annotation_clip=False,
    )


def _draw_cell(panel: Axes, column: int, row: int, run: RunResult | None) -> None:
    final = run.final if run else None
    if run is None or final is None:
        _box(panel, column, row, facecolor="#f4f4f4", edgecolor="none")
        text = _empty_text(run)
        panel.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=QUIET, size=8.5)
        return
    colour = format_style(final["leader"]).colour
    undecided = final["winner"] == UNDECIDED
    if undecided:
        _box(panel, column, row, facecolor="white", edgecolor=colour, hatch="////", linewidth=0)
        _box(panel, column, row, facecolor="none", edgecolor=colour, linewidth=1)
    else:
        _box(panel, column, row, facecolor=colour, edgecolor="none")
    if run.undertrained:
        _box(
            panel,
            column,
            row,
            facecolor="none",
            edgecolor="black",
            linestyle=(0, (3, 2)),
            linewidth=1.4,
        )
    lines = [name_text(final["leader"], 14), percent_text(final["share"])]
    if undecided:
        lines.insert(0, "undecided")
    if not run.done:
        lines.append(f"at epoch {run.epoch_text(final['epoch'])}")
    panel.text(
        column + 0.5,
        row + 0.5,
        "\n".join(lines),
        ha="center",
        va="center",
        size=8.5,
        linespacing=1.25,
        color="#000000" if undecided else ink_on(colour),
        bbox={"fc": "white", "ec": "none", "pad": 1.5} if undecided else None,
    )


def _empty_text(run: RunResult | None) -> str:
    if run is None:
        return "no run"
    if run.failed is not None:
        return "failed"
    return f"{run.facts.start_name} only" if run.winners else "not yet probed"


def _box(panel: Axes, column: int, row: int, **look: Any) -> None:
    inset = 0.04
    panel.add_patch(
        Rectangle(
            (column + inset, row + inset), 1 - 2 * inset, 1 - 2 * inset, clip_on=False, **look
        )
    )


def _legend(study: Study) -> list[tuple[Artist, str]]:
    entries: list[tuple[Artist, str]] = []
    if any(run.final and run.final["winner"] == UNDECIDED for run in study.runs):
        swatch = Rectangle((0, 0), 1, 1, fc="white", ec="#666666", hatch="////")
        entries.append((swatch, "undecided"))
    if any(run.undertrained for run in study.runs):
        swatch = Rectangle((0, 0), 1, 1, fc="white", ec="black", ls=(0, (3, 2)), lw=1.4)
        entries.append((swatch, "undertrained base"))
    return entries


def _foot(arm: Arm) -> str:
    found = arm.attractor
    head = "attractor:" if arm.reward.has_signal else "drift:"
    if not found.n_seeds:
        return f"{head}\nno run counted"
    number = found.wins.get(found.attractor, 0)
    verb = None if arm.reward.has_signal else drift_verdict(arm).verb
    # The verbs for arms without a leading format are too long for this place.
    if verb and (found.attractor != UNDECIDED or verb == "unchanged"):
        head = f"{verb}:"
    if found.attractor == UNDECIDED:
        return f"{head}\nundecided (n = {found.n_seeds})"
    return f"{head}\n{name_text(found.attractor, 14)} ({number} of {found.n_seeds})"


def _caption(study: Study) -> str:
    unfinished = any(run.final and not run.done for run in study.runs)
    words = [
        "Each cell: the format with the largest share of the probe at the last epoch, and that "
        f"share. Probe of {study.probe_text}. Undecided: the 95% cluster-bootstrap interval (over "
        "prompts) of the margin to the runner-up covers 0. Attractor: the format that wins in "
        "more than half of the seeds; n: finished runs of a base that is not undertrained.",
    ]
    if study.any_without_signal:
        words.append(
            "Where the reward carries no signal nothing is won; a policy drifts to the format that "
            "leads in more than half of the seeds if the formats moved beyond chance in more than "
            "half and it gained. Unchanged: they moved beyond chance in none."
        )
    if unfinished:
        words.append("Runs that are not finished name the epoch shown and are not in n.")
    return " ".join(words) + study.mixtures_text


WINNER_BY_SCALE = StudyFigure(
    name="winner_by_scale", title=_TITLE, draw=winner_by_scale, rows=winner_rows
)
