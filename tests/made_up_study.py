"""Study folders made up of tasks in chosen states, as launchers leave them, untrained."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
from plain_task import facts_of

from formatlab.launch.plan import Plan, PlannedTask, write_plan
from formatlab.store.lock import locked
from formatlab.store.run_folder import RunFolder

STUDY = "formats"
NO_PROCESS = 2**22 + 1
"""A process number that Linux never gives."""


def planned(
    label: str, needs: Sequence[PlannedTask] = (), *, steps: int | None = 32, study: str = STUDY
) -> PlannedTask:
    """A task called `base 0.04M s0`, `grpo 0.13M s2` or the like, with a folder to match."""
    algorithm, scale, seed = label.split()
    base = algorithm == "base"
    name = f"{scale}-four-{seed if base else f'{algorithm}-{seed}'}-{crc32(label.encode()):08x}"
    return PlannedTask(
        address=f"bases/{name}" if base else f"{study}/{name}",
        facts=facts_of(label),
        needs=tuple(need.address for need in needs),
        steps=None if base else steps,
    )


def plan(
    runs: Path,
    tasks: Sequence[PlannedTask],
    *,
    jobs: int = 1,
    study: str = STUDY,
    selected: Sequence[PlannedTask] | None = None,
) -> None:
    """Write the plan of a study's last command; it selects all tasks unless some are named."""
    write_plan(
        runs / study,
        Plan(
            study=study,
            command=("formatlab", "run", f"experiments/{study}.py"),
            written="2026-11-21T15:00:00+00:00",
            jobs=jobs,
            tasks=tuple(tasks),
            selected=None if selected is None else tuple(task.address for task in selected),
        ),
    )


def begin(
    runs: Path, task: PlannedTask, *, step: int = 0, seconds: float = 2.0, **line: Any
) -> RunFolder:
    """Make a task's folder, with metrics of some steps, the last line of which says more."""
    algorithm, scale, seed = task.label.split()
    config: dict[str, Any] = {"kind": task.kind, "scale": {"name": scale}, "seed": int(seed[1:])}
    if task.kind == "base":
        config |= {"world": {"seed": 0}, "pretraining": {"tokens": 60_000, "vocabulary": 300}}
    else:
        config |= {"algorithm": algorithm, "chain": algorithm}
    run = RunFolder.create(runs / task.address, config=config, env={})
    rows: list[dict[str, Any]] = [{"step": index, "seconds": seconds} for index in range(step)]
    if task.kind == "base":  # whose seconds are those since its making began
        rows = [row | {"seconds": seconds * (row["step"] + 1), "steps": 60} for row in rows]
    if rows:
        run.append_metrics(*rows[:-1], rows[-1] | line)
    return run


def finish(
    runs: Path, task: PlannedTask, *, winner: str = "program", margin: float = 0.5, **begun: Any
) -> RunFolder:
    """Make a task's folder as it is in the end."""
    run = begin(runs, task, **({"step": task.steps or 60} | begun))
    if task.kind == "run":
        leader = "program" if winner == "undecided" else winner
        row = {"epoch": 1.0, "winner": winner, "leader": leader, "share": 0.7, "margin": margin}
        run.write_winners(pa.Table.from_pylist([row]))
    run.mark_done({"sha256": task.label})
    return run


def hold(folder: Path, **owner: Any) -> Path:
    """Lay the lock of another machine's process beside a folder, or of the owner that is given."""
    record: Mapping[str, Any] = {
        "host": "elsewhere",
        "boot": "another machine",
        "pid": 4242,
        "process": 1,
        "beat": 0,
        "token": "t",
    }
    path = folder.with_name(f".{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**record, **owner}))
    return path


def hold_here(folder: Path, *, alive: bool) -> Path:
    """Lay the lock of a process of this machine beside a folder: of this one, or of a dead one."""
    with locked(folder):
        path = folder.with_name(f".{folder.name}.lock")
        record = json.loads(path.read_text())
    return hold(folder, **record | ({} if alive else {"pid": NO_PROCESS, "process": 1}))
