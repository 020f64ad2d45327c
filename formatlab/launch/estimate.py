"""Estimates: the time, memory and disk that a task will take, told before it begins.

The time is that of finished runs with the same scale, algorithm and settings, where the runs folder
has some. Else it follows from the tokens that the task trains on and samples, at the pace of one
small timing of this machine. Memory and disk follow from sizes alone. How long a trained model's
completions are is known only afterwards, so all of it is said with "about".
"""

import math
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from itertools import islice, pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple, cast

from formatlab.errors import FormatlabError
from formatlab.launch.devices import Devices, worker_threads
from formatlab.launch.worker import why_made_again
from formatlab.models.model import best_device
from formatlab.models.scale import Scale, find_scale
from formatlab.store.config import config_hash
from formatlab.store.metrics_log import metrics_tail
from formatlab.store.run_folder import RunFolder
from formatlab.study.ladder_run import BaseTask, LadderRun
from formatlab.study.model_run import ModelRun
from formatlab.study.task import Task
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import OnPolicy
from formatlab.train.pretraining.base import RECIPE, Base, corpus_name

START = 6.0
"""Seconds that a worker takes to import torch, transformers and TRL: 5.2 were measured."""
SAMPLED, LEARNED, PAIRED = 1.3, 2.2, 2.7
"""Seconds of a token for each second of a token of pretraining. Sampled: 1.7 were measured at
0.04M, 1.0 at 4.1M. Learned from by RL, with entropies and log-probabilities under the base: 2.2 at
0.04M, 2.7 at 0.13M. Of a pair of DPO: two documents, each with a forward pass of the reference."""
WRITTEN = 1.7
"""Seconds of a document of a corpus, which is tokenised too, for each second of drawing it."""
KEPT = 0.25
"""Share of the rollouts of expert iteration that are right and distinct, as a guess: bases of the
demo are right in a fifth to a third of theirs."""
ELEMENTWISE = 100_000
"""Parameters whose arithmetic takes as long as what a token costs at any scale (softmax of the
logits, norms): with it a token cost 96 to 110 ps a parameter on a CPU, from 0.04M to 4.1M."""

LIBRARIES = 470 * 10**6
"""Bytes that a worker holds once torch, transformers and TRL are imported."""
ACTIVATION_BYTES, LOGIT_BYTES, STATE_BYTES = 136, 20, 16
"""Bytes in float32 for each token, layer and unit of width (34 numbers), for each logit (itself,
its logarithm, its entropy, two gradients), and for each parameter (a number, its gradient, two
moments of Adam). The demo's runs took as much."""
GPU_SPARE = 1.3
"""Bytes that torch reserves of a GPU for each byte of tensors."""
PROMPT = 40
"""Tokens of a prompt of the lab's worlds, at most."""

ROLLOUT_DISK, TOKEN_DISK, STEP_DISK, FOLDER_DISK = 36, 2.2, 600, 60_000
"""Bytes on disk: of a rollout (28 in a training file of the demo, 25 to 44 in a probe), of a token
of a corpus, of a step's metrics, and of configuration, tokenizer and winners."""
WEIGHT_DISK, CHECKPOINTS = 4, 6
"""Bytes of a parameter (an adapter is counted as the whole model), and how often weights lie on
disk during training: two checkpoints for a moment, each with weights and two moments of Adam."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a task will still take; None where it is not known."""

    seconds: float | None = None
    """Alone on its share of the machine, without the corpus."""
    memory: int | None = None
    """Most bytes that its process holds."""
    disk: int | None = None
    """Bytes that its folder will hold."""
    checkpoints: int = 0
    """Bytes of checkpoints that it holds on disk while it is under way."""
    corpus_seconds: float = 0.0
    """What it takes to write the corpus; 0 where it is there by then."""
    corpus_disk: int = 0
    """Bytes of the corpus, the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """What small work takes on this machine, in seconds, and how long a world's texts are."""

    layer: float
    """Of a layer in a training step, whatever the batch: Python bounds tiny models."""
    parameter: float
    """Of a parameter for each token of a training step."""
    document: float
    """Of writing a document."""
    problem: float
    """Of drawing a problem of training or probe."""
    grade: float
    """Of tagging and grading a rollout."""
    prompt: float
    """Tokens of a prompt, in the mean."""
    solution: float
    """Tokens of a solution, in the mean."""
    longest: float
    """Tokens of the longest solution."""

    @property
    def tokens(self) -> float:
        """Tokens of a document, in the mean."""
        return self.prompt + self.solution

    def seconds(self, base: Base, *, steps: float, tokens: float) -> float:
        """Seconds of training steps of a base: so many, with so many tokens in all."""
        scale = find_scale(base.scale)
        parameters = scale.parameters(base.pretraining.vocabulary) + ELEMENTWISE
        return steps * scale.depth * self.layer + tokens * parameters * self.parameter


