"""Sound input does not run out of time in tests, however busy the machine is."""

from collections.abc import Iterator

import pytest
from product_limits import long_limits


@pytest.fixture(autouse=True, scope="module")
def unhurried() -> Iterator[None]:
    """Long limits of time for every test of this folder."""
    with long_limits():
        yield
