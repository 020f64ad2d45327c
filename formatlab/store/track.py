"""Tracks: how work that goes through items one by one is followed by whoever shows its progress."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Gives the items one by one, and may show how many are done and how many are left."""

    def __call__(self, items: Sequence[T], what: str) -> Iterable[T]:
        """Go through items.

        Args:
            items: what the work goes through.
            what: what is done with them, as in `measuring runs`.
        """
        ...


def untracked(items: Sequence[T], what: str) -> Iterator[T]:
    """Give the items, and show nothing."""
    yield from items
