"""Sides: the sets of rollouts that a word of the command line names.

A word is a run folder, the folder of a study, or rollout files of anyone's: a file, a folder of
them, or a pattern. A run has a set for each probe; `RUN@EPOCH` names one of them. A recorded run
without probes has a set for each epoch of its training.
"""

import glob
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from formatlab.errors import InputError, RunError
from formatlab.measure.frames import FRAME_COLUMNS, rollouts_of
from formatlab.observe.files.layouts import Columns
from formatlab.observe.files.source import RolloutReader, find_sources
from formatlab.observe.files.tagging import TagJob
from formatlab.observe.files.tagging_run import TaggingRun, worker_count
from formatlab.show.wording import epoch_text
from formatlab.store import RunFolder, Split
from formatlab.store.integrity import reportable_runs
from formatlab.store.rollout_file import is_rollout_file, read_rollout_file
from formatlab.store.runs_folder import is_run_folder, studies_in
from formatlab.store.track import Track, untracked


@dataclass(frozen=True, kw_only=True)
class Side:
    """A set of rollouts."""

    label: str
    rollouts: pa.Table
    """With columns of `formatlab.measure.frames.FRAME_COLUMNS`."""
    run: str = ""
    """Name of the run folder; empty of files."""
    epoch: float | None = None
    """Of the run."""
    note: str = ""
    """What a reader must know of it, such as whose verdicts count; empty if nothing."""


def sides(word: str, *, every: bool = False, columns: Columns = Columns()) -> list[Side]:
    """Read the sets of rollouts that a word names, those of a run by epoch.

    Args:
        word: what to read.
        every: whether to read all of a run, and not its first and last alone.
        columns: of files, where they are not recognised.

    Raises:
        InputError: there is nothing of that name, or no such epoch.
        RunError: a run folder or a file is damaged.
    """
    path, _, number = word.rpartition("@")
    if path and is_run_folder(Path(path)):
        return [_of_epoch(Path(path), number)]
    if not is_study(word):
        return [_of_files(word, columns)]
    sets = [of for run in sound_runs(Path(word)) for of in run_sides(run, every=every)]
    if not sets:
        raise InputError(f"{word} has no rollouts yet")
    return sets


def last_side(word: str, *, columns: Columns = Columns()) -> Side:
    """The set of rollouts that a word names; of a run, that of its last probe. See `sides`.

    Raises:
        InputError: there is nothing of that name, or it is a study of several runs.
        RunError: a run folder or a file is damaged.
    """
    found = sides(word, columns=columns)
    if len({of.run for of in found}) > 1:
        raise InputError(f"{word} is a study of several runs; name one of them, or the study alone")
    return found[-1]


def is_study(word: str) -> bool:
    """Whether a word is the folder of a run, of a study, or of studies.

    Raises:
        InputError: it is the folder of a model, or empty, which is no name.
    """
    if not word:
        raise InputError("a name is empty; name run folders, studies or rollout files")
    folder = Path(word)
    if not folder.is_dir():
        return False
    _check_no_model(folder)
    runs = [folder, *folder.glob("[!.]*/")]
    return any(map(is_run_folder, runs)) or bool(studies_in(folder))


def inputs(words: Sequence[str]) -> list[Path]:
    """The files and folders that words name, of which no output may take the place."""
    found = []
    for word in words:
        for name in filter(None, (word, word.rpartition("@")[0])):
            path = Path(name).expanduser()
            found += [path, *map(Path, glob.glob(str(path), recursive=True))]
    return found


def sound_runs(folder: Path, *, track: Track = untracked) -> Sequence[RunFolder]:
    """The runs of a study, or one run, none of which may be damaged.

    Raises:
        InputError: the folder is not there, or holds no run folders.
        RunError: a run folder is damaged.
    """
    found = reportable_runs(folder, track=track)
    if found.left_out:
        raise RunError(f"{folder}: {'; '.join(left.words for left in found.left_out)}")
    return found.runs


def run_sides(run: RunFolder, *, every: bool = False) -> list[Side]:
    """The sets of rollouts of a run, by epoch; see `sides`. A run that has begun may have none."""
    split, epochs = _epochs(run)
    chosen = epochs if every else dict.fromkeys([*epochs[:1], *epochs[-1:]])
    return [_side(run, split, epoch) for epoch in chosen]


def _of_epoch(folder: Path, number: str) -> Side:
    _check_no_model(folder)
    (run,) = sound_runs(folder)
    split, epochs = _epochs(run)
    texts = {_epoch_text(split, epoch): epoch for epoch in epochs}
    if number not in texts:
        has = f"it has {', '.join(texts)}" if texts else "it has no rollouts yet"
        raise InputError(f"{folder} has no epoch {number!r}; {has}")
    return _side(run, split, texts[number])


def _check_no_model(folder: Path) -> None:
    """Tell a model's folder from a run's, as both have a config.json.

    Raises:
        InputError: it is that of a model.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return  # whoever opens the run says what is wrong
    if isinstance(config, dict) and "model_type" in config:
        raise InputError(
            f"{folder} is a model, and no run; `formatlab compare` samples models with --problems, "
            "and `formatlab probe` writes what one answers to a file"
        )


def _epochs(run: RunFolder) -> tuple[Split, list[float]]:
    """The epochs of the probe, or without one those of training."""
    probed = run.epochs("probe")
    return ("probe", probed) if probed else ("train", run.epochs("train"))


def _epoch_text(split: Split, epoch: float) -> str:
    """An epoch as it is named; epoch 0 of the probe is the base, that of training is not."""
    return epoch_text(epoch) if split == "probe" else f"{epoch:g}"


def _side(run: RunFolder, split: Split, epoch: float) -> Side:
    rollouts = run.rollouts(split, epoch=epoch, columns=list(FRAME_COLUMNS))
    return Side(
        label=f"{run.path}@{_epoch_text(split, epoch)}",
        rollouts=rollouts_of(rollouts, run.name),
        run=run.name,
        epoch=epoch,
        note="" if split == "probe" else "it has no probe, so these are rollouts of training",
    )


def _of_files(word: str, columns: Columns) -> Side:
    """Read rollouts that the lab wrote, and tag those of others, in memory."""
    sources = find_sources([word])
    if all(is_rollout_file(of.path) for of in sources):
        ours = pa.concat_tables([read_rollout_file(of.path) for of in sources])
        return Side(label=word, rollouts=rollouts_of(ours, word))
    run = TaggingRun(
        reader=RolloutReader(sources=sources, columns=columns),
        job=TagJob(plain=True),
        workers=worker_count(sources),
        console=Console(stderr=True),
    )
    rollouts = run.table()
    notes = run.failure_lines
    if rollouts["correct"].null_count == len(rollouts) > rollouts["file_correct"].null_count:
        rollouts = rollouts.drop_columns("correct").rename_columns({"file_correct": "correct"})
        notes.append("no right answers are there to grade by; the file's own verdicts count")
    return Side(label=word, rollouts=rollouts_of(rollouts, word), note="; ".join(notes))
