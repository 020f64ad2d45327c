"""A ladder study of which some chains train an adapter; a study of the lab trains all or none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from formatlab.study.stage_run import StageRun
from formatlab.study.study import LadderStudy


@dataclass(frozen=True, kw_only=True)
class AdaptedStudy(LadderStudy):
    """The last chain is run with an adapter."""

    def runs(self) -> Sequence[StageRun]:
        *whole, adapted = self.chains
        parts = (replace(self, chains=tuple(whole)), replace(self, train="lora", chains=(adapted,)))
        return [run for part in parts for run in LadderStudy.runs(part)]
