"""The study that runs through, and what its folders were midway.

At some moments the process that is about to write a file copies the folder of its task first: each
copy is what a kill at that moment would have left there.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from made_once import made_once

from tests.faults.command import Command
from tests.faults.planted_faults import Strike
from tests.faults.soundness import task_folders


@dataclass(frozen=True, slots=True)
class WholeStudy:
    """Where it is."""

    folder: Path

    @property
    def runs(self) -> Path:
        """The runs folder, all of it done."""
        return self.folder / "runs"

    def midway(self, address: str, moment: str = "training") -> Path:
        """What a task's folder was at a moment."""
        return self.folder / moment / address

    @property
    def base(self) -> str:
        """Address of the base."""
        (folder,) = (self.runs / "bases").glob("[!.]*")
        return f"bases/{folder.name}"

    def run(self, algorithm: str, *, adapter: bool = False, chained: bool = False) -> str:
        """Address of a run."""
        (address,) = (
            folder.relative_to(self.runs).as_posix()
            for folder in task_folders(self.runs)
            if f"-{algorithm}-s0-" in folder.name
            and (folder / "policy" / "adapter_config.json").exists() == adapter
            and bool(_stages_before(folder)) == chained
        )
        return address


def _stages_before(run: Path) -> list[object]:
    from formatlab.store.run_folder import RunFolder

    return RunFolder.open(run).config["before"]


def whole_study(folder: Path) -> WholeStudy:
    """The study in a folder, made by the first process that asks for it."""
    return WholeStudy(made_once(folder, _make))


def _make(folder: Path) -> None:
    strikes = [
        Strike(pattern=pattern, number=number, target="copy", place=str(folder / moment))
        for moment, pattern, number in _MOMENTS
    ]
    planted = {"FAULTS_AT": json.dumps([asdict(strike) for strike in strikes])}
    with Command(folder / "runs", planted=planted) as command:
        end = command.wait()
    assert (end.status, end.errors) == (0, ""), end.told


_MOMENTS = (
    ("pretraining", r"/bases/[^/]+/checkpoints/checkpoint-200/WHOLE", 1),
    ("probe", r"/bases/[^/]+/rollouts/split=probe/epoch=000\.parquet", 1),
    ("training", r"/small/[^/]+-(grpo|rloo|sft|dpo)-[^/]+/checkpoints/checkpoint-3/WHOLE", 1),
    ("training", r"/small/[^/]+-ppo-[^/]+/checkpoints/checkpoint-6/WHOLE", 1),
    ("round", r"/small/[^/]+-expert_iteration-[^/]+/rollouts/split=train/epoch=001\.parquet", 1),
    ("tuning", r"/small/[^/]+-expert_iteration-[^/]+/checkpoints/round-002", 1),
)
"""What moments are called, and the path that is written then, and which time."""
