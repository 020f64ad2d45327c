"""Several small runs side by side on one device, beside one after another."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

from benchmarks.steps import LEARNING_RATE, train_lab
from benchmarks.turns import Row, in_process
from formatlab.store.run_folder import RunFolder
from formatlab.train.on_policy.settings import Grpo
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.prompt import plain_prompt


class Trained(TypedDict):
    """What one of the runs measured, on a clock that all processes share."""

    alone: float | None
    """Seconds of its steps while the others waited; None of all runs but the first."""
    began: float
    ended: float
    """When its steps beside the others began and ended."""


def beside_rows(
    what: str, base: Path, *, runs: int, steps: int, prompts_per_step: int
) -> list[Row]:
    """Seconds in which all runs have made a step: side by side, and one after another.

    All processes are there before the clock runs. The first one trains some steps while the others
    wait, then all train as many.

    Args:
        what: the name of the comparison.
        base: the model that all runs start from.
        runs: number of them, each a process.
        steps: that are timed.
        prompts_per_step: of each run, eight completions each.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(runs) as threads:
        asked = {
            "runs": runs,
            "steps": steps,
            "prompts_per_step": prompts_per_step,
            "base": str(base),
            "folder": folder,
        }

        def run(place: int) -> Trained:
            try:
                return in_process(train, asked | {"place": place})
            except BaseException:
                (Path(folder) / "failed").touch()  # the others would wait for it
                raise

        trained = list(threads.map(run, range(runs)))
    alone = trained[0]["alone"]
    assert alone is not None
    together = max(of["ended"] for of in trained) - min(of["began"] for of in trained)
    return [
        Row(what=what, who="lab, side by side", values=[together / steps]),
        Row(what=what, who="one after another", values=[runs * alone / steps]),
    ]


def train(
    *, place: int, runs: int, steps: int, prompts_per_step: int, base: str, folder: str
) -> Trained:
    """Train one of the runs, in step with the others through files in a folder."""
    import torch

    from formatlab.models.model import best_device, silence_libraries

    torch.set_num_threads(1)
    silence_libraries()
    gate = Path(folder)
    timed = 2 * steps if place == 0 else steps
    settings = Grpo(
        prompts=(1 + timed) * prompts_per_step,
        prompts_per_step=prompts_per_step,
        epochs=1,
        learning_rate=LEARNING_RATE,
        checkpoint_every=1_000,
    )
    stamps: list[float] = []

    def stamp() -> None:
        if best_device().type != "cpu":
            torch.accelerator.synchronize()
        stamps.append(time.monotonic())

    done = 0

    def after_step(step: int) -> None:
        nonlocal done
        done += 1
        if done == 1:
            (gate / f"ready-{place}").touch()
            awaited = [f"ready-{other}" for other in range(runs)] if place == 0 else ["go"]
            while not all((gate / name).exists() for name in awaited):
                if (gate / "failed").exists():
                    raise SystemExit("another of the runs failed")
                time.sleep(0.01)
            stamp()
        elif done == 1 + steps and place == 0:
            stamp()
            (gate / "go").touch()
        elif done == 1 + timed:
            stamp()

    train_lab(
        settings,
        Path(base),
        [plain_prompt(problem) for problem in FOUR_FORMATS.problems("rl", settings.prompts)],
        RunFolder.create(gate / f"run-{place}", config={}, env={}),
        after_step=after_step,
    )
    alone = stamps[1] - stamps[0] if place == 0 else None
    return Trained(alone=alone, began=stamps[-2], ended=stamps[-1])
