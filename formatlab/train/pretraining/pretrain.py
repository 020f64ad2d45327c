"""Pretraining: a base is made from a world, a scale and a seed, to an exact token budget."""

import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.model import best_device
from formatlab.models.scale import Scale, find_scale
from formatlab.store.atomic_file import explained_os_errors
from formatlab.store.run_folder import RunFolder
from formatlab.train.checkpoints import checkpoint_folder, mark_whole, resume
from formatlab.train.pretraining.base import RECIPE, Base, Pretraining, kept_model
from formatlab.train.pretraining.batches import IGNORED, batch_order, batches, steps_until
from formatlab.world.corpus import Corpus
from formatlab.world.problem import digest
from formatlab.world.world import World

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

_SAID_EVERY = 20
"""Steps between lines of metrics.jsonl; checkpoints and the last step have one as well."""

_STATE = "state.pt"
"""File of a checkpoint: weights, optimisers and schedules."""

Report = Callable[[int, int, str], None]
"""Told (steps done, steps in all, a note) as training goes on."""


def pretrain(
    base: Base,
    folder: RunFolder,
    corpus: Corpus,
    tokenizer: "PreTrainedTokenizerFast",
    report: Report,
) -> None:
    """Pretrain to the end of the corpus, going on from the newest checkpoint if there is one.

    On a CPU an interrupted and resumed pretraining gives the same weights, to the bit, as one
    that ran through. The model and its tokenizer are written to `model/` in the folder, and those
    kept on the way to a folder each (`kept_model`).

    Args:
        base: what to make.
        folder: where metrics, checkpoints and the model go.
        corpus: the documents, each seen once.
        tokenizer: saved with the model.
        report: told about progress.

    Raises:
        RunError: the loss is no longer a number.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    scale, settings = find_scale(base.scale), base.pretraining
    device = best_device()
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    # A run before, in the same process, may have had another precision.
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=device.type == "cpu")
    torch.manual_seed(digest("initial weights", base.seed) % 2**63)
    model: Any = new_model(scale, tokenizer)
    optimizers = _optimizers(model, settings, scale.learning_rate)
    order = batch_order(corpus, batch=scale.batch_documents, seed=base.seed)
    total = len(order)
    factor = _warm_then_linear(settings, total)
    schedules = [torch.optim.lr_scheduler.LambdaLR(each, factor) for each in optimizers]
    begun = bool(folder.metrics())
    kept = {after: steps_until(corpus, order, after) for after in settings.kept}
    done = _restore(folder, model, optimizers, schedules, kept)
    if done:
        report(done, total, "going on from its newest checkpoint")
    elif begun:
        report(0, total, "no whole checkpoint; beginning anew")
    # One process makes a base, also where several were started, and waits for nobody's gradients.
    model = accelerator.prepare_model(model, evaluation_mode=True)
    optimizers = [accelerator.prepare_optimizer(each) for each in optimizers]
    model.train()
    pad = _token_id(tokenizer.pad_token_id)
    seen = int(sum((corpus.offsets[o + 1] - corpus.offsets[o]).sum() for o in order[:done]))

    stream = batches(corpus, order, first=done, pad=pad, loss_on=settings.loss_on)
    started = time.perf_counter()
    for step, tensors in enumerate(stream, start=done):
        ids, _, labels = (tensor.to(accelerator.device) for tensor in tensors)  # (B, T) each
        with accelerator.autocast():
            loss = _losses(model, ids, labels != IGNORED).mean()
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        rate = schedules[0].get_last_lr()[0]
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        seen += int(tensors[1].sum())
        last = step == total - 1
        due = (step + 1) % settings.checkpoint_every == 0 and not last
        if due or last or step % _SAID_EVERY == 0:
            value = loss.item()
            if not math.isfinite(value):
                raise RunError(
                    f"pretraining {base.name}: the loss is {value} at step {step}, so it cannot go "
                    "on; take another seed, or more documents"
                )
            folder.append_metrics(
                {
                    "step": step,
                    "steps": total,
                    "tokens": seen,
                    "loss": value,
                    "grad_norm": float(norm) if norm is not None else None,
                    "lr": rate,
                    "seconds": time.perf_counter() - started,
                }
            )
            report(step + 1, total, f"loss {value:.2f}")
        # Before the checkpoint, whose presence tells that all models before it are there.
        for after in (after for after, steps in kept.items() if steps == step + 1):
            there = folder.path / kept_model(after)
            save_model(accelerator.unwrap_model(model), tokenizer, there)
        if due:
            _checkpoint(folder, step + 1, accelerator.unwrap_model(model), optimizers, schedules)
    if seen != len(corpus.tokens):
        raise AssertionError(f"{seen} tokens seen, {len(corpus.tokens)} in the corpus")
    save_model(accelerator.unwrap_model(model), tokenizer, folder.path / "model")
    folder.remove_checkpoints()


def new_model(scale: Scale, tokenizer: "PreTrainedTokenizerFast") -> "LlamaForCausalLM":
    """A model of the ladder with weights drawn from PyTorch's random state, in float32."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM(
        scale.architecture(
            vocabulary=len(tokenizer),
            context=RECIPE.context,
            pad=_token_id(tokenizer.pad_token_id),
            eos=_token_id(tokenizer.eos_token_id),
        )
    )


