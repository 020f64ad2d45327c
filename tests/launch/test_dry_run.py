import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from plain_task import Node
from rich.console import Console

from formatlab.errors import InputError
from formatlab.launch import dry_run
from formatlab.launch.devices import CONTEXT, Devices, Gpu
from formatlab.launch.dry_run import (
    LAUNCHER,
    REPORT,
    Entry,
    State,
    dry_run_table,
    number_words,
    print_dry_run,
    schedule,
    seed_words,
    size_words,
    state_of,
    time_words,
    totals,
    totals_elsewhere,
    warnings,
)
from formatlab.launch.estimate import Estimate, Timing
from formatlab.launch.options import LaunchOptions
from formatlab.store.run_folder import RunFolder
from formatlab.study.experiment import load_experiment
from formatlab.study.ladder_run import BaseTask
from formatlab.study.study import LadderStudy
from formatlab.study.task import Seeds, Task, graph, started_elsewhere
from formatlab.train.pretraining.base import Base, Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "scale_attractors.py"
MB, GB = 2**20, 2**30
ESTIMATE = Estimate(seconds=50.0, memory=900 * MB, disk=2 * MB, checkpoints=MB)


def entry(task: Task | str, state: State = "to make", *, used_by: int = 0, **changes: Any) -> Entry:
    estimate = None if state == "done" else replace(ESTIMATE, **changes)
    task = Node(task) if isinstance(task, str) else task
    return Entry(task=task, state=state, estimate=estimate, used_by=used_by)


def unknown(label: str) -> Entry:
    return replace(entry(label), estimate=Estimate())


def lines(entries: Sequence[Entry], width: int = 200) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(dry_run_table(entries))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def rows(entries: Sequence[Entry]) -> list[str]:
    """Lines of the table without its headings, with single spaces."""
    return [" ".join(line.split()) for line in lines(entries)[2:]]


def test_a_task_says_what_it_starts_from_and_what_it_takes():
    base = Node("base 0.04M s0")
    found = lines([entry(base), entry(Node("grpo 0.04M s0", (base,)))])
    assert [line.split("  ")[0].strip() for line in found] == [
        "",
        "task",
        "base 0.04M s0",
        "grpo 0.04M s0",
    ]
    assert rows([entry(base), entry(Node("grpo 0.04M s0", (base,)))]) == [
        "base 0.04M s0 to make 50 s 900 MiB 2 MiB",
        "grpo 0.04M s0 base to make 50 s 900 MiB 2 MiB",
    ]


def test_seeds_of_an_arm_share_a_line():
    entries = [entry(f"grpo 0.04M s{seed}, temperature 0.7") for seed in range(200)]
    entries += [entry(f"grpo 0.04M s{seed}, temperature 1.0", "done") for seed in range(3)]
    assert rows(entries) == [
        "grpo 0.04M s0-s199, temperature 0.7 200 to make 50 s 900 MiB 400 MiB",
        "grpo 0.04M s0-s2, temperature 1.0 3 done",
    ]


def test_states_of_an_arm_are_counted():
    states: list[State] = ["done", "to make", "to resume", "to make", "to make again"]
    (row,) = rows([entry(f"grpo 0.04M s{seed}", state) for seed, state in enumerate(states)])
    assert "1 done, 1 to resume, 1 to make again, 2 to make" in row
    assert row.endswith("50 s 900 MiB 8 MiB")


def test_stages_that_are_shared_say_so():
    stage = Node("sft prose 0.04M s0", (Node("base 0.04M s0"),))
    last = Node("sft prose, grpo 0.04M s0", (stage,))
    found = rows([entry(stage, used_by=3), entry(last)])
    assert found[0].startswith("sft prose 0.04M s0 base to make 3 runs ")
    assert found[1].startswith("sft prose, grpo 0.04M s0 sft prose to make 50 s")


