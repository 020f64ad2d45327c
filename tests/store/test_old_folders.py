"""Run folders of every schema version, as the code of their time wrote them, stay readable."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from formatlab.errors import InputError, RunError
from formatlab.measure import run_winners, winners_schema
from formatlab.show.export.export import write_export
from formatlab.show.report.report import write_report
from formatlab.store import ROLLOUT_SCHEMA, SCHEMA_VERSION, RunFolder, Split
from formatlab.store.rollout import READABLE_VERSIONS, rollouts_from_table

FOLDERS = Path(__file__).parent / "folders"
STORED = sorted(path.parent for path in FOLDERS.glob("v*/*/config.json"))


@pytest.fixture(params=STORED, ids=lambda path: path.parent.name)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    """A copy, so that nothing can write to what is stored."""
    return RunFolder.open(
        shutil.copytree(request.param, tmp_path / "runs" / "study" / request.param.name)
    )


def test_every_version_is_stored_once() -> None:
    versions = [RunFolder.open(path).env["schema_version"] for path in STORED]
    assert versions == list(READABLE_VERSIONS)
    assert versions[-1] == SCHEMA_VERSION


def test_rollouts_of_both_splits_are_read_in_todays_schema(run: RunFolder) -> None:
    expected: list[tuple[Split, list[float], int]] = [
        ("train", [0.0], 96),
        ("probe", [0.0, 2 / 3, 1.0], 3 * 64),
    ]
    for split, epochs, count in expected:
        table = run.rollouts(split)
        assert table.schema.equals(ROLLOUT_SCHEMA, check_metadata=True)
        assert run.epochs(split) == epochs
        rows = rollouts_from_table(table)
        assert len(rows) == run.count_rollouts(split) == count
        assert {row.split for row in rows} == {split}
        assert any(row.correct for row in rows)
        assert all(row.run_id == run.name for row in rows)
        assert all(bool(row.mixed_formats) <= row.mixed for row in rows)
        known = {(row.correct is None) == (row.flexible_correct is None) for row in rows}
        assert known == {run.env["schema_version"] >= 3}
        assert all(row.flexible_correct for row in rows if row.correct and row.flexible_answer)


def test_metrics_summary_and_winners_are_read(run: RunFolder) -> None:
    assert [row["step"] for row in run.metrics()] == [0, 1, 2]
    assert run.done
    assert run.summary is not None
    assert run.summary | {"steps": 3, "rollouts": 96} == run.summary
    stored = run.winners()
    assert stored is not None
    assert stored["epoch"].to_pylist() == [0.0, 2 / 3, 1.0]
    again = run_winners(run)
    assert again.schema.equals(winners_schema())
    for name in ("winner", "leader", "share", "accuracy", "n_rollouts"):
        assert stored[name].to_pylist() == again[name].to_pylist()


def test_the_chain_is_read_where_it_was_called_arm(run: RunFolder) -> None:
    assert "arm" not in run.config
    assert run.config.get("chain") == {1: None}.get(run.env["schema_version"], "grpo")


def test_a_report_is_made_of_it(run: RunFolder) -> None:
    page = write_report(run.path.parent, [run]).read_text()
    assert "0.04M" in page
    assert "program" in page


def test_all_versions_are_exported_with_one_schema(tmp_path: Path) -> None:
    runs = [RunFolder.open(path) for path in STORED]
    write_export(tmp_path / "out", runs)
    for split, count in (("train", 96), ("probe", 192)):
        files = [pq.ParquetFile(path) for path in (tmp_path / "out/rollouts" / split).iterdir()]
        assert [file.metadata.num_rows for file in files] == [count] * len(runs)
        for file in files:
            assert file.schema_arrow.equals(ROLLOUT_SCHEMA, check_metadata=True)
            assert set(file.read(["schema_version"])["schema_version"].to_pylist()) == {
                SCHEMA_VERSION
            }


def test_a_folder_of_a_later_version_is_refused_in_words(run: RunFolder) -> None:
    env = run.env | {"schema_version": SCHEMA_VERSION + 1}
    (run.path / "env.json").write_text(json.dumps(env))
    with pytest.raises(InputError, match=f"schema version {SCHEMA_VERSION + 1}.*Read it with the"):
        RunFolder.open(run.path)


def test_rollouts_of_a_later_version_are_refused_in_words(run: RunFolder) -> None:
    path = next(run.path.glob("rollouts/split=train/*.parquet"))
    with pq.ParquetFile(path) as file:
        table = file.read()
    later = {b"formatlab_schema_version": str(SCHEMA_VERSION + 1).encode()}
    pq.write_table(table.replace_schema_metadata(later), path)
    with pytest.raises(RunError, match=f"schema version {SCHEMA_VERSION + 1}.*Read it with the"):
        run.rollouts("train")
