"""Embeddings of texts, whose cosines tell how near their meanings are."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from formatlab.errors import InputError, missing_package

_REASON = 300
"""Most characters of what the library says about a model that it cannot read."""


class TextEmbedder:
    """A sentence-transformers model, on the GPU if there is one.

    Args:
        model: folder of a model, or hub id of one: in the hub's cache, or fetched unless
            `HF_HUB_OFFLINE` is set.

    Raises:
        InputError: sentence-transformers is not installed, or the model cannot be read.
    """

    def __init__(self, model: str | Path):
        try:
            from sentence_transformers import (  # pyright: ignore[reportMissingImports] - an extra
                SentenceTransformer,
            )
        except ImportError as error:
            raise InputError(missing_package("sentence_transformers")) from error
        folder = Path(model).expanduser()
        try:
            self._model = SentenceTransformer(str(folder if folder.is_dir() else model))
        except Exception as error:  # of several libraries, and no class in common
            reason = textwrap.shorten(str(error), _REASON, placeholder=" ...")
            raise InputError(
                f"embedding model {str(model)!r} cannot be read: {reason or type(error).__name__}; "
                "give the folder of a sentence-transformers model, or the hub id of one that is in "
                "the hub's cache"
            ) from error

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embed each text; equal texts once.

        The library cuts a text where the model's maximum length ends (256 tokens for
        all-MiniLM-L6-v2), without a word: what long texts say after that is not compared.

        Args:
            texts: n of them.

        Returns:
            float32 (n, d), not normalised by us.
        """
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        # One at least, so that d is known where there are no texts.
        vectors = self._model.encode(list(places) or [""], show_progress_bar=False)
        rows = np.array([places[text] for text in texts], dtype=np.intp)
        return np.asarray(vectors, dtype=np.float32)[rows]
