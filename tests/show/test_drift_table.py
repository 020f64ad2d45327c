"""Tables of drift and of collapse."""

import pytest

from formatlab.show.study import measured_study
from formatlab.show.tables.collapse import collapse_rows, collapse_table
from formatlab.show.tables.drift import drift_rows, drift_table
from formatlab.show.tables.results import markdown


def test_each_run_has_a_row_and_each_arm_its_mean(grid) -> None:
    rows = drift_rows(measured_study(grid))
    assert [(row["parameters"], row["seed"]) for row in rows] == [
        *((150_000, seed) for seed in (0, 1, None)),
        *((812_345, seed) for seed in (0, 1, None)),
    ]
    one, other, mean = rows[:3]
    middle = (one["total_variation"] + other["total_variation"]) / 2
    assert mean["total_variation"] == pytest.approx(middle)
    assert mean["low"] <= middle <= mean["high"]
    assert (mean["n_seeds"], mean["beyond_chance"], mean["floor"]) == (2, 2, None)
    for row in (one, other):
        assert row["beyond_chance"] and row["total_variation"] > row["floor"]
        change = row["accuracy_final"] - row["accuracy_base"]
        assert row["accuracy_change"] == pytest.approx(change)


def test_falling_accuracy_has_its_interval_below_zero(make_run) -> None:
    runs = [make_run(seed=seed, end={"prose": 1.0}, start={"program": 1.0}) for seed in range(3)]
    mean = drift_rows(measured_study(runs))[-1]
    assert mean["accuracy_high"] < 0 and mean["accuracy_low"] < mean["accuracy_change"]


def test_runs_that_do_not_count_are_shown_but_not_in_the_mean(uneven_runs) -> None:
    study = measured_study(uneven_runs)
    table = drift_table(study)
    assert [row[1] for row in table.rows] == ["0", "1", "2 *", "3", "2 seeds"]
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert [row[0] for row in table.rows] == ["0.15M", "", "", "", ""]


def test_without_probes_there_is_no_section(make_run) -> None:
    study = measured_study([make_run(probe_epochs=())])
    assert drift_rows(study) == []
    assert "Drift from the base" not in markdown(study)
    assert "Drift from the base" in markdown(measured_study([make_run(seed=1)]))


def test_collapses_are_counted_with_format_and_step(grid) -> None:
    small, large = collapse_rows(measured_study(grid))
    assert (small["n_seeds"], small["collapsed"], small["formats"]) == (2, 2, "program 2")
    assert large["formats"] == "prose 2"
    assert small["median_rollouts"] == 32 * small["median_step"]
    assert small["share_low"] <= small["share"] <= small["share_high"]
    assert small["format_entropy_final"] < small["format_entropy_base"]


def test_what_has_no_rollouts_cannot_collapse(make_run) -> None:
    run = make_run(train=False, algorithm="sft")
    (row,) = collapse_rows(measured_study([run]))
    assert (row["n_seeds"], row["n_with_rollouts"], row["collapsed"]) == (1, 0, None)
    assert collapse_table(measured_study([run])).rows[0][2] == "no rollouts"


def test_only_seeds_with_rollouts_are_counted_against(make_run) -> None:
    study = measured_study([make_run(seed=0), make_run(seed=1, train=False)])
    assert collapse_table(study).rows[0][1:3] == ["2", "1 of 1"]


def test_an_arm_without_a_finished_run_has_a_row(make_run) -> None:
    study = measured_study([make_run(done=False)])
    assert collapse_table(study).rows[0] == ["0.15M", "0", *["-"] * 8]
