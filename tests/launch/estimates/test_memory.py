import sys
from pathlib import Path

import numpy as np
import pytest

from formatlab.launch.estimates import memory
from formatlab.launch.estimates.memory import available_memory, gpu_peak, peak_memory, reset_peak

linux = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


@linux
def test_free_memory_is_known():
    found = available_memory()
    assert found is not None and found > 0


@linux
def test_the_limit_of_a_container_is_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(memory, "_CGROUPS", ((str(limit), str(used)),))
    limit.write_text("max\n")
    used.write_text("1000\n")
    free = available_memory()
    assert free is not None and free > 10**6
    limit.write_text("5000\n")
    assert available_memory() == 4000
    used.write_text("6000\n")
    assert available_memory() == 0


@linux
def test_the_peak_is_that_since_the_last_reset():
    reset_peak()
    before = peak_memory()
    held = np.ones(25_000_000)  # 200 MB
    assert peak_memory() - before > 150 * 10**6
    del held
    reset_peak()
    assert peak_memory() - before < 50 * 10**6


def test_without_a_gpu_none_of_its_memory_is_held():
    assert gpu_peak() >= 0
