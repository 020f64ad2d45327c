"""Estimates: the time, memory and disk that a task will take, before it begins.

The time is that of finished runs with the same scale, algorithm and settings, where the runs folder
has some. Else it follows from the tokens that the task trains on and samples, at the pace of one
small timing of this machine. Memory and disk follow from sizes alone. How long a trained model's
completions are is known only afterwards, so all of it is said with "about".
"""

import platform
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal, NamedTuple

from formatlab.errors import FormatlabError
from formatlab.launch.devices import worker_threads
from formatlab.launch.plan import PlannedTask
from formatlab.launch.status import read_task
from formatlab.launch.worker import why_made_again
from formatlab.models.model import best_device
from formatlab.models.scale import find_scale
from formatlab.store.config import config_hash
from formatlab.store.metrics_log import metrics_tail
from formatlab.store.run_folder import RunFolder
from formatlab.store.track import Track, untracked
from formatlab.study.ladder_run import BaseTask, LadderRun
from formatlab.study.stage_run import StageRun
from formatlab.study.task import Task
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import OnPolicy
from formatlab.train.pretraining.base import RECIPE, corpus_name

PROMPT, SOLUTION, LONGEST = 30, 28, 60
"""Tokens of a prompt, of a solution and of the longest solution, in the world of the demo."""
DOCUMENT = PROMPT + SOLUTION
"""Tokens of a document."""
START = 6.0
"""Seconds that a worker takes to import torch, transformers and TRL: 5.2 were measured."""
SAMPLED, LEARNED, PAIRED, PASSED = 1.2, 0.7, 2.2, 0.3
"""Seconds of a token for each second of a token of pretraining. Sampled: 1.4 were measured at
0.04M, 1.1 at 0.13M. Learned from by RL, with log-probabilities under the base: 0.8 at 0.04M, 0.6 at
0.13M, since groups that are rewarded alike are left out. Of pairs of DPO, which pass through TRL's
modules and the reference: 2.2. Passed through policy and base for their divergence alone: 0.3."""
SIDE_BY_SIDE = 1024
"""Rollouts that are sampled at a time."""
GRADE, WRITE = 0.00006, 0.00016
"""Seconds of tagging and grading a rollout, and of writing a document of a corpus, tokenised."""
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
moments of Adam)."""
BLOCK = 2048
"""Tokens whose logits the lab's forward pass holds at a time."""
GPU_SPARE = 1.3
"""Bytes that torch reserves of a GPU for each byte of tensors."""

ROLLOUT_DISK, TOKEN_DISK, WEIGHT_DISK, CHECKPOINT_DISK = 36, 2.2, 4, 24
"""Bytes on disk: of a rollout (28 in a training file of the demo, 25 to 44 in a probe), of a token
of a corpus, of a parameter (an adapter is counted as the whole model), and of a parameter in
checkpoints: two for a moment, each with two moments of Adam (Muon, of bases, has one)."""

