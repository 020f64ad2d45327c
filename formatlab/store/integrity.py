"""Damage: what keeps a folder from being gone on with, and where damaged folders are put.

Sound runs: the run folders of studies that can be shown, and what is wrong with the others.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.errors import FormatlabError, InputError
from formatlab.store.atomic_file import explained_os_errors
from formatlab.store.metrics_log import MetricsLog
from formatlab.store.rollout_file import is_damage, unreadable
from formatlab.store.run_folder import RunFolder
from formatlab.store.weights import weights_digest, weights_whole

BASES, CORPORA, MODELS = "bases", "corpora", "models"
"""Folders in the runs folder that are shared by studies."""

ASIDE = ".aside"
"""Folder in the runs folder where damaged and outdated folders are put."""

_DOCUMENTS = ("config.json", "env.json", "DONE")
_LOGS = ("metrics.jsonl", "resumes.jsonl")

_MODELS = ("model", "policy", "policy-merged", "checkpoints/round-*")
"""Folders of models that appear whole or not at all."""


def damage(folder: Path, *, models: bool = True) -> str | None:
    """What is wrong with a run folder, in words; None if nothing can be seen.

    Files cut short are found: JSON that does not end, Parquet without its footer, weights other
    than those that were made, and steps and rollouts fewer than a finished run had. What was being
    written when a process was killed is no damage, nor is a checkpoint that is not whole.

    Args:
        folder: of a run or a base.
        models: whether to look at its models and checkpoints, which results are shown without.
    """
    if not (folder / "config.json").exists():
        return "config.json is missing" if (folder / "DONE").exists() else None
    damages = chain(_of_results(folder), _of_models(folder) if models else ())
    return next(damages, None)


def _of_results(folder: Path) -> Iterator[str]:
    for name in _DOCUMENTS:
        path = folder / name
        if path.exists():
            yield from _of_document(path, folder)
    if not (folder / "env.json").exists():
        yield "env.json is missing"
    run = RunFolder.open(folder)
    for name in _LOGS:
        wrong = MetricsLog(folder / name).damage()
        if wrong is not None:
            yield wrong
    tables = [*folder.glob("rollouts/*/epoch=*.parquet"), *folder.glob("winners.parquet")]
    for path in sorted(tables):
        try:
            pq.read_metadata(path)
        except (pa.ArrowException, OSError) as error:
            if not is_damage(error):
                raise unreadable(path, error) from error
            yield f"{path.relative_to(folder)} is not whole"
    summary = run.summary or {}
    for count, told, words in (
        (len(run.metrics()), "steps", "lines of metrics.jsonl"),
        (run.count_rollouts("train"), "rollouts", "training rollouts"),
    ):
        if told == "steps" and is_recorded(run):
            continue
        if summary.get(told, count) != count:
            yield f"there are {count} {words}, and {summary[told]} were made"


def _of_models(folder: Path) -> Iterator[str]:
    summary = RunFolder.open(folder).summary or {}
    for name, told in (("model", "sha256"), ("policy", "policy_sha256")):
        if summary.get(told) and weights_digest(folder / name) != summary[told]:
            yield f"the weights in {name}/ are gone or not those that were made"
        elif summary.get(told) and not any((folder / name).glob("*config.json")):
            yield f"{name}/ has no configuration"
    for place in _MODELS:
        for path in sorted(folder.glob(f"{place}/*.json")):
            yield from _of_document(path, folder)
        for path in sorted(folder.glob(f"{place}/*.safetensors")):
            if not weights_whole(path):
                yield f"{path.relative_to(folder)} is not whole"
    for path in folder.glob("checkpoints/step-*.json"):
        yield from _of_document(path, folder)


def _of_document(path: Path, folder: Path) -> Iterator[str]:
    name = path.relative_to(folder)
    try:
        if not isinstance(json.loads(path.read_bytes()), dict):
            yield f"{name} is not a JSON object"
    except ValueError:
        yield f"{name} is not JSON"


def is_recorded(run: RunFolder) -> bool:
    """Whether a recorder wrote it beside somebody's trainer, whose steps may sample nothing."""
    try:
        return "trainer" in run.config
    except FormatlabError:
        return False


def put_aside(folder: Path, runs: Path) -> Path:
    """Move a folder of the runs folder to where it is in nobody's way, and say where that is."""
    place = runs / ASIDE / folder.parent.relative_to(runs)
    with explained_os_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        number = 1
        while (there := place / f"{folder.name}-{number}").exists():
            number += 1
        folder.rename(there)
    return there


_AGAIN = "the same `formatlab run` makes it again"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A run folder that cannot be shown."""

    name: str
    reason: str
    """What is wrong with it, without paths of this machine."""
    remedy: str
    """What to do about it; empty where the reason says it, or nothing is known."""

    @property
    def words(self) -> str:
        """All of it, in a line."""
        return f"{self.name} is left out: {'; '.join(filter(None, [self.reason, self.remedy]))}"


@dataclass(frozen=True, kw_only=True)
class SoundRuns:
    """The runs of a study's folder, as launchers would see them."""

    runs: Sequence[RunFolder]
    left_out: Sequence[LeftOut]


def sound_runs(path: Path, *, models: bool = False) -> SoundRuns:
    """Look at the runs of a study, or at one run, as launchers do before they go on with them.

    Args:
        path: folder of a study, or of a run.
        models: whether their models have to be sound too, or may even be gone.

    Raises:
        InputError: it is not there, or holds no run folders.
    """
    if not path.is_dir():
        raise InputError(f"there is no folder {path}; give one such as runs/<study>")
    one = (path / "config.json").exists()
    runs: list[RunFolder] = []
    left_out: list[LeftOut] = []
    for folder in [path] if one else sorted(path.glob("[!.]*/")):
        if not _is_run_folder(folder):
            continue
        wrong = _wrong(folder, models=models)
        if wrong is not None:
            left_out.append(wrong)
        elif RunFolder.open(folder).config.get("kind") == "run":
            runs.append(RunFolder.open(folder))
    if not runs and not left_out:
        studies = studies_in(path)
        names = ", ".join(study.name for study in studies)
        raise InputError(
            f"{path} holds the studies {names}; give one of them, such as {studies[0]}"
            if studies
            else f"{path} holds no run folders; give one such as runs/<study>"
        )
    return SoundRuns(runs=runs, left_out=left_out)


def studies_in(runs: Path) -> list[Path]:
    """The folders of studies that have begun in a runs folder; none in any other folder."""
    folders = sorted(runs.glob("[!.]*/"))
    if any(map(_is_run_folder, folders)):  # it is a study, whatever lies in a run that is damaged
        return []
    return [
        folder
        for folder in folders
        if folder.name not in (BASES, CORPORA, MODELS)
        and next(folder.glob("[!.]*/config.json"), None)
    ]


def _is_run_folder(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.json", "env.json", "DONE"))


def _wrong(folder: Path, *, models: bool) -> LeftOut | None:
    try:
        wrong = damage(folder, models=models)
        if wrong is None:
            return None
        remedy = "" if is_recorded(RunFolder(folder)) else _AGAIN
    except FormatlabError as error:  # of another version
        wrong, remedy = str(error).replace(str(folder), "it"), ""
    except OSError as error:
        wrong, remedy = f"it cannot be read ({error.strerror})", ""
    return LeftOut(name=folder.name, reason=wrong, remedy=remedy)
