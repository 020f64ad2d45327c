"""Patience with a network: what fails because it is away is tried again until it is back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from formatlab.errors import FormatlabError
from formatlab.store.lock import Record

TRY_EVERY = 5.0
"""Seconds between two tries."""
TRY_FOR = 600.0
"""Seconds from the first failure on for which it is tried again."""

_LASTING = (
    FormatlabError,
    PermissionError,
    NotImplementedError,
    ImportError,
    TypeError,
    ValueError,
)
"""What no waiting mends: errors for people, access denied, what some storage cannot do."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Does again what fails, unless that is no matter of time."""

    waiting: Callable[[Exception], None]
    """Told what failed, before each wait."""

    def __call__(self, do: Callable[[], T]) -> T:
        """Do something that may be begun again, for as long as it may take."""
        last: float | None = None
        while True:
            try:
                return do()
            except _LASTING:
                raise
            except Exception as error:  # storage libraries have errors of their own
                now = time.monotonic()
                last = now + TRY_FOR if last is None else last
                if now > last:
                    raise
                self.waiting(error)
            time.sleep(TRY_EVERY)


class PatientRecord:
    """The record of a lock that is taken, and let go of, with patience; see `lock.Record`."""

    def __init__(self, record: Record, patience: Patience) -> None:
        self._record, self._patience = record, patience

    def make(self, content: bytes) -> bool:
        """Make the record; who takes a lock knows his own, where the answer was lost."""
        return self._patience(lambda: self._record.make(content))

    def read(self) -> bytes | None:
        """What is in it."""
        return self._patience(self._record.read)

    def replace(self, old: bytes, new: bytes) -> bytes | None:
        """Overwrite it, without patience: a heart beats again anyway."""
        return self._record.replace(old, new)

    def remove(self, content: bytes) -> None:
        """Remove it if this is what is in it."""
        self._patience(lambda: self._record.remove(content))
