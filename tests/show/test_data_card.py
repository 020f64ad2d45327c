"""What a data card says, and that hubs, `datasets` and pandas can follow it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from formatlab.errors import InputError
from formatlab.show.export.export import write_export
from formatlab.store import ROLLOUT_SCHEMA, RunFolder

Factory = Callable[..., RunFolder]

METRICS = [
    {"step": 0, "epoch": 0.0, "reward": 0.5, "share": {"program": 0.4, "my format": 0.6}},
    {
        "step": 1,
        "epoch": 0.5,
        "value_loss": 2,
        "share": {"program": 1.0},
        "events": [{"kind": "truncation", "message": "half of | the rollouts"}],
    },
]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "published"


def card(out: Path) -> str:
    return (out / "README.md").read_text()


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def test_front_matter_is_what_hubs_read(make_run: Factory, out: Path) -> None:
    write_export(out, [make_run()], licence="cc-by-4.0")
    head = DatasetCard.load(out / "README.md").data.to_dict()
    assert head["license"] == "cc-by-4.0"
    assert head["pretty_name"] == "formatlab rollouts of synthetic"
    assert head["size_categories"] == ["1K<n<10K"]
    assert {"formatlab", "synthetic", "grpo"} <= set(head["tags"])
    configs = {config["config_name"]: config["data_files"] for config in head["configs"]}
    assert [of["split"] for of in configs["rollouts"]] == ["train", "probe"]
    assert set(configs) == {"rollouts", "runs", "winners", "metrics"}


def test_every_column_is_told_with_its_meaning(make_run: Factory, out: Path) -> None:
    write_export(out, [make_run(metrics=METRICS)])
    text = card(out)
    for field in ROLLOUT_SCHEMA:
        assert f"| `{field.name}` |" in text
    for name in ("runs", "winners", "metrics"):
        for field in pq.read_schema(out / f"{name}.parquet"):
            assert f"| `{field.name}` |" in text
    assert "| `tokens` | int32 | tokens | length of the completion in tokens |" in text
    assert "| `split` | string |" in text
    assert "| `formats.share` | float64 | fraction |" in text


def test_counts_formats_and_limits_are_told(make_run: Factory, out: Path) -> None:
    write_export(out, [make_run(seed=seed) for seed in (0, 1)])
    text = card(out)
    assert re.search(r"\| `0.15M-grpo-s1` \| .*150,000 .*\| 256 \| 768 \| `program`", text)
    train = sum(
        row["tag"] == "program"
        for path in (out / "rollouts" / "train").iterdir()
        for row in rows(path)
    )
    assert f"| `program` | a function definition holds the solution | {train:,} |" in text
    assert "Wilson" in text
    assert "undecided" in text


def test_what_is_left_out_and_how_it_was_made_is_told_without_folders(
    make_run: Factory, out: Path
) -> None:
    home = "/" + "home/ada"
    write_export(
        out,
        [make_run(config={"probe_problems": f"{home}/secret/problems.jsonl"})],
        left_out={"0.15M-grpo-s7": "failed (no | space)"},
        commands=[[f"{home}/bin/formatlab", "run", f"--runs-dir={home}/runs"]],
    )
    text = card(out)
    assert "`0.15M-grpo-s7`: failed (no \\| space)" in text
    assert "`formatlab run --runs-dir=runs`" in text
    assert "home" not in text
    (run,) = rows(out / "runs.parquet")
    assert json.loads(run["config"])["probe_problems"] == "problems.jsonl"


def test_texts_of_others_are_shown_as_they_are(make_run: Factory, out: Path) -> None:
    name = "<img src=x> | [a](b) `c`\n# d"
    write_export(out, [make_run(config={"study": name})])
    text = card(out)
    assert "# Rollouts of \\<img src=x> \\| \\[a](b) \\`c\\` \\# d\n" in text
    assert "\n# d" not in text.split("---", 2)[2]
    assert name in DatasetCard.load(out / "README.md").data.to_dict()["pretty_name"]


def test_without_a_licence_the_card_says_that_none_was_chosen(make_run: Factory, out: Path) -> None:
    write_export(out, [make_run()])
    assert DatasetCard.load(out / "README.md").data.to_dict()["license"] == "unknown"
    assert "None was chosen yet" in card(out)


def test_tables_tell_runs_apart(make_run: Factory, out: Path) -> None:
    write_export(out, [make_run(seed=0, metrics=METRICS), make_run(seed=1)])
    runs = {row["run_id"]: row for row in rows(out / "runs.parquet")}
    assert [row["seed"] for row in runs.values()] == [0, 1]
    assert json.loads(runs["0.15M-grpo-s0"]["config"])["algorithm"] == "grpo"
    assert {row["run_id"] for row in rows(out / "winners.parquet")} == set(runs)
    first, second, *_ = rows(out / "metrics.parquet")
    assert first["share_my format"] == 0.6
    assert (first["value_loss"], second["value_loss"]) == (None, 2.0)
    assert json.loads(second["events"])[0]["kind"] == "truncation"


def test_the_same_run_twice_is_refused(make_run: Factory, out: Path) -> None:
    run = make_run()
    with pytest.raises(InputError, match="have the same name"):
        write_export(out, [run, run])
    assert not out.exists()


def test_a_run_without_training_rollouts_has_a_probe_alone(make_run: Factory, out: Path) -> None:
    write_export(out, [make_run(train=False)])
    assert "rollouts/train" not in card(out)
    assert [path.name for path in (out / "rollouts").iterdir()] == ["probe"]


def test_datasets_and_pandas_load_it_as_the_card_says(
    make_run: Factory, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", out.parent / "cache")
    datasets.disable_progress_bars()
    write_export(out, [make_run(seed=0, metrics=METRICS), make_run(seed=1, train=False)])
    monkeypatch.chdir(out.parent)
    snippet = re.search(r"```python\n(.*?)```", card(out), re.DOTALL)
    assert snippet is not None
    found: dict[str, Any] = {}
    exec(snippet[1], found)
    assert {name: len(split) for name, split in found["rollouts"].items()} == {
        "train": 256,
        "probe": 2 * 768,
    }
    assert found["right"].num_rows == sum(found["probe"]["correct"])
    assert len(found["winners"]) == 8
    assert found["shares"].groupby(["run_id", "epoch"]).sum().round(9).eq(1).all()
    for name, count in (("runs", 2), ("winners", 8), ("metrics", 2)):
        table = datasets.load_dataset(str(out), name, split="train")
        assert table.num_rows == count
    assert datasets.load_dataset(str(out))["probe"].features == found["rollouts"]["probe"].features


def test_datasets_reads_an_export_anew_after_it_was_replaced(
    make_run: Factory, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", out.parent / "cache")
    datasets.disable_progress_bars()
    runs = [make_run(seed=0), make_run(seed=1)]
    for count in (1, 2):
        write_export(out, runs[:count], overwrite=True)
        assert datasets.load_dataset(str(out))["train"].num_rows == count * 256
