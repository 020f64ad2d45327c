"""What tests of several verbs share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model."""
    from tiny_llama import tiny_model, tiny_tokenizer

    folder = tmp_path_factory.mktemp("models") / "model"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
