import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_trials import MadeUpTrial
from rich.console import Console

from formatlab.launch.devices import Gpu
from formatlab.launch.estimates.calibration import FILE, Calibration, saying
from formatlab.launch.estimates.trial import LONGEST, Cost, StartTrial, at_full_size

EXPERIMENT = Path(__file__).parents[3] / "experiments" / "scale_attractors.py"


def measured(runs: Path, *trials: MadeUpTrial) -> tuple[Calibration, list[str]]:
    """A calibration after the trials, and what it said."""
    calibration, said = Calibration(runs), []
    calibration.measure(trials, EXPERIMENT, said.append)
    return calibration, said


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with a calibration."""
    runs = tmp_path_factory.mktemp("runs")
    trials = [
        MadeUpTrial(name="one", seconds=0.5),
        MadeUpTrial(name="wrong", trouble="error"),
        MadeUpTrial(name="two", seconds=0.25),
        MadeUpTrial(name="dead", trouble="death"),
        MadeUpTrial(name="three", seconds=0.125),
    ]
    calibration, said = measured(runs, *trials)
    assert said[0] == "starting a worker (1 of 6)"
    assert calibration.failures == {
        "wrong": "ValueError: this cannot be done",
        "dead": "the process ended with status 3",
    }
    return runs


def test_costs_are_kept_in_the_runs_folder(there: Path):
    calibration = Calibration(there)
    assert calibration.cost(MadeUpTrial(name="one")) == Cost(seconds=0.5, memory=1)
    start = calibration.cost(StartTrial())
    assert start is not None and start.seconds > 0.1 and start.memory > 10**8


def test_a_trial_that_fails_stops_no_other_and_is_not_kept(there: Path):
    calibration = Calibration(there)
    assert calibration.cost(MadeUpTrial(name="two")) == Cost(seconds=0.25, memory=1)
    assert calibration.cost(MadeUpTrial(name="three")) == Cost(seconds=0.125, memory=1)
    assert calibration.cost(MadeUpTrial(name="wrong")) is None
    assert calibration.cost(MadeUpTrial(name="dead")) is None


def test_what_is_known_is_not_measured_again(there: Path):
    calibration, said = measured(there, MadeUpTrial(name="one", seconds=9.0))
    assert said == []
    assert calibration.cost(MadeUpTrial(name="one")) == Cost(seconds=0.5, memory=1)


def test_another_machine_knows_nothing_and_leaves_the_first_ones_costs(there: Path):
    gpus = [Gpu(name="0", total=1, free=1, model="NVIDIA H200")]
    other = Calibration(there, gpus)
    assert other.cost(MadeUpTrial(name="one")) is None
    other._costs["one"] = Cost(seconds=7.0, memory=1)
    other._save()
    assert Calibration(there).cost(MadeUpTrial(name="one")) == Cost(seconds=0.5, memory=1)
    again = Calibration(there, gpus).cost(MadeUpTrial(name="one"))
    assert again is not None and again.seconds == 7.0


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema_version": 9, "machines": []}', '{"schema_version": 1}']
)
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    assert Calibration(tmp_path).cost(StartTrial()) is None


def test_a_cost_that_is_not_whole_is_left_out(there: Path, tmp_path: Path):
    whole = json.loads((there / FILE).read_text())
    for entry in whole["machines"]:
        del entry["costs"]["one"]["seconds"]
    (tmp_path / FILE).write_text(json.dumps(whole))
    assert Calibration(tmp_path).cost(MadeUpTrial(name="one")) is None
    assert Calibration(tmp_path).cost(MadeUpTrial(name="two")) is not None


def work(seconds_each: float, begin: float = 0.0) -> tuple[list[int], Callable[[int], Cost]]:
    """Work that takes so long a unit, and the sizes that it was done at."""
    done: list[int] = []

    def measure(size: int) -> Cost:
        done.append(size)
        return Cost(seconds=begin + size * seconds_each, memory=1000 + 10 * size)

    return done, measure


def test_quick_work_is_measured_at_full_size():
    done, measure = work(LONGEST / 64)
    assert at_full_size(measure, [4, 16, 64]) == Cost(seconds=LONGEST, memory=1640)
    assert done == [4, 64]


def test_work_that_only_begins_slowly_is_measured_at_full_size():
    done, measure = work(LONGEST / 128, begin=LONGEST / 8)
    assert at_full_size(measure, [4, 16, 64]).memory == 1640
    assert done == [4, 4, 16, 64]


def test_slow_work_is_told_from_smaller_sizes():
    done, measure = work(1.0, begin=3.0)
    assert at_full_size(measure, [4, 16, 64]) == Cost(seconds=67.0, memory=1640)
    assert done == [4, 4, 16]


def test_work_that_cannot_be_divided_is_done_whole():
    done, measure = work(100.0)
    assert at_full_size(measure, [16]) == Cost(seconds=1600.0, memory=1160)
    assert done == [16, 16]


@pytest.mark.parametrize("terminal", [True, False])
def test_that_something_is_measured_is_shown(terminal: bool):
    console = Console(file=io.StringIO(), width=60, force_terminal=terminal)
    with saying(console) as say:
        say("grpo 0.04M (1 of 2)")
        say("grpo 0.13M (2 of 2)")
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "measuring this machine" in text
    assert terminal == ("grpo 0.13M (2 of 2)" in text)
    assert terminal or text.count("\n") == 1


def test_where_nothing_is_measured_nothing_is_shown():
    console = Console(file=io.StringIO(), width=60, force_terminal=True)
    with saying(console):
        pass
    assert isinstance(console.file, io.StringIO)
    assert "measuring" not in console.file.getvalue()
