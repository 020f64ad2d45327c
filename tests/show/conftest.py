"""Small synthetic studies to show."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from small_runs import Factory, run_factory

from formatlab.store import RunFolder


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    """What writes a small run into the folder of the test; see `run_factory`."""
    return run_factory(tmp_path)


@pytest.fixture
def grid(make_run: Factory) -> list[RunFolder]:
    """Two scales with two seeds each: the small one ends in program, the large one in prose."""
    large = {"end": {"program": 0.05, "prose": 0.95}, "scale": "0.8M", "parameters": 812_345}
    return [make_run(seed=seed, **of) for of in (large, {}) for seed in (1, 0)]


@pytest.fixture
def uneven_runs(make_run: Factory) -> list[RunFolder]:
    """An arm: two runs that count, an undertrained, an unfinished, two not probed at an end."""
    return [
        *(make_run(seed=seed) for seed in (0, 1)),
        make_run(seed=2, undertrained=True),
        make_run(seed=3, done=False),
        make_run(seed=4, probe_epochs=(0.0,)),
        make_run(seed=5, probe_epochs=(1.0, 2.0)),
    ]


@pytest.fixture
def all_text() -> Callable[[Figure], str]:
    """Return what is written in a figure, but for its legend."""

    def read(figure: Figure) -> str:
        texts = [text.get_text() for text in figure.texts]
        for panel in figure.axes:
            texts += [text.get_text() for text in panel.texts]
            texts += [panel.get_title(loc="left"), *(t.get_text() for t in panel.get_xticklabels())]
        return "\n".join(texts).replace("\u00a0", " ")

    return read
