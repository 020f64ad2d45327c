"""The result table."""

import csv
import io
import subprocess
import sys

import pytest

from formatlab.show.study import measured_study
from formatlab.show.tables.attractors import attractor_lines, attractor_rows
from formatlab.show.tables.results import markdown, print_study, result_rows, study_table
from formatlab.show.tables.table import csv_text


def test_the_table_has_the_base_and_whole_epochs_of_every_run(grid) -> None:
    table = study_table(measured_study(grid))
    rows = table.rows
    assert table.headings == [
        *("scale", "parameters", "seed", "epoch", "program", "prose"),
        *("winner", "margin [95%]", "collapse"),
    ]
    assert [row[3] for row in rows] == ["base", "1", "2"] * 4
    assert [row[:3] for row in rows if row[0]] == [
        ["0.15M", "150,000 (135,000)", "0"],
        ["0.15M", "150,000 (135,000)", "1"],
        ["0.8M", "812,345 (731,110)", "0"],
        ["0.8M", "812,345 (731,110)", "1"],
    ]
    assert [row[6] for row in rows[2::3]] == ["program", "program", "prose", "prose"]


def test_an_unfinished_run_ends_with_its_last_probe(make_run) -> None:
    run = make_run(done=False, probe_epochs=(0.0, 0.125, 0.25))
    rows = study_table(measured_study([run])).rows
    assert [row[3] for row in rows] == ["base", "0.25"]


def test_formats_that_hardly_occur_have_no_column_but_are_in_the_csv(make_run) -> None:
    start = {"program": 0.6, "prose": 0.399, "json": 0.001}
    study = measured_study([make_run(start=start, end={"program": 1.0}, rollouts_per_step=2048)])
    assert "json" in study.tags
    assert "json" not in study_table(study).headings
    assert "share_json" in result_rows(study)[0]


def test_every_number_is_in_the_csv(grid) -> None:
    study = measured_study(grid)
    read = list(csv.DictReader(io.StringIO(csv_text(result_rows(study)))))
    assert len(read) == 4 * 4
    last = read[3]
    final = study.runs[0].final
    assert final is not None
    assert float(last["margin_low"]) == final["margin_low"]
    assert float(last["share_program"]) == pytest.approx(final["share"])
    assert int(last["rollouts_program"]) + int(last["rollouts_prose"]) == final["n_rollouts"]
    assert last["setting"] == ""


def test_attractors_have_their_interval_over_seeds(grid) -> None:
    rows = attractor_rows(measured_study(grid))
    program = rows[0]
    assert (program["arm"], program["tag"], program["wins"], program["n_seeds"]) == (
        *("0.15M", "program", 2, 2),
    )
    assert program["share_low"] <= program["share"] <= program["share_high"]


def test_what_each_scale_ends_in_is_said(grid, make_run) -> None:
    lines = attractor_lines(measured_study(grid))
    assert lines[0].startswith("0.15M: program wins in 2 of 2 seeds; its final share is ")
    assert "95% interval over 2 seeds" in lines[0]
    unfinished = make_run(done=False, scale="4.3M", parameters=4_300_000)
    assert attractor_lines(measured_study([unfinished])) == ["4.3M: no finished run that counts."]


def test_printing_keeps_every_number_however_narrow_the_terminal(
    grid, make_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    output = io.StringIO()
    study = measured_study([*grid, make_run(seed=7, undertrained=True)])
    print_study(study, output)
    printed = output.getvalue()
    for row in study_table(study).rows:
        assert all(cell in printed for cell in row)
    assert "…" not in printed
    assert "* undertrained base" in printed
    assert "0.15M, seed 7: The base is undertrained" in printed


def test_names_cannot_mark_up_the_output(make_run) -> None:
    tag = "[bold]|<b>"
    study = measured_study([make_run(start={tag: 1.0}, end={tag: 1.0})])
    output = io.StringIO()
    print_study(study, output)
    assert tag in output.getvalue()
    assert "\\[bold]\\|\\<b>" in markdown(study)


def test_a_run_without_a_probe_has_a_row(make_run) -> None:
    study = measured_study([make_run(probe_epochs=())])
    assert study_table(study).rows == [
        ["0.15M", "150,000 (135,000)", "0", "not probed", "", "", ""]
    ]
    assert result_rows(study) == [] and csv_text([]) == ""


def test_the_table_needs_no_matplotlib() -> None:
    code = (
        "import sys, formatlab.show.tables.results; "
        "print([n for n in ('matplotlib', 'torch', 'jinja2') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_long_names_of_arms_are_short_in_the_terminal_and_told_in_full(make_run) -> None:
    reward = "correctness, prose false positives 50%, latex false negatives 10%"
    words = "correctness reward with prose false positives 50% and latex false negatives 10%"
    study = measured_study([make_run(config={"reward": reward})])
    output = io.StringIO()
    print_study(study, output)
    printed = output.getvalue().splitlines()
    assert not any(f"0.15M, {words}  " in line for line in printed)
    assert max(map(len, printed[:4])) < 140
    assert any(line.endswith(f" in full: 0.15M, {words}.") for line in printed)


def test_short_names_of_arms_never_fall_together(make_run) -> None:
    middles = ("one long middle", "another long middle")
    arms = [f"{'a' * 30} {middle} {'b' * 30}" for middle in middles]
    output = io.StringIO()
    print_study(measured_study([make_run(config={"chain": arm}) for arm in arms]), output)
    for number in (1, 2):
        assert f"arm {number} in full: 0.15M, {'a' * 30}" in output.getvalue()
