import pytest

from formatlab.models.device import best_device, worker_devices


@pytest.mark.parametrize(
    ("slot", "visible", "count", "expected"),
    [
        (0, None, 0, None),
        (3, None, 1, None),
        (0, None, 2, "0"),
        (3, None, 2, "1"),
        (1, "4,7", 2, "7"),
        (2, "4,7", 2, "4"),
    ],
)
def test_workers_take_devices_in_turn(
    slot: int, visible: str | None, count: int, expected: str | None
):
    assert worker_devices(slot, visible, count) == expected


def test_there_is_always_a_device():
    assert best_device().type
