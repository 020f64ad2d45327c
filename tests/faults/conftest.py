"""What the faults share: the study that runs through, and the tally."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_once import common_folder

from tests.faults.tally import Tally, summary
from tests.faults.whole_study import WholeStudy, whole_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> WholeStudy:
    """The study that ran through, one for all processes of the tests.

    Who works on one test may name a folder in FAULTS_STUDY, where it is kept for the next time.
    """
    if kept := os.environ.get("FAULTS_STUDY"):
        return whole_study(Path(kept))
    return whole_study(common_folder(tmp_path_factory) / "whole_study")


@pytest.fixture
def tally(request: pytest.FixtureRequest, study: WholeStudy) -> Callable[[str], Tally]:
    """Gives the tally of a fault, by its name."""

    def of(fault: str) -> Tally:
        return Tally(request.node, fault, study.runs)

    return of


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder to be broken."""
    return tmp_path / "runs"


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "faults: breaks studies on purpose; see `make faults`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Break things only where that is asked for, by `-m faults`."""
    if "faults" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("faults")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the counts."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if getattr(report, "when", "") == "call"
    ]
    lines = list(summary(reports))
    if lines:
        terminalreporter.section("faults")
    for line in lines:
        terminalreporter.write_line(line)
