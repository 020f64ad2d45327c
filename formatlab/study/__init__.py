"""Studies as they are run. Called, `formatlab.study(folder)` reads one that was, as data frames."""

import sys
from types import ModuleType


class _Callable(ModuleType):
    def __call__(self, folder: str) -> object:
        from formatlab.analysis.study import Study

        return Study(folder)


# The room and what reads a study share a name, and importing the room sets it to the module.
sys.modules[__name__].__class__ = _Callable
