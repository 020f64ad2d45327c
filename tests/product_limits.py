"""Limits of time in tests of the observing room.

A verdict must not change because the machine is busy, so sound input gets far longer than it takes.
Input that never ends gets the limits of the product, which it would otherwise sit through.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from formatlab.observe import sandbox
from formatlab.observe.answers import mathematics

_LIMITS, _WORKER_SECONDS, _SECONDS = (
    sandbox._LIMITS,
    sandbox._WORKER_SECONDS,
    mathematics.SECONDS,
)


@contextmanager
def long_limits() -> Iterator[None]:
    """Let a program take half a minute, and its worker or a comparison a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "_LIMITS", {**_LIMITS, "max_feed_duration_secs": 30.0})
        patch.setattr(sandbox, "_WORKER_SECONDS", 60.0)
        patch.setattr(mathematics, "SECONDS", 60.0)
        yield


@contextmanager
def product_limits() -> Iterator[None]:
    """Set the limits back to those of the product, for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "_LIMITS", _LIMITS)
        patch.setattr(sandbox, "_WORKER_SECONDS", _WORKER_SECONDS)
        patch.setattr(mathematics, "SECONDS", _SECONDS)
        yield
