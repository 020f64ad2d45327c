"""Estimates: the time, memory and disk that a task will take, from a calibration of this machine.

They are told with "about", and for good reason: how long a trained model's completions are, and
how many of them are right, is known only afterwards. Where finished runs of the same settings are
there, their own times are taken instead. What is not known is None, and said to be unknown.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from formatlab.launch.devices import Gpu, available_cores, most_threads, threads_each
from formatlab.launch.estimates.calibration import Calibration, Say
from formatlab.launch.estimates.past_paces import PastPaces
from formatlab.launch.estimates.training_trial import PretrainingTrial, ProbeTrial, StageTrial
from formatlab.launch.estimates.trial import (
    Cost,
    DocumentTrial,
    GradeTrial,
    ScaleTrial,
    StartTrial,
    Trial,
)
from formatlab.launch.worker import why_made_again as unfit
from formatlab.models.scale import find_scale
from formatlab.store.metrics_log import metrics_tail
from formatlab.study.ladder_run import BaseTask, LadderRun
from formatlab.study.model_run import ModelRun
from formatlab.study.task import Task
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import OnPolicy
from formatlab.train.pretraining.base import Base, corpus_name
from formatlab.train.pretraining.make_base import COMPLETION_LENGTH
from formatlab.train.probe import Probe

Source = Literal["done", "calibration", "finished runs", "unknown"]

KEPT = 0.25
"""Share of the rollouts of a round of expert iteration that are right and distinct, as a guess:
bases of the demo are right in a fifth to a third of theirs."""
LARGEST_TRIED = "4.1M"
"""The largest scale that is tried out on a CPU, in seconds; larger ones are told from it."""
ROLLOUT_BYTES = 36
"""Of a rollout on disk: 28 in a training file of the demo, 25 to 44 in a probe."""
TOKEN_BYTES = 2.2
"""Of a token of a corpus on disk: two, and what its documents take."""
METRICS_BYTES = 600
"""Of a step's line of metrics."""
FOLDER_BYTES = 60_000
"""Of what a run folder holds beside: configuration, tokenizer, winners."""
PARAMETER_BYTES = 4
"""Of a parameter on disk; an adapter is counted as the whole model."""
CHECKPOINTS = 6
"""Times that a model's weights lie on disk while it trains: two checkpoints for a moment, each with
weights and the two moments of Adam."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a task will still take. What is not known is None."""

    source: Source
    """Where its time comes from."""
    seconds: float | None
    """Alone on its share of the machine."""
    memory: int | None
    """Most bytes that its process holds."""
    gpu_memory: int | None
    """Most bytes of a GPU, beside CUDA's context; 0 on a CPU."""
    disk: int | None
    """Bytes that its folder will hold more than now."""
    scratch: int
    """Bytes of checkpoints that it holds on disk while it is under way."""
    corpus_seconds: float = 0.0
    """Of its time, what goes to the corpus that it writes; 0 where the corpus is there by then."""
    corpus_disk: int = 0
    """Of its disk, the same."""


DONE = Estimate(source="done", seconds=0.0, memory=0, gpu_memory=0, disk=0, scratch=0)
UNKNOWN = Estimate(
    source="unknown", seconds=None, memory=None, gpu_memory=None, disk=None, scratch=0
)


