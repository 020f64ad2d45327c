"""GGUF files: whether one is whole, and the ordinary model that can be made of one."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_MAGIC = b"GGUF"


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
