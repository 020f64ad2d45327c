"""A small run of SFT, DPO or expert iteration, which can be told to kill itself at a given moment.

Arguments: stage, folder of the base, run folder, moment. Moments: `none`, `sampled:N` (before the
Nth file of training rollouts is written), `report:N` (after the Nth step, before its checkpoint),
`checkpoint:N` (in the middle of writing the Nth checkpoint), `probe:N` (before the Nth probe is
written), `round:N` (before the Nth round's policy is put in its place), `policy:1` (when all steps
are done).
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from on_policy_process import WORLD
from safetensors.torch import load_file

from formatlab.models.model import silence_libraries
from formatlab.store.run_folder import RunFolder
from formatlab.store.weights import weights_digest
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, FineTuning, Sft
from formatlab.train.probe import Probe
from formatlab.train.stage import StageInputs
from formatlab.world.prompt import plain_prompt

SMALL: dict[str, Any] = {
    "learning_rate": 1e-3,
    "prompts": 12,
    "samples": 16,
    "epochs": 2,
    "examples": 8,
    "batch": 4,
    "completion_length": 24,
    "checkpoint_every": 1,
}
SMALLER: dict[str, Any] = {**SMALL, "batch": 3}
STAGES: dict[str, FineTuning | ExpertIteration] = {
    "sft": Sft(**SMALL, source="rollouts"),
    "sft-documents": Sft(**SMALL, source="documents"),
    "dpo": Dpo(**SMALLER, toward="tool_tags"),
    "expert_iteration": ExpertIteration(
        learning_rate=1e-3,
        prompts=8,
        prompts_per_step=4,
        group_size=8,
        rounds=2,
        sft_batch=4,
        completion_length=24,
        checkpoint_every=2,
    ),
}
PROBE = Probe(prompts=6, samples=2, fractions=(0.5,))


def train(
    base: Path,
    folder: Path,
    settings: Any,
    *,
    report: Any = lambda *_: None,
    seed: int = 5,
    **options: Any,
) -> RunFolder:
    """Run, or go on with, a small run in a folder."""
    torch.set_num_threads(1)
    silence_libraries()
    run = RunFolder.create(folder, config={"name": "small"}, env={})
    arguments: dict[str, Any] = {
        "folder": run,
        "model": base / "model",
        "prompts": [plain_prompt(p) for p in WORLD.problems("rl", settings.prompts)],
        "probe": PROBE,
        "probe_prompts": [plain_prompt(p) for p in WORLD.problems("probe", PROBE.prompts)],
        "seed": seed,
        "report": report,
        "world": WORLD,
    }
    settings.run(StageInputs(**(arguments | options)))
    return run


def rows(run: RunFolder, split: Any) -> list[dict[str, Any]]:
    return run.rollouts(split).to_pylist()


def metrics(run: RunFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in run.metrics()]


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.path / "policy" / "model.safetensors")


def same(ours: RunFolder, theirs: RunFolder) -> bool:
    """Whether two runs have the same rollouts, metrics and weights, to the bit."""
    return (
        all(rows(ours, split) == rows(theirs, split) for split in ("train", "probe"))
        and metrics(ours) == metrics(theirs)
        and weights_digest(ours.path / "policy") == weights_digest(theirs.path / "policy")
    )


class Killed(BaseException):
    """Ends a run as a kill would, as far as one process can do that to itself and go on."""


def plant(moment: str, die: Callable[[], None], patch: Callable[..., None]) -> Callable[..., None]:
    """Have `die` called at a moment; gives what the run is to report to.

    Args:
        moment: see above.
        die: ends the run.
        patch: called as `setattr` is.
    """
    kind, _, number = moment.partition(":")
    left = int(number or 0)

    def count_down(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die()

    def dying(owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
        function = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if when(*arguments):
                count_down()
            return function(*arguments, **options)

        patch(owner, name, counted)

    match kind:
        case "sampled":
            dying(RunFolder, "write_rollouts", lambda _, split, *__: split == "train")
        case "probe":
            dying(RunFolder, "write_rollouts", lambda _, split, *__: split == "probe")
        case "checkpoint":
            dying(transformers.Trainer, "_save_rng_state")
        case "round":
            dying(os, "replace", lambda _, target: Path(target).name.startswith("round-"))
        case "policy":
            dying(os, "replace", lambda _, target: Path(target).name == "policy")
    return count_down if kind == "report" else lambda *_: None


def interrupt(
    base: Path,
    folder: Path,
    settings: Any,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
    **options: Any,
) -> None:
    """Run, or go on with, a small run until a moment."""

    def die() -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        report = plant(moment, die, patched.setattr)
        train(base, folder, settings, report=report, **options)


def main() -> None:
    """Parse the arguments and run."""
    stage, base, folder, moment = sys.argv[1:]

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    train(Path(base), Path(folder), STAGES[stage], report=plant(moment, die, setattr))


if __name__ == "__main__":
    main()
