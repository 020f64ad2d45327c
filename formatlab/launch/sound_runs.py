"""Sound runs: the run folders of studies that can be shown, and what is wrong with the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from formatlab.errors import FormatlabError, InputError
from formatlab.launch.damage import damage, is_recorded
from formatlab.launch.state.runs_inventory import BASES, CORPORA, MODELS
from formatlab.store.run_folder import RunFolder

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
