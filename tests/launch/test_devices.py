import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from formatlab.errors import RunError
from formatlab.launch import devices
from formatlab.launch.devices import (
    CONTEXT,
    SIDE_BY_SIDE,
    Devices,
    Gpu,
    available_memory,
    find_gpus,
    worker_threads,
)

GB = 2**30


def gpu(name: str = "0", free: int = 80 * GB) -> Gpu:
    return Gpu(name=name, free=free)


def seated(devices: Devices, needed: int | None, count: int = 100) -> list[str | None]:
    """The devices of as many equal tasks as find a seat, in order."""
    found: list[str | None] = []
    while len(found) < count and devices.has_room(needed):
        found.append(devices.take(f"task {len(found)}", needed))
    return found


def test_without_gpus_each_core_has_a_task():
    assert seated(Devices([], cores=3), GB) == [None, None, None]


def test_the_number_of_jobs_is_heeded():
    assert len(seated(Devices([], cores=3, jobs=5), GB)) == 5
    assert len(seated(Devices([gpu()], cores=16, jobs=2), GB)) == 2
    assert len(seated(Devices([gpu()], cores=16, jobs=9), GB)) == 9


def test_small_tasks_share_a_device_up_to_the_measured_number():
    assert seated(Devices([gpu()], cores=16), GB) == ["0"] * SIDE_BY_SIDE


def test_tasks_are_no_more_than_the_cores_that_drive_them():
    assert len(seated(Devices([gpu("0"), gpu("1")], cores=4), GB)) == 4


def test_tasks_spread_over_devices():
    assert seated(Devices([gpu("0"), gpu("1")], cores=4), GB) == ["0", "1", "0", "1"]


def test_of_devices_with_as_many_tasks_the_one_with_more_room_is_taken():
    assert Devices([gpu("0", 20 * GB), gpu("1")], cores=4).take("a", GB) == "1"


@pytest.mark.parametrize(("free", "count"), [(10 * GB, 3), (80 * GB, SIDE_BY_SIDE)])
def test_memory_limits_who_shares_a_device(free: int, count: int):
    # 90% of 10 GB hold three times 2 GB and a context, and not four times.
    assert len(seated(Devices([gpu(free=free)], cores=16), 2 * GB)) == count


def test_a_context_is_counted_for_each_process():
    free = round(4.5 * CONTEXT / devices.FILLED)
    assert len(seated(Devices([gpu(free=free)], cores=16), 0)) == 4


def test_an_unknown_task_has_a_device_for_itself():
    two = Devices([gpu("0"), gpu("1")], cores=16)
    assert two.take("unknown", None) == "0"
    assert [two.take(name, GB) for name in "ab"] == ["1", "1"]
    assert not two.has_room(None)
    two.give_back("unknown")
    assert two.take("another", None) == "0"


@pytest.mark.parametrize("needed", [None, GB, 100 * GB])
def test_a_given_number_of_runs_share_a_gpu_whatever_they_need(needed: int | None):
    given = Devices([gpu("0"), gpu("1")], cores=16, runs_per_gpu=3)
    assert given.most == 6
    assert seated(given, needed) == ["0", "1"] * 3


def test_a_task_too_large_for_any_device_has_the_largest_for_itself():
    two = Devices([gpu("0", 10 * GB), gpu("1", 40 * GB)], cores=16)
    assert two.take("small", GB) == "1"
    assert not two.has_room(100 * GB)  # the device with 40 GB is worth waiting for
    two.give_back("small")
    assert two.take("huge", 100 * GB) == "1"
    assert two.take("small", GB) == "0"


def test_a_task_takes_the_device_that_holds_it():
    two = Devices([gpu("0", 10 * GB), gpu("1", 40 * GB)], cores=16)
    assert [two.take(name, 15 * GB) for name in "ab"] == ["1", "1"]
    assert not two.has_room(15 * GB)  # it would run out of memory on the other


def test_a_seat_that_is_given_back_is_free():
    one = Devices([], cores=1)
    assert one.take("a", None) is None
    assert not one.has_room(None)
    one.give_back("a")
    assert one.has_room(None)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has signs of a GPU."""
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(devices, "_NODES", (str(tmp_path / "nvidiactl"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("visible", ["", " ", "-1"])
def test_hidden_gpus_are_none_and_nobody_looks(monkeypatch: pytest.MonkeyPatch, visible: str):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(subprocess, "run", None)
    assert find_gpus() == []


def test_a_machine_without_signs_of_a_gpu_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(devices, "_NODES", (str(tmp_path / "nothing"),))
    monkeypatch.setattr(subprocess, "run", None)
    assert find_gpus() == []


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["0", "1"]),
        ("3,5", ["3", "5"]),
        (" GPU-8f2a, GPU-11c0", ["GPU-8f2a", "GPU-11c0"]),
        ("4,2,-1,7", ["4", "2"]),  # CUDA reads up to what it does not know
    ],
)
def test_a_child_process_looks_at_the_gpus_that_the_variable_names(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, names: list[str]
):
    def run(command: list[str], **_: Any) -> Any:
        text = "a warning\n" + json.dumps([[70 * GB, "H200"], [60 * GB, "H200"]]) + "\n"
        return subprocess.CompletedProcess(command, 0, stdout=text, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpus = [
        Gpu(name=name, free=free, model="H200")
        for name, free in zip(names, (70 * GB, 60 * GB), strict=True)
    ]
    assert find_gpus() == gpus


@pytest.mark.usefixtures("node")
def test_gpus_that_cannot_be_looked_at_are_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
):
    def run(command: list[str], **_: Any) -> Any:
        raise subprocess.CalledProcessError(
            1, command, stderr="Traceback\nRuntimeError: bad driver"
        )

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RunError, match=r"RuntimeError: bad driver.*CUDA_VISIBLE_DEVICES= "):
        find_gpus()


def test_looking_for_gpus_imports_no_torch():
    program = (
        "import sys; from formatlab.launch.devices import find_gpus; "
        "assert 'torch' not in sys.modules; find_gpus(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("cores", "workers", "most", "limit", "threads"),
    [
        (8, 2, None, None, 4),
        (8, 3, None, None, 2),
        (2, 8, None, None, 1),
        (8, 1, 1, None, 1),
        (4, 1, 16, None, 4),
        (4, 0, None, None, 4),
        (8, 2, None, "3", 3),
        (8, 2, 1, "3,1", 1),
        (8, 2, None, "many", 4),  # OpenMP ignores it as well
    ],
)
def test_cores_are_divided_among_workers(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    workers: int,
    most: int | None,
    limit: str | None,
    threads: int,
):
    monkeypatch.setattr(devices, "available_cores", lambda: cores)
    monkeypatch.setenv("OMP_NUM_THREADS", limit or "")
    assert worker_threads(workers, most) == threads


def test_the_memory_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(devices, "_CGROUPS", ((str(limit), str(used)),))
    limit.write_text("max\n")
    used.write_text("1000\n")
    free = available_memory()
    assert free > 10**6
    limit.write_text("5000\n")
    assert available_memory() == 4000
    used.write_text("6000\n")
    assert available_memory() == 0
