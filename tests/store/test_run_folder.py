"""The run folder."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest
from synthetic_runs import rollout

from formatlab.errors import InputError, RunError
from formatlab.store import ROLLOUT_SCHEMA, SCHEMA_VERSION, RunFolder
from formatlab.store.rollout import rollouts_from_table

CONFIG = {"scale": {"name": "tiny", "parameters": 10}, "seed": 0, "shares": [0.5, 0.5]}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "study" / "run", config=CONFIG, env={"torch": "2"})


def steps(run: RunFolder, split: Any) -> list[int]:
    return run.rollouts(split, columns=["step"])["step"].to_pylist()


def test_a_new_folder_opens_with_what_it_was_made_of(run: RunFolder) -> None:
    again = RunFolder.open(run.path)
    assert again.config == CONFIG
    assert again.env == {"schema_version": SCHEMA_VERSION, "torch": "2"}
    assert again.name == "run"
    assert again.checkpoints.is_dir()
    assert not again.done and again.failed is None and again.summary is None


def test_an_equal_configuration_reopens_and_keeps_the_first_environment(run: RunFolder) -> None:
    run.write_rollouts("probe", 0.0, [rollout()])
    config = CONFIG | {"shares": (0.5, 0.5)}
    again = RunFolder.create(run.path, config=config, env={"torch": "3"})
    assert again.env["torch"] == "2"
    assert steps(again, "probe") == [0]


def test_rollouts_come_in_batches_in_the_same_order(run: RunFolder) -> None:
    for epoch, part in ((1.0, 0), (0.0, 1), (0.0, 0)):
        row = rollout(epoch=epoch, step=part)
        run.write_rollouts("probe", epoch, [row], part=part)
    batches = list(run.rollout_batches("probe", columns=["epoch", "step"]))
    assert pa.concat_tables(batches) == run.rollouts("probe", columns=["epoch", "step"])
    (only,) = run.rollout_batches("probe", epoch=1.0)
    assert only.num_rows == 1
    assert list(run.rollout_batches("train")) == []


def test_reopening_removes_what_a_killed_writer_left(run: RunFolder) -> None:
    run.write_rollouts("probe", 0.0, [rollout()])
    left = [
        run.path / ".unfinished-abc",
        run.path / "rollouts" / "split=probe" / ".unfinished-abc",
    ]
    for path in left:
        path.touch()
    RunFolder.create(run.path, config=CONFIG, env={})
    assert not any(path.exists() for path in left)
    assert steps(run, "probe") == [0]


def test_another_configuration_is_refused_with_the_differences(run: RunFolder) -> None:
    other = {"scale": {"name": "tiny", "parameters": 20}, "shares": [0.5, 0.5], "new": None}
    with pytest.raises(InputError) as caught:
        RunFolder.create(run.path, config=other, env={})
    message = str(caught.value)
    assert str(run.path) in message
    assert "scale.parameters is 10 there and 20 here" in message
    assert "seed is 0 there and absent here" in message
    assert "new is absent there and null here" in message
    assert "shares" not in message


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        RunFolder.create(tmp_path, config=CONFIG, env={})


def test_a_creation_that_was_killed_is_made_good(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / ".unfinished-abc").touch()
    assert RunFolder.create(tmp_path, config=CONFIG, env={}).config == CONFIG


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="is a file"):
        RunFolder.create(tmp_path / "run", config=CONFIG, env={})


def test_opening_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        RunFolder.open(tmp_path)


def test_opening_another_schema_version_is_refused(run: RunFolder) -> None:
    (run.path / "env.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99"):
        RunFolder.open(run.path)


def test_a_folder_of_version_1_opens(run: RunFolder) -> None:
    (run.path / "env.json").write_text(json.dumps({"schema_version": 1}))
    assert RunFolder.open(run.path).config == CONFIG


def test_an_epoch_in_parts_reads_as_one(run: RunFolder) -> None:
    for step in range(3):
        run.write_rollouts("train", 0.0, [rollout(split="train", step=step)], part=step)
        assert run.last_part("train", 0.0) == step
    assert run.epochs("train") == [0.0]
    assert steps(run, "train") == [0, 1, 2]
    assert run.rollouts("train", epoch=0.0).num_rows == 3
    assert run.rollouts("train", part=1)["step"].to_pylist() == [1]
    run.drop_rollouts_from(1)
    assert steps(run, "train") == [0]
    assert run.last_part("train", 0.0) == 0
    assert run.last_part("train", 1.0) == 0


def test_a_damaged_configuration_is_named(run: RunFolder) -> None:
    (run.path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json"):
        run.config  # noqa: B018 (reading is the point)


def test_rollouts_come_back_by_epoch_and_in_the_order_written(run: RunFolder) -> None:
    rows = {
        epoch: [rollout(epoch=epoch, step=int(8 * epoch), sample=s) for s in (1, 0)]
        for epoch in (1.0, 0.125, 0.0)
    }
    for epoch, of_epoch in rows.items():
        run.write_rollouts("probe", epoch, of_epoch)
    assert run.epochs("probe") == [0.0, 0.125, 1.0]
    assert rollouts_from_table(run.rollouts("probe")) == rows[0.0] + rows[0.125] + rows[1.0]
    assert rollouts_from_table(run.rollouts("probe", epoch=0.125)) == rows[0.125]
    assert run.rollouts("probe", epoch=0.5).num_rows == 0
    assert run.rollouts("probe", columns=["sample"]).to_pydict() == {"sample": [1, 0] * 3}


def test_no_rollouts_make_an_empty_table_with_the_schema(run: RunFolder) -> None:
    assert run.epochs("train") == []
    assert run.rollouts("train").equals(ROLLOUT_SCHEMA.empty_table())
    assert run.rollouts("train", columns=["tag"]).column_names == ["tag"]


def test_writing_an_epoch_again_replaces_it(run: RunFolder) -> None:
    run.write_rollouts("probe", 0.0, [rollout(sample=s) for s in range(4)])
    run.write_rollouts("probe", 0.0, [rollout()])
    assert run.rollouts("probe").num_rows == 1


@pytest.mark.parametrize("change", [{"epoch": 1.0}, {"split": "train"}])
def test_a_rollout_of_elsewhere_is_refused(run: RunFolder, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="among those of"):
        run.write_rollouts("probe", 0.0, [rollout(**change)])
    assert run.epochs("probe") == []


def test_the_rollouts_folder_opens_as_it_is_elsewhere(run: RunFolder) -> None:
    run.write_rollouts("probe", 0.0, [rollout()])
    run.write_rollouts("train", 0.0, [rollout(split="train")] * 2)
    run.write_rollouts("train", 1.0, [rollout(split="train", epoch=1.0)])
    (run.path / "rollouts" / "split=train" / ".unfinished-abc").touch()
    folder = run.path / "rollouts"
    frame = pd.read_parquet(folder)
    assert sorted(frame["split"]) == ["probe", "train", "train", "train"]
    assert sorted(frame["epoch"]) == [0.0, 0.0, 0.0, 1.0]
    assert len(pd.read_parquet(folder / "split=train" / "epoch=001.parquet")) == 1
    assert pyarrow.dataset.dataset(folder, format="parquet").count_rows() == 4


def test_a_resumed_run_drops_what_it_will_sample_again(run: RunFolder) -> None:
    for epoch in (0, 1, 2):
        rows = [rollout(split="train", epoch=float(epoch), step=4 * epoch + i) for i in range(4)]
        run.write_rollouts("train", float(epoch), rows)
    for epoch in (0.0, 0.5, 1.0, 1.5, 2.0):
        row = rollout(epoch=epoch, step=int(4 * epoch))
        run.write_rollouts("probe", epoch, [row])
    run.drop_rollouts_from(6)
    assert steps(run, "train") == [0, 1, 2, 3, 4, 5]
    assert steps(run, "probe") == [0, 2, 4, 6]
    assert run.epochs("train") == [0.0, 1.0]
    assert run.epochs("probe") == [0.0, 0.5, 1.0, 1.5]
    run.drop_rollouts_from(0)
    assert steps(run, "train") == []
    assert steps(run, "probe") == [0]


def test_metrics_are_kept_and_dropped(run: RunFolder) -> None:
    for step in range(3):
        run.append_metrics({"step": step, "reward": 0.5})
    run.drop_metrics_from(2)
    assert RunFolder.open(run.path).metrics() == [
        {"step": 0, "reward": 0.5},
        {"step": 1, "reward": 0.5},
    ]


def test_winners_come_back(run: RunFolder) -> None:
    assert run.winners() is None
    table = pa.table({"epoch": [0.0], "winner": ["prose"]})
    run.write_winners(table)
    assert run.winners() == table


def test_damaged_winners_are_named(run: RunFolder) -> None:
    (run.path / "winners.parquet").write_text("nothing")
    with pytest.raises(RunError, match=r"winners\.parquet"):
        run.winners()


def test_a_run_fails_is_tried_again_and_ends(run: RunFolder) -> None:
    run.mark_failed("no memory\nat step 3")
    assert run.failed == "no memory\nat step 3" and not run.done
    run.clear_failed()
    assert run.failed is None
    run.mark_failed("KeyError: 'x'\n\nTraceback (most recent call last):\n  File 1\n\nKeyError")
    assert run.failed == "KeyError: 'x'"
    run.mark_failed("once more")
    run.mark_done({"seconds": 1.5})
    assert run.done and run.failed is None
    assert run.summary == {"seconds": 1.5}
    run.reopen()
    assert not run.done
