from pathlib import Path

import pytest

from formatlab.launch.estimates.training_trial import PretrainingTrial, ProbeTrial, StageTrial
from formatlab.launch.estimates.trial import DocumentTrial, GradeTrial
from formatlab.models.lora import LoraSettings
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import Grpo, OnPolicy, Ppo, Rloo, gspo
from formatlab.train.pretraining.base import Pretraining
from formatlab.train.probe import Probe
from formatlab.world.mixture import Mixture
from formatlab.world.world import World

WORLD = World(
    mixture=Mixture(name="tiny", shares={"direct": 0.4, "tool_tags": 0.6}),
    families=("chain",),
    max_steps=1,
)
SMALL = Grpo(prompts_per_step=16, group_size=2, completion_length=24, prompts=16)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials leave nothing behind, here or where temporary files are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_documents_are_written_and_graded(tmp_path: Path):
    written = DocumentTrial(world=WORLD, vocabulary=300).measure()
    assert written.seconds > 0
    assert 10 < written.tokens < 60
    assert GradeTrial(world=WORLD).measure().seconds > 0
    assert list(tmp_path.glob("formatlab-trial-*")) == []


def test_pretraining_is_tried(tmp_path: Path):
    trial = PretrainingTrial(
        world=WORLD,
        vocabulary=300,
        scale="0.04M",
        threads=1,
        pretraining=Pretraining(tokens=10**6, vocabulary=300),
    )
    cost = trial.measure()
    assert cost.seconds > 0
    assert cost.memory > 10**8
    assert list(tmp_path.glob("formatlab-trial-*")) == []


def test_sampling_is_tried():
    probe = Probe(prompts=32, samples=2, batch=64)
    trial = ProbeTrial(world=WORLD, vocabulary=300, scale="0.04M", threads=1, probe=probe, limit=32)
    assert trial.batch == 64
    assert trial.measure().seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "lora"),
    [
        (SMALL, None),
        (SMALL, LoraSettings(rank=2)),
        (gspo(SMALL), None),
        (
            Ppo(
                prompts_per_step=15,
                group_size=2,
                completion_length=24,
                prompts=15,
                kl_coefficient=1,
            ),
            None,
        ),
        (Rloo(prompts_per_step=4, group_size=2, completion_length=24, prompts=4), None),
        (Sft(batch=4, examples=4, prompts=4), None),
        (Dpo(batch=4, examples=4, prompts=4), None),
    ],
    ids=lambda of: getattr(of, "name", ""),
)
def test_every_algorithm_is_tried(
    settings: OnPolicy | Sft | Dpo, lora: LoraSettings | None, tmp_path: Path
):
    trial = StageTrial(
        world=WORLD, vocabulary=300, scale="0.04M", threads=1, settings=settings, lora=lora
    )
    cost = trial.measure()
    assert cost.seconds > 0
    assert cost.memory > 10**8
    assert list(tmp_path.glob("formatlab-trial-*")) == []
