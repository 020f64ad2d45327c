"""Exported models: bases, policies and adapters, each a folder with what it was trained from."""

import json
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from formatlab.errors import FormatlabError
from formatlab.show.export.card import published_value
from formatlab.show.run_result import RunResult
from formatlab.store import RunFolder
from formatlab.store.track import Track, untracked
from formatlab.store.weights import weights_digest

_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""The files of a model; not training_args.bin, a pickle with paths of the machine."""

_CONFIGS = (
    *("config.json", "generation_config.json", "tokenizer_config.json"),
    *("adapter_config.json", "model.safetensors.index.json"),
)
"""Files of settings, in which a library may have stored the path of a model."""

_MERGED = "policy-merged"
"""Folder of a run's merged adapter, from which a further stage started."""

_ADAPTER = "adapter_config.json"
_STARTED_FROM = "base_model_name_or_path"
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """A model to be copied out of a run folder."""

    name: str
    """Its folder in the export: `models/bases/<base>` or `models/policies/<run>`."""
    kind: Literal["base", "policy"]
    source: Path
    folder: RunFolder
    """The base's or the run's folder."""
    run: RunResult | None
    """The run, measured; None of a base."""

    @property
    def is_adapter(self) -> bool:
        """Whether it is an adapter, which needs another model."""
        return (self.source / _ADAPTER).is_file()

    @property
    def is_merged(self) -> bool:
        """Whether it is an adapter merged into the model that it was trained on."""
        return self.source.name == _MERGED

    @property
    def start(self) -> str | None:
        """Where a policy's training started: an exported model, a hub id, or None (unknown)."""
        config = self.folder.config
        if self.is_adapter:
            there = PurePath(self._adapter_config.get(_STARTED_FROM) or "")
            if there.name == _MERGED:
                return f"models/policies/{there.parent.name}-merged"
            if there.name == "model":
                return f"models/bases/{there.parent.name}"
        return hub_id(str(config.get("model", "")))

    @property
    def _adapter_config(self) -> dict[str, Any]:
        return json.loads((self.source / _ADAPTER).read_text(encoding="utf-8"))

    def copy(self, folder: Path) -> None:
        """Copy the model's files; settings lose the paths of the machine that wrote them."""
        folder.mkdir(parents=True)
        for path in _files(self.source):
            if path.name not in _CONFIGS:
                shutil.copyfile(path, folder / path.name)
                continue
            settings = published_value(json.loads(path.read_text(encoding="utf-8")))
            if path.name == _ADAPTER:
                settings[_STARTED_FROM] = self.start or settings.get(_STARTED_FROM)
            text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
            (folder / path.name).write_text(text, encoding="utf-8")


def hub_id(name: str) -> str | None:
    """Return a model's name if it has the form of a hub id and is no folder here, else None."""
    return name if _HUB_ID.fullmatch(name) and not Path(name).exists() else None


def exported_models(
    folders: Sequence[RunFolder], results: Sequence[RunResult], *, track: Track = untracked
) -> tuple[list[ExportedModel], dict[str, str]]:
    """Find the models of runs, and the bases that they started from.

    Args:
        folders: the run folders, in their studies' folders.
        results: of each, in the same order.
        track: shows of how many runs the weights are checked.

    Returns:
        The models, and the name of each run or base whose model is missing -> why.
    """
    models: dict[str, ExportedModel] = {}
    missing: dict[str, str] = {}
    for folder, run in track(list(zip(folders, results, strict=True)), "checking models of runs"):
        base = _base_of(folder)
        if base is not None:
            _add(models, missing, base, base.path / "model", run=None)
        elif "config" in folder.config.get("base", {}):
            missing[f"base of {folder.name}"] = (
                "its folder, with the weights that the run started from, is not among the bases "
                "beside the study"
            )
        _add(models, missing, folder, folder.path / "policy", run=run)
        if (folder.path / _MERGED).is_dir():
            _add(models, missing, folder, folder.path / _MERGED, run=run, suffix="-merged")
    return list(models.values()), missing


def _add(
    models: dict[str, ExportedModel],
    missing: dict[str, str],
    folder: RunFolder,
    source: Path,
    *,
    run: RunResult | None,
    suffix: str = "",
) -> None:
    kind: Literal["base", "policy"] = "base" if run is None else "policy"
    place = "bases" if run is None else "policies"
    name = f"models/{place}/{folder.name}{suffix}"
    if not list(source.glob("*.safetensors")):
        missing[f"{kind} of {folder.name}" if run else folder.name] = "its folder has no weights"
    else:
        models[name] = ExportedModel(name=name, kind=kind, source=source, folder=folder, run=run)


def _base_of(run: RunFolder) -> RunFolder | None:
    """The base that a run's first stage started from; None if missing or made anew since."""
    about = run.config.get("base", {})
    for path in sorted((run.path.resolve().parents[1] / "bases").glob("*/config.json")):
        with suppress(FormatlabError):  # a damaged one is of no use
            base = RunFolder.open(path.parent)
            if base.summary and base.config == about.get("config"):
                return base if weights_digest(base.path / "model") == about.get("sha256") else None
    return None


def _files(source: Path) -> list[Path]:
    return sorted({path for pattern in _FILES for path in source.glob(pattern) if path.is_file()})
