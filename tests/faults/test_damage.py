"""Files cut short: Parquet, checkpoints, weights and JSON, of folders that are done or midway.

A folder that cannot be gone on with is put aside and made again, and the command says so; what only
a checkpoint lacks is made again from the one before, or from the start. The base and the runs are
damaged side by side, each in another file, so that one command has up to eight damages to mend.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.faults.command import End, run
from tests.faults.whole_study import WholeStudy

pytestmark = pytest.mark.faults

Cut = Literal["half", "empty"]
CUTS: tuple[Cut, ...] = ("half", "empty")


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One file cut short."""

    moment: str
    """When its folder was copied, see `whole_study`; `done`: at the end."""
    file: str
    """Relative to the folder; the newest one that fits the pattern."""
    cut: Cut
    aside: bool
    """Whether the folder has to be put aside."""

    @property
    def words(self) -> str:
        """What the tally calls it."""
        return f"{self.moment}: {self.file.rpartition('/')[2]} ({self.cut})"


def damages(moment: str, files: str, *, aside: bool) -> list[Damage]:
    """Every file cut short in both ways."""
    return [
        Damage(moment=moment, file=file, cut=cut, aside=aside)
        for file in files.split()
        for cut in CUTS
    ]


def in_turn(moment: str, files: str, *, aside: bool) -> list[Damage]:
    """Every file cut short in one of the ways."""
    return [
        Damage(moment=moment, file=file, cut=CUTS[number % len(CUTS)], aside=aside)
        for number, file in enumerate(files.split())
    ]


CHECKPOINT = (
    "WHOLE trainer_state.json model.safetensors optimizer.pt scheduler.pt rng_state.pth "
    "training_args.bin config.json tokenizer.json tokenizer_config.json generation_config.json"
)
TRAIN = "rollouts/split=train/epoch=000.parquet"
PROBE = "rollouts/split=probe/epoch=000.parquet"


def within(folder: str, names: str) -> str:
    return " ".join(f"{folder}/{name}" for name in names.split())


OF_BASE = [
    *damages("pretraining", "checkpoints/checkpoint-*/state.pt", aside=False),
    *in_turn("pretraining", "metrics.jsonl", aside=False),
    *in_turn("pretraining", "config.json env.json", aside=True),
    *in_turn("probe", "model/model.safetensors model/tokenizer.json", aside=True),
    *in_turn("done", f"DONE {PROBE} model/model.safetensors model/config.json", aside=True),
]
OF_RUNS: dict[str, list[Damage]] = {
    "grpo": in_turn("training", within("checkpoints/checkpoint-2", CHECKPOINT), aside=False),
    "ppo": [
        *damages("training", "checkpoints/checkpoint-4/critic.safetensors", aside=False),
        *in_turn("training", f"{TRAIN} {PROBE}", aside=True),
        *in_turn("done", f"DONE metrics.jsonl winners.parquet {TRAIN} {PROBE}", aside=True),
        *in_turn("done", "policy/model.safetensors", aside=True),
    ],
    "rloo": [
        *in_turn("training", "config.json env.json", aside=True),
        *damages("training", "metrics.jsonl", aside=False),
        *in_turn("done", "env.json config.json", aside=True),
        *in_turn("done", "policy/config.json", aside=True),
    ],
    "expert_iteration": [
        *in_turn("tuning", "checkpoints/step-002.json", aside=True),
        *in_turn("tuning", "checkpoints/round-001/round.json", aside=True),
        *damages("tuning", "metrics.jsonl", aside=False),
        *in_turn(
            "tuning",
            within("checkpoints/sft-002/checkpoint-2", "WHOLE model.safetensors optimizer.pt"),
            aside=False,
        ),
        *in_turn("round", "checkpoints/round-001/model.safetensors", aside=True),
        *in_turn("round", f"checkpoints/round-001/config.json {TRAIN}", aside=True),
    ],
    "sft": [
        *in_turn(
            "training",
            within("checkpoints/checkpoint-2", "trainer_state.json WHOLE model.safetensors"),
            aside=False,
        ),
        *damages("training", "metrics.jsonl", aside=False),
        *in_turn("done", "policy/model.safetensors policy/tokenizer.json", aside=True),
    ],
    "dpo": [
        *damages("training", TRAIN, aside=True),
        *in_turn("training", "checkpoints/checkpoint-2/rng_state.pth metrics.jsonl", aside=False),
        *in_turn("done", f"{TRAIN} DONE", aside=True),
    ],
    "adapter": [
        *in_turn(
            "training",
            within("checkpoints/checkpoint-2", "adapter_model.safetensors adapter_config.json"),
            aside=False,
        ),
        *in_turn(
            "done", within("policy", "adapter_model.safetensors adapter_config.json"), aside=True
        ),
        *damages("done", "policy-merged/model.safetensors", aside=True),
    ],
}
"""Of each run, what is damaged in it, one after the other."""


def rounds() -> Iterator[dict[str, Damage]]:
    """Damages side by side: for the base and each run its next one."""
    all_of = {"base": OF_BASE, **OF_RUNS}
    for number in range(max(map(len, all_of.values()))):
        yield {name: of[number] for name, of in all_of.items() if number < len(of)}


def address(study: WholeStudy, name: str) -> str:
    match name:
        case "base":
            return study.base
        case "adapter":
            return study.run("sft", adapter=True)
        case _:
            return study.run(name)


def break_one(study: WholeStudy, runs: Path, of: str, damage: Damage) -> Path:
    """Put a folder back to a moment, and cut a file of it short; gives the file."""
    if damage.moment != "done":
        shutil.rmtree(runs / of)
        shutil.copytree(study.midway(of, damage.moment), runs / of)
    if damage.moment == "pretraining":
        shutil.rmtree(runs / of / "model", ignore_errors=True)
    *_, file = sorted((runs / of).glob(damage.file), key=lambda path: (len(str(path)), path))
    content = file.read_bytes()
    assert len(content) > 1
    file.write_bytes(content[: len(content) // 2] if damage.cut == "half" else b"")
    return file


def check_told(end: End, runs: Path, of: str, damage: Damage) -> None:
    aside = list((runs / ".aside").glob(f"{of}-*"))
    assert bool(aside) == damage.aside, f"{of}, {damage}: {end.told}"
    for folder in aside:
        assert f"made again, the old folder is {folder}" in end.output


@pytest.mark.parametrize("number", range(len(list(rounds()))))
def test_a_base_and_runs_with_files_cut_short_are_made_whole(
    study: WholeStudy, runs: Path, tally, number: int
):
    shutil.copytree(study.runs, runs)
    of = {address(study, name): damage for name, damage in list(rounds())[number].items()}
    for task, damage in of.items():
        break_one(study, runs, task, damage)
        tally(kind(damage)).strike([damage.words])
    end = run(runs)
    files = tally("files cut short, together")
    files.repeated()
    files.ended(runs, end)
    for task, damage in of.items():
        check_told(end, runs, task, damage)


def kind(damage: Damage) -> str:
    match damage.file.rpartition(".")[2]:
        case "parquet":
            return "truncated Parquet"
        case _ if damage.file.startswith("checkpoints/"):
            return "truncated checkpoint"
        case "safetensors":
            return "truncated weights"
        case _:
            return "half-written JSON"
