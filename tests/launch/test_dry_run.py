import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plain_task import Node
from rich.console import Console

from formatlab.errors import InputError
from formatlab.launch import dry_run
from formatlab.launch.devices import CONTEXT, Devices, Gpu
from formatlab.launch.dry_run import (
    dry_run_table,
    local_totals,
    print_dry_run,
)
from formatlab.launch.estimate import Estimate, State, Timing
from formatlab.launch.options import LaunchOptions
from formatlab.store.run_folder import RunFolder
from formatlab.study.experiment import load_experiment
from formatlab.study.study import LadderStudy
from formatlab.study.task import Task, graph

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "scale_attractors.py"
MB, GB = 10**6, 10**9


def entry(task: Task | str, state: State = "to make", **changes: Any) -> Estimate:
    found = unknown(task, state)
    if state == "done":
        return found
    found = replace(found, seconds=50.0, memory=900 * MB, disk=2 * MB, checkpoints=MB)
    return replace(found, **changes)


def unknown(task: Task | str, state: State = "to make") -> Estimate:
    return Estimate(task=Node(task) if isinstance(task, str) else task, state=state)


def lines(entries: Sequence[Estimate], width: int = 200) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(dry_run_table(entries))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def rows(entries: Sequence[Estimate]) -> list[str]:
    """Lines of the table without its headings, with single spaces."""
    return [" ".join(line.split()) for line in lines(entries)[2:]]


def test_a_task_says_what_it_takes():
    base = Node("base 0.04M s0")
    assert rows([entry(base), entry(Node("grpo 0.04M s0", (base,)))]) == [
        "base 0.04M 1 to make 0:50 900.0 MB 2.0 MB",
        "grpo 0.04M 1 to make 0:50 900.0 MB 2.0 MB",
    ]


def test_seeds_of_an_arm_share_a_line():
    entries = [entry(f"grpo 0.04M s{seed}, temperature 0.7") for seed in range(200)]
    entries += [entry(f"grpo 0.04M s{seed}, temperature 1.0", "done") for seed in range(3)]
    assert rows(entries) == [
        "grpo 0.04M, temperature 0.7 200 to make 0:50 900.0 MB 400.0 MB",
        "grpo 0.04M, temperature 1.0 3 done",
    ]


def test_states_of_an_arm_are_counted():
    states: list[State] = ["done", "to make", "to resume", "to make", "to make again"]
    (row,) = rows([entry(f"grpo 0.04M s{seed}", state) for seed, state in enumerate(states)])
    assert "1 done, 1 to resume, 1 to make again, 2 to make" in row
    assert row.endswith("0:50 900.0 MB 8.0 MB")


def test_what_is_unknown_is_said_to_be():
    assert rows([unknown("grpo smollm2-135m s0")]) == [
        "grpo smollm2-135m 1 to make unknown unknown unknown"
    ]


@pytest.mark.parametrize("width", [70, 80, 100])
def test_a_wide_table_fits_the_terminal_with_all_that_was_said(width: int):
    start = Node("sft program+tool_tags+latex+prose 0.04M s0")
    label = "sft program+tool_tags+latex+prose, grpo 0.04M s{}"
    found = lines([entry(Node(label.format(n), (start,))) for n in range(3)], width)
    assert max(map(len, found)) <= width
    text = " ".join(found)
    for words in ("900.0 MB", "0:50", "6.0 MB", "3 to make"):
        assert words in text


def totals(
    entries: Sequence[Estimate],
    gpus: Sequence[Gpu] = (),
    memory: int = 8 * GB,
    disk: int = 93 * GB,
    cores: int = 2,
    **options: int,
) -> list[str]:
    devices = Devices(gpus, cores=cores, **options)
    return list(local_totals(entries, devices, cores, memory=memory, disk=disk))


def time_of(*arguments: Any, **options: Any) -> str:
    return totals(*arguments, **options)[0].split(";")[0]


def test_a_study_is_summed_up():
    entries = [entry("grpo 0.04M s0"), entry("grpo 0.04M s1", "to resume")]
    assert totals(entries) == [
        "time    about 0:50, 2 side by side; 1:40 of work in all",
        "memory  about 2.1 GB; 8.0 GB are free",
        "disk    about 6.0 MB with checkpoints; 93.0 GB are free",
    ]


def test_totals_say_what_is_unknown():
    assert [line.split(";")[0] for line in totals([unknown("grpo 0.04M s0")])] == [
        "time    unknown, 1 side by side",
        "memory  unknown",
        "disk    unknown with checkpoints",
    ]
    assert totals([unknown("grpo 0.04M s0"), entry("grpo 0.04M s1")]) == [
        "time    at least 0:50, 2 side by side; at least 0:50 of work in all",
        "memory  at least 1.2 GB; 8.0 GB are free",
        "disk    at least 4.0 MB with checkpoints; 93.0 GB are free",
    ]


