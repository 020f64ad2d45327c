"""Settings that must stand before torch or the hub are imported, and the shared fixtures."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may need a network
os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is imported
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import signal
from pathlib import Path

import hypothesis
import pytest

# Started by a script in the background, a process ignores Ctrl-C, and so do those that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A loaded machine is slow without being wrong.
hypothesis.settings.register_profile("laboratory", deadline=None, print_blob=True)
hypothesis.settings.load_profile("laboratory")

BEGUN_FIRST = ("cli", "launch", "train")
"""The folders of the long tests; with the short ones last, all processes end together."""

REPOSITORY = Path(__file__).parents[1]


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: compressed bytes hold the time at which they were made."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests."""
    last = len(BEGUN_FIRST)

    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(REPOSITORY / "tests").parts[0]
        return BEGUN_FIRST.index(room) if room in BEGUN_FIRST else last

    items.sort(key=place)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real problems and model outputs that lies beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the data sets of ../shared/data, which are not part of the repository")
    return folder
