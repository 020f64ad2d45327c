"""A study as data frames."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_runs import Factory

import formatlab
from formatlab.analysis.study import RUN_COLUMNS, Study
from formatlab.errors import InputError, RunError
from formatlab.measure import winners_schema
from formatlab.measure.comparison import MEASURE_SCHEMA
from formatlab.measure.counts import SHARE_COLUMNS
from formatlab.store import ROLLOUT_SCHEMA, RunFolder

FRAMES = ("runs", "rollouts", "shares", "winners", "gain", "measures")
RUN = list(RUN_COLUMNS)


@pytest.fixture
def frames(study: Path) -> Any:  # what pandas gives has too many types
    return Study(study)


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_begins_with_the_columns_of_its_run(name: str, frames: Any) -> None:
    found = getattr(frames, name)
    assert list(found.columns[: len(RUN)]) == RUN
    names = {f"{scale}-grpo-s{seed}" for scale in ("0.15M", "0.8M") for seed in (0, 1)}
    assert set(found["run"]) == names
    assert getattr(frames, name) is found
    assert set(found["algorithm"]) == {"grpo"} and set(found["reward_name"]) == {"correctness"}
    assert dict(zip(found["scale"], found["parameters"], strict=True)) == {
        "0.15M": 150_000,
        "0.8M": 812_345,
    }


def test_there_is_a_row_for_each_run(frames: Any) -> None:
    runs = frames.runs
    assert list(runs.columns) == [*RUN, "done"]
    assert runs["seed"].to_list() == [0, 1, 0, 1] and runs["done"].all()
    assert runs.groupby("arm").size().to_dict() == {"0.15M": 2, "0.8M": 2}
    assert repr(frames) == "<study synthetic: 4 runs>"


def test_rollouts_are_those_of_both_splits(frames: Any) -> None:
    found = frames.rollouts
    kept = [name for name in ROLLOUT_SCHEMA.names if name not in ("schema_version", "run_id")]
    assert list(found.columns) == [*RUN, *kept]
    # Two epochs of two steps with 16, and three probes of 12 prompts with four each.
    assert found.groupby(["run", "split"], observed=True).size().unique().tolist() == [64, 144]
    assert found.groupby("split", observed=True).size().to_dict() == {"train": 256, "probe": 576}


def test_any_reader_of_parquet_reads_the_same_rollouts(study: Path, frames: Any) -> None:
    name = "0.8M-grpo-s1"
    read: Any = pd.read_parquet(study / name / "rollouts")
    mine = frames.rollouts[frames.rollouts["run"] == name]
    assert len(read) == len(mine)
    order = ["split", "epoch", "step", "prompt_id", "sample"]
    columns = [*order, "completion", "tag", "answer", "correct", "logprob"]
    # The folder's own column of the split, `split=probe`, is a category as the file's is.
    sides = [
        of[columns].astype({"split": str}).sort_values(columns).reset_index(drop=True)
        for of in (read, mine)
    ]
    pd.testing.assert_frame_equal(*sides, check_dtype=False)


def test_shares_add_to_one(frames: Any) -> None:
    found = frames.shares
    assert list(found.columns) == [*RUN, "split", "epoch", *SHARE_COLUMNS.names]
    groups = found.groupby(["run", "split", "epoch"])
    assert groups.ngroups == 4 * (2 + 3)
    assert groups["share"].sum().to_list() == pytest.approx([1.0] * 20)
    assert (groups["rollouts"].sum() == groups["total"].first()).all()
    rollouts = frames.rollouts
    one = found[(found["split"] == "probe") & (found["tag"] == "program")].iloc[-1]
    mine = rollouts[(rollouts["run"] == one["run"]) & (rollouts["split"] == "probe")]
    mine = mine[(mine["epoch"] == one["epoch"]) & (mine["tag"] == "program")]
    assert (len(mine), mine["correct"].mean()) == (one["rollouts"], pytest.approx(one["accuracy"]))


def test_there_are_winners_of_every_probe_and_gains_of_all_but_the_base(frames: Any) -> None:
    winners, gain = frames.winners, frames.gain
    names = winners_schema().names
    gains = [name for name in names if name.startswith("gain")]
    plain = [name for name in names if name not in (*gains, "formats")]
    assert list(winners.columns) == [*RUN, *plain]
    assert list(gain.columns) == [*RUN, "epoch", "step", "accuracy", *gains]
    assert winners["epoch"].to_list() == [0.0, 0.5, 2.0] * 4
    assert gain["epoch"].to_list() == [0.5, 2.0] * 4
    assert gain.index.to_list() == list(range(8))
    parts = gain[["gain_format", "gain_routing", "gain_skill_within"]].sum(axis=1)
    assert parts.to_list() == pytest.approx(gain["gain"].to_list())
    both = gain.merge(winners, on=["run", "epoch"])
    assert both["accuracy_x"].equals(both["accuracy_y"])


def test_measures_are_those_of_the_first_and_the_last_probe(frames: Any) -> None:
    found = frames.measures
    assert list(found.columns) == [*RUN, "epoch", *MEASURE_SCHEMA.names]
    assert set(found["epoch"]) == {0.0, 2.0}
    kept = found[(found["measure"] == "accuracy") & (found["subset"] == "all")]
    assert len(kept) == 8
    both = kept.merge(frames.winners, on=["run", "epoch"])
    assert both["value"].to_list() == pytest.approx(both["accuracy"].to_list())
    assert "chrf_distance" in set(found["measure"])


def test_all_probes_are_measured_on_demand(frames: Any) -> None:
    found = frames.measured(every_probe=True, texts=False).to_pandas()
    assert set(found["epoch"]) == {0.0, 0.5, 2.0}
    assert not any(name.startswith("chrf") for name in found["measure"])


def test_probes_after_the_first_have_their_divergence_from_it(frames: Any) -> None:
    table = frames.measured(every_probe=True, texts=False)
    assert table.schema.field("value").equals(MEASURE_SCHEMA.field("value"))
    found = table.to_pandas()
    found = found[found["measure"] == "js_divergence"]
    assert found.groupby("run")["epoch"].apply(list).to_list() == [[0.5, 2.0]] * 4
    assert set(found["subset"]) == {"all"} and set(found["n_prompts"]) == {12}
    assert found["k"].isna().all()
    last = found[found["epoch"] == 2.0].iloc[0]
    probes = frames.rollouts[frames.rollouts["run"] == last["run"]]
    probes = probes[probes["split"] == "probe"].drop(columns="prompt").astype({"tag": str})
    one, other = (probes[probes["epoch"] == epoch] for epoch in (0.0, 2.0))
    divergence = formatlab.compare(one, other, texts=False).divergence
    assert (last["value"], last["low"], last["high"]) == pytest.approx(
        (divergence.value, divergence.low, divergence.high)
    )


def test_measures_may_look_at_fewer_rollouts(frames: Any) -> None:
    found = frames.measured(k=2, texts=False).to_pandas()
    assert set(found[found["measure"] == "format_entropy_given_prompt"]["k"]) == {2}
    with pytest.raises(InputError, match=r"k is 5; .* so it can be 2 to 4"):
        frames.measured(k=5, texts=False)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_need_pandas(name: str, make_run: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Study(make_run().path)

    def found(package: str) -> object | None:
        return None if package == "pandas" else find_spec(package)

    monkeypatch.setattr("formatlab.analysis.study.find_spec", found)
    with pytest.raises(InputError, match="pandas") as told:
        getattr(frames, name)
    assert "install" in str(told.value)
    assert frames.measured(texts=False).num_rows > 0


def test_the_columns_of_a_run_are_found_by_its_name(frames: Any) -> None:
    found = frames.columns_of("0.8M-grpo-s1")
    assert list(found) == RUN
    assert (found["scale"], found["seed"]) == ("0.8M", 1)


def test_a_run_alone_is_a_study_of_one(study: Path) -> None:
    found = Study(study / "0.8M-grpo-s1")
    assert found.runs["run"].to_list() == ["0.8M-grpo-s1"]
    assert set(found.measures["run"]) == {"0.8M-grpo-s1"}


@pytest.mark.parametrize(
    ("options", "rollouts", "probes"),
    [
        ({"train": False}, 144, 3),
        ({"probe_epochs": ()}, 64, 0),
        ({"probe_epochs": (), "train": False, "done": False}, 0, 0),
        ({"probe_epochs": (0.0,), "done": False}, 112, 1),
    ],
    ids=["no training", "no probes", "nothing", "the base alone"],
)
def test_what_is_not_there_leaves_frames_their_columns(
    options: dict[str, object], rollouts: int, probes: int, make_run: Factory
) -> None:
    runs = [make_run(seed=seed, **of).path for seed, of in enumerate(({}, options))]
    whole, found, both = map(Study, (*runs, runs[0].parent))
    assert (len(found.rollouts), len(found.winners)) == (rollouts, probes)
    assert len(found.gain) == max(0, probes - 1)
    assert (len(found.shares) > 0) == (len(found.measures) > 0) == (rollouts > 0)
    for name in FRAMES:
        assert list(getattr(found, name).columns) == list(getattr(whole, name).columns)
    for name in FRAMES:
        parts = [len(getattr(of, name)) for of in (whole, found)]
        assert len(getattr(both, name)) == sum(parts)


def test_training_is_measured_where_nothing_was_probed(make_run: Factory) -> None:
    found = Study(make_run(probe_epochs=()).path).measures
    assert set(found["epoch"]) == {0.0, 1.0}


def test_a_damaged_run_is_told(study: Path) -> None:
    (study / "0.8M-grpo-s1" / "DONE").write_text("{")
    with pytest.raises(RunError, match=r"0\.8M-grpo-s1 is left out: DONE is not JSON"):
        Study(study)


def test_what_is_no_study_is_told(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        formatlab.study(tmp_path / "gone")
    with pytest.raises(InputError, match="holds the studies"):
        formatlab.study(study.parent)


def test_what_goes_on_can_be_tracked(study: Path) -> None:
    told: list[str] = []

    def track(items, what):
        told.append(what)
        yield from items

    Study(study, track=track).measured(texts=False, track=track)
    assert told == ["checking runs", "measuring runs", "measuring probes"]


def test_seeds_are_numbers_however_many_runs_there_are(make_run: Factory) -> None:
    run = make_run(probe_epochs=(), train=False).path
    for name in FRAMES:
        frame = getattr(Study(run), name)
        assert (frame["seed"].dtype, frame["parameters"].dtype) == ("int64", "int64")


@pytest.mark.parametrize("first", ["", "import formatlab.study.study"])
def test_the_package_reads_a_study_whatever_was_imported_before(first: str, study: Path) -> None:
    program = (
        f"import sys, formatlab\n{first}\n"
        f"print(repr(formatlab.study({str(study)!r})))\n"
        "from formatlab import study\n"
        f"print(len(study({str(study)!r}).runs), study.__name__, 'study' in dir(formatlab))\n"
        "import formatlab.study.study\n"
        "print(formatlab.study.study.LadderStudy.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "<study synthetic: 4 runs>",
        "4 formatlab.study True",
        "LadderStudy",
    ]


def test_the_room_of_studies_can_be_called() -> None:
    room: Any = import_module("formatlab.study")
    import_module("formatlab.study.study")
    assert formatlab.study is room
    with pytest.raises(InputError, match="there is no folder"):
        room("gone")


@pytest.mark.parametrize("name", sorted({*formatlab.__all__} - {"FormatRecorder"}))
def test_all_that_the_package_offers_is_there(name: str) -> None:
    assert callable(getattr(formatlab, name)) and name in dir(formatlab)


def test_run_folders_are_read_and_not_written(study: Path) -> None:
    def state() -> list[tuple[str, int]]:
        files = sorted(path for path in study.rglob("*") if path.is_file())
        return [(str(path), path.stat().st_mtime_ns) for path in files]

    before = state()
    frames = Study(study)
    for name in FRAMES:
        getattr(frames, name)
    assert state() == before
    assert RunFolder.open(study / "0.8M-grpo-s1").winners() is None
