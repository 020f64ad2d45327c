"""The format recorder: keeps and tags every rollout of somebody else's TRL trainer.

It looks into two private methods of `GRPOTrainer` and `RLOOTrainer` (TRL 1.16),
`_calculate_rewards` and `_generate_and_score_completions`, and into `log`; what they are given and
what they return stays as it is. `tests/train/test_recorder_contract.py` says what moved when a
release of TRL moves one.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from accelerate.utils import gather_object
from transformers import TrainerCallback

from formatlab.errors import InputError
from formatlab.observe.recorder import number_samples
from formatlab.observe.tagger import check_formats
from formatlab.store.rollout import Rollout
from formatlab.train.metrics import RolloutSummary
from formatlab.train.recorder.recorded_batch import Gold, Mode, RecordedBatch, mode_of, no_gold
from formatlab.train.recorder.recorded_run import RecordedRun, run_config
from formatlab.world.formats.format import Format

if TYPE_CHECKING:
    import torch

    from formatlab.train.recorder.recorded_batch import Trainer

FLUSH_STEPS = 20
"""Steps with rollouts after which they are written, if no checkpoint was due before."""

_ATTACH = "attach it to the finished trainer instead: FormatRecorder(folder).attach(trainer)"


class FormatRecorder(TrainerCallback):
    """Records every rollout of a TRL trainer, its tag, and the shares of the formats.

    ```python
    trainer = GRPOTrainer(...)
    FormatRecorder("runs/my_study/first", gold="answer").attach(trainer)
    trainer.train()
    ```

    Training rollouts go to the run folder as split `train`, those of evaluations as split `probe`;
    shares and accuracies go to `metrics.jsonl` and, as `format/...` and `format_accuracy/...`, to
    the trainer's own logs. Of several processes the main one writes. A step is one of TRL's
    `global_step`: an update of the weights.

    Rollouts are on disk before every checkpoint, at the end, and at least every `FLUSH_STEPS` steps
    that sampled any: a crash loses no more than those of that many steps. A run resumed from a
    checkpoint goes on in the same folder; what was recorded after the checkpoint is dropped, since
    it is sampled again.
    """

    def __init__(
        self, folder: str | Path, *, gold: Gold | None = None, formats: Sequence[Format] = ()
    ) -> None:
        """Name the folder; nothing is made before `attach`.

        Args:
            folder: run folder, new or that of the run to be resumed. The folder it lies in counts
                as its study.
            gold: column of the dataset with the right answer, or a function that gives it for a
                row of the dataset; without it nothing is called right or wrong.
            formats: formats of your own, which the tagger asks first.

        Raises:
            InputError: `gold` or `formats` is of another kind.
        """
        if gold is not None and not isinstance(gold, str) and not callable(gold):
            raise InputError(
                "FormatRecorder: gold is the name of a column, or a function of a row, not "
                f"{gold!r}"
            )
        check_formats(formats)
        self.path = Path(folder).resolve()
        self.finished = False
        """Whether training came to its end."""
        self.seconds = 0.0
        """Time spent in recording so far, on this process."""
        self._gold = gold
        self._formats = tuple(formats)
        self._trainer: Trainer | None = None
        self._scored: RecordedBatch | None = None
        self._step = RolloutSummary()
        self._epoch = 0.0
        self._unwritten: list[Rollout] = []
        self._lines: list[dict[str, Any]] = []
        self._probe: list[Rollout] = []
        self._logged: dict[Mode, RolloutSummary] = {
            "train": RolloutSummary(),
            "eval": RolloutSummary(),
        }
        self._seen: dict[Mode, set[str]] = {"train": set(), "eval": set()}

    def attach(self, trainer: "Trainer") -> Self:
        """Record a trainer, from now on.

        Args:
            trainer: a GRPOTrainer or RLOOTrainer, or of a class derived from one. One that another
                recorder followed to the end of its training may be attached to again.

        Raises:
            InputError: another kind of trainer, a recorder or trainer that is taken, a dataset
                without the column `gold`, a folder of another run or that cannot be written to.
        """
        self._check(trainer)
        if isinstance(self._gold, str):
            _check_columns(trainer, self._gold)
        gold = self._gold if isinstance(self._gold, str) or self._gold is None else "function"
        self._run = RecordedRun(self.path, trainer.accelerator)
        self._run.open(
            run_config(self.path, trainer, gold),
            {"trainer": type(trainer).__name__, "output_dir": trainer.args.output_dir},
        )
        self._trainer = trainer
        self._calculate = trainer._calculate_rewards
        self._generate = trainer._generate_and_score_completions
        self._log = trainer.log
        trainer._calculate_rewards = self._calculated
        trainer._generate_and_score_completions = self._generated
        trainer.log = self._logging
        trainer.add_callback(self)
        return self

    def detach(self) -> None:
        """Write what is not written yet and leave the trainer as it was."""
        trainer = self._attached
        self._flush()
        trainer._calculate_rewards = self._calculate
        trainer._generate_and_score_completions = self._generate
        trainer.log = self._log
        trainer.remove_callback(self)
        self._trainer = None

    # What TRL calls, looked at on the way

    def _calculated(
        self, inputs: list[Any], prompts: list[Any], completions: list[Any], ids: list[list[int]]
    ) -> "torch.Tensor":
        rewards = self._calculate(inputs, prompts, completions, ids)
        self._scored = RecordedBatch(
            inputs=inputs, prompts=prompts, completions=completions, ids=ids, rewards=rewards
        )
        return rewards

    def _generated(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self._generate(inputs)
        started = time.perf_counter()
        if self._scored is None:
            raise InputError(
                f"FormatRecorder: {type(self._attached).__name__} gives rewards without "
                "_calculate_rewards, so that what is rewarded cannot be seen"
            )
        self._record(self._scored, batch)
        self._scored = None
        self.seconds += time.perf_counter() - started
        return batch

    def _record(self, scored: RecordedBatch, batch: Mapping[str, Any]) -> None:
        """Keep the rollouts that all processes sampled together."""
        trainer = self._attached
        local = scored.rows(
            trainer, batch, run_id=self.path.name, gold=self._gold, formats=self._formats
        )
        rows = number_samples(gather_object(local))
        mode = mode_of(trainer)
        self._logged[mode].add(rows)
        if mode == "eval":
            self._probe += rows
        else:
            self._unwritten += rows
            self._step.add(rows)
            self._epoch = trainer.state.epoch or 0.0

    def _logging(self, logs: dict[str, float], start_time: float | None = None) -> None:
        started = time.perf_counter()
        mode = mode_of(self._attached)
        tally = self._logged[mode]
        if tally.total:
            self._seen[mode] |= tally.tags
            prefix = "eval_" if mode == "eval" else ""
            logs.update({prefix + name: v for name, v in tally.logs(self._seen[mode]).items()})
            self._logged[mode] = RolloutSummary()
        self.seconds += time.perf_counter() - started
        self._log(logs, start_time)

    # What the trainer tells its callbacks

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refuse to be one of `callbacks=[...]`: a callback is not told whose it is."""
        raise InputError(f"FormatRecorder cannot work from callbacks=[...]; {_ATTACH}")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop what will be sampled again; refuse to record a second run in the folder."""
        if self._trainer is None:
            raise InputError(f"FormatRecorder cannot work from add_callback; {_ATTACH}")
        self._run.begin(step=state.global_step, epoch=int(state.epoch or 0.0))
        self._unwritten, self._lines, self._step = [], [], RolloutSummary()
        self.finished = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the step, and write before a checkpoint is."""
        started = time.perf_counter()
        if self._step.total:
            self._lines.append(
                {
                    "step": state.global_step - 1,
                    "epoch": self._epoch,
                    "rollouts": self._step.total,
                    "mixed": self._step.flags["mixed"],
                    **self._step.line(),
                }
            )
            self._step = RolloutSummary()
        if control.should_save or len(self._lines) >= FLUSH_STEPS:
            self._flush()
        self.seconds += time.perf_counter() - started

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write before a checkpoint is."""
        if control.should_save:
            self._flush()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write what a checkpoint rests on that was not announced before."""
        self._flush()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the rollouts of an evaluation as a probe."""
        self._run.write_probe(self._probe)
        self._probe = []

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:
        """Forget the rollouts of a prediction, which observes no point of the training."""
        self._probe = []
        self._logged["eval"] = RolloutSummary()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the rest and mark the run as done."""
        self._flush()
        self._run.finish(state.global_step)
        self.finished = True

    @property
    def _attached(self) -> "Trainer":
        assert self._trainer is not None, "only an attached recorder is called by a trainer"
        return self._trainer

    def _flush(self) -> None:
        if self._lines:
            self._run.write_train(self._unwritten, self._lines)
            self._unwritten, self._lines = [], []

    def _check(self, trainer: Any) -> None:
        from trl.trainer.grpo_trainer import GRPOTrainer
        from trl.trainer.rloo_trainer import RLOOTrainer

        if not isinstance(trainer, (GRPOTrainer, RLOOTrainer)):
            raise InputError(
                "FormatRecorder records a GRPOTrainer or an RLOOTrainer, and this is of type "
                f"{type(trainer).__name__}; `formatlab tag` reads files of other trainers' rollouts"
            )
        if self._trainer is not None:
            raise InputError(
                "this FormatRecorder is attached already; make one for each trainer, with a folder "
                "of its own"
            )
        for other in list(trainer.callback_handler.callbacks):
            if isinstance(other, FormatRecorder):
                if not other.finished:
                    raise InputError(
                        f"the trainer has a FormatRecorder already, which writes to {other.path}; "
                        "attach one only"
                    )
                other.detach()


def _check_columns(trainer: "Trainer", gold: str) -> None:
    """See that the datasets have the column with the right answer, and that TRL keeps it."""
    found = trainer.eval_dataset
    named = found if isinstance(found, Mapping) else {"eval_dataset": found}
    for name, dataset in {"train_dataset": trainer.train_dataset, **named}.items():
        # A streamed dataset may not know its columns; then the first row tells.
        columns: Sequence[str] | None = dataset.column_names if dataset is not None else None
        if columns is not None and gold not in columns:
            raise no_gold(gold, columns, where=str(name))
    if trainer.args.remove_unused_columns:
        raise InputError(
            f"FormatRecorder: with remove_unused_columns=True the trainer drops the column "
            f"{gold!r} that gold names; set remove_unused_columns=False in its configuration"
        )