class PastPaces:
    """Paces of the finished runs and bases of a runs folder that a machine like this one made."""

    def __init__(self, runs: Path, gpu: str | None = None) -> None:
        """Read them.

        Args:
            runs: the runs folder, which need not exist.
            gpu: model of the GPU that tasks are done on; None for the CPU.
        """
        device = gpu or platform.processor() or "cpu"
        here = (device, platform.platform(), metadata.version("torch"))
        found: defaultdict[str, list[float]] = defaultdict(list)
        for done in runs.glob("[!.]*/[!.]*/DONE"):
            # A folder that is damaged or has no line tells nothing.
            with suppress(FormatlabError, OSError, LookupError, TypeError, ArithmeticError):
                folder = RunFolder.open(done.parent)
                env, config = folder.env, folder.config
                if here == (env["device"], env["platform"], env["packages"]["torch"]):
                    pace = _pace(metrics_tail(folder.path / "metrics.jsonl", 512), config["kind"])
                    found[_cost_key(config, env["threads"])].append(pace)
        self._paces = {key: median(paces) for key, paces in found.items()}

    def seconds(self, config: Mapping[str, Any], threads: int) -> float | None:
        """Seconds of a step of a run, its probes included, or of a token of a base's corpus.

        Args:
            config: of a run folder, or as much of one as says kind, scale and settings.
            threads: that the task is trained with.
        """
        return self._paces.get(_cost_key(config, threads))


def _pace(rows: Sequence[Mapping[str, Any]], kind: str) -> float:
    if kind == "run":
        return sum(row["seconds"] for row in rows) / len(rows)
    pairs = [  # a base that was resumed counts its seconds from there
        (after["seconds"] - before["seconds"], after["tokens"] - before["tokens"])
        for before, after in pairwise(rows)
        if after["seconds"] > before["seconds"]
    ]
    return sum(seconds for seconds, _ in pairs) / sum(tokens for _, tokens in pairs)


def _cost_key(config: Mapping[str, Any], threads: int) -> str:
    """Equal for runs whose steps take as long, and for bases whose tokens do.

    Counts and choices among the settings decide that; rates and coefficients, which are floats, do
    not, nor does how long the run is.
    """
    settings = config["pretraining"] if config["kind"] == "base" else config["settings"]
    apart = ("tokens", "epochs", "rounds", "learning_rate")
    costly = {k: v for k, v in settings.items() if k not in apart and not isinstance(v, float)}
    probe = [config["probe"][name] for name in ("prompts", "samples")]
    chosen = [config.get(name) for name in ("kind", "algorithm", "lora", "engine")]
    return config_hash({"of": [config["scale"]["name"], threads, *probe, *chosen], **costly})