def test_what_is_unknown_is_said_to_be():
    assert rows([unknown("grpo smollm2-135m s0")]) == [
        "grpo smollm2-135m s0 to make unknown unknown unknown"
    ]


def test_corpora_of_a_mixture_share_a_line():
    def base(seed: int, world_seed: int, *, writes: bool) -> Entry:
        made = Base(
            world=replace(FOUR_FORMATS, seed=world_seed),
            scale="0.04M",
            pretraining=Pretraining(tokens=100),
            seed=seed,
        )
        corpus = {"corpus_seconds": 10.0, "corpus_disk": 3 * MB} if writes else {}
        return entry(BaseTask(base=made), **corpus)

    entries = [base(seed, world, writes=seed == 0) for seed in (0, 1) for world in (1, 2, 3)]
    assert rows(entries) == [
        "corpus four 3 to make 10 s 9 MiB",
        "base 0.04M 6 seeds 6 to make 50 s 900 MiB 12 MiB",
    ]
    assert len(rows([base(0, 0, writes=False)])) == 1


@pytest.mark.parametrize("width", [70, 80, 100])
def test_a_wide_table_fits_the_terminal_with_all_that_was_said(width: int):
    start = Node("sft program+tool_tags+latex+prose 0.04M s0")
    label = "sft program+tool_tags+latex+prose, grpo 0.04M s{}"
    found = lines([entry(Node(label.format(n), (start,)), used_by=12) for n in range(3)], width)
    assert max(map(len, found)) <= width
    text = " ".join(found)
    for words in ("900 MiB", "50 s", "6 MiB", "s0-s2"):
        assert words in text


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([(0, 3, 3)], "s3"),
        ([(0, 2, 2), (0, 1, 1)], "s1-s2"),
        ([(0, n, n) for n in range(200)], "s0-s199"),
        ([(1, n, n) for n in range(3)], "w1s0-w1s2"),
        ([(0, 0, 0), (0, 7, 7)], "s0, s7"),
        ([(0, n, n) for n in (0, 2, 4, 6, 8)], "5 seeds"),
        ([(0, 0, n) for n in (0, 1, 2)], "s0, s0.1, s0.2"),
        ([], ""),
    ],
)
def test_ranges_of_seeds_leave_none_out(seeds: list[tuple[int, int, int]], words: str):
    made = [Seeds(world=w, initialisation=i, sampling=s) for w, i, s in seeds]
    assert seed_words(made) == words


def of(entries: Sequence[Entry], jobs: int = 2) -> dict[str, str]:
    seconds, most = schedule(entries, Devices([], cores=2, jobs=jobs), 2)
    return dict(totals(entries, seconds, most, 8 * GB, 93 * GB))


def test_a_study_is_summed_up():
    entries = [entry("base 0.04M s0", "done"), entry("grpo 0.04M s0")]
    entries += [entry("grpo 0.04M s1", "to resume")]
    assert of(entries) == {
        "time": "about 50 s, 2 side by side; in all about 1.7 min of work",
        "memory": "about 2 GiB at most, of 8 GiB that are free: the 2 largest tasks, and 250 MiB "
        "of the launcher",
        "disk": "about 11 MiB, of 93 GiB that are free: 9 MiB of results with their report, 2 MiB "
        "of checkpoints while tasks are under way",
    }


def test_elsewhere_only_work_and_disk_are_told():
    entries = [entry(f"grpo 0.04M s{seed}") for seed in range(300)]
    assert dict(totals_elsewhere(entries, LaunchOptions(launcher="ray"))) == {
        "time": "in all about 4.2 h of work, each task as on this machine; how many tasks go side "
        "by side, and so how long it takes, is for Ray to say",
        "disk": "about 605 MiB of results with their report; and up to 1 MiB of checkpoints for "
        "each task under way",
    }
    found = dict(totals_elsewhere(entries, LaunchOptions(launcher="slurm", jobs=8)))
    assert "side by side, at most 8, and so how long it takes, is for Slurm to say" in found["time"]


