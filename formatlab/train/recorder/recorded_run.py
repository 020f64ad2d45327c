"""The recorded run: the run folder of training that somebody else's script does."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.utils import broadcast_object_list

from formatlab.errors import FormatlabError, InputError
from formatlab.models.model import count_parameters
from formatlab.observe.recorder import TrainRecorder
from formatlab.store.rollout import Rollout, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.train.environment import environment

if TYPE_CHECKING:
    from accelerate import Accelerator

    from formatlab.train.recorder.recorded_batch import Trainer

_PART_ROWS = 4096

_SETTINGS = (
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "optim",
    "weight_decay",
    "max_grad_norm",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "steps_per_generation",
    "num_generations",
    "num_iterations",
    "max_completion_length",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "beta",
    "epsilon",
    "epsilon_high",
    "loss_type",
    "scale_rewards",
    "importance_sampling_level",
    "mask_truncated_completions",
    "normalize_advantages",
    "reward_clip_range",
    "reward_weights",
    "shuffle_dataset",
)
"""Of TRL's configuration, what decides a result, whichever of the trainers has it. How long to
train is not among it: a run may be resumed to go further."""


class RecordedRun:
    """Writes a run folder from the main process of several.

    Every process calls every method; what goes wrong on the main one is raised on all of them, so
    that none waits for a process that is gone.
    """

    def __init__(self, path: Path, accelerator: "Accelerator") -> None:
        """Prepare to write to a folder; `open` makes it."""
        self.path = path
        self._accelerator = accelerator
        self._folder: RunFolder | None = None
        self._train: TrainRecorder | None = None

    def open(self, config: Mapping[str, Any], env: Mapping[str, Any]) -> None:
        """Make the run folder, or reopen it.

        Raises:
            InputError: it is of another configuration, holds something else, or cannot be written
                to.
        """

        def work() -> None:
            self._folder = RunFolder.create(self.path, config=config, env={**environment(), **env})

        self._on_main(work)

    def begin(self, *, step: int, epoch: int) -> None:
        """Begin training, or go on with it, and drop what will be sampled again.

        Args:
            step: steps done before.
            epoch: index of the pass over the prompts that comes next.

        Raises:
            InputError: this training is not the one whose rollouts are there.
        """

        def work() -> None:
            folder = self._main_folder
            if step == 0 and folder.epochs("train"):
                raise InputError(
                    f"{self.path} holds the rollouts of a run already, and this training begins at "
                    "step 0. To go on with that run, train with resume_from_checkpoint=True; to "
                    "train once more, attach a FormatRecorder with another folder, or remove this "
                    "one if it is not needed."
                )
            folder.drop_rollouts_from(step)
            folder.drop_metrics_from(step)
            folder.reopen()
            self._train = TrainRecorder(folder, epoch=epoch, part_rows=_PART_ROWS)

        self._on_main(work)

    def write_train(self, rows: Sequence[Rollout], lines: Sequence[Mapping[str, Any]]) -> None:
        """Add training rollouts, in order, and lines of metrics."""

        def work() -> None:
            assert self._train is not None, "training has begun"
            self._train.add(rows)
            self._train.flush()
            self._main_folder.append_metrics(*lines)

        self._on_main(work)

    def write_probe(self, rows: Sequence[Rollout]) -> None:
        """Add the rollouts of an evaluation; prompts evaluated before at its epoch are replaced."""

        def work() -> None:
            epoch = rows[0].epoch
            prompts = {row.prompt_id for row in rows}
            there = rollouts_from_table(self._main_folder.rollouts("probe", epoch=epoch))
            kept = [row for row in there if row.prompt_id not in prompts]
            self._main_folder.write_rollouts("probe", epoch, [*kept, *rows])

        if rows:
            self._on_main(work)

    def finish(self, steps: int) -> None:
        """Mark the run as done."""

        def work() -> None:
            rollouts = self._main_folder.count_rollouts("train")
            self._main_folder.mark_done({"steps": steps, "rollouts": rollouts})

        self._on_main(work)

    @property
    def _main_folder(self) -> RunFolder:
        assert self._folder is not None, "it is open, and this is the main process"
        return self._folder

    def _on_main(self, work: Callable[[], None]) -> None:
        wrong: list[FormatlabError | None] = [None]
        if self._accelerator.is_main_process:
            try:
                work()
            except FormatlabError as error:
                wrong[0] = error
        if self._accelerator.num_processes > 1:
            broadcast_object_list(wrong)
        if wrong[0] is not None:
            raise wrong[0]


def run_config(path: Path, trainer: "Trainer", gold: str | None) -> dict[str, Any]:
    """What `config.json` says of a trainer's run, in the terms of the lab's own runs.

    Args:
        path: the run folder.
        trainer: the trainer.
        gold: where right answers come from, in a word.
    """
    options = trainer.args.to_dict()
    model = trainer.accelerator.unwrap_model(trainer.model)
    name = Path(str(model.config._name_or_path)).name or type(model).__name__
    count = count_parameters(model)
    return {
        "kind": "run",
        "study": path.parent.name,
        "name": name,
        "scale": {
            "name": name,
            "parameters": count.total,
            "non_embedding_parameters": count.non_embedding,
        },
        "mixture": {},
        "mixture_name": "pretrained",
        "algorithm": "rloo" if "RLOO" in type(trainer.args).__name__ else "grpo",
        "reward": list(trainer.reward_func_names),
        "seed": options["seed"],
        "gold": gold,
        "processes": trainer.accelerator.num_processes,
        "trainer": {key: options[key] for key in _SETTINGS if key in options},
    }