class Estimator:
    """Estimates tasks that are not done, each after what it needs."""

    def __init__(
        self,
        runs: Path,
        *,
        gpu: str | None = None,
        timed: Callable[[Base, int], Timing] | None = None,
    ) -> None:
        """Take what estimates are made from.

        Args:
            runs: the runs folder.
            gpu: model of the GPU that tasks are done on; None for the CPU.
            timed: times this machine, see `time_machine`; None: only finished runs tell times.
        """
        self._runs, self._timed, self._past = runs, timed, PastPaces(runs, gpu)
        self._timings: dict[int, Timing] = {}
        self._corpora: set[str] = set()

    def estimate(self, task: Task, threads: int) -> Estimate:
        """What a task will still take; the first base of a corpus that is not there writes it.

        Of real models only finished runs tell, and only the time; of vLLM nothing does.

        Args:
            task: which is not done.
            threads: that its worker will have.
        """
        if isinstance(task, ModelRun):
            return Estimate(seconds=self._seconds(task, threads, None))
        if not isinstance(task, BaseTask | LadderRun) or gpu_bytes(task) is None:
            return Estimate()
        base = task.base
        if self._timed is not None and threads not in self._timings:
            self._timings[threads] = self._timed(base, threads)  # its world stands for all
        timing = self._timings.get(threads)
        tokens, weights = base.pretraining.tokens, WEIGHT_DISK * _parameters(base)
        corpus = f"corpora/{corpus_name(base.config)}"
        there = corpus in self._corpora or (self._runs / corpus).exists()
        writes = isinstance(task, BaseTask) and not there
        self._corpora.add(corpus)
        rollouts = (_work(task).rollouts + _probed(task)) * ROLLOUT_DISK
        return Estimate(
            seconds=self._seconds(task, threads, timing),
            memory=LIBRARIES + _tensor_bytes(task),
            disk=rollouts + (task.steps or 0) * STEP_DISK + FOLDER_DISK + weights,
            checkpoints=CHECKPOINTS * weights,
            corpus_seconds=tokens / timing.tokens * timing.document if timing and writes else 0.0,
            corpus_disk=round(tokens * TOKEN_DISK) if writes else 0,
        )

    def _seconds(
        self, task: BaseTask | LadderRun | ModelRun, threads: int, timing: Timing | None
    ) -> float | None:
        """At a past pace a token of a base or a step of a run, else at the pace of a timing."""
        config: dict[str, Any] = {"kind": "run"}
        match task:
            case BaseTask():
                config, units = task.base.config, task.base.pretraining.tokens
            case LadderRun() | ModelRun():
                config |= {"scale": {"name": task.facts.scale}, **task.training.config}
                units = task.training.stages[-1].settings.steps
        pace = self._past.seconds(config, threads)
        if pace is None and timing is not None and not isinstance(task, ModelRun):
            pace = _work_seconds(task, timing) / units
        return None if pace is None else START + (units - self._units_done(task)) * pace

    def _units_done(self, task: BaseTask | LadderRun | ModelRun) -> int:
        """Tokens or steps before the newest checkpoint, as the metrics tell."""
        if why_made_again(task, self._runs):  # it is made again
            return 0
        rows = metrics_tail(self._runs / task.address / "metrics.jsonl", 512)
        if isinstance(task, BaseTask):
            every = task.base.pretraining.checkpoint_every
            return next((r["tokens"] for r in rows[::-1] if (r["step"] + 1) % every == 0), 0)
        done = rows[-1]["step"] + 1 if rows else 0
        return done - done % task.training.stages[-1].settings.checkpoint_every


def planned_times(tasks: Sequence[Task], runs: Path, devices: Devices) -> dict[str, float]:
    """Seconds that tasks will still take, by address, where finished runs tell; nothing is timed.

    Args:
        tasks: each after what it needs.
        runs: the runs folder.
        devices: that the tasks share.
    """
    estimator = Estimator(runs, gpu=devices.gpus[0].model if devices.gpus else None)
    workers = min(devices.most, len(tasks))
    times: dict[str, float] = {}
    for task in tasks:
        with suppress(FormatlabError, OSError):  # told when its turn comes
            if not (runs / task.address / "DONE").exists():
                threads = worker_threads(workers, task.most_threads)
                seconds = estimator.estimate(task, threads).seconds
                if seconds is not None:
                    times[task.address] = seconds
    return times