def test_totals_say_what_is_unknown():
    found = of([unknown("grpo 0.04M s0")])
    assert list(found) == ["time"] and found["time"].startswith("unknown: ")
    found = of([unknown("grpo 0.04M s0"), entry("grpo 0.04M s1")])
    assert found["time"] == (
        "at least 50 s, 2 side by side; in all at least 50 s of work; not known of 1 task"
    )
    assert found["memory"].startswith("at least ") and found["disk"].startswith("at least ")


def test_a_study_that_is_done_needs_nothing():
    entries = [entry("grpo 0.04M s0", "done")]
    assert of(entries) == dict(totals_elsewhere(entries, LaunchOptions())) == {}
    assert list(warnings(entries, 0, 8 * GB, 93 * GB)) == []


@pytest.mark.parametrize(("memory", "do"), [(3000, "take --jobs 2"), (900, "micro_batch")])
def test_too_little_memory_is_warned_of(memory: int, do: str):
    entries = [entry(f"grpo 0.04M s{seed}") for seed in range(8)]
    (line,) = warnings(entries, 8, memory * MB, 93 * GB)
    assert "more memory than is free" in line and do in line
    assert list(warnings(entries, 8, None, 93 * GB)) == []
    assert list(warnings(entries, 8, 100 * GB, 93 * GB)) == []


def test_too_little_disk_is_warned_of():
    (line,) = warnings([entry("grpo 0.04M s0")], 1, 8 * GB, 2 * MB + REPORT)
    assert "more disk than is free" in line and "--runs-dir" in line


def test_tasks_wait_for_what_they_need_and_for_seats():
    base = Node("base 0.04M s0")
    entries = [entry(base, corpus_seconds=10.0)]
    entries += [entry(Node(f"grpo 0.04M s{seed}", (base,))) for seed in range(3)]
    assert schedule(entries, Devices([], cores=2), 2) == (160.0, 2)
    assert schedule(entries, Devices([], cores=8), 8) == (110.0, 3)
    assert schedule(entries, Devices([], cores=1), 1) == (210.0, 1)
    # More tasks than cores share them.
    assert schedule(entries, Devices([], cores=1, jobs=4), 1) == (210.0, 3)


def test_of_tasks_whose_gpu_memory_is_unknown_each_has_a_gpu_for_itself():
    entries = [entry(f"grpo 0.04M s{seed}") for seed in range(4)]
    gpus = [Gpu(name=name, free=80 * GB + CONTEXT) for name in "01"]
    assert schedule(entries, Devices(gpus, cores=16), 16) == (100.0, 2)
    assert schedule(entries, Devices(gpus, cores=16, runs_per_gpu=2), 16) == (50.0, 4)


@dataclass(frozen=True)
class Run(Node):
    """A task that is outdated when what it needs has other weights."""

    def outdated(self, runs: Path) -> str | None:
        return started_elsewhere(self, runs)


BASE = Node("base 0.04M s0")
RUN = Run("grpo 0.04M s0", (BASE,))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    base = RunFolder.create(tmp_path / BASE.address, config={"kind": "base"}, env={})
    base.mark_done({"sha256": ""})
    run = RunFolder.create(
        tmp_path / RUN.address, config={"kind": "run", "start_sha256": ""}, env={}
    )
    run.append_metrics({"step": 0}, {"step": 1})
    run.mark_done({"steps": 2})
    return tmp_path


def test_intact_folders_are_done_or_resumed(runs: Path):
    assert (state_of(BASE, runs), state_of(RUN, runs)) == ("done", "done")
    (runs / RUN.address / "DONE").unlink()
    assert state_of(RUN, runs) == "to resume"
    (runs / RUN.address / "metrics.jsonl").unlink()
    assert state_of(RUN, runs) == "to make"
    assert state_of(RUN, runs / "elsewhere") == "to make"


