"""Faults: what goes wrong with one text is counted and said once, and ends nothing."""

import traceback
import warnings

_SHOWN = 200
"""Characters of a text that a warning shows."""

_said: set[tuple[type[BaseException], str, int]] = set()
"""Faults that a warning has told of: kind of error, file and line."""


def say_fault(error: Exception, text: str) -> None:
    """Warn of an error over a text, once for each kind and place in the code."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    file = frame.f_code.co_filename
    kind = (type(error), file, line)
    if kind in _said:
        return
    _said.add(kind)
    shown = repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."
    warnings.warn(
        f"a text could not be judged; it counts as wrong, with the reason 'fault' ({file}, line "
        f"{line}: {type(error).__name__}: {error}). Unless that line is in a format of your own, "
        f"this is a defect of formatlab: please report it with the text. Others of its kind are "
        f"counted and not told of again. The text: {shown}",
        RuntimeWarning,
        stacklevel=3,
    )