class Estimator:
    """Estimates tasks that are not done."""

    def __init__(self, runs: Path, calibration: Calibration, gpus: Sequence[Gpu] = ()) -> None:
        """Take what estimates are made from.

        Args:
            runs: the runs folder.
            calibration: which has the trials of the tasks (see `trials`).
            gpus: that the work is done on; none for the CPU.
        """
        self._runs = runs
        self._calibration = calibration
        self._cuda = bool(gpus)
        self._past = PastPaces(runs, gpus[0].model if gpus else None)
        self._corpora: set[str] = set()

    def trials(self, task: Task, threads: int) -> list[Trial]:
        """What has to be tried out for a task's estimate; nothing if it is unknown anyway.

        Args:
            task: which is not done.
            threads: that its worker will have.
        """
        match task:
            case BaseTask():
                return list(self._base_trials(task.base, threads).values())
            case LadderRun() if task.training.engine.vllm == "off":
                return list(self._run_trials(task, threads).values())
        return []

    def estimate(self, task: Task, threads: int) -> Estimate:
        """What a task that is not done will still take; bases are to be asked for in their order.

        The first base of a corpus that is not there writes it.
        """
        try:
            match task:
                case BaseTask():
                    return self._base(task.base, threads)
                case LadderRun() if task.training.engine.vllm == "off":
                    return self._run(task, threads)
                case ModelRun():
                    return self._real(task, threads)
        except _Untried:
            pass
        return UNKNOWN

    def _base(self, base: Base, threads: int) -> Estimate:
        trials = self._base_trials(base, threads)
        cost = {name: self._cost(trial, base.scale) for name, trial in trials.items()}
        documents = base.pretraining.tokens / cost["document"].tokens
        steps = math.ceil(documents / find_scale(base.scale).batch_documents)
        done = self._steps_done(BaseTask(base=base), base.pretraining.checkpoint_every)
        left = steps - done
        config = {"kind": "base", **base.config}
        pace, source = self._pace(config, threads, cost["pretraining"].seconds)
        rollouts = base.probe.prompts * base.probe.samples
        seconds = cost["start"].seconds + left * pace + self._sampling(cost, trials, rollouts)
        weights = self._weights(base)
        disk = rollouts * ROLLOUT_BYTES + FOLDER_BYTES + weights
        corpus = f"corpora/{corpus_name(base.config)}"
        written = corpus in self._corpora or (self._runs / corpus).exists()
        corpus_seconds = 0.0 if written else documents * cost["document"].seconds
        corpus_disk = 0 if written else round(base.pretraining.tokens * TOKEN_BYTES)
        self._corpora.add(corpus)
        return Estimate(
            source=source,
            seconds=seconds + corpus_seconds,
            memory=max(of.memory for of in cost.values()),
            gpu_memory=max(of.gpu_memory for of in cost.values()),
            disk=disk + corpus_disk,
            scratch=CHECKPOINTS * weights,
            corpus_seconds=corpus_seconds,
            corpus_disk=corpus_disk,
        )

    def _run(self, task: LadderRun, threads: int) -> Estimate:
        trials = self._run_trials(task, threads)
        cost = {name: self._cost(trial, task.base.scale) for name, trial in trials.items()}
        settings, probe = task.training.stages[-1].settings, task.training.probe
        done = self._steps_done(task, settings.checkpoint_every)
        share = 1 - done / settings.steps
        moments = probe.steps(per_epoch=settings.steps_per_epoch, epochs=settings.epochs)
        probes = settings.epochs + 1 if isinstance(settings, ExpertIteration) else len(moments)
        observed = probes * probe.prompts * probe.samples
        match settings:
            case OnPolicy():
                learned = settings.steps * settings.rollouts_per_step
                training = settings.steps * cost["step"].seconds
                training += learned * cost["grade"].seconds
            case ExpertIteration():
                learned = settings.steps * settings.rollouts_per_step
                updates = KEPT * learned * settings.sft_epochs / settings.sft_batch
                training = self._sampling(cost, trials, learned) + updates * cost["step"].seconds
            case Sft(source="documents"):
                learned = 0
                training = settings.steps * cost["step"].seconds
            case Sft() | Dpo():
                learned = settings.prompts * settings.samples
                training = self._sampling(cost, trials, learned)
                training += settings.steps * cost["step"].seconds
        held = 0
        if isinstance(settings, ExpertIteration):
            # The divergence from the base takes logits of a batch, and their logarithms, twice.
            tokens = cost["document"].tokens + settings.completion_length
            rows = min(settings.micro_batch, settings.rollouts_per_step)
            held = round(4 * 4 * rows * tokens * task.base.pretraining.vocabulary)
        whole = training + self._sampling(cost, trials, observed)
        config = {
            "kind": "run",
            "scale": {"name": task.base.scale},
            "world": asdict(task.base.world),
            **task.training.config,
        }
        pace, source = self._pace(config, threads, whole / settings.steps)
        weights = self._weights(task.base)
        disk = (
            (learned + observed) * ROLLOUT_BYTES
            + settings.steps * METRICS_BYTES
            + FOLDER_BYTES
            + weights
        )
        return Estimate(
            source=source,
            seconds=cost["start"].seconds + share * settings.steps * pace,
            memory=max(of.memory for of in cost.values()) + held,
            gpu_memory=max(of.gpu_memory for of in cost.values()) + (held if self._cuda else 0),
            disk=round(share * disk),
            scratch=CHECKPOINTS * weights,
        )

    def _real(self, task: ModelRun, threads: int) -> Estimate:
        """Of a real model only its own finished runs tell, and only the time."""
        settings = task.training.stages[-1].settings
        config = {"kind": "run", "scale": {"name": Path(task.model).name}, **task.training.config}
        pace = self._past.seconds_per_step(config, threads)
        if pace is None:
            return UNKNOWN
        done = self._steps_done(task, settings.checkpoint_every)
        return replace(UNKNOWN, source="finished runs", seconds=(settings.steps - done) * pace)

    def _base_trials(self, base: Base, threads: int) -> dict[str, Trial]:
        pretraining = PretrainingTrial(
            world=base.world,
            vocabulary=base.pretraining.vocabulary,
            scale=self._tried(base.scale),
            threads=threads,
            pretraining=base.pretraining,
        )
        limit = COMPLETION_LENGTH
        return self._common_trials(base, base.probe, limit, threads) | {"pretraining": pretraining}

    def _run_trials(self, task: LadderRun, threads: int) -> dict[str, Trial]:
        settings = task.training.stages[-1].settings
        limit = max(COMPLETION_LENGTH, settings.completion_length)
        trials = self._common_trials(task.base, task.training.probe, limit, threads)
        step = StageTrial(
            world=task.base.world,
            vocabulary=task.base.pretraining.vocabulary,
            scale=self._tried(task.base.scale),
            threads=threads,
            settings=(
                settings.fine_tuning(settings.sft_batch)
                if isinstance(settings, ExpertIteration)
                else settings
            ),
            lora=task.training.lora,
        )
        return trials | {"step": step}

    def _common_trials(
        self, base: Base, probe: Probe, limit: int, threads: int
    ) -> dict[str, Trial]:
        """Those of bases and runs; with the base's own limit wherever it is enough."""
        world, vocabulary = base.world, base.pretraining.vocabulary
        sampling = ProbeTrial(
            world=world,
            vocabulary=vocabulary,
            scale=self._tried(base.scale),
            threads=threads,
            probe=probe,
            limit=limit,
        )
        return {
            "start": StartTrial(),
            "document": DocumentTrial(world=world, vocabulary=vocabulary),
            "grade": GradeTrial(world=world),
            "sampling": sampling,
        }

    def _tried(self, scale: str) -> str:
        """The scale that is tried out for a scale."""
        large = find_scale(scale).width > find_scale(LARGEST_TRIED).width
        return LARGEST_TRIED if large and not self._cuda else scale

    def _cost(self, trial: Trial, scale: str) -> Cost:
        """What a trial costs; of a scale that was too large to try, with its parameters."""
        cost = self._calibration.cost(trial)
        if cost is None:
            raise _Untried
        if not isinstance(trial, ScaleTrial) or trial.scale == scale:
            return cost
        start = self._calibration.cost(StartTrial())
        assert start is not None  # it is the first of all trials
        wanted, tried = find_scale(scale), find_scale(trial.scale)
        ratio = wanted.non_embedding_parameters(0) / tried.non_embedding_parameters(0)
        activations = wanted.width * wanted.depth / (tried.width * tried.depth)
        grown = activations * (cost.memory - start.memory)
        return replace(
            cost,
            seconds=ratio * cost.seconds,
            memory=round(start.memory + grown + 16 * wanted.parameters(trial.vocabulary)),
        )

    def _sampling(
        self, cost: Mapping[str, Cost], trials: Mapping[str, Trial], rollouts: int
    ) -> float:
        """Seconds of sampling and grading so many rollouts as probes do."""
        trial = trials["sampling"]
        assert isinstance(trial, ProbeTrial)
        return rollouts * (cost["sampling"].seconds / trial.batch + cost["grade"].seconds)

    def _pace(
        self, config: Mapping[str, object], threads: int, calibrated: float
    ) -> tuple[float, Source]:
        """Seconds a step: those of finished runs, or else those of the calibration."""
        past = self._past.seconds_per_step(config, threads)
        return (calibrated, "calibration") if past is None else (past, "finished runs")

    def _steps_done(self, task: Task, checkpoint_every: int) -> int:
        """Steps behind the newest checkpoint that is due, as the metrics tell."""
        if unfit(task, self._runs):  # it is made again
            return 0
        rows = metrics_tail(self._runs / task.address / "metrics.jsonl", 1)
        step = rows[-1].get("step") if rows else None
        done = step + 1 if isinstance(step, int) else 0
        return done - done % checkpoint_every

    @staticmethod
    def _weights(base: Base) -> int:
        parameters = find_scale(base.scale).parameters(base.pretraining.vocabulary)
        return PARAMETER_BYTES * parameters


