"""A synthetic study of any number of rollouts, with the counts of what is in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formatlab.store import ROLLOUT_SCHEMA, SCHEMA_VERSION, RunFolder
from formatlab.store.rollout import Split
from formatlab.store.rollout_file import rollout_file_name, write_rollout_file

TAGS = ("json", "latex", "none", "program", "prose", "tool_tags")
SAMPLES = 8
"""Rollouts of a prompt, in a probe and in a step."""

_EPOCHS = 3
_PROBES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 3.0)
_STEP_ROWS = 512
_PART_ROWS = 4_096  # of a file, where a recorder writes an epoch in parts
_CHUNK_ROWS = 16 * _PART_ROWS  # made at a time
_MOST_PROMPTS = 4_096
_SENTENCES = 2_048
_UNGRADED = 50  # of one prompt in as many, the right answer is not known
_ACCURACY = np.array([0.3, 0.5, 0.0, 0.7, 0.6, 0.65])
_WORDS = (
    "apples bags boxes sold each hour twice remaining total cost after before every half price "
    "then we have so that is left over cents dollars miles minutes shared equally among friends"
).split()


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a run folder was given."""

    name: str
    train: dict[tuple[float, int], np.ndarray]
    """Epoch and step -> rollouts, graded, correct and well-formed ones by tag; int64 (4, F)."""
    probe: dict[tuple[float, int], np.ndarray]
    """The same of the probes."""
    prompts: int
    """Of a probe."""

    @property
    def rows(self) -> int:
        """Rollouts of the run."""
        return sum(int(of[0].sum()) for of in (*self.train.values(), *self.probe.values()))


def write_study(folder: Path, *, rows: int, runs: int, seed: int = 0) -> list[Written]:
    """Write run folders as training leaves them, without their winners.

    The first run has half of all rollouts if there are others, its epochs in parts of 4,096 rows as
    `FormatRecorder` writes them; those of the others are one file each. Shares slide from those of
    the base to one format; prompts lean towards formats of their own. About a tenth of the rollouts
    are of the probes.

    Args:
        folder: the study's; run folders are made in it.
        rows: rollouts of all runs together.
        runs: number of them.
        seed: decides everything.

    Returns:
        What each run has.
    """
    first = rows if runs == 1 else rows // 2
    others = np.diff(np.linspace(first, rows, max(runs, 1)).astype(int)).tolist()
    return [
        _Run(folder, place=place, rows=of_run, seed=seed).write()
        for place, of_run in enumerate([first, *others])
    ]


