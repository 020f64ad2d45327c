"""Integrity: whether a run folder can be resumed, and which runs of a study can be reported.

The only place that decides it: launchers, reports, exports and `formatlab status` all ask here.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.errors import FormatlabError, InputError
from formatlab.store.metrics_log import MetricsLog
from formatlab.store.rollout_file import is_damage, unreadable
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import is_run_folder, studies_in
from formatlab.store.track import Track, untracked
from formatlab.store.weights import weights_digest, weights_whole

_DOCUMENTS = ("config.json", "env.json", "DONE")
_LOGS = ("metrics.jsonl", "resumes.jsonl")

_MODELS = ("model", "model-*", "policy", "policy-merged", "checkpoints/round-*")
"""Folders of models that appear whole or not at all."""

_AGAIN = "the same `formatlab run` makes it again"


def integrity_error(folder: Path, *, models: bool = True) -> str | None:
    """Why a run folder cannot be resumed or reported; None if it can, or is not there.

    Found are files cut short (JSON that does not end, Parquet without its footer), weights with
    another checksum than in `DONE`, and fewer steps and rollouts than a finished run had. A line
    or a checkpoint that a killed process was just writing is no error.

    Args:
        folder: of a run or a base.
        models: whether to check models and checkpoints too; results can be reported without.

    Raises:
        FormatlabError: the folder is of another version of formatlab, or cannot be read now.
    """
    if not (folder / "config.json").exists():
        return "config.json is missing" if (folder / "DONE").exists() else None
    errors = chain(_errors_of_results(folder), _errors_of_models(folder) if models else ())
    return next(errors, None)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A run folder that cannot be reported."""

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
class ReportableRuns:
    """The runs of a study that can be reported, and those that cannot."""

    runs: Sequence[RunFolder]
    left_out: Sequence[LeftOut]


def reportable_runs(
    path: Path, *, models: bool = False, track: Track = untracked
) -> ReportableRuns:
    """Check the runs of a study, or one run.

    Args:
        path: folder of a study, or of a run.
        models: whether their models have to be sound too, or may even be gone.
        track: shows how many are checked.

    Raises:
        InputError: it is not there, or holds no run folders.
    """
    if not path.is_dir():
        raise InputError(f"there is no folder {path}; give one such as runs/<study>")
    one = (path / "config.json").exists()
    runs: list[RunFolder] = []
    left_out: list[LeftOut] = []
    folders = [of for of in ([path] if one else sorted(path.glob("[!.]*/"))) if _may_be_run(of)]
    for folder in track(folders, "checking runs"):
        wrong = _reason_to_leave_out(folder, models=models)
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
    return ReportableRuns(runs=runs, left_out=left_out)


def _may_be_run(folder: Path) -> bool:
    """Whether a folder is that of a run, or cannot be looked into."""
    try:
        return is_run_folder(folder)
    except PermissionError:
        return True


def _reason_to_leave_out(folder: Path, *, models: bool) -> LeftOut | None:
    try:
        wrong = integrity_error(folder, models=models)
        if wrong is None:
            return None
        remedy = "" if _is_recorded(RunFolder(folder)) else _AGAIN
    except FormatlabError as error:  # of another version
        wrong = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "it")
        remedy = ""
    except OSError as error:
        wrong, remedy = f"it cannot be read ({error.strerror})", ""
    return LeftOut(name=folder.name, reason=wrong, remedy=remedy)


def _errors_of_results(folder: Path) -> Iterator[str]:
    for name in _DOCUMENTS:
        path = folder / name
        if path.exists():
            yield from _errors_of_document(path, folder)
    if not (folder / "env.json").exists():
        yield "env.json is missing"
    run = RunFolder.open(folder)
    for name in _LOGS:
        wrong = MetricsLog(folder / name).damaged_line()
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
    steps, rollouts = len(run.metrics()), run.count_rollouts("train")
    # Of a recorded run DONE tells the trainer's steps, some of which may have sampled nothing.
    if summary.get("steps", steps) != steps and not _is_recorded(run):
        yield f"there are {steps} lines of metrics.jsonl, and {summary['steps']} were made"
    if summary.get("rollouts", rollouts) != rollouts:
        yield f"there are {rollouts} training rollouts, and {summary['rollouts']} were made"


def _errors_of_models(folder: Path) -> Iterator[str]:
    summary = RunFolder.open(folder).summary or {}
    digests = {"model": summary.get("sha256"), "policy": summary.get("policy_sha256")}
    for name, digest in {**digests, **summary.get("kept", {})}.items():
        if digest and weights_digest(folder / name) != digest:
            yield f"the weights in {name}/ are gone or not those that were made"
        elif digest and not any((folder / name).glob("*config.json")):
            yield f"{name}/ has no configuration"
    for place in _MODELS:
        for path in sorted(folder.glob(f"{place}/*.json")):
            yield from _errors_of_document(path, folder)
        for path in sorted(folder.glob(f"{place}/*.safetensors")):
            if not weights_whole(path):
                yield f"{path.relative_to(folder)} is not whole"
    for path in folder.glob("checkpoints/step-*.json"):
        yield from _errors_of_document(path, folder)


def _errors_of_document(path: Path, folder: Path) -> Iterator[str]:
    name = path.relative_to(folder)
    try:
        if not isinstance(json.loads(path.read_bytes()), dict):
            yield f"{name} is not a JSON object"
    except ValueError:
        yield f"{name} is not JSON"


def _is_recorded(run: RunFolder) -> bool:
    """Whether a FormatRecorder wrote it beside somebody's own trainer."""
    try:
        return "trainer" in run.config
    except FormatlabError:
        return False
