"""A laboratory for which output format survives correctness-only reinforcement learning.

For use from elsewhere: `formatlab.tag(text)` says which format a text is in,
`formatlab.grade(text, gold)` whether its answer is right, `formatlab.gain(base, trained)` how much
of a change in accuracy is format and how much is skill, `formatlab.compare(a, b)` what else
differs, `formatlab.measures(rollouts)` all there is to say of one set; `formatlab.study(folder)`
reads a study as data frames, and `formatlab.FormatRecorder` records the formats of a TRL trainer's
rollouts, with a `formatlab.Alarm` as early warning. Each is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from formatlab.errors import missing_package

if TYPE_CHECKING:
    from formatlab.analysis.frames import compare, gain, measures
    from formatlab.analysis.study import Study as study
    from formatlab.observe.grader import grade
    from formatlab.observe.tagger import tag
    from formatlab.store.alarm import Alarm
    from formatlab.train.recorder.format_recorder import FormatRecorder

__version__ = "0.1.0"
__all__ = ["Alarm", "FormatRecorder", "compare", "gain", "grade", "measures", "study", "tag"]

_HOMES = {
    "Alarm": "formatlab.store.alarm",
    "FormatRecorder": "formatlab.train.recorder.format_recorder",
    "compare": "formatlab.analysis.frames",
    "gain": "formatlab.analysis.frames",
    "grade": "formatlab.observe.grader",
    "measures": "formatlab.analysis.frames",
    "tag": "formatlab.observe.tagger",
}


def __dir__() -> list[str]:
    """What can be asked for, be it imported yet or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Import what is asked for: torch, which the recorder needs, takes seconds to import."""
    if name == "study":
        return import_module("formatlab.study")  # which can be called
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if advice := missing_package(error.name):
            raise ImportError(f"{name}: {advice}", name=error.name) from None
        raise
    globals()[name] = found
    return found
