"""An algorithm that an experiment file brings: settings and trainer, and nothing in the package."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_study import TINY

from formatlab.cli.main import main
from formatlab.errors import InputError
from formatlab.store.run_folder import RunFolder
from formatlab.study.experiment import load_experiment

EXPERIMENT = (
    TINY
    + '''
from dataclasses import dataclass
from typing import ClassVar

from formatlab.train.on_policy.settings import OnPolicy

FLOOR = {}
FLOOR["advantage"] = 0.0


@dataclass(frozen=True, kw_only=True)
class BetterOnly(OnPolicy):
    """Learns from the rollouts that are better than the mean of their group."""

    name: ClassVar[str] = "better_only"

    sharpness: float = 2.0
    """Factor of the advantage."""

    @property
    def trl_options(self):
        return {"loss_type": "dr_grpo", "scale_rewards": "none"}

    def trainer(self):
        from formatlab.train.on_policy.grpo_trainer import LabGrpoTrainer

        class BetterOnlyTrainer(LabGrpoTrainer):
            def _advantages(self, batch, rewards):
                kept = batch["advantages"].clamp(min=FLOOR["advantage"])
                return self._settings.sharpness * kept

        return BetterOnlyTrainer


SHORT = BetterOnly(
    prompts=8, prompts_per_step=4, group_size=4, epochs=2, completion_length=24, checkpoint_every=1
)
PRESETS = {
    "tiny": replace(
        TINY,
        name="made-up",
        pretraining=replace(TINY.pretraining, tokens=500_000),
        chains=((SHORT,),),
    )
}
'''
)


@pytest.fixture
def path(tmp_path: Path):
    yield tmp_path / "better_only.py"
    sys.modules.pop("experiment_better_only", None)


def address(path: Path, old: str = "", new: str = "") -> str:
    """Address of the study's run, where the file has `new` instead of `old`."""
    assert old in EXPERIMENT
    path.write_text(EXPERIMENT.replace(old, new) if old else EXPERIMENT)
    (run,) = load_experiment(path)[1]["tiny"].runs()
    return run.address


@pytest.mark.slow
def test_an_experiment_trains_with_an_algorithm_of_its_own(path: Path, tmp_path: Path):
    runs = tmp_path / "runs"
    found = runs / address(path)
    assert main(["run", str(path), "--runs-dir", str(runs), "--jobs", "1"]) == 0
    run = RunFolder.open(found)
    assert run.done
    assert run.config["algorithm"] == run.config["chain"] == "better_only"
    assert run.epochs("probe") == [0.0, 1.0, 2.0]
    rows: list[dict[str, Any]] = run.rollouts("train").to_pylist()
    assert len(rows) == 4 * 16
    for step in range(4):
        groups = np.array([row["reward"] for row in rows if row["step"] == step]).reshape(-1, 4)
        expected = 2 * (groups - groups.mean(axis=1, keepdims=True)).clip(min=0)
        advantages = [row["advantage"] for row in rows if row["step"] == step]
        assert advantages == pytest.approx(expected.ravel().tolist(), abs=1e-5)
    assert any(row["advantage"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"scale_rewards": "none"', '"scale_rewards": "group"'),
        ("return self._settings.sharpness * kept", "return kept"),
        ('FLOOR["advantage"] = 0.0', 'FLOOR["advantage"] = 0.1'),
        ("sharpness: float = 2.0", "sharpness: float = 3.0"),
        ("epochs=2", "epochs=1"),
    ],
)
def test_what_an_algorithm_does_is_part_of_the_address(path: Path, old: str, new: str):
    assert address(path) != address(path, old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FLOOR = {}", "# Nothing is pushed down.\nFLOOR = {}"),
        ("chains=((SHORT,),)", "chains=(tuple([SHORT]),)"),
        ("checkpoint_every=1", "checkpoint_every=2"),
    ],
)
def test_what_changes_no_result_leaves_the_address(path: Path, old: str, new: str):
    assert address(path) == address(path, old, new)


def test_settings_of_its_own_are_checked_as_all_are(path: Path):
    path.write_text(EXPERIMENT.replace("BetterOnly(\n    prompts=8", "BetterOnly(\n    prompts=9"))
    with pytest.raises(InputError, match="better_only: prompts is 9, not a multiple"):
        load_experiment(path)
