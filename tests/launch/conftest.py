"""A study that was run by the local launcher, which other launchers are held to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_study import EXPERIMENT, ended, launch
from made_once import common_folder, made_once


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "tiny.py"
    path.write_text(EXPERIMENT.replace("HOLD", str(path.with_name("hold"))))
    return path


@pytest.fixture
def hold(experiment: Path) -> Iterator[Path]:
    """A file that keeps the study's runs from ending until it is removed."""
    path = experiment.with_name("hold")
    path.touch()
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def reference(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of the local launcher."""

    def make(folder: Path) -> None:
        status, said = ended(launch(experiment, folder / "runs", "--jobs", 2))
        assert status == 0, said

    return made_once(common_folder(tmp_path_factory) / "reference", make) / "runs"
