"""The figure of training signals and its numbers."""

import math
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_rgb

from formatlab.show.figures.layout import exact_percent, save_figure
from formatlab.show.figures.training_signals import signal_rows, training_signals
from formatlab.show.study import measured_study


def lines(steps: int, per_epoch: int = 4, **signals: Any) -> list[Mapping[str, Any]]:
    return [
        {"step": step, "epoch": step / per_epoch, **{k: v[step] for k, v in signals.items()}}
        for step in range(steps)
    ]


def panel_titles(figure) -> list[str]:
    return [panel.get_title(loc="left") for panel in figure.axes]


def test_only_what_was_recorded_has_a_panel(make_run) -> None:
    study = measured_study([make_run(metrics=lines(3, reward=[0.1, 0.2, 0.3], kl=[None] * 3))])
    assert panel_titles(training_signals(study)) == ["Reward"]
    ppo = make_run(
        seed=1, metrics=lines(2, reward=[0.1, 0.2], kl=[0, 0.1], explained_variance=[-9, 0.2])
    )
    figure = training_signals(measured_study([ppo]))
    assert panel_titles(figure) == ["Reward", "KL to the base", "Critic's explained variance"]
    assert figure.axes[2].get_ylim()[0] == -1


@pytest.mark.parametrize("metrics", [[], lines(4, loss=[0.1] * 4)])
def test_nothing_recorded_is_said(all_text, make_run, tmp_path: Path, metrics: list) -> None:
    study = measured_study([make_run(metrics=metrics)])
    figure = training_signals(study)
    assert "nothing recorded yet" in all_text(figure)
    save_figure(figure, tmp_path / "figure.png")


def test_the_line_is_the_mean_over_seeds_as_far_as_all_have_come(make_run) -> None:
    runs = [
        make_run(seed=0, metrics=lines(3, reward=[0.0, 0.2, 0.4])),
        make_run(seed=1, metrics=lines(2, reward=[0.2, 0.4])),
        make_run(seed=2, metrics=lines(2, reward=[1.0, 1.0]), undertrained=True),
    ]
    study = measured_study(runs)
    (panel,) = training_signals(study).axes
    thick = max(panel.lines, key=lambda line: line.get_linewidth())
    assert list(thick.get_xdata()) == [0, 1]  # pyright: ignore
    assert list(thick.get_ydata()) == pytest.approx([0.1, 0.3])  # pyright: ignore
    rows = signal_rows(study)
    assert len(rows) == 7
    assert [row["mean_reward"] for row in rows[:3]] == [0.0, 0.2, 0.4]
    assert rows[0]["value_loss"] is None


def test_arms_whose_steps_differ_are_drawn_over_epochs(all_text, make_run) -> None:
    grpo = make_run(algorithm="grpo", metrics=lines(8, reward=[0.5] * 8))
    rounds = make_run(algorithm="expert_iteration", metrics=lines(2, 1, reward=[0.1, 0.2]))
    figure = training_signals(measured_study([grpo, rounds]))
    (panel,) = figure.axes
    assert panel.get_xlabel() == "epoch"
    assert sorted(max(line.get_xdata()) for line in panel.lines) == [1.0, 1.75]  # pyright: ignore
    assert "arms differ in steps an epoch" in " ".join(all_text(figure).split())
    figure = training_signals(measured_study([grpo]))
    assert figure.axes[0].get_xlabel() == "step"


def test_long_runs_are_drawn_in_spans(make_run) -> None:
    run = make_run(metrics=lines(1000, reward=[step / 1000 for step in range(1000)]))
    (panel,) = training_signals(measured_study([run])).axes
    (line,) = panel.lines
    assert len(line.get_xdata()) == 77  # pyright: ignore
    assert line.get_ydata()[0] == pytest.approx(0.006)  # pyright: ignore


def test_arms_without_a_line_are_not_in_the_legend(make_run) -> None:
    rl = make_run(metrics=lines(2, reward=[0.1, 0.2]), config={"chain": "sft, grpo"})
    sft = make_run(metrics=lines(2, loss=[3.0, 2.0]), config={"chain": "sft"}, train=False)
    (legend,) = training_signals(measured_study([rl, sft])).legends
    assert [text.get_text() for text in legend.get_texts()] == ["0.15M, sft, grpo"]


def test_the_labels_of_ticks_are_exact(make_run) -> None:
    metrics = lines(3, truncated=[0.0, 0.03, 0.06])
    figure = training_signals(measured_study([make_run(metrics=metrics)]))
    figure.draw_without_rendering()
    (panel,) = figure.axes
    low, high = panel.get_ylim()
    ticks = [tick for tick in panel.get_yticks() if low <= tick <= high]
    labels = [exact_percent(tick) for tick in ticks]
    assert [float(label[:-1]) / 100 for label in labels] == pytest.approx(ticks)
    assert {label.get_text() for label in panel.get_yticklabels()} >= set(labels)
    assert exact_percent(0.015) == "1.5%"


def test_many_arms_have_colours_of_their_own_and_equal_lines_are_told(all_text, make_run) -> None:
    names = [f"arm {number}" for number in range(8)]
    runs = [
        make_run(config={"chain": name}, metrics=lines(2, reward=[0.1, min(number, 6) / 10]))
        for number, name in enumerate(names)
    ]
    figure = training_signals(measured_study(runs))
    colours = [to_rgb(line.get_color()) for line in figure.axes[0].lines]
    assert len(colours) == 8
    distances = [math.dist(one, other) for one, other in combinations(colours, 2)]
    assert min(distances) > 0.25
    text = " ".join(all_text(figure).split())
    assert "Exactly on one another: 0.15M, arm 6 and 0.15M, arm 7." in text