class _Run:
    """Makes one run."""

    def __init__(self, folder: Path, *, place: int, rows: int, seed: int) -> None:
        self._random = np.random.default_rng([seed, place])
        self._in_parts = place == 0
        self._prompts = min(max(rows // (10 * len(_PROBES) * SAMPLES), 4), _MOST_PROMPTS)
        self._train_rows = rows - len(_PROBES) * self._prompts * SAMPLES
        self._steps = -(-self._train_rows // _STEP_ROWS)
        self._per_epoch = -(-self._steps // _EPOCHS)
        scale, parameters = (("0.04M", 40_000), ("0.13M", 130_000), ("0.27M", 270_000))[place % 3]
        self._run = RunFolder.create(
            folder / f"{scale}-four_formats-grpo-s{place // 3}-{place:08x}",
            config=_config(scale, parameters, seed=place // 3, prompts=self._prompts),
            env={"made_by": "benchmarks.analysis"},
        )
        self._start = self._random.dirichlet(np.full(len(TAGS), 3.0))
        self._end = np.full(len(TAGS), 0.01)
        self._end[self._random.choice([0, 1, 3, 4, 5])] = 0.95
        self._leaning = self._random.gamma(4.0, 0.25, (_MOST_PROMPTS, len(TAGS)))
        self._texts = _sentences(self._random)
        self._problems = _problems(self._random, self._texts)
        self._counted: dict[str, dict[tuple[float, int], np.ndarray]] = {"train": {}, "probe": {}}

    def write(self) -> Written:
        for epoch in _PROBES:
            step = min(round(epoch * self._per_epoch), self._steps)
            prompts = np.repeat(np.arange(self._prompts), SAMPLES)
            self._write("probe", epoch, np.full(len(prompts), step), prompts)
        for epoch in range(_EPOCHS):
            first, last = (min(of * self._per_epoch, self._steps) for of in (epoch, epoch + 1))
            rows = np.arange(first * _STEP_ROWS, min(last * _STEP_ROWS, self._train_rows))
            if len(rows):
                prompts = rows // SAMPLES % _MOST_PROMPTS
                self._write("train", float(epoch), rows // _STEP_ROWS, prompts)
        self._run.append_metrics(*self._metrics())
        self._run.mark_done({"seconds": 60.0})
        return Written(
            name=self._run.name,
            train=self._counted["train"],
            probe=self._counted["probe"],
            prompts=self._prompts,
        )

    def _write(self, split: Split, epoch: float, steps: np.ndarray, prompts: np.ndarray) -> None:
        chunks = (
            self._rollouts(
                split, epoch, steps[at : at + _CHUNK_ROWS], prompts[at : at + _CHUNK_ROWS]
            )
            for at in range(0, len(steps), _CHUNK_ROWS)
        )
        if split == "train" and self._in_parts:
            tables = (
                chunk.slice(at, _PART_ROWS)
                for chunk in chunks
                for at in range(0, chunk.num_rows, _PART_ROWS)
            )
        else:
            tables = [pa.concat_tables(chunks)]
        for part, table in enumerate(tables):
            name = rollout_file_name(epoch, part)
            write_rollout_file(self._run.path / "rollouts" / f"split={split}" / name, table)

    def _rollouts(
        self, split: Split, epoch: float, steps: np.ndarray, prompts: np.ndarray
    ) -> pa.Table:
        random, rows = self._random, len(steps)
        progress = (steps / max(self._steps, 1))[:, None] ** 0.5
        shares = (1 - progress) * self._start + progress * self._end  # (N, F)
        shares = np.cumsum(shares * self._leaning[prompts], axis=1)
        tags = (random.random((rows, 1)) * shares[:, -1:] > shares).sum(axis=1)
        graded = prompts % _UNGRADED != 7
        well_formed = (tags != TAGS.index("none")) & (random.random(rows) < 0.97)
        correct = graded & well_formed & (random.random(rows) < _ACCURACY[tags])
        self._count(split, epoch, steps, tags, [graded, correct, well_formed])

        number = random.integers(0, 1_000_000, rows)
        gold = pa.array(np.where(graded, prompts, -1).astype(str), mask=~graded)
        answer = pa.array(np.where(correct, prompts, number).astype(str), mask=~well_formed)
        reason = np.where(graded & ~correct, np.where(well_formed, "wrong", "no answer"), "")
        absent = split == "probe"
        columns: dict[str, Any] = {
            "schema_version": np.full(rows, SCHEMA_VERSION),
            "run_id": _chosen([self._run.name], np.zeros(rows, int)),
            "split": _chosen([split], np.zeros(rows, int)),
            "step": steps,
            "epoch": np.full(rows, epoch),
            "prompt_id": _chosen([f"{split}-{n:05}" for n in range(_MOST_PROMPTS)], prompts),
            "family": _chosen(["chain"], np.zeros(rows, int)),
            "sample": np.arange(rows) % SAMPLES,
            "prompt": self._problems.take(pa.array(prompts)),
            "completion": self._completions(tags, answer.fill_null("")),
            "tokens": random.integers(40, 400, rows),
            "tag": _chosen(list(TAGS), tags),
            "well_formed": well_formed,
            "mixed": np.zeros(rows, bool),
            "mixed_formats": pa.array([[]] * rows, ROLLOUT_SCHEMA.field("mixed_formats").type),
            "truncated": random.random(rows) < 0.02,
            "gold": gold,
            "answer": answer,
            "correct": pa.array(correct, mask=~graded),
            "flexible_answer": answer,
            "flexible_correct": pa.array(correct, mask=~graded),
            "reason": pa.array(reason.tolist()),
            "reward": pa.array(correct.astype(float), mask=np.full(rows, absent)),
            "advantage": pa.array(random.normal(size=rows), mask=np.full(rows, absent)),
            "logprob": -random.gamma(4.0, 10.0, rows),
            "entropy": random.gamma(2.0, 0.2, rows),
        }
        arrays = [pa.array(columns[of.name]).cast(of.type) for of in ROLLOUT_SCHEMA]
        return pa.Table.from_arrays(arrays, schema=ROLLOUT_SCHEMA)

    def _completions(self, tags: np.ndarray, answers: pa.Array) -> pa.Array:
        """Texts of 100 to 600 characters, all different, that end in the answer."""
        places = self._random.integers(0, _SENTENCES, (3, len(tags)))
        sentences = [self._texts.take(pa.array(of)) for of in places]
        begins = _chosen([f"[{tag}] " for tag in TAGS], tags)
        return pc.binary_join_element_wise(begins, *sentences, answers, "")  # pyright: ignore[reportAttributeAccessIssue]

    def _count(
        self, split: Split, epoch: float, steps: np.ndarray, tags: np.ndarray, of: list[np.ndarray]
    ) -> None:
        first, size = int(steps[0]), int(steps[-1] - steps[0]) + 1
        place = (steps - first) * len(TAGS) + tags
        counted = [
            np.bincount(place[kept], minlength=size * len(TAGS)).reshape(size, len(TAGS))
            for kept in (np.ones(len(tags), bool), *of)
        ]
        found = self._counted[split]
        for step, of_step in enumerate(np.stack(counted, axis=1), start=first):
            found[epoch, step] = found.get((epoch, step), 0) + of_step

    def _metrics(self) -> Iterator[dict[str, Any]]:
        noise = self._random.normal(size=(self._steps, 3)) * 0.01
        for step, (reward, entropy, kl) in enumerate(noise.tolist()):
            done = step / self._steps
            yield {
                "step": step,
                "epoch": float(step // self._per_epoch),
                "reward": 0.4 + 0.2 * done + reward,
                "entropy": 0.5 - 0.3 * done + entropy,
                "kl": 0.2 * done + abs(kl),
                "truncated": 0.02,
            }


def _config(scale: str, parameters: int, *, seed: int, prompts: int) -> dict[str, Any]:
    return {
        "kind": "run",
        "study": "synthetic",
        "name": f"{scale}-four_formats-grpo-s{seed}",
        "scale": {
            "name": scale,
            "parameters": parameters,
            "non_embedding_parameters": parameters * 9 // 10,
        },
        "mixture": dict.fromkeys(TAGS, round(1 / len(TAGS), 3)),
        "algorithm": "grpo",
        "seed": seed,
        "grpo": {"learning_rate": 1.5e-4, "epochs": _EPOCHS, "group_size": SAMPLES},
        "probe": {"prompts": prompts, "samples": SAMPLES, "temperature": 1.0},
        "base": {"undertrained": False, "floor": 0.1},
    }


def _sentences(random: np.random.Generator) -> pa.Array:
    lengths = random.integers(6, 34, _SENTENCES)
    words = (_WORDS[n] for n in random.integers(0, len(_WORDS), int(lengths.sum())))
    numbers = random.integers(2, 999, _SENTENCES)
    return pa.array(
        [
            f"{' '.join(next(words) for _ in range(length))} {number}. "
            for length, number in zip(lengths, numbers, strict=True)
        ]
    )


def _problems(random: np.random.Generator, sentences: pa.Array) -> pa.Array:
    """A prompt for each number of one, two sentences and the number."""
    pairs = random.integers(0, len(sentences), (_MOST_PROMPTS, 2)).tolist()
    return pa.array(
        [f"{n}: {sentences[a]}{sentences[b]}How many?\n" for n, (a, b) in enumerate(pairs)]
    )


def _chosen(names: list[str], places: np.ndarray) -> pa.Array:
    return pa.array(names).take(pa.array(places))