@pytest.mark.parametrize("name", ["DONE", "config.json", "env.json", "metrics.jsonl"])
def test_damaged_folders_are_made_again(runs: Path, name: str):
    (runs / RUN.address / name).write_text("{\n")
    assert state_of(RUN, runs) == "to make again"


def test_a_run_of_other_weights_is_made_again(runs: Path):
    RunFolder(runs / BASE.address).mark_done({"sha256": "", "policy_sha256": "other"})
    assert state_of(RUN, runs) == "to make again"


@pytest.mark.parametrize("name", ["DONE", "config.json"])
def test_an_intact_run_of_a_base_that_is_made_again_is_done(runs: Path, name: str):
    (runs / BASE.address / name).write_text("{")
    assert (state_of(BASE, runs), state_of(RUN, runs)) == ("to make again", "done")


def test_a_folder_of_another_version_cannot_be_made(runs: Path):
    env = runs / RUN.address / "env.json"
    env.write_text(json.dumps(json.loads(env.read_text()) | {"schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99"):
        state_of(RUN, runs)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    timing = Timing(
        layer=0.001,
        parameter=1e-10,
        document=0.001,
        problem=0.001,
        grade=0.001,
        prompt=30.0,
        solution=20.0,
        longest=50.0,
    )
    monkeypatch.setattr(dry_run, "time_machine", lambda base, threads: timing)
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
    assert "base 0.27M s0-s4" in text and "grpo 0.04M s0-s4" in text
    assert "20 bases, 20 runs: 1 to resume, 39 to make" in text
    assert "2 side by side" in text
    assert size_words(LAUNCHER) in text


def test_a_file_gets_whole_lines(tmp_path: Path, tasks: list[Task]):
    text = printed(tasks, tmp_path, width=None)
    starts = [line.split()[0] for line in text.splitlines()[-3:]]
    assert starts == ["time", "memory", "disk"]


def test_a_folder_of_another_version_is_told_and_the_others_are_described(
    tmp_path: Path, tasks: list[Task]
):
    folder = RunFolder.create(tmp_path / tasks[0].address, config={}, env={})
    (folder.path / "env.json").write_text(json.dumps({"schema_version": 99}))
    text = " ".join(printed(tasks, tmp_path).split())
    assert "19 bases, 20 runs: 39 to make" in text
    assert f"{tasks[0].label} would fail: " in text


def test_of_other_machines_no_time_and_no_memory_are_told(tmp_path: Path, tasks: list[Task]):
    text = printed(tasks, tmp_path, LaunchOptions(launcher="ray"))
    assert "each task as on this machine" in " ".join(text.split())
    assert "\nmemory " not in text and "are free" not in text


def test_a_dry_run_imports_no_trainer():
    program = (
        "import sys, pathlib, rich.console; from formatlab.launch.dry_run import print_dry_run; "
        "from formatlab.launch.options import LaunchOptions; "
        "from formatlab.study.experiment import load_experiment; "
        "from formatlab.study.task import graph; "
        f"study = load_experiment(pathlib.Path({str(EXPERIMENT)!r}))[1]['demo']; "
        "print_dry_run(graph(study.runs()), pathlib.Path('runs'), options=LaunchOptions(), "
        "console=rich.console.Console()); "
        "assert not {'trl', 'transformers', 'accelerate', 'datasets'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    assert b"2 bases, 2 runs: 4 to make" in found.stdout


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0.2 s"),
        (54.6, "55 s"),
        (89, "89 s"),
        (120, "2 min"),
        (3000, "50 min"),
        (9000, "2.5 h"),
        (86_400 * 4, "4 days"),
    ],
)
def test_times_are_told_in_a_fitting_unit(seconds: float, words: str):
    assert time_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"), [(MB // 5, "0.2 MiB"), (3 * MB, "3 MiB"), (5 * GB, "5 GiB")]
)
def test_sizes_are_told_in_a_fitting_unit(size: int, words: str):
    assert size_words(size) == words


def test_counts_have_their_plural():
    assert [number_words(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
