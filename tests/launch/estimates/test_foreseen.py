"""What a launcher would find of a task: its states, on folders that are whole and damaged."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from plain_task import facts_of

from formatlab.errors import InputError
from formatlab.launch.estimates.foreseen import state_of
from formatlab.store.run_folder import RunFolder
from formatlab.study.task import Task, TaskFacts, started_elsewhere
from formatlab.train.progress import Emit


@dataclass(frozen=True)
class Placed(Task):
    """A task with a folder."""

    address: str = "study/run"  # pyright: ignore[reportIncompatibleMethodOverride]
    needs: tuple[Task, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride]
    label: str = "run"  # pyright: ignore[reportIncompatibleMethodOverride]
    steps: int = 2  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def facts(self) -> TaskFacts:
        return facts_of(self.label)

    def outdated(self, runs: Path) -> str | None:
        return started_elsewhere(self, runs)

    def execute(self, runs: Path, emit: Emit) -> None:
        raise AssertionError("only looked at")


BASE = Placed(address="bases/base", label="base")
RUN = Placed(needs=(BASE,))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    base = RunFolder.create(tmp_path / BASE.address, config={"kind": "base"}, env={})
    base.mark_done({"sha256": ""})
    run = RunFolder.create(
        tmp_path / RUN.address, config={"kind": "run", "start_sha256": ""}, env={}
    )
    run.append_metrics({"step": 0}, {"step": 1})
    run.mark_done({"steps": 2})
    return tmp_path


def test_whole_folders_are_done_or_gone_on_with(runs: Path):
    assert (state_of(BASE, runs), state_of(RUN, runs)) == ("done", "done")
    (runs / RUN.address / "DONE").unlink()
    assert state_of(RUN, runs) == "to go on"
    (runs / RUN.address / "metrics.jsonl").unlink()
    assert state_of(RUN, runs) == "to make"
    assert state_of(RUN, runs / "elsewhere") == "to make"


@pytest.mark.parametrize("name", ["DONE", "config.json", "env.json", "metrics.jsonl"])
def test_damaged_folders_are_made_again(runs: Path, name: str):
    (runs / RUN.address / name).write_text("{\n")
    assert state_of(RUN, runs) == "to make again"


def test_a_run_of_other_weights_is_made_again(runs: Path):
    RunFolder(runs / BASE.address).mark_done({"sha256": "", "policy_sha256": "other"})
    assert state_of(RUN, runs) == "to make again"


@pytest.mark.parametrize("name", ["DONE", "config.json"])
def test_a_sound_run_of_a_base_that_is_made_again_is_done(runs: Path, name: str):
    (runs / BASE.address / name).write_text("{")
    assert (state_of(BASE, runs), state_of(RUN, runs)) == ("to make again", "done")


def test_a_folder_of_another_version_is_nobodys_to_make(runs: Path):
    env = runs / RUN.address / "env.json"
    env.write_text(json.dumps(json.loads(env.read_text()) | {"schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99"):
        state_of(RUN, runs)