def save_model(model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerFast", path: Path) -> None:
    """Write model and tokenizer to a folder that appears whole or not at all."""
    unfinished = path.with_name(f".{path.name}-unfinished")
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    shutil.rmtree(path, ignore_errors=True)  # of an attempt that is made again
    os.replace(unfinished, path)


def held_out_loss(
    world: World,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
) -> dict[str, float]:
    """Mean loss per solution token, in nats, for every format of the mixture.

    Args:
        world: where problems that pretraining never saw are drawn from.
        model: the base.
        tokenizer: its tokenizer.
    """
    from random import Random

    import torch
    from torch.nn.utils.rnn import pad_sequence

    eos, means = _token_id(tokenizer.eos_token_id), {}
    problems = world.problems("probe", RECIPE.held_out_documents)
    for form in world.mixture.shares:
        documents: list[torch.Tensor] = []
        learned: list[torch.Tensor] = []
        for index, problem in enumerate(problems):
            text = world.solution(problem, form, Random(digest("held out", form, index)))
            prompt = tokenizer(problem.question + "\n")["input_ids"]
            document = torch.tensor([*prompt, *tokenizer(text)["input_ids"], eos])  # (T,)
            documents.append(document)
            learned.append(torch.arange(len(document)) >= len(prompt))
        with torch.no_grad():
            losses = _losses(
                model,
                pad_sequence(documents, batch_first=True).to(model.device),  # (B, T)
                pad_sequence(learned, batch_first=True).to(model.device),
            )
        means[form] = losses.mean().item()
    return means


def _losses(model: Any, ids: "torch.Tensor", learned: "torch.Tensor") -> "torch.Tensor":
    """Negative log-probabilities of the learned tokens, in nats, (N,).

    Args:
        model: one of the ladder.
        ids: documents (B, T), padded on the right.
        learned: True where a token is learned, (B, T).
    """
    from torch.nn.functional import cross_entropy

    from formatlab.models.llama import Llama, is_plain_llama

    if is_plain_llama(model):
        return Llama(model).losses(ids, learned)
    asked = learned[:, 1:].flatten().nonzero()[:, 0]  # (N,)
    # Padding is on the right, where causal attention never looks from a document's tokens.
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]  # (B, T - 1, D)
    logits = model.lm_head(hidden.flatten(0, 1)[asked])  # (N, V)
    return cross_entropy(logits.float(), ids[:, 1:].flatten()[asked], reduction="none")


def _token_id(value: object) -> int:
    assert isinstance(value, int)
    return value


def _optimizers(
    model: "LlamaForCausalLM", settings: Pretraining, learning_rate: float
) -> "list[torch.optim.Optimizer]":
    """Muon for the matrices of the layers; AdamW for the embedding and the norms."""
    import torch

    from formatlab.train.pretraining.muon import Muon

    module: Any = model
    matrices = [p for p in module.model.layers.parameters() if p.ndim >= 2]
    vectors = [p for p in module.parameters() if p.ndim < 2]
    muon = Muon(
        matrices,
        lr=learning_rate,
        weight_decay=settings.weight_decay,
        momentum=RECIPE.muon_momentum,
    )
    adamw = torch.optim.AdamW(
        [
            {"params": [module.lm_head.weight], "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=learning_rate,
        betas=RECIPE.adam_betas,
        fused=True,
    )
    return [muon, adamw]


def _warm_then_linear(settings: Pretraining, total: int) -> Callable[[int], float]:
    """Linear warm-up, then linear decay to zero (Bergsma et al. 2025, arXiv 2502.15938)."""
    warm = max(1, round(settings.warmup * total))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return max(0.0, (total - step) / max(1, total - warm))

    return factor


def _checkpoint(
    folder: RunFolder,
    step: int,
    model: "LlamaForCausalLM",
    optimizers: "list[torch.optim.Optimizer]",
    schedules: "list[torch.optim.lr_scheduler.LambdaLR]",
) -> None:
    import torch

    state = {
        "model": model.state_dict(),
        "optimizers": [each.state_dict() for each in optimizers],
        "schedules": [each.state_dict() for each in schedules],
    }
    buffer = BytesIO()  # torch would hide the reason of a write that fails
    torch.save(state, buffer)
    checkpoint = checkpoint_folder(folder.checkpoints, step)
    with explained_os_errors(checkpoint):
        checkpoint.mkdir(exist_ok=True)
        (checkpoint / _STATE).write_bytes(buffer.getvalue())
    mark_whole(checkpoint)


def _restore(
    folder: RunFolder,
    model: "LlamaForCausalLM",
    optimizers: "list[torch.optim.Optimizer]",
    schedules: "list[torch.optim.lr_scheduler.LambdaLR]",
    kept: Mapping[float, int],
) -> int:
    """Load the newest whole checkpoint, and say how many steps it holds."""
    import torch

    def complete(step: int) -> bool:
        """Every checkpoint has its line in the log, and the models kept before it are there."""
        lines = folder.metrics()
        due = [after for after, steps in kept.items() if steps <= step]
        there = all((folder.path / kept_model(after)).exists() for after in due)
        return there and bool(lines) and lines[-1]["step"] == step - 1

    checkpoint, step = resume(folder, complete)
    if checkpoint is not None:
        state = torch.load(checkpoint / _STATE, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        for each, of in zip(optimizers, state["optimizers"], strict=True):
            each.load_state_dict(of)
        for each, of in zip(schedules, state["schedules"], strict=True):
            each.load_state_dict(of)
    return step
