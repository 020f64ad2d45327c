"""The table and the sentences of gains."""

import pytest

from formatlab.show.study import measured_study
from formatlab.show.tables.gain import gain_lines, gain_rows, gain_table
from formatlab.show.tables.results import markdown

PARTS = ("gain_format", "gain_routing", "gain_skill_within")


def test_each_run_has_a_row_and_each_arm_its_mean(grid) -> None:
    rows = gain_rows(measured_study(grid))
    assert [(row["parameters"], row["seed"]) for row in rows] == [
        *((150_000, seed) for seed in (0, 1, None)),
        *((812_345, seed) for seed in (0, 1, None)),
    ]
    for row in rows:
        change = row["accuracy_final"] - row["accuracy_base"]
        assert row["gain"] == pytest.approx(change)
        assert sum(row[part] for part in PARTS) == pytest.approx(change)
    one, other, mean = rows[:3]
    assert (mean["n_seeds"], mean["run"]) == (2, None)
    for part in PARTS:
        assert mean[part] == pytest.approx((one[part] + other[part]) / 2)
        assert mean[f"{part}_low"] <= mean[part] <= mean[f"{part}_high"]


def test_runs_that_do_not_count_are_shown_but_not_in_the_mean(uneven_runs) -> None:
    table = gain_table(measured_study(uneven_runs))
    assert [row[1] for row in table.rows] == ["0", "1", "2 *", "3", "2 seeds"]
    assert all(len(row) == len(table.headings) for row in table.rows)
    (line,) = gain_lines(measured_study(uneven_runs))
    assert line.startswith("0.15M: accuracy ") and "over 2 seeds" in line


def test_without_a_probe_of_both_ends_there_is_no_section(make_run) -> None:
    study = measured_study([make_run(probe_epochs=(0.0,))])
    assert gain_rows(study) == [] and gain_lines(study) == []
    assert "gain in accuracy" not in markdown(study)
    assert "Where the gain in accuracy comes from" in markdown(measured_study([make_run(seed=1)]))


def test_a_sentence_tells_a_gain_by_format(make_run) -> None:
    runs = [make_run(seed=seed, start={"program": 1.0}, end={"prose": 1.0}) for seed in range(2)]
    (line,) = gain_lines(measured_study(runs))
    assert line.endswith("+0 by matching formats to prompts, +0 by skill within formats.")
