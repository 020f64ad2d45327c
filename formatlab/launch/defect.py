"""A defect: an exception that nobody foresaw, in our code or in that of an experiment's file."""

import traceback
from pathlib import Path


def defect_text(error: Exception) -> str:
    """What is told of it: a line with the place where it was raised, then the whole traceback.

    A person who added a format has to see at once which line of it is wrong.
    """
    said = str(error).strip().partition("\n")[0]
    words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        last = frames[-1]
        words += f" ({Path(last.filename).name}, line {last.lineno}, in {last.name})"
    return f"{words}\n\n{''.join(traceback.format_exception(error)).rstrip()}"
