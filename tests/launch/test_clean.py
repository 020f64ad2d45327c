import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from made_up_study import STUDY, begin, finish, hold, hold_here, plan, planned

from formatlab.errors import InputError
from formatlab.launch import clean
from formatlab.launch.clean import BY_OPTION, GARBAGE, Kind, Removable, find_removable, remove
from formatlab.launch.plan import PlannedTask
from formatlab.store.config import config_hash
from formatlab.store.lock import Held, locked
from formatlab.store.run_folder import RunFolder

BASES = [planned(f"base 0.04M s{seed}") for seed in range(2)]
RUNS = [planned(f"grpo 0.04M s{seed}", [base]) for seed, base in enumerate(BASES)]


def found(runs: Path, *kinds: Kind) -> dict[str, str]:
    """What is found: place in the runs folder -> kind."""
    items = find_removable(runs, kinds or GARBAGE)
    return {item.path.relative_to(runs).as_posix(): item.kind for item in items}


def put(path: Path, size: int = 10, *, old: bool = True) -> Path:
    """Write a file, by default one that was last changed a day ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    if old:
        age(path)
    return path


def age(path: Path) -> None:
    then = time.time() - 86_400
    os.utime(path, (then, then))


def start_from(run: RunFolder, base: RunFolder) -> None:
    """Note in a run's configuration which base it starts from."""
    path = run.path / "config.json"
    path.write_text(json.dumps({**run.config, "base": {"config": base.config, "sha256": "s"}}))


def make(
    runs: Path, bases: Sequence[PlannedTask] = BASES, made: Sequence[PlannedTask] = RUNS
) -> tuple[list[RunFolder], list[RunFolder]]:
    """Finished bases and runs, each of which starts from its base."""
    base_folders = [finish(runs, task) for task in bases]
    run_folders = [finish(runs, task) for task in made]
    for run, base in zip(run_folders, base_folders, strict=False):
        start_from(run, base)
    return base_folders, run_folders


def test_nothing_can_be_removed_from_a_tidy_folder(tmp_path: Path) -> None:
    make(tmp_path)
    assert found(tmp_path) == {}


def test_what_killed_writers_left_is_found_and_removed(tmp_path: Path) -> None:
    (base, _), (run, _) = make(tmp_path)
    left = [
        put(run.path / ".unfinished-abc"),
        put(run.path / "rollouts" / "split=train" / ".unfinished-abc"),
        put(run.path / ".policy-unfinished" / "model.safetensors").parent,
        put(base.path / ".model-unfinished" / "model.safetensors").parent,
        put(tmp_path / STUDY / "tables" / ".unfinished-abc"),
        put(tmp_path / "corpora" / ".0a1b2c3d-unfinished" / "corpus.npz").parent,
        put(tmp_path / "models" / ".converting-abc" / "gpt" / "model.safetensors").parents[1],
    ]
    for path in left:
        age(path)
        for inside in path.glob("*"):
            age(inside)
    items = find_removable(tmp_path)
    assert {item.path for item in items} == set(left)
    assert {item.kind for item in items} == {"temporary"}
    assert {item.size for item in items} == {10}
    assert all(remove(item) for item in items)
    assert not any(path.exists() for path in left)
    assert found(tmp_path) == {}
    assert run.done


def test_what_a_living_writer_may_be_writing_is_left_alone(tmp_path: Path) -> None:
    (base, _), (run, _) = make(tmp_path)
    hold(run.path)
    hold_here(base.path, alive=True)
    recorded = begin(tmp_path, planned("grpo 0.04M s9"))  # as of somebody's trainer, without a lock
    put(run.path / ".unfinished-abc")
    put(run.path / "checkpoints" / "checkpoint-1" / "model.pt")
    put(base.path / ".model-unfinished" / "model.safetensors")
    put(recorded.path / ".unfinished-abc", old=False)
    put(tmp_path / STUDY / ".unfinished-abc", old=False)
    put(tmp_path / "corpora" / ".0a1b2c3d-unfinished" / "corpus.npz", old=False)
    assert found(tmp_path) == {}


def test_a_policy_that_is_being_merged_is_left_alone(tmp_path: Path) -> None:
    _, (run, _) = make(tmp_path)
    unfinished = put(run.path / ".policy-merged-unfinished" / "model.safetensors").parent
    age(unfinished)
    assert set(found(tmp_path).values()) == {"temporary"}
    hold(run.path / "policy-merged")
    assert found(tmp_path) == {}


def test_a_clock_that_was_set_back_makes_nothing_old(tmp_path: Path) -> None:
    make(tmp_path)
    path = put(tmp_path / STUDY / ".unfinished-abc")
    os.utime(path, (time.time() + 86_400, time.time() + 86_400))
    assert found(tmp_path) == {}


