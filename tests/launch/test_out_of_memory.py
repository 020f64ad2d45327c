import numpy as np
import pytest
import torch

from formatlab.launch.out_of_memory import out_of_memory

TOO_MUCH = 2**50


@pytest.mark.parametrize(
    "allocate",
    [lambda: torch.empty(TOO_MUCH), lambda: np.empty(TOO_MUCH), lambda: bytearray(TOO_MUCH)],
    ids=["torch", "numpy", "python"],
)
def test_what_libraries_say_is_told_with_what_to_do(allocate):
    with pytest.raises((RuntimeError, MemoryError)) as error:
        allocate()
    said = out_of_memory(error.value)
    assert said is not None
    assert "micro_batch" in said
    assert "\n" not in said


def test_the_memory_of_a_gpu_counts():
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory")) is not None


def test_other_errors_are_left_alone():
    assert out_of_memory(RuntimeError("shapes differ")) is None