State = Literal["done", "to resume", "to make again", "to make"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A task of a command and what it will still take; None where that is not known."""

    task: Task
    state: State
    """The state in which a launcher finds a task."""
    seconds: float | None = None
    """Time of the task alone on its share of the machine, with a corpus that it writes."""
    memory: int | None = None
    """Most bytes that its process holds."""
    disk: int | None = None
    """Bytes that its folder will hold, and a corpus that it writes."""
    checkpoints: int = 0
    """Bytes of checkpoints that it holds on disk while it is under way."""


class Timing(NamedTuple):
    """The time of a training step on this machine, in seconds."""

    layer: float
    """Time of a layer, for any batch size: Python's own time bounds tiny models."""
    parameter: float
    """Time of a parameter for each token."""


class _Work(NamedTuple):
    """The amount of work in a task."""

    learned: float
    """Tokens learned from, each counted as many times as it takes as long as in pretraining."""
    sampled: int
    """Rollouts of training and probes."""
    batch: int
    """Sequences in a forward pass."""
    completion: int
    """Most tokens of a completion."""
    group: int | None = None
    """Completions that share a prompt in the lab's forward pass, which has no padding; None where
    another pass computes all sequences at their full length."""
    models: int = 1
    """Models that are written."""

    @property
    def held(self) -> tuple[int, int]:
        """Tokens whose activations, and tokens whose logits a training step holds at a time."""
        if self.group is None:
            return self.batch * (PROMPT + self.completion), self.batch * self.completion
        tokens = self.batch * SOLUTION + self.batch // self.group * PROMPT
        return tokens, min(BLOCK, self.batch * SOLUTION)


def _work(task: Task) -> _Work | None:
    """The amount of work in a task; None for real models, vLLM and algorithms of other kinds."""
    if isinstance(task, BaseTask):
        base, probe = task.base, task.base.probe
        batch = find_scale(base.scale).batch_documents
        sampled = probe.prompts * probe.samples
        if base.after < 1:  # its model is copied
            return _Work(0.0, sampled, batch, RECIPE.completion_length)
        settings, models = base.pretraining, len(base.pretraining.fractions)
        return _Work(settings.tokens, sampled, batch, RECIPE.completion_length, models=models)
    if not isinstance(task, LadderRun) or task.training.engine.vllm != "off":
        return None
    settings, probe = task.training.stages[-1].settings, task.training.probe
    group = None
    match settings:
        case OnPolicy():
            rollouts = settings.steps * settings.rollouts_per_step
            passes = settings.iterations * (1 + (settings.config.get("critic") == "model"))
            padded = PROMPT + min(settings.completion_length, LONGEST)
            learned = LEARNED * passes * rollouts * padded
            batch = settings.micro_batch_sequences()
            if settings.precision == "float32" and task.training.lora is None:
                group = settings.group_size
        case ExpertIteration():  # the divergence from the base is that of all rollouts
            rollouts = settings.steps * settings.rollouts_per_step
            learned = (KEPT * settings.sft_epochs + PASSED) * rollouts * DOCUMENT
            batch = min(settings.micro_batch, settings.rollouts_per_step)
        case Sft() | Dpo():
            from_documents = isinstance(settings, Sft) and settings.source == "documents"
            rollouts = 0 if from_documents else settings.prompts * settings.samples
            cost, texts = (PAIRED, 3) if isinstance(settings, Dpo) else (1.0, 1)
            learned = cost * settings.examples * settings.epochs * DOCUMENT
            batch = texts * settings.micro_batch_examples
        case _:
            return None
    probes = len(probe.steps(per_epoch=settings.steps_per_epoch, epochs=settings.epochs))
    sampled = rollouts + probes * probe.prompts * probe.samples
    return _Work(learned, sampled, batch, settings.completion_length, group)


def _by_rule(estimate: Estimate, timing: Timing, written: int) -> Estimate:
    """The estimate with what follows from the work, where that is known, and from a timing.

    Args:
        estimate: of a task.
        timing: of this machine, which gives the time without start and corpus.
        written: tokens of the corpus that the task writes.
    """
    task, work = estimate.task, _work(estimate.task)
    if work is None or not isinstance(task, BaseTask | LadderRun):
        return estimate
    scale, vocabulary = find_scale(task.base.scale), task.base.pretraining.vocabulary
    parameters = scale.parameters(vocabulary)
    computed, scored = work.held
    tensors = (
        STATE_BYTES * parameters
        + computed * scale.depth * scale.width * ACTIVATION_BYTES
        + scored * vocabulary * LOGIT_BYTES
    )
    tokens = work.learned + SAMPLED * work.sampled * SOLUTION
    passes = work.learned / DOCUMENT / work.batch
    passes += SAMPLED * work.sampled / SIDE_BY_SIDE * min(work.completion, LONGEST)
    return replace(
        estimate,
        seconds=passes * scale.depth * timing.layer
        + tokens * (parameters + ELEMENTWISE) * timing.parameter
        + work.sampled * GRADE,
        memory=LIBRARIES + tensors,
        disk=ROLLOUT_DISK * work.sampled
        + WEIGHT_DISK * parameters * work.models
        + round(TOKEN_DISK * written),
        checkpoints=CHECKPOINT_DISK * parameters,
    )


def gpu_bytes(task: Task) -> int | None:
    """Bytes that a task needs of a GPU beside CUDA's context; None where that is not known."""
    memory = _by_rule(Estimate(task=task, state="to make"), Timing(0.0, 0.0), 0).memory
    return None if memory is None else round(GPU_SPARE * (memory - LIBRARIES))


def estimates(
    tasks: Sequence[Task],
    runs: Path,
    *,
    workers: int,
    gpu: str | None,
    timed: Callable[[int], Timing],
    track: Track = untracked,
) -> list[Estimate]:
    """What tasks will still take, in their order; the first base of a corpus writes it.

    Of real models and of vLLM only finished runs tell, and only the time.

    Args:
        tasks: each after what it needs.
        runs: the runs folder, which need not exist.
        workers: that share this machine.
        gpu: model of the GPU that tasks are done on; None for the CPU.
        timed: `time_machine`, or what stands in for it.
        track: shows how many are estimated.

    Raises:
        FormatlabError: a task's folder is of another version of formatlab.
    """
    paces = _past_paces(runs, gpu)
    corpora = {folder.name for folder in runs.glob("corpora/*")}
    found: list[Estimate] = []
    for task in track(tasks, "estimating tasks"):
        estimate = Estimate(task=task, state=state_of(task, runs))
        if estimate.state != "done" and isinstance(task, BaseTask | StageRun):
            written = 0  # tokens of a corpus
            if isinstance(task, BaseTask):
                corpus = corpus_name(task.base.config)
                written = 0 if corpus in corpora else task.base.pretraining.tokens
                corpora.add(corpus)
            threads = worker_threads(workers, task.most_threads)
            estimate = _by_rule(estimate, timed(threads), written)
            whole = estimate.seconds
            if isinstance(task, StageRun):
                config = {"scale": {"name": task.facts.scale}, **task.training.config}
                pace = paces.get(_cost_key(config, threads))
                whole = whole if pace is None else pace * task.steps
            if whole is not None:
                if estimate.state == "to resume":
                    status = read_task(runs, PlannedTask.of(task))
                    whole *= 1 - status.step / (status.steps or 1)
                seconds = START + whole + written / DOCUMENT * WRITE
                estimate = replace(estimate, seconds=seconds)
        found.append(estimate)
    return found


def state_of(task: Task, runs: Path) -> State:
    """The state in which a launcher would find a task.

    An intact run counts as done even if its base must be remade, because the base comes out the
    same.

    Raises:
        FormatlabError: the task's folder is of another version of formatlab.
    """
    folder = runs / task.address
    if why_made_again(task, runs) is not None:
        return "to make again"
    if (folder / "DONE").exists():
        return "done"
    return "to resume" if (folder / "metrics.jsonl").exists() else "to make"


def _past_paces(runs: Path, gpu: str | None) -> dict[str, float]:
    """Median seconds of a step of finished runs, probes included.

    Args:
        runs: the runs folder; what another kind of machine made there is left out.
        gpu: model of the GPU that tasks are done on; None for the CPU.

    Returns:
        By what decides the pace, see `_cost_key`.
    """
    here = (gpu or platform.processor() or "cpu", platform.platform())
    found: defaultdict[str, list[float]] = defaultdict(list)
    for done in runs.glob("[!.]*/[!.]*/DONE"):
        # A folder that is damaged, has no line or is no run tells nothing.
        with suppress(FormatlabError, OSError, LookupError, TypeError, ValueError):
            folder = RunFolder.open(done.parent)
            if here == (folder.env["device"], folder.env["platform"]):
                key = _cost_key(folder.config, folder.env["threads"])
                rows = metrics_tail(folder.path / "metrics.jsonl", 512)
                pace = mean(row["seconds"] for row in rows)
                found[key].append(pace)
    return {key: median(paces) for key, paces in found.items()}


def _cost_key(config: Mapping[str, Any], threads: int) -> str:
    """Equal for runs whose steps take as long.

    Counts and choices among the settings decide that; rates and coefficients, which are floats, do
    not, nor does how long the run is.
    """
    costly = {
        name: value
        for name, value in config["settings"].items()
        if isinstance(value, int | str) and name not in ("epochs", "rounds")
    }
    chosen = [config.get(name) for name in ("algorithm", "lora", "engine", "probe")]
    return config_hash({"of": [config["scale"]["name"], threads, *chosen], **costly})


@cache
def time_machine(threads: int) -> Timing:
    """Time training steps of a model as large as one of the ladder, in about a second.

    Its layers are torch's own: importing transformers takes longer than a dry run should, and they
    cost what those of a Llama do, within 10% from 0.04M to 4.1M parameters on a CPU. The update is
    left out: torch's optimizers import its compiler, and cost little beside the passes.

    Args:
        threads: that torch uses.
    """
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    device, scale, vocabulary, length = best_device(), find_scale("0.46M"), 512, 56
    width = scale.width
    # Two matrices in place of a Llama's three, as many parameters.
    layer = nn.TransformerEncoderLayer(width, scale.heads, 4 * width, dropout=0, batch_first=True)
    layers = nn.TransformerEncoder(layer, scale.depth, enable_nested_tensor=False)
    embedding, logits = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
    model = nn.Sequential(embedding, layers, logits).to(device)
    # One thread is timed by its own seconds, which other programs do not lengthen.
    alone = device.type == "cpu" and threads == 1
    clock = time.process_time if alone else time.perf_counter

    def step(rows: int) -> float:
        ids = torch.randint(vocabulary, (rows, length), device=device)
        began = clock()
        nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()  # waits for the GPU
        return clock() - began

    few, many = 2, 32
    short, long = (min(step(rows) for _ in range(4)) for rows in (few, many))
    row = max(0.0, long - short) / (many - few)
    return Timing(
        layer=max(0.0, short - few * row) / scale.depth,
        parameter=row / length / (scale.parameters(vocabulary) + ELEMENTWISE),
    )