def estimate_all(
    tasks: Sequence[Task],
    runs: Path,
    calibration: Calibration,
    *,
    experiment: Path,
    gpus: Sequence[Gpu],
    workers: int,
    say: Say,
) -> dict[str, Estimate]:
    """Estimate tasks, measuring what has not been measured on this machine.

    Args:
        tasks: which are not done, in order.
        runs: the runs folder.
        calibration: what has been measured; its `failures` tell what could not be.
        experiment: the experiment file.
        gpus: that work is done on; none for the CPU.
        workers: tasks side by side at most, of those that are done as well; they share the cores.
        say: told what is being measured.

    Returns:
        An estimate a task, by address.
    """
    estimator = Estimator(runs, calibration, gpus)
    pairs = [(task, worker_threads(task, workers)) for task in tasks]
    trials = [trial for task, each in pairs for trial in estimator.trials(task, each)]
    calibration.measure(trials, experiment, say)
    return {task.address: estimator.estimate(task, each) for task, each in pairs}


def worker_threads(task: Task, workers: int) -> int:
    """Threads that a task's worker has, where so many share the cores."""
    cores = available_cores()
    return min(most_threads() or cores, threads_each(cores, workers, task.most_threads))


class _Untried(Exception):
    """A trial has no cost, as it failed."""
