"""Synthetic runs: run folders as training leaves them, with shares and accuracies dictated."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from formatlab.store import Rollout, RunFolder

COMPLETIONS = {
    "program": "def solve():\n    apples = 4 * 3\n    return apples + 2",
    "tool_tags": "<calc>4 * 3 + 2</calc>",
    "prose": "Four bags of three make 12. Two more make 14.\nThe answer is 14.",
    "latex": "$4 \\times 3 = 12$, $12 + 2 = 14$, so \\boxed{14}",
    "json": '{"steps": ["4*3=12", "12+2=14"], "answer": 14}',
    "direct": "14",
    "none": "apples apples 14 apples",
}


@dataclass(frozen=True, kw_only=True)
class SyntheticRun:
    """What a synthetic run looks like: shares slide from `start` to `end` over the epochs."""

    scale: str = "0.15M"
    parameters: int = 150_000
    seed: int = 0
    start: Mapping[str, float]
    """Format -> share at the base."""
    end: Mapping[str, float]
    """Format -> share at the end."""
    accuracy: Mapping[str, float]
    """Format -> probability that a rollout is correct."""
    epochs: int = 2
    steps_per_epoch: int = 16
    rollouts_per_step: int = 512
    probe_prompts: int = 256
    probe_samples: int = 8
    probe_epochs: Sequence[float] = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
    undertrained: bool = False
    completions: Mapping[str, str] | None = None
    study: str = "synthetic"
    algorithm: str = "grpo"
    mixture: Mapping[str, float] | None = None


def rollout(**changes: Any) -> Rollout:
    """Return a plain correct probe rollout of the base with some fields changed."""
    plain = Rollout(
        run_id="run",
        split="probe",
        step=0,
        epoch=0.0,
        prompt_id="p0",
        family="chain",
        sample=0,
        prompt="Four bags of three apples and two more. How many?",
        completion=COMPLETIONS["prose"],
        tokens=20,
        tag="prose",
        well_formed=True,
        mixed=False,
        mixed_formats=(),
        truncated=False,
        gold="14",
        answer="14",
        correct=True,
        reason="",
        flexible_answer="14",
        flexible_correct=True,
        reward=None,
        advantage=None,
        logprob=-3.5,
        entropy=0.25,
    )
    return replace(plain, **changes)


def probe_rollouts(tags_by_prompt: Mapping[str, str], **changes: Any) -> list[Rollout]:
    """Return probe rollouts from prompt id -> one letter a sample.

    A letter is the tag; a capital marks the rollout correct. `{"p0": "AAb"}` is a prompt with two
    correct rollouts of the format `a` and a wrong one of the format `b`.
    """
    return [
        rollout(
            prompt_id=prompt_id,
            sample=sample,
            tag=letter.lower(),
            correct=letter.isupper(),
            **changes,
        )
        for prompt_id, letters in tags_by_prompt.items()
        for sample, letter in enumerate(letters)
    ]


def run_config(spec: SyntheticRun) -> dict[str, Any]:
    """Return the configuration that a synthetic run stores."""
    return {
        "study": spec.study,
        "name": f"{spec.scale}-{spec.algorithm}-s{spec.seed}",
        "scale": {
            "name": spec.scale,
            "parameters": spec.parameters,
            "non_embedding_parameters": int(spec.parameters * 0.9),
        },
        "mixture": dict(spec.start if spec.mixture is None else spec.mixture),
        "algorithm": spec.algorithm,
        "seed": spec.seed,
        "world": {"families": ["chain"], "train_problems": 1024},
        "grpo": {"learning_rate": 1.5e-4, "epochs": spec.epochs, "group_size": 8},
        "probe": {
            "prompts": spec.probe_prompts,
            "samples": spec.probe_samples,
            "temperature": 1.0,
        },
        "base": {"undertrained": spec.undertrained, "floor": 0.1},
    }


_WRITTEN = tempfile.TemporaryDirectory(prefix="synthetic-runs-")
"""The runs written so far, each in a folder of its own, of which further ones are copies."""
_FOLDERS: dict[str, Path] = {}
"""By what they were written from."""


def write_run(
    folder: Path, spec: SyntheticRun, *, train: bool = True, done: bool = True
) -> RunFolder:
    """Put a synthetic run into `folder` and return its `RunFolder`."""
    path = folder / re.sub(r"[^\w.-]", "-", run_config(spec)["name"])
    if path.exists():
        return _write(path, spec, train=train, done=done)
    key = repr((spec, train, done))
    if key not in _FOLDERS:
        written = Path(_WRITTEN.name) / str(len(_FOLDERS)) / path.name
        _FOLDERS[key] = _write(written, spec, train=train, done=done).path
    shutil.copytree(_FOLDERS[key], path)
    return RunFolder.open(path)


def _write(path: Path, spec: SyntheticRun, *, train: bool, done: bool) -> RunFolder:
    run = RunFolder.create(path, config=run_config(spec), env={"torch": "2.13"})
    generator = np.random.default_rng([spec.seed, spec.parameters])
    for epoch in spec.probe_epochs:
        step = round(epoch * spec.steps_per_epoch)
        prompts = np.repeat(np.arange(spec.probe_prompts), spec.probe_samples)
        rows = _rows(spec, generator, epoch=epoch, step=step, prompts=prompts, split="probe")
        run.write_rollouts("probe", epoch, [replace(row, run_id=run.name) for row in rows])
    for index in range(spec.epochs if train else 0):
        rows = []
        for step in range(index * spec.steps_per_epoch, (index + 1) * spec.steps_per_epoch):
            prompts = np.repeat(np.arange(-(-spec.rollouts_per_step // 8)), 8)
            prompts = prompts[: spec.rollouts_per_step]
            rows += _rows(
                spec, generator, epoch=float(index), step=step, prompts=prompts, split="train"
            )
            run.append_metrics({"step": step, "epoch": float(index), "entropy": 0.3})
        run.write_rollouts("train", float(index), [replace(row, run_id=run.name) for row in rows])
    if done:
        run.mark_done({"seconds": 60.0})
    return run


def _rows(
    spec: SyntheticRun,
    generator: np.random.Generator,
    *,
    epoch: float,
    step: int,
    prompts: np.ndarray,
    split: str,
) -> list[Rollout]:
    names = sorted(spec.start.keys() | spec.end.keys())
    progress = step / (spec.epochs * spec.steps_per_epoch)
    weight = progress**0.5
    shares = np.array(
        [(1 - weight) * spec.start.get(n, 0.0) + weight * spec.end.get(n, 0.0) for n in names]
    )
    # Prompts lean towards formats of their own, so that samples cluster by prompt.
    leaning = {
        prompt: generator.dirichlet(8 * shares / shares.sum() + 1e-3)
        for prompt in np.unique(prompts)
    }
    texts = spec.completions or COMPLETIONS
    rows = []
    for sample, prompt in enumerate(prompts):
        tag = names[generator.choice(len(names), p=leaning[prompt])]
        correct = bool(generator.random() < spec.accuracy.get(tag, 0.0))
        rows.append(
            rollout(
                split=split,
                step=step,
                epoch=epoch,
                prompt_id=f"{split}-{prompt}",
                sample=sample % 8,
                completion=texts.get(tag, tag),
                tag=tag,
                well_formed=tag != "none",
                answer="14" if correct else "13",
                correct=correct,
                reason="" if correct else "wrong",
                flexible_answer="14" if correct else "13",
                flexible_correct=correct,
                reward=float(correct) if split == "train" else None,
                advantage=float(correct) - 0.5 if split == "train" else None,
            )
        )
    return rows


def small_run(study: Path, *, seed: int = 0, done: bool = True, **config: object) -> RunFolder:
    """Write a run of few rollouts, which `config` tells more of, into the folder of a study."""
    spec = SyntheticRun(
        seed=seed,
        start={"program": 0.4, "prose": 0.6},
        end={"program": 0.9, "prose": 0.1},
        accuracy={"program": 0.7, "prose": 0.3},
        steps_per_epoch=2,
        rollouts_per_step=16,
        probe_prompts=8,
        probe_epochs=(0.0, 2.0),
        study=study.name,
    )
    run = write_run(study, spec, done=done)
    (run.path / "config.json").write_text(json.dumps(run.config | {"kind": "run"} | config))
    return run
