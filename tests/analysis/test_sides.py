"""Sides: what a word of the command line names."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_runs import Factory

from formatlab.analysis.sides import inputs, is_study, last_side, sides
from formatlab.cli.main import main
from formatlab.errors import InputError, RunError
from formatlab.measure.frames import FRAME_COLUMNS
from formatlab.observe.files.layouts import Columns

TEXTS = ("The answer is 5.", "We get \\boxed{6}", '{"answer": 5}', "no idea")


@pytest.fixture
def run(make_run: Factory) -> Path:
    return make_run().path


def jsonl(path: Path, **more: Any) -> Path:
    """A file of somebody's rollouts, two prompts with two each."""
    rows = [{"prompt": f"q{n // 2}", "completion": text} | more for n, text in enumerate(TEXTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_has_its_first_and_last_probe_or_all_of_them(run: Path) -> None:
    name = run.name
    assert [side.label for side in sides(str(run))] == [f"{run}@base", f"{run}@2"]
    found = sides(str(run), every=True)
    assert [side.epoch for side in found] == [0.0, 0.5, 2.0]
    assert {side.run for side in found} == {name}
    for side in found:
        assert side.rollouts.num_rows == 48 and side.note == ""
        assert side.rollouts.column_names == list(FRAME_COLUMNS)
    assert last_side(f"{run}/").rollouts.equals(found[-1].rollouts)


@pytest.mark.parametrize(("word", "place"), [("base", 0), ("0.5", 1), ("2", 2)])
def test_an_epoch_of_a_run_can_be_named(word: str, place: int, run: Path) -> None:
    (side,) = sides(f"{run}@{word}")
    of_all = sides(str(run), every=True)[place]
    assert (side.label, side.epoch, side.run) == (f"{run}@{word}", of_all.epoch, run.name)
    assert side.rollouts.equals(of_all.rollouts)
    assert last_side(f"{run}@{word}").label == side.label


@pytest.mark.parametrize("word", ["7", "0", ""])
def test_an_epoch_that_is_not_there_is_told_with_those_that_are(word: str, run: Path) -> None:
    with pytest.raises(InputError, match=f"has no epoch '{word}'; it has base, 0.5, 2"):
        sides(f"{run}@{word}")


def test_a_study_has_the_sides_of_all_its_runs(study: Path) -> None:
    found = sides(str(study))
    assert len(found) == 8 and len({side.run for side in found}) == 4
    with pytest.raises(InputError, match="is a study of several runs; name one of them"):
        last_side(str(study))
    assert is_study(str(study)) and is_study(str(next(study.iterdir())))
    assert not is_study(f"{next(study.iterdir())}@base")


def test_a_folder_of_studies_is_told_with_their_names(study: Path) -> None:
    with pytest.raises(InputError, match=f"holds the studies {study.name}; give one of them"):
        sides(str(study.parent))


def test_a_recorded_run_without_probes_has_its_training(make_run: Factory) -> None:
    run = make_run(probe_epochs=(), epochs=3).path
    found = sides(str(run))
    assert [side.label for side in found] == [f"{run}@0", f"{run}@2"]
    assert [side.rollouts.num_rows for side in found] == [32, 32]
    assert sides(f"{run}@0")[0].rollouts.equals(found[0].rollouts)
    with pytest.raises(InputError, match="no epoch 'base'; it has 0, 1, 2"):
        sides(f"{run}@base")


def test_a_run_that_has_no_rollouts_yet_does_not_stop_a_study(make_run: Factory) -> None:
    begun = make_run(seed=1, probe_epochs=(), train=False, done=False).path
    for look in (sides, last_side):
        with pytest.raises(InputError, match="has no rollouts yet"):
            look(str(begun))
    with pytest.raises(InputError, match="it has no rollouts yet"):
        sides(f"{begun}@base")
    run = make_run(seed=0).path
    assert {side.run for side in sides(str(run.parent))} == {run.name}


def break_done(run: Path) -> None:
    (run / "DONE").write_text("{")


def break_rollouts(run: Path) -> None:
    file = max(run.glob("rollouts/split=probe/*"))
    file.write_bytes(file.read_bytes()[:-9])


@pytest.mark.parametrize("damage", [break_done, break_rollouts])
def test_a_damaged_run_is_told(damage: Callable[[Path], None], study: Path) -> None:
    run = next(study.iterdir())
    damage(run)
    for word in (str(run), str(study), f"{run}@base"):
        with pytest.raises(RunError, match=f"{run.name} is left out: "):
            sides(word)


def test_a_file_of_the_labs_own_rollouts_keeps_all_that_is_measured(run: Path) -> None:
    file = max(run.glob("rollouts/split=probe/*"))
    (side,) = sides(str(file))
    assert side.label == str(file) and (side.run, side.epoch) == ("", None)
    assert side.rollouts.equals(sides(str(run))[-1].rollouts)
    assert side.rollouts["tokens"].null_count == side.rollouts["logprob"].null_count == 0
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match="nothing could be tagged"):
        sides(str(file))


def as_tagged(tmp_path: Path, *files: Path) -> dict[str, list[Any]]:
    """What `formatlab tag` writes of some files."""
    output = tmp_path / "tagged" / "out.parquet"
    output.parent.mkdir(exist_ok=True)
    assert main(["tag", *map(str, files), "--output", str(output), "--overwrite"]) == 0
    return pq.read_table(output).to_pydict()


def test_somebodys_rollouts_are_tagged_and_graded_as_by_the_verb(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", gold="5")
    (side,) = sides(str(file))
    assert (side.label, side.run, side.epoch, side.note) == (str(file), "", None, "")
    columns, written = side.rollouts.to_pydict(), as_tagged(tmp_path, file)
    for name in ("tag", "correct", "answer", "completion", "truncated"):
        assert columns[name] == written[name]
    assert columns["prompt_id"] == ["q0", "q0", "q1", "q1"]
    assert columns["correct"] == [True, False, True, False]
    assert last_side(str(file)).rollouts.equals(side.rollouts)


def test_tagged_rollouts_can_be_read_again(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", gold="5")
    as_tagged(tmp_path, file)
    (again,) = sides(str(tmp_path / "tagged" / "out.parquet"))
    assert again.rollouts.equals(sides(str(file))[0].rollouts)


def test_the_files_own_verdicts_count_where_nothing_can_be_graded(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", correct=True)
    (side,) = sides(str(file))
    assert side.rollouts["correct"].to_pylist() == [True] * 4
    assert side.note == "no right answers are there to grade by; the file's own verdicts count"
    (graded,) = sides(str(jsonl(tmp_path / "b.jsonl", correct=True, gold="5")))
    assert graded.rollouts["correct"].to_pylist() == [True, False, True, False]
    assert graded.note == ""
    (plain,) = sides(str(jsonl(tmp_path / "c.jsonl")))
    assert plain.rollouts["correct"].null_count == 4 and plain.note == ""


def test_columns_of_files_can_be_named(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", mine="The answer is 7.", want={"is": 7}, gold="5")
    columns = Columns(text="mine", gold="want.is")
    for (side,) in (sides(str(file), columns=columns), [last_side(str(file), columns=columns)]):
        assert side.rollouts["completion"].to_pylist() == ["The answer is 7."] * 4
        assert side.rollouts["correct"].to_pylist() == [True] * 4
    with pytest.raises(InputError, match="gone"):
        sides(str(file), columns=Columns(text="gone"))


def test_an_empty_word_names_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    for look in (sides, last_side, is_study):
        with pytest.raises(InputError, match=r"^a name is empty; name run folders, studies or rol"):
            look("")
    assert len(sides(".")) == 2


@pytest.mark.parametrize("word", ["{}", "{}/*.jsonl"])
def test_a_folder_of_files_is_one_side(word: str, tmp_path: Path) -> None:
    folder = tmp_path / "rollouts"
    folder.mkdir()
    for name in ("2.jsonl", "10.jsonl"):
        jsonl(folder / name, gold="5")
    (side,) = sides(word.format(folder))
    assert side.label == word.format(folder)
    assert side.rollouts.num_rows == 8
    assert side.rollouts["tag"].to_pylist() == as_tagged(tmp_path, folder)["tag"]


def test_files_of_different_columns_are_one_side(tmp_path: Path) -> None:
    folder = tmp_path / "rollouts"
    folder.mkdir()
    jsonl(folder / "1.jsonl", gold="5")
    (folder / "2.jsonl").write_text('{"output": "It is 3.", "input": 3, "loss": [1]}\n')
    (side,) = sides(str(folder))
    assert side.rollouts["prompt_id"].to_pylist() == ["q0", "q0", "q1", "q1", "3"]
    assert side.rollouts["correct"].null_count == 1


def test_rows_that_could_not_be_read_are_noted(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", gold="5")
    with file.open("a") as more:
        more.write("{oops\n")
    (side,) = sides(str(file))
    assert side.rollouts.num_rows == 4
    assert f"bad row: {file}:5: not JSON" in side.note
    assert side.note.endswith("bad rows: 1 in all, left out")


def test_a_name_with_a_sign_of_an_epoch_is_a_file(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a@2.jsonl")
    assert last_side(str(file)).rollouts.num_rows == 4


@pytest.mark.parametrize("word", ["gone", "gone@base", "gone.jsonl", "gone*"])
def test_what_is_not_there_is_told(word: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file|no file matches"):
        sides(str(tmp_path / word))


@pytest.mark.parametrize("what", ["empty.jsonl", "noise.parquet", "other.jsonl", "picture.png"])
def test_what_holds_no_rollouts_is_told(what: str, tmp_path: Path) -> None:
    texts = {"noise.parquet": "no parquet", "other.jsonl": '{"loss": 1}\n', "picture.png": "png"}
    (tmp_path / what).write_text(texts.get(what, ""))
    with pytest.raises(InputError, match=what):
        sides(str(tmp_path / what))


@pytest.mark.parametrize("word", ["{}", "{}@base"])
def test_the_folder_of_a_model_is_no_run(word: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    with pytest.raises(InputError, match="is a model, and no run; `formatlab compare` samples"):
        sides(word.format(tmp_path))


def test_the_folder_of_a_base_is_no_run(make_run: Factory) -> None:
    base = make_run(config={"kind": "base"}).path
    for word in (str(base), f"{base}@base"):
        with pytest.raises(InputError, match="holds no run folders"):
            sides(word)


def test_all_that_words_may_name_is_kept_from_being_replaced(tmp_path: Path) -> None:
    odd = jsonl(tmp_path / "a@2.jsonl")
    shutil.copy(odd, tmp_path / "b.jsonl")
    found = inputs([str(odd), str(tmp_path / "[b]*.jsonl"), str(tmp_path / "run@base")])
    assert {odd, tmp_path / "b.jsonl", tmp_path / "run"} <= set(found)