def test_checkpoints_of_finished_runs_alone_go(tmp_path: Path) -> None:
    _, (run, _) = make(tmp_path)
    going_on = begin(tmp_path, planned("grpo 0.04M s9"))
    for folder in (run, going_on):
        put(folder.path / "checkpoints" / "checkpoint-8" / "model.pt", size=1000)
    (item,) = find_removable(tmp_path)
    assert (item.kind, item.path, item.size) == ("checkpoints", run.path / "checkpoints", 1000)
    assert remove(item)
    assert list(run.path.glob("checkpoints/*")) == []
    assert run.checkpoints.is_dir()
    assert list(going_on.path.glob("checkpoints/*/*"))


def test_merged_policies_stay_while_a_planned_run_starts_from_them(tmp_path: Path) -> None:
    first = planned("sft 0.04M s0", BASES[:1])
    second = planned("grpo 0.04M s0", [first])
    plan(tmp_path, [BASES[0], first, second])
    finish(tmp_path, BASES[0])
    merged = put(finish(tmp_path, first).path / "policy-merged" / "model.safetensors").parent
    assert found(tmp_path) == {}
    run = begin(tmp_path, second)
    assert found(tmp_path) == {}
    run.mark_done({})
    assert list(found(tmp_path).values()) == ["merged"]
    (item,) = find_removable(tmp_path)
    assert remove(item)
    assert not merged.exists()


def test_without_a_plan_merged_policies_go_and_are_made_again(tmp_path: Path) -> None:
    begin(tmp_path, RUNS[1])
    put(finish(tmp_path, RUNS[0]).path / "policy-merged" / "model.safetensors")
    assert found(tmp_path) == {f"{RUNS[0].address}/policy-merged": "merged"}


def test_failed_runs_go_by_option(tmp_path: Path) -> None:
    make(tmp_path, made=RUNS[:1])
    run = begin(tmp_path, RUNS[1])
    run.mark_failed("nan")
    held_one = begin(tmp_path, planned("ppo 0.04M s0"))
    held_one.mark_failed("nan")
    hold(held_one.path)
    assert found(tmp_path) == {}
    assert found(tmp_path, "failed") == {RUNS[1].address: "failed"}
    (item,) = find_removable(tmp_path, ["failed"])
    assert remove(item)
    assert not run.path.exists()
    assert sorted(p.name for p in (tmp_path / STUDY).glob(".*")) == [f".{held_one.name}.lock"]


def test_a_failed_run_that_was_gone_on_with_meanwhile_stays(tmp_path: Path) -> None:
    run = begin(tmp_path, RUNS[1])
    run.mark_failed("nan")
    (item,) = find_removable(tmp_path, ["failed"])
    with locked(run.path):
        run.clear_failed()
        with pytest.raises(Held):
            remove(item)
    assert not remove(item)
    run.mark_failed("nan")
    run.mark_done({})
    assert not remove(item)
    assert run.done


def test_a_failed_run_that_is_finished_while_it_is_measured_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(tmp_path, RUNS[1])
    run.mark_failed("nan")
    below = clean._below

    def finishing(place: Path) -> Iterator[Path]:
        run.mark_done({})
        yield from below(place)

    monkeypatch.setattr(clean, "_below", finishing)
    (item,) = (of for of in find_removable(tmp_path, ["failed"]) if of.kind == "failed")
    assert not remove(item)
    assert run.done


def test_unplanned_runs_and_their_bases_go_by_option(tmp_path: Path) -> None:
    make(tmp_path)
    plan(tmp_path, [BASES[0], RUNS[0]])
    assert found(tmp_path) == {}
    assert found(tmp_path, "unplanned") == {
        RUNS[1].address: "unplanned",
        BASES[1].address: "unplanned",
    }


def test_a_study_without_a_plan_keeps_its_runs_and_their_bases(tmp_path: Path) -> None:
    make(tmp_path)
    of_other = planned("grpo 0.04M s5", BASES[:1], study="other")
    plan(tmp_path, [BASES[0], of_other], study="other")
    assert found(tmp_path, "unplanned") == {}


def test_a_plan_that_cannot_be_read_keeps_everything(tmp_path: Path) -> None:
    make(tmp_path)
    put(tmp_path / STUDY / "plan.json")
    assert found(tmp_path, "unplanned") == {}


def test_bases_and_corpora_that_no_run_comes_of_go_with_unplanned_runs(tmp_path: Path) -> None:
    (used, _), _ = make(tmp_path, made=RUNS[:1])
    config = {"world": used.config["world"], **used.config["pretraining"]}
    put(tmp_path / "corpora" / config_hash(config) / "corpus.npz")
    put(tmp_path / "corpora" / "0a1b2c3d" / "corpus.npz")
    assert found(tmp_path) == {}
    assert found(tmp_path, "unplanned") == {
        BASES[1].address: "unplanned",
        "corpora/0a1b2c3d": "unplanned",
    }


