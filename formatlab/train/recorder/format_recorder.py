"""The format recorder: keeps and tags every rollout of a stock TRL trainer.

It wraps two private methods of `GRPOTrainer` and `RLOOTrainer` (TRL 1.16), `_calculate_rewards` and
`_generate_and_score_completions`, and `log`. Their arguments and results are unchanged, but for the
shares that it adds to the logs. `tests/train/test_recorder_contract.py` fails where a release of
TRL changes one.
"""

import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from accelerate.utils import gather_object
from transformers import TrainerCallback

from formatlab.errors import InputError
from formatlab.observe.recorder import number_samples
from formatlab.observe.tagger import check_formats
from formatlab.store.alarm import Alarm, alarm_step
from formatlab.store.rollout import Rollout
from formatlab.train.health import alarm_event
from formatlab.train.metrics import RolloutSummary
from formatlab.train.recorder.recorded_batch import (
    Gold,
    Mode,
    RecordedBatch,
    check_columns,
    mode_of,
)
from formatlab.train.recorder.recorded_run import RecordedRun, run_config
from formatlab.world.formats.format import Format

if TYPE_CHECKING:
    import torch

    from formatlab.train.recorder.recorded_batch import Trainer

FLUSH_STEPS = 20
"""Steps with rollouts after which they are written, if no checkpoint was due before."""

