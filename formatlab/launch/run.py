"""A run: one unit of work of a study, executed in a process of its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from formatlab.errors import InputError, RunError
from formatlab.launch.lock import locked
from formatlab.launch.progress import Progress
from formatlab.models.lora import LoraSettings
from formatlab.store.run_folder import RunFolder
from formatlab.train.environment import environment
from formatlab.train.grpo import Grpo
from formatlab.train.probe import Probe
from formatlab.world.prompt import Prompt

Emit = Callable[[Progress], None]


class Run(ABC):
    """What a worker is given to do; interrupted, it goes on where it was."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What the progress display calls it."""

    @property
    def most_threads(self) -> int | None:
        """Threads beyond which the work gets slower; None where more always help."""
        return None

    @abstractmethod
    def execute(self, runs: Path, emit: Emit) -> Path:
        """Do the work, or go on with it, and give the finished run folder."""


def train_run(
    path: Path,
    config: Mapping[str, Any],
    *,
    label: str,
    model: Path,
    grpo: Grpo,
    prompts: list[Prompt],
    probe: Probe,
    probe_prompts: list[Prompt],
    seed: int,
    lora: LoraSettings | None,
    emit: Emit,
) -> Path:
    """Train unless it is done, measure, and mark the run folder at `path`."""
    from formatlab.measure import record_winners
    from formatlab.train.run_grpo import run_grpo

    stage = f"grpo {label}"

    def report(step: int, line: dict[str, Any]) -> None:
        share: dict[str, float] = line["share"]
        leader = max(share, key=lambda name: share[name])
        note = f"reward {line['reward']:.2f}"
        emit(Progress(stage, step, grpo.steps, leader, share[leader], note))

    with locked(path):
        folder = RunFolder.create(path, config=config, env=environment())
        if folder.done:
            return path
        folder.clear_failed()
        emit(Progress(stage, 0, grpo.steps, None, None, "observing the base"))
        try:
            run_grpo(
                folder,
                model=model,
                settings=grpo,
                prompts=prompts,
                probe=probe,
                probe_prompts=probe_prompts,
                seed=seed,
                lora=lora,
                report=report,
            )
            record_winners(folder)
        except (RunError, InputError) as error:
            folder.mark_failed(str(error))
            raise
        except Exception as error:
            folder.mark_failed(f"{type(error).__name__}: {error}")
            raise
        folder.mark_done({"steps": grpo.steps, "rollouts": grpo.steps * grpo.rollouts_per_step})
        folder.remove_checkpoints()
    return path
