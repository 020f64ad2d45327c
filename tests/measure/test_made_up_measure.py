"""A made-up measure reaches tables, reports and exports by an entry in `MEASURES` alone."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from synthetic_runs import small_run

from formatlab.measure.counts import Tally
from formatlab.measure.probe_measures import MEASURES, Measure
from formatlab.measure.winners import run_winners
from formatlab.show.export.export import write_export
from formatlab.show.report.report import write_report
from formatlab.store import RunFolder


def formats_a_prompt(probe: Tally) -> float:
    """Return the mean number of different formats among the samples of a prompt."""
    return float((probe.rollouts > 0).sum(axis=1).mean())


MADE_UP = Measure(
    compute=formats_a_prompt, meaning="different formats of a prompt, mean", unit="formats"
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished run whose winners were stored before the measure was made up."""
    run = small_run(tmp_path / "runs" / "study")
    run.write_winners(run_winners(run))
    monkeypatch.setitem(MEASURES, "formats_a_prompt", MADE_UP)
    return run


def test_a_made_up_measure_is_in_the_table_of_results(run: RunFolder) -> None:
    write_report(run.path.parent, [run])
    with (run.path.parent / "tables/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["formats_a_prompt"]) for row in rows] == (
        run_winners(run)["formats_a_prompt"].to_pylist()
    )
    assert all(1 <= float(row["formats_a_prompt"]) <= 2 for row in rows)


def test_a_made_up_measure_is_exported_with_its_meaning_and_unit(
    run: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_export(out, [run])
    values = pq.read_table(out / "winners.parquet")["formats_a_prompt"].to_pylist()
    assert values == run_winners(run)["formats_a_prompt"].to_pylist()
    column = "| `formats_a_prompt` | float64 | formats | different formats of a prompt, mean |"
    assert column in (out / "README.md").read_text()