@pytest.mark.parametrize(("memory", "do"), [(3000, "take --jobs 2"), (900, "micro_batch")])
def test_too_little_memory_is_warned_of(memory: int, do: str):
    entries = [entry(f"grpo 0.04M s{seed}") for seed in range(8)]
    found = totals(entries, memory=memory * MB, cores=8)
    (line,) = (line for line in found if "more memory than is free" in line)
    assert do in line
    assert len(totals(entries, memory=100 * GB, cores=8)) == len(found) - 1


def test_too_little_disk_is_warned_of():
    *_, line = totals([entry("grpo 0.04M s0")], disk=3 * MB)
    assert "more disk than is free" in line and "--runs-dir" in line


def test_tasks_wait_for_what_they_need_and_for_seats():
    base = Node("base 0.04M s0")
    entries = [entry(base, seconds=60.0)]
    entries += [entry(Node(f"grpo 0.04M s{seed}", (base,))) for seed in range(3)]
    assert time_of(entries, cores=2) == "time    about 2:40, 2 side by side"
    assert time_of(entries, cores=8) == "time    about 1:50, 3 side by side"
    assert time_of(entries, cores=1) == "time    about 3:30, 1 side by side"
    # More tasks than cores share them.
    assert time_of(entries, cores=1, jobs=4) == "time    about 3:30, 3 side by side"


def test_of_tasks_whose_gpu_memory_is_unknown_each_has_a_gpu_for_itself():
    entries = [entry(f"grpo 0.04M s{seed}") for seed in range(4)]
    gpus = [Gpu(name=name, free=80 * GB + CONTEXT) for name in "01"]
    assert time_of(entries, gpus, cores=16) == "time    about 1:40, 2 side by side"
    shared = time_of(entries, gpus, cores=16, runs_per_gpu=2)
    assert shared == "time    about 0:50, 4 side by side"


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    timing = Timing(layer=0.001, parameter=1e-10)
    monkeypatch.setattr(dry_run, "time_machine", lambda threads: timing)
    monkeypatch.setattr(dry_run, "find_gpus", list)
    study = load_experiment(EXPERIMENT)[1]["cpu"]
    assert isinstance(study, LadderStudy)
    return graph(study.runs())


def printed(
    tasks: list[Task], runs: Path, options: LaunchOptions | None = None, width: int | None = 80
) -> str:
    console = Console(
        file=io.StringIO(),
        width=width or 80,
        force_terminal=width is not None,
        color_system=None,
        soft_wrap=True,
    )
    print_dry_run(tasks, runs, options=options or LaunchOptions(jobs=2), console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_dry_run_describes_a_study_and_makes_nothing(tmp_path: Path, tasks: list[Task]):
    folder = RunFolder.create(tmp_path / tasks[0].address, config={}, env={})
    folder.append_metrics({"step": 0, "tokens": 100, "seconds": 1.0})
    before = sorted(tmp_path.rglob("*"))
    text = printed(tasks, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert max(map(len, text.splitlines())) <= 80
    assert "base 0.27M" in text and "grpo 0.04M" in text
    assert "40 tasks: 1 to resume, 39 to make" in text
    assert "2 side by side" in text


def test_a_file_gets_whole_lines(tmp_path: Path, tasks: list[Task]):
    text = printed(tasks, tmp_path, width=None)
    starts = [line.split()[0] for line in text.splitlines()[-3:]]
    assert starts == ["time", "memory", "disk"]


def test_a_folder_of_another_version_ends_the_dry_run(tmp_path: Path, tasks: list[Task]):
    folder = RunFolder.create(tmp_path / tasks[0].address, config={}, env={})
    (folder.path / "env.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99"):
        printed(tasks, tmp_path)


def test_of_other_machines_no_time_and_no_memory_are_told(tmp_path: Path, tasks: list[Task]):
    text = printed(tasks, tmp_path, LaunchOptions(launcher="ray"))
    assert "of work in all" in text and "side by side" not in text
    assert "\nmemory " not in text and "are free" not in text


def test_a_dry_run_imports_no_trainer(tmp_path: Path):
    program = (
        "import sys, pathlib, rich.console; from formatlab.launch.dry_run import print_dry_run; "
        "from formatlab.launch.options import LaunchOptions; "
        "from formatlab.study.experiment import load_experiment; "
        "from formatlab.study.task import graph; "
        f"study = load_experiment(pathlib.Path({str(EXPERIMENT)!r}))[1]['demo']; "
        f"print_dry_run(graph(study.runs()), pathlib.Path({str(tmp_path)!r}), "
        "options=LaunchOptions(), "
        "console=rich.console.Console()); "
        "assert not {'trl', 'transformers', 'accelerate', 'datasets'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    assert b"4 tasks: 4 to make" in found.stdout