def test_the_whole_base_of_one_that_a_run_comes_of_stays(tmp_path: Path) -> None:
    (whole, other), (run,) = make(tmp_path, made=RUNS[:1])
    part = whole.path.with_name("part")
    shutil.copytree(whole.path, part)
    config = {**whole.config, "seed": 7}
    (whole.path / "config.json").write_text(json.dumps(config))
    (part / "config.json").write_text(json.dumps({**config, "after": 0.25}))
    start_from(run, RunFolder.open(part))
    assert found(tmp_path, "unplanned") == {f"bases/{other.name}": "unplanned"}


def test_a_corpus_that_is_being_written_stays(tmp_path: Path) -> None:
    make(tmp_path)
    corpus = put(tmp_path / "corpora" / "0a1b2c3d" / "corpus.npz").parent
    (item,) = find_removable(tmp_path, ["unplanned"])
    hold(corpus)
    with pytest.raises(Held):
        remove(item)
    assert corpus.exists()


def test_corpora_stay_while_a_planned_base_has_not_begun(tmp_path: Path) -> None:
    make(tmp_path, bases=BASES[:1], made=RUNS[:1])
    plan(tmp_path, [*BASES, *RUNS])
    put(tmp_path / "corpora" / "0a1b2c3d" / "corpus.npz")
    assert found(tmp_path, "unplanned") == {}
    finish(tmp_path, BASES[1])
    assert found(tmp_path, "unplanned") == {"corpora/0a1b2c3d": "unplanned"}


def test_a_base_that_names_no_corpus_stops_nothing(tmp_path: Path) -> None:
    (base, _), _ = make(tmp_path)
    plan(tmp_path, [*BASES, *RUNS])
    (base.path / "config.json").write_text('{"kind": "base"}')
    put(tmp_path / "corpora" / "0a1b2c3d" / "corpus.npz")
    assert found(tmp_path, "unplanned") == {"corpora/0a1b2c3d": "unplanned"}


def test_a_base_that_is_planned_stays(tmp_path: Path) -> None:
    finish(tmp_path, BASES[0])
    plan(tmp_path, [*BASES, *RUNS])
    assert found(tmp_path, "unplanned") == {}


def test_a_run_that_cannot_be_read_keeps_all_bases(tmp_path: Path) -> None:
    _, (run, _) = make(tmp_path, made=RUNS)
    (run.path / "config.json").write_text("{")
    assert found(tmp_path, "unplanned") == {}


def test_folders_put_aside_go_by_option(tmp_path: Path) -> None:
    make(tmp_path)
    put(tmp_path / ".aside" / STUDY / "run-1" / "config.json")
    assert found(tmp_path) == {}
    assert found(tmp_path, "aside") == {f".aside/{STUDY}/run-1": "aside"}


def test_links_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    runs, outside = tmp_path / "runs", tmp_path / "outside"
    _, (run, _) = make(runs)
    _, (far, _) = make(outside)
    put(far.path / ".unfinished-abc")
    put(far.path / "checkpoints" / "checkpoint-1" / "model.pt")
    (runs / "linked").symlink_to(outside / STUDY)
    (runs / STUDY / "linked-run").symlink_to(far.path)
    (runs / ".aside").symlink_to(outside)
    run.checkpoints.rmdir()
    run.checkpoints.symlink_to(far.checkpoints)
    (run.path / ".unfinished-link").symlink_to(far.path / "DONE")
    assert found(runs, *GARBAGE, *BY_OPTION) == {}


def test_a_link_to_the_runs_folder_itself_is_a_runs_folder(tmp_path: Path) -> None:
    make(tmp_path / "disk")
    put(tmp_path / "disk" / STUDY / ".unfinished-abc")
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    assert found(tmp_path / "runs") == {f"{STUDY}/.unfinished-abc": "temporary"}


@pytest.mark.parametrize("place", ["nowhere", "empty", "home", "runs/bases", f"runs/{STUDY}"])
def test_other_folders_are_refused(tmp_path: Path, place: str) -> None:
    make(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    put(tmp_path / "home" / "models" / "gpt" / "config.json")
    put(tmp_path / "home" / "models" / "gpt" / ".unfinished-abc")
    with pytest.raises(InputError):
        find_removable(tmp_path / place)


def test_a_removal_that_is_cut_short_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(tmp_path, RUNS[0])
    run.mark_failed("nan")
    finish(tmp_path, RUNS[1])
    (item,) = find_removable(tmp_path, ["failed"])

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(clean.shutil, "rmtree", killed)
        remove(item)
    assert not run.path.exists()
    (rest,) = (tmp_path / STUDY).glob(".unfinished-*")
    for path in (rest, *rest.rglob("*")):
        age(path)
    assert found(tmp_path) == {rest.relative_to(tmp_path).as_posix(): "temporary"}


def test_what_is_gone_already_is_not_counted(tmp_path: Path) -> None:
    make(tmp_path)
    path = put(tmp_path / STUDY / ".unfinished-abc")
    (item,) = find_removable(tmp_path)
    path.unlink()
    assert not remove(item)
    assert not remove(Removable(kind="aside", path=tmp_path / "nowhere", size=0))