_USED = (
    "_calculate_rewards",
    "_generate_and_score_completions",
    "_tokenizer",
    "eos_token_ids",
    "reward_func_names",
    "reward_weights",
)
"""Parts of TRL's trainers that are used, and that other releases may lack."""

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
    checkpoint continues in the same folder; rollouts recorded after the checkpoint are dropped,
    since they are sampled again.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        gold: Gold | None = None,
        formats: Sequence[Format] = (),
        alarm: Alarm | None = None,
    ) -> None:
        """Name the folder; nothing is made before `attach`.

        Args:
            folder: run folder, new or that of the run to be resumed. The folder it lies in counts
                as its study.
            gold: column of the dataset with the right answer, or a function that gives it for a
                row of the dataset; without it nothing is called right or wrong.
            formats: formats of your own, which the tagger asks first.
            alarm: early warning that one format will take over. When it goes off, the step's line
                of `metrics.jsonl` gets the event, Python warns, `alarmed_at` is set, and
                `format_alarm` in the trainer's logs turns from 0 to 1.

        Raises:
            InputError: `gold`, `formats` or `alarm` is of another kind.
        """
        if gold is not None and not isinstance(gold, str) and not callable(gold):
            raise InputError(
                "FormatRecorder: gold is the name of a column, or a function of a row, not "
                f"{gold!r}"
            )
        check_formats(formats)
        if alarm is not None and not isinstance(alarm, Alarm):
            raise InputError(f"FormatRecorder: alarm is a formatlab.Alarm, not {alarm!r}")
        self.path = Path(folder).resolve()
        self.finished = False
        """Whether training has ended."""
        self.seconds = 0.0
        """Time spent in recording so far, on this process."""
        self.alarmed_at: int | None = None
        """Step at which the alarm went off; None before."""
        self._gold = gold
        self._alarm = alarm
        self._formats = tuple(formats)
        self._trainer: Trainer | None = None
        self._scored: RecordedBatch | None = None
        self._step = RolloutSummary()
        self._epoch = 0.0
        self._unwritten: list[Rollout] = []
        self._lines: list[dict[str, Any]] = []
        self._watched: list[dict[str, Any]] = []  # lines of the run so far, if there is an alarm
        self._probe: list[Rollout] = []
        self._unlogged: dict[Mode, RolloutSummary] = {}
        self._seen: dict[Mode, set[str]] = {"train": set(), "eval": set()}

    def attach(self, trainer: "Trainer") -> Self:
        """Record a trainer from now on.

        Args:
            trainer: a GRPOTrainer or RLOOTrainer, or of a class derived from one. A trainer that
                another recorder has recorded to the end may be recorded again.

        Raises:
            InputError: another kind of trainer, or of another release of TRL, a recorder or trainer
                in use, a dataset without the column `gold`, a folder of another run or that cannot
                be written to.
        """
        self._check(trainer)
        if isinstance(self._gold, str):
            check_columns(trainer, self._gold)
        gold = self._gold if isinstance(self._gold, str) or self._gold is None else "function"
        self._run = RecordedRun(self.path, trainer.accelerator)
        self._run.open(
            run_config(self.path, trainer, gold),
            {"trainer": type(trainer).__name__, "output_dir": trainer.args.output_dir},
        )
        self._trainer = trainer
        self._trl_calculate_rewards = trainer._calculate_rewards
        self._trl_generate = trainer._generate_and_score_completions
        self._trl_log = trainer.log
        trainer._calculate_rewards = self._calculate_rewards
        trainer._generate_and_score_completions = self._generate_and_score_completions
        trainer.log = self._log
        trainer.add_callback(self)
        return self

    def detach(self) -> None:
        """Write the last rollouts and restore the trainer's own methods."""
        trainer = self._attached
        self._flush()
        trainer._calculate_rewards = self._trl_calculate_rewards
        trainer._generate_and_score_completions = self._trl_generate
        trainer.log = self._trl_log
        trainer.remove_callback(self)
        self._trainer = None

    # Methods of the trainer, wrapped

    def _calculate_rewards(
        self, inputs: list[Any], prompts: list[Any], completions: list[Any], ids: list[list[int]]
    ) -> "torch.Tensor":
        rewards = self._trl_calculate_rewards(inputs, prompts, completions, ids)
        self._scored = RecordedBatch(
            inputs=inputs, prompts=prompts, completions=completions, ids=ids, rewards=rewards
        )
        return rewards

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self._trl_generate(inputs)
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
        self._unlogged.setdefault(mode, RolloutSummary()).add(rows)
        if mode == "eval":
            self._probe += rows
        else:
            self._unwritten += rows
            self._step.add(rows)
            self._epoch = trainer.state.epoch or 0.0

    def _log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        started = time.perf_counter()
        mode = mode_of(self._attached)
        summary = self._unlogged.pop(mode, None)
        if summary is not None:
            self._seen[mode] |= summary.tags
            prefix = "eval_" if mode == "eval" else ""
            shares = summary.logs(self._seen[mode])
            logs.update({prefix + name: share for name, share in shares.items()})
            if self._alarm is not None and mode == "train":
                logs["format_alarm"] = float(self.alarmed_at is not None)
        self.seconds += time.perf_counter() - started
        self._trl_log(logs, start_time)

    # Callbacks of the trainer

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refuse to be one of `callbacks=[...]`: a callback does not get to know its trainer."""
        raise InputError(f"FormatRecorder cannot work from callbacks=[...]; {_ATTACH}")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop what will be sampled again; refuse to record a second run in the folder."""
        if self._trainer is None:
            raise InputError(f"FormatRecorder cannot work from add_callback; {_ATTACH}")
        self._run.begin(step=state.global_step, epoch=int(state.epoch or 0.0))
        self._unwritten, self._lines, self._step = [], [], RolloutSummary()
        if self._alarm is not None:
            self._watched = self._run.lines()
            self.alarmed_at = alarm_step(self._watched)
        self.finished = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Add the line of the step; write the rollouts before a checkpoint or after many steps."""
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
            self._watch(self._lines[-1])
        if control.should_save or len(self._lines) >= FLUSH_STEPS:
            self._flush()
        self.seconds += time.perf_counter() - started

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the rollouts before a checkpoint."""
        if control.should_save:
            self._flush()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the rollouts that led to a checkpoint, if no other callback knew of it before."""
        self._flush()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the rollouts of an evaluation as a probe."""
        self._run.write_probe(self._probe)
        self._probe = []

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:
        """Drop the rollouts of a prediction, which is not part of the training."""
        self._probe = []
        self._unlogged.pop("eval", None)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the rest and mark the run as done."""
        self._flush()
        self._run.finish(state.global_step)
        self.finished = True

    def _watch(self, line: dict[str, Any]) -> None:
        """Add the event of the alarm to the line of the step at which it goes off."""
        if self._alarm is None:
            return
        self._watched.append(line)
        event = alarm_event(self._watched, self._alarm)
        if event is None:
            return
        line["events"] = [event.record]
        self.alarmed_at = line["step"]
        if self._attached.accelerator.is_main_process:
            warnings.warn(f"{self.path}: {event.message}", stacklevel=2)

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
        if lacking := [name for name in _USED if not hasattr(trainer, name)]:
            raise InputError(
                f"FormatRecorder works with TRL 1.16; TRL {version('trl')}, which is installed, "
                f"has no {type(trainer).__name__}.{lacking[0]}: pip install 'trl>=1.16,<1.17'"
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