def gpu_bytes(task: Task) -> int | None:
    """Bytes that a task needs of a GPU beside CUDA's context; None where that is not known."""
    match task:
        case BaseTask():
            return round(GPU_SPARE * _tensor_bytes(task))
        case LadderRun() if task.training.engine.vllm == "off":
            return round(GPU_SPARE * _tensor_bytes(task))
    return None


def _parameters(base: Base) -> int:
    return find_scale(base.scale).parameters(base.pretraining.vocabulary)


def _tensor_bytes(task: BaseTask | LadderRun) -> int:
    """Bytes of a model in training, with one forward pass of its largest batch."""
    scale = find_scale(task.base.scale)
    is_base = isinstance(task, BaseTask)
    if is_base:
        length = RECIPE.completion_length
    else:
        length = task.training.stages[-1].settings.completion_length
    activations = (PROMPT + length) * scale.depth * scale.width * ACTIVATION_BYTES
    logits = length * task.base.pretraining.vocabulary * LOGIT_BYTES
    return STATE_BYTES * _parameters(task.base) + _work(task).batch * (activations + logits)


class _Work(NamedTuple):
    """What the training of a task consists of."""

    rollouts: int
    """Sampled in it."""
    sequences: float
    """Learned from, each counted as many times as it takes as long as a document of pretraining."""
    batch: int
    """Sequences in a forward pass."""
    padded: bool = False
    """Whether sequences are as long as the longest."""


def _work(task: BaseTask | LadderRun) -> _Work:
    if isinstance(task, BaseTask):
        return _Work(0, 0.0, find_scale(task.base.scale).batch_documents)
    settings = cast(OnPolicy | ExpertIteration | Sft | Dpo, task.training.stages[-1].settings)
    match settings:
        case OnPolicy():
            rollouts = settings.steps * settings.rollouts_per_step
            policies = 2 if settings.config.get("critic") == "model" else 1
            learned = LEARNED * policies * settings.iterations * rollouts
            return _Work(rollouts, learned, settings.micro_batch_sequences(), padded=True)
        case ExpertIteration():  # the divergence from the base takes as many rows as it may
            rollouts = settings.steps * settings.rollouts_per_step
            batch = min(settings.micro_batch, settings.rollouts_per_step)
            return _Work(rollouts, KEPT * rollouts * settings.sft_epochs, batch)
        case Sft() | Dpo():
            own = not isinstance(settings, Sft) or settings.source != "documents"
            rollouts = settings.prompts * settings.samples if own else 0
            times = PAIRED if isinstance(settings, Dpo) else 1.0
            learned = times * settings.examples * settings.epochs
            return _Work(rollouts, learned, math.ceil(times) * settings.micro_batch_examples)


def _probed(task: BaseTask | LadderRun) -> int:
    """Rollouts of all probes."""
    if isinstance(task, BaseTask):
        return task.base.probe.prompts * task.base.probe.samples
    settings: Any = task.training.stages[-1].settings
    probe = task.training.probe
    moments = probe.steps(per_epoch=settings.steps_per_epoch, epochs=settings.epochs)
    probes = settings.epochs + 1 if isinstance(settings, ExpertIteration) else len(moments)
    return probes * probe.prompts * probe.samples


def _work_seconds(task: BaseTask | LadderRun, timing: Timing) -> float:
    """Seconds of a whole task at the pace of a timing, without its start and its corpus."""
    work = _work(task)
    if isinstance(task, BaseTask):
        probe, problems, limit = task.base.probe, task.base.probe.prompts, RECIPE.completion_length
        tokens: float = task.base.pretraining.tokens
        sequences = tokens / timing.tokens
    else:
        settings, probe = task.training.stages[-1].settings, task.training.probe
        problems, limit = settings.prompts + probe.prompts, settings.completion_length
        longest = timing.prompt + min(limit, timing.longest)
        sequences = work.sequences
        tokens = sequences * (longest if work.padded else timing.tokens)
    seconds = timing.seconds(task.base, steps=sequences / work.batch, tokens=tokens)
    rollouts = work.rollouts + _probed(task)
    sampling = timing.seconds(
        task.base,
        steps=math.ceil(rollouts / probe.batch) * min(limit, timing.longest),
        tokens=rollouts * timing.solution,
    )
    return seconds + SAMPLED * sampling + rollouts * timing.grade + problems * timing.problem


