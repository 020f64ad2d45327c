"""The figure of gains over training and its numbers."""

import pytest

from formatlab.show.figures.gain_over_training import gain_over_training, gain_over_training_rows
from formatlab.show.study import measured_study


def test_each_probe_after_the_base_has_a_row_and_its_parts_add_up(grid) -> None:
    study = measured_study(grid)
    rows = gain_over_training_rows(study)
    probes = [(run.name, row["epoch"]) for run in study.runs for row in run.winners]
    assert [(row["run"], row["epoch"]) for row in rows] == [of for of in probes if of[1] > 0]
    for row in rows:
        parts = row["gain_format"] + row["gain_routing"] + row["gain_skill_within"]
        assert row["gain"] == pytest.approx(parts)


def test_the_line_of_the_gain_is_the_mean_over_counted_seeds(make_run) -> None:
    runs = [make_run(seed=seed) for seed in (0, 1)]
    study = measured_study([*runs, make_run(seed=2, undertrained=True)])
    (panel,) = gain_over_training(study).axes
    gain = next(line for line in panel.lines if line.get_color() == "#000000")
    rows = [row for row in gain_over_training_rows(study) if not row["undertrained"]]
    epochs = sorted({row["epoch"] for row in rows})
    means = [50 * sum(row["gain"] for row in rows if row["epoch"] == epoch) for epoch in epochs]
    assert list(gain.get_ydata()) == pytest.approx(means)  # pyright: ignore


def test_without_a_probe_after_the_base_nothing_is_drawn(make_run, all_text) -> None:
    study = measured_study([make_run(probe_epochs=(0.0,))])
    assert gain_over_training_rows(study) == []
    assert "nothing yet" in all_text(gain_over_training(study))
