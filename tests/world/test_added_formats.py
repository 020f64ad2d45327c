"""Formats that an experiment adds: what of its file tells their runs from others."""

import sys
from pathlib import Path

import pytest
from added_format import EXPERIMENT

from formatlab.study.experiment import load_experiment
from formatlab.study.ladder_run import BaseTask
from formatlab.study.task import graph
from formatlab.train.pretraining.base import corpus_name
from formatlab.world.added_formats import added_formats
from formatlab.world.formats import FORMATS


@pytest.fixture(autouse=True)
def _formats(monkeypatch: pytest.MonkeyPatch):
    """Leave no added format behind."""
    for name, form in FORMATS.items():
        monkeypatch.setitem(FORMATS, name, form)
    yield
    FORMATS.pop("shout", None)
    sys.modules.pop("experiment_shouting", None)


def addresses(path: Path, old: str = "", new: str = "") -> dict[str, str]:
    """Addresses of a study's tasks and the corpus, where the file has `new` instead of `old`."""
    assert old in EXPERIMENT
    path.write_text(EXPERIMENT.replace(old, new) if old else EXPERIMENT)
    base, run = graph(load_experiment(path)[1]["tiny"].runs())
    assert isinstance(base, BaseTask)
    corpus = corpus_name(base.base.config)
    return {"base": base.address, "run": run.address, "corpus": corpus}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shouting.py"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return _shouted(problem.answer)", "return _shouted(problem.answer + 1)"),
        ('{MARK}{answer}{_END}"', '{MARK}{answer} {_END}"'),
        ('MARK = "IT IS "', 'MARK = "IT WAS "'),
        ('_END = "!"', '_END: str = "?"'),
        ('"no answer"', '"malformed"'),
        ("Shout(loud=True)", "Shout(loud=False)"),
    ],
)
def test_what_a_format_does_is_part_of_the_address(path: Path, old: str, new: str):
    before, after = addresses(path), addresses(path, old, new)
    assert {name for name in before if before[name] == after[name]} == set()


@pytest.mark.parametrize(
    "added",
    [
        "add = FORMATS.__setitem__\nadd('shout', Shout(loud={}))",
        "def add(form):\n    FORMATS[form.name] = form\n\n\nadd(Shout(loud={}))",
        "SHOUT = FORMATS['shout'] = Shout(loud={})",
        "for one in (Shout(loud={}),):\n    FORMATS[one.name] = one",
        "SHOUT = Shout()\nSHOUT.loud = {}\nFORMATS['shout'] = SHOUT",
        "LOUD = {}\nif True:\n    FORMATS['shout'] = Shout(loud=LOUD)",
        "FORMATS.update(shout=Shout(loud={}))",
        "LOUD, QUIET = {}, 0\nFORMATS['shout'] = Shout(loud=LOUD)",
        "LOUD = 1\nLOUD += {}\nFORMATS['shout'] = Shout(loud=LOUD)",
        "LOUD = []\nLOUD.append({})\nFORMATS['shout'] = Shout(loud=LOUD)",
    ],
)
def test_however_a_format_is_added_its_settings_are_part_of_the_address(path: Path, added: str):
    line = 'FORMATS["shout"] = Shout(loud=True)'
    one, other = (addresses(path, line, added.format(loud)) for loud in (1, 2))
    assert {name for name in one if one[name] == other[name]} == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class Shout(Format):", "class Shout(Format):  # it shouts"),
        ("seeds=(0,)", "seeds=[0]"),
        ("Endpoint: none.", "Endpoint: the loudest."),
        ("import re\n", "import re\n\nOTHER = 1\n"),
    ],
)
def test_what_else_the_file_holds_is_not(path: Path, old: str, new: str):
    assert addresses(path) == addresses(path, old, new)


def test_without_an_added_format_there_is_nothing_to_tell():
    assert added_formats() == {}