_DOCUMENT, _FEW, _MANY = 56, 2, 32
"""Tokens of a timed document, and documents in a timed training step."""
_ITEMS = 48
"""Documents and problems that are timed."""
_PROMPT_CHARACTERS, _SOLUTION_CHARACTERS = 3.2, 1.85
"""Of a token, in the demo's world with its vocabulary of 512 tokens."""


def time_machine(base: Base, threads: int) -> Timing:
    """Time small work on this machine, in about a second.

    Args:
        base: whose world and vocabulary are taken.
        threads: that torch uses.
    """
    import torch

    from formatlab.observe.grader import grade
    from formatlab.world.prompt import plain_prompt

    torch.set_num_threads(threads)
    scale, vocabulary = find_scale("0.46M"), base.pretraining.vocabulary
    short, long = (_step_seconds(scale, vocabulary, rows) for rows in (_FEW, _MANY))
    document = max(0.0, long - short) / (_MANY - _FEW)
    moments = [time.process_time()]
    documents = list(islice(base.world.documents(), _ITEMS))
    moments.append(time.process_time())
    base.world.problems("probe", _ITEMS)
    moments.append(time.process_time())
    for one in documents:
        grade(one.solution, one.problem.answer)
    moments.append(time.process_time())
    writing, drawing, grading = ((after - before) / _ITEMS for before, after in pairwise(moments))
    solutions = [len(one.solution) / _SOLUTION_CHARACTERS for one in documents]
    return Timing(
        layer=max(0.0, short - _FEW * document) / scale.depth,
        parameter=document / _DOCUMENT / (scale.parameters(vocabulary) + ELEMENTWISE),
        document=WRITTEN * writing,
        problem=drawing,
        grade=grading,
        prompt=mean(len(plain_prompt(one.problem).text) for one in documents) / _PROMPT_CHARACTERS,
        solution=mean(solutions),
        longest=max(solutions),
    )


def _step_seconds(scale: Scale, vocabulary: int, rows: int) -> float:
    """Seconds of the fastest of three training steps of a model as large as one of the ladder.

    Its layers are torch's own: importing transformers takes longer than a dry run should, and they
    cost what those of a Llama do, within 10% from 0.04M to 4.1M parameters on a CPU. The update is
    left out: torch's optimizers import its compiler, and cost little beside the passes.
    """
    import torch
    from torch import nn

    device = best_device()
    layer = nn.TransformerEncoderLayer(
        scale.width,
        scale.heads,
        scale.mlp_width * 3 // 2,  # two matrices in place of three
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
    layers = nn.TransformerEncoder(layer, scale.depth, enable_nested_tensor=False).to(device)
    embedding = nn.Embedding(vocabulary, scale.width).to(device)
    parameters = [*embedding.parameters(), *layers.parameters()]
    ids = torch.randint(0, vocabulary, (rows, _DOCUMENT), device=device)
    mask = nn.Transformer.generate_square_subsequent_mask(_DOCUMENT, device=device)
    # One thread is timed by its own seconds, which other programs do not lengthen.
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    seconds: list[float] = []
    for _ in range(4):  # the first one sets up what the others use
        began = clock()
        hidden = layers(embedding(ids), mask=mask, is_causal=True).flatten(0, 1)
        nn.functional.cross_entropy(hidden @ embedding.weight.T, ids.flatten()).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0).item()
        seconds.append(clock() - began)
    return min(seconds)
