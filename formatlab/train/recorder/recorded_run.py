"""The recorded run: the run folder of a training script that is not the lab's own."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from accelerate.utils import broadcast_object_list

from formatlab.errors import FormatlabError, InputError
from formatlab.models.model import count_parameters
from formatlab.observe.recorder import TrainRecorder
from formatlab.store.rollout import Rollout, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.train.environment import environment
from formatlab.train.recorder.recorded_data import data_config

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
"""The fields of TRL's configurations that decide a result, where a trainer has them. The length of
the training is not among them: a run may be resumed to train longer."""

_P = ParamSpec("_P")


def _on_main(
    method: Callable[Concatenate["RecordedRun", _P], None],
) -> Callable[Concatenate["RecordedRun", _P], None]:
    """Run a method on the main process alone, and raise its error on every process.

    No process then waits for another one that has stopped.
    """

    @wraps(method)
    def on_main(run: "RecordedRun", /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        errors: list[FormatlabError | None] = [None]
        if run.accelerator.is_main_process:
            try:
                method(run, *args, **kwargs)
            except FormatlabError as error:
                errors[0] = error
        if run.accelerator.num_processes > 1:
            broadcast_object_list(errors)
        if errors[0] is not None:
            raise errors[0]

    return on_main


class RecordedRun:
    """Writes a run folder from the main process; every process calls every method."""

    _folder: RunFolder
    _train: TrainRecorder

    def __init__(self, path: Path, accelerator: "Accelerator") -> None:
        """Prepare to write to a folder; `open` makes it."""
        self.path = path
        self.accelerator = accelerator

    @_on_main
    def open(self, config: Mapping[str, Any], env: Mapping[str, Any]) -> None:
        """Make the run folder, or reopen it.

        Raises:
            InputError: it is of another configuration, holds something else, or cannot be written
                to.
        """
        if (self.path / "config.json").exists():
            there = RunFolder.open(self.path).config
            # Folders recorded before it was noted have no data.
            config = {key: of for key, of in config.items() if key != "data" or key in there}
        self._folder = RunFolder.create(self.path, config=config, env={**environment(), **env})

    @_on_main
    def begin(self, *, step: int, epoch: int) -> None:
        """Begin or resume training, and drop the rollouts that will be sampled again.

        Args:
            step: steps done before.
            epoch: index of the pass over the prompts that comes next.

        Raises:
            InputError: the folder holds rollouts of another training.
        """
        if step == 0 and self._folder.epochs("train"):
            raise InputError(
                f"{self.path} holds the rollouts of a run already, and this training begins at "
                "step 0. To go on with that run, train with resume_from_checkpoint=True; to "
                "train once more, attach a FormatRecorder with another folder, or remove this "
                "one if it is not needed."
            )
        self._folder.drop_rollouts_from(step)
        self._folder.drop_metrics_from(step)
        self._folder.reopen()
        self._train = TrainRecorder(self._folder, epoch=epoch, part_rows=_PART_ROWS)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics so far, on every process."""
        lines = [self._folder.metrics() if self.accelerator.is_main_process else []]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(lines)
        return lines[0]

    @_on_main
    def write_train(self, rows: Sequence[Rollout], lines: Sequence[Mapping[str, Any]]) -> None:
        """Add training rollouts, in order, and lines of metrics."""
        self._train.add(rows)
        self._train.flush()
        self._folder.append_metrics(*lines)

    @_on_main
    def write_probe(self, rows: Sequence[Rollout]) -> None:
        """Add the rollouts of an evaluation; prompts evaluated before at its epoch are replaced."""
        if not rows:
            return
        epoch = rows[0].epoch
        prompts = {row.prompt_id for row in rows}
        before = rollouts_from_table(self._folder.rollouts("probe", epoch=epoch))
        kept = [row for row in before if row.prompt_id not in prompts]
        self._folder.write_rollouts("probe", epoch, [*kept, *rows])

    @_on_main
    def finish(self, steps: int) -> None:
        """Mark the run as done."""
        rollouts = self._folder.count_rollouts("train")
        self._folder.mark_done({"steps": steps, "rollouts": rollouts})


def run_config(path: Path, trainer: "Trainer", gold: str | None) -> dict[str, Any]:
    """The `config.json` of a trainer's run, with the keys of the lab's own runs.

    Args:
        path: the run folder.
        trainer: the trainer.
        gold: the column of the right answers, `function`, or None.
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
        "data": data_config(trainer, gold),
        "processes": trainer.accelerator.num_processes,
        "trainer": {key: options[key] for key in _SETTINGS if key in options},
    }
