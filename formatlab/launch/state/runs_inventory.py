"""An inventory of a runs folder: its run folders and bases, and which of them are asked for."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formatlab.errors import FormatlabError, InputError
from formatlab.launch.plan import PLAN_FILE, Plan, read_plan
from formatlab.store.lock import held
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import BASES, CORPORA, MODELS
from formatlab.train.pretraining.base import corpus_name


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeFolder:
    """A run folder or a base that was begun."""

    path: Path
    address: str
    """Relative to the runs folder."""
    config: Mapping[str, Any] | None
    """None if it cannot be read."""
    done: bool
    failed: bool
    held: bool

    @property
    def study(self) -> str:
        """The folder that it lies in."""
        return self.address.partition("/")[0]

    @property
    def is_base(self) -> bool:
        """Whether runs start from it."""
        return self.study == BASES

    @property
    def base_config(self) -> Mapping[str, Any] | None:
        """Configuration of the base that it starts from, or that it is; None if that is no base."""
        match self.config:
            case config if self.is_base:
                return config
            case {"base": {"config": config}}:
                return config
        return None

    @property
    def corpus(self) -> str | None:
        """Name of the corpus that its base is made from."""
        try:
            return corpus_name(self.base_config or {})
        except (KeyError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What a runs folder holds."""

    runs: Path
    folders: tuple[MadeFolder, ...]
    plans: Mapping[str, Plan | None]
    """Study -> plan of its last command; None if it has none, or one that cannot be read."""

    def plans_everything(self, study: str) -> bool:
        """Whether all that is in a study counts as planned, because there is no plan of it."""
        return study in self.plans and self.plans[study] is None

    @property
    def planned(self) -> set[str]:
        """Addresses that a study's last command asked for."""
        named = {task.address for plan in self.plans.values() if plan for task in plan.tasks}
        return named | {f.address for f in self.folders if self.plans_everything(f.study)}

    @property
    def to_be_made(self) -> set[str]:
        """Addresses that are planned or begun, and not done."""
        done = {folder.address for folder in self.folders if folder.done}
        return (self.planned | {folder.address for folder in self.folders}) - done

    def unused_bases(self, going: Collection[MadeFolder]) -> list[MadeFolder]:
        """The bases that neither a plan names nor a run starts from that stays.

        Args:
            going: what does not stay.
        """
        staying = [f for f in self.folders if not f.is_base and f not in going]
        if any(folder.config is None for folder in staying):  # which may start from any of them
            return []
        used = [folder.base_config for folder in staying]
        planned = self.planned
        return [
            folder
            for folder in self.folders
            if folder.is_base
            and folder.config is not None
            and folder.address not in planned
            and folder.config not in used
            and not folder.held
        ]

    def unused_corpora(self, going: Collection[MadeFolder]) -> list[Path]:
        """The corpora that nothing which stays was made from, and that no base is made from now."""
        staying = [folder for folder in self.folders if folder not in going]
        made = {folder.address for folder in self.folders if folder.done}
        bases = {address for address in self.planned if address.startswith(f"{BASES}/")}
        if any(f.config is None or f.held for f in staying) or not bases <= made:
            return []
        used = {folder.corpus for folder in staying}
        return [path for path in folders_in(self.runs / CORPORA) if path.name not in used]


def read_inventory(runs: Path) -> Inventory:
    """Look through a runs folder.

    Raises:
        InputError: it is not there, or is no runs folder.
    """
    if not runs.is_dir() or not os.access(runs, os.R_OK | os.X_OK):
        raise InputError(f"there is no folder {runs} that can be read; give a runs folder")
    inside = [runs, *folders_in(runs)]
    if (runs / PLAN_FILE).exists() or any(map(_is_run_folder, inside)):
        raise InputError(f"{runs} lies in a runs folder; give that folder, which holds it")
    found = [
        _made(path, f"{place.name}/{path.name}")
        for place in folders_in(runs)
        if place.name not in (CORPORA, MODELS)
        for path in folders_in(place)
        if (path / "config.json").exists()
    ]
    if not any(folder.config is not None and _is_run_folder(folder.path) for folder in found):
        raise InputError(
            f"{runs} holds no run folders, so it is not taken for a runs folder; nothing was done"
        )
    studies = [p.name for p in folders_in(runs) if p.name not in (BASES, CORPORA, MODELS)]
    plans = {study: _plan(runs / study) for study in studies}
    return Inventory(runs=runs, folders=tuple(found), plans=plans)


def folders_in(place: Path) -> list[Path]:
    """The folders in a folder that are neither hidden nor links and can be read, by name."""
    return [
        path
        for path in hidden_too(place)
        if not path.name.startswith(".") and path.is_dir() and os.access(path, os.X_OK)
    ]


def hidden_too(place: Path) -> list[Path]:
    """Everything in a folder but links, by name; nothing if it is gone or cannot be read."""
    try:
        return sorted(path for path in place.iterdir() if not path.is_symlink())
    except OSError:
        return []


def below(place: Path) -> Iterator[Path]:
    """Everything below a folder but links and what is behind them."""
    for path in hidden_too(place):
        yield path
        if path.is_dir():
            yield from below(path)


def _made(path: Path, address: str) -> MadeFolder:
    run = RunFolder(path)
    try:
        config = run.config
    except FormatlabError:
        config = None
    return MadeFolder(
        path=path,
        address=address,
        config=config,
        done=run.done,
        failed=(path / "FAILED").exists() and not run.done,
        held=held(path) is not None,
    )


def _is_run_folder(path: Path) -> bool:
    try:
        RunFolder.open(path)
    except FormatlabError:
        return False
    return True


def _plan(study: Path) -> Plan | None:
    try:
        return read_plan(study)
    except InputError:
        return None
