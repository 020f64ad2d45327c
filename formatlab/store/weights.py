"""Weights of a saved model: their checksum, and whether a file of them is whole."""

import hashlib
import json
from pathlib import Path


def weights_digest(model: Path) -> str:
    """SHA-256 of a model's weights: of its file, or of its files one after the other.

    Args:
        model: folder of a model or an adapter, or a file of weights.
    """
    whole = hashlib.sha256()
    files = [model] if model.is_file() else [*model.glob("*.safetensors"), *model.glob("*.bin")]
    for path in sorted(files):
        with path.open("rb") as file:
            while block := file.read(2**20):
                whole.update(block)
    return whole.hexdigest()


def weights_whole(file: Path) -> bool:
    """Whether a file of weights (safetensors) is as long as its own header says."""
    length = file.stat().st_size
    with file.open("rb") as opened:
        header = int.from_bytes(opened.read(8), "little")
        if length < 8 + header:
            return False
        try:
            tensors = json.loads(opened.read(header))
        except ValueError:
            return False
    ends = [of["data_offsets"][1] for name, of in tensors.items() if name != "__metadata__"]
    return length == 8 + header + max(ends, default=0)
