"""Something done after given updates of a trainer: the policy is observed."""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback


class AfterUpdates(TrainerCallback):
    """Calls back after given updates."""

    def __init__(self, call: Mapping[int, Callable[[], None]]) -> None:
        """After update `n`, call `call[n]`."""
        self._call = dict(call)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Call if there is something to call."""
        if state.global_step in self._call:
            self._call[state.global_step]()
