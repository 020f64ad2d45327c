"""`formatlab status` as people and scripts see it."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from made_up_study import STUDY, begin, finish, hold, plan, planned
from rich.console import Console

from formatlab.cli import status
from formatlab.errors import InputError, RunError
from formatlab.launch.plan import PlannedTask
from formatlab.launch.status import read_studies

BASES = [planned("base 0.04M s0"), planned("base 0.04M s1")]
RUNS = [planned(f"{name} 0.04M s0", BASES[:1]) for name in ("grpo", "ppo", "rloo", "dpo", "sft")]
BLOCKED = planned("grpo 0.04M s1", BASES[1:])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A study with a task in every state."""
    plan(tmp_path, [*BASES, *RUNS, BLOCKED])
    finish(tmp_path, BASES[0])
    begin(tmp_path, BASES[1], step=3).mark_failed("the loss is nan\nat step 3")
    finish(tmp_path, RUNS[0], winner="tool_tags", margin=0.72, seconds=2.0)
    running = begin(tmp_path, RUNS[1], step=12, seconds=1.5, share={"program": 0.6, "prose": 0.4})
    hold(running.path, host="node17", pid=99)
    begin(tmp_path, RUNS[2], step=16, seconds=0.1)
    (begin(tmp_path, RUNS[3]).path / "env.json").write_text("{")
    return tmp_path


def screen(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    assert status.main([str(word) for word in words]) == 0
    return capsys.readouterr().out.splitlines()


def row(lines: list[str], label: str) -> str:
    (line,) = (line for line in lines if line.startswith(label))
    return " ".join(line.split())


def test_every_task_has_its_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = screen(capsys, runs)
    assert lines[0].startswith(
        "formats: done 2, running 1, failed 1, waiting 2, interrupted 1, damaged 1; time left"
    )
    assert lines[1].endswith(": formatlab run experiments/formats.py")
    assert row(lines, "base 0.04M s0") == "base 0.04M s0 done 60"
    assert row(lines, "base 0.04M s1").startswith("base 0.04M s1 failed 3/60 ")
    assert row(lines, "base 0.04M s1").endswith("the loss is nan")
    assert row(lines, "grpo 0.04M s0") == "grpo 0.04M s0 done 32 tool_tags, by 72 points"
    assert "running 12/32" in row(lines, "ppo")
    assert "program 60% 0:30 1.5 s a step; held by process 99 on node17" in row(lines, "ppo")
    assert row(lines, "rloo").startswith("rloo 0.04M s0 interrupted 16/32")
    assert row(lines, "dpo").endswith("env.json is not JSON")
    assert row(lines, "sft").startswith("sft 0.04M s0 waiting 0/32")
    assert row(lines, "grpo 0.04M s1").endswith("cannot begin: base 0.04M s1 failed")
    assert not any("nothing is running" in line for line in lines)


def test_a_study_of_which_nothing_runs_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(tmp_path, RUNS)
    assert "nothing is running; the same command resumes it" in screen(capsys, tmp_path)


def test_the_advice_is_about_the_selected_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resumes = "nothing is running; the same command resumes it"
    plan(tmp_path, RUNS, selected=RUNS[:1])
    said = screen(capsys, tmp_path)
    assert resumes in said
    others = len(RUNS) - 1
    words = f"it leaves {others} tasks out by --only; the same command without it does them too"
    assert words in said
    finish(tmp_path, RUNS[0])
    said = screen(capsys, tmp_path)
    assert resumes not in said
    assert "time left" not in said[0]
    assert status.main([str(tmp_path), "--watch"]) == 0  # it has nothing to wait for


def test_the_runs_folder_is_that_of_the_working_folder(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (runs.parent / "lab").mkdir()
    runs.rename(runs.parent / "lab" / "runs")
    monkeypatch.chdir(runs.parent / "lab")
    assert screen(capsys)[0].startswith("formats: ")
    assert screen(capsys, f"runs/{STUDY}")[0].startswith("formats: ")


def test_an_address_is_looked_at_like_a_folder(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for study in ("", f"/{STUDY}"):
        here = json.loads("\n".join(screen(capsys, f"{runs}{study}", "--json")))
        there = json.loads("\n".join(screen(capsys, f"{runs.as_uri()}{study}", "--json")))
        for task in (*here["studies"][0]["tasks"], *there["studies"][0]["tasks"]):
            del task["silent"]
        assert there == here
    assert row(screen(capsys, runs.as_uri()), "dpo").endswith("env.json is not JSON")


def test_what_is_wrong_at_an_address_is_told_with_its_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, RUNS[0])
    (tmp_path / STUDY / "plan.json").write_text("{")
    said = " ".join(screen(capsys, tmp_path.as_uri()))
    assert f"cannot read {tmp_path.as_uri()}/{STUDY}/plan.json" in said


def test_of_hundreds_of_runs_the_most_urgent_have_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [planned(f"{name} 0.04M s{seed}") for name in ("grpo", "ppo") for seed in range(40)]
    plan(tmp_path, tasks)
    for seed, task in enumerate(tasks[:40]):
        finish(tmp_path, task, winner="program" if seed < 30 else "undecided")
    begin(tmp_path, tasks[40], step=1).mark_failed("nan")
    lines = screen(capsys, tmp_path)
    assert row(lines, "ppo 0.04M s0").endswith("nan")
    assert lines[-1] == "not shown: done 1, waiting 39; --all has a row for each"
    assert len(lines) < 50
    assert len(screen(capsys, tmp_path, "--all")) > 80


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("height", [8, 16, 24, 60])
def test_a_screen_fits_the_terminal(runs: Path, width: int, height: int) -> None:
    plan(runs, [planned(f"grpo 0.04M s{seed}", study="other") for seed in range(50)], study="other")
    begin(runs, planned("grpo 0.04M s0", study="other"), step=3)
    console = Console(width=width, height=height)
    shown = status.fitting_screen(read_studies(runs), console, remark="", every=False)
    lines = ["".join(part.text for part in line) for line in console.render_lines(shown)]
    assert len(lines) < height or not any("grpo" in line for line in lines)
    if height == 60:
        assert any(line.startswith("grpo 0.04M s9") for line in lines)
    assert any(line.startswith("not shown: ") for line in lines)


def test_scripts_are_told_the_same(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads("\n".join(screen(capsys, runs, "--json")))
    (study,) = document["studies"]
    assert study["study"] == STUDY
    assert study["command"] == ["formatlab", "run", "experiments/formats.py"]
    assert study["totals"]["done"] == 2
    tasks = {task["label"]: task for task in study["tasks"]}
    assert tasks["base 0.04M s1"]["reason"] == "the loss is nan\nat step 3"
    ppo = tasks["ppo 0.04M s0"]
    assert (ppo["address"], ppo["state"], ppo["step"]) == (RUNS[1].address, "running", 12)
    assert (ppo["leader"], ppo["share"], ppo["seconds_left"]) == ("program", 0.6, 30.0)
    assert tasks["grpo 0.04M s0"]["margin"] == 0.72


def test_control_characters_of_a_reason_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(tmp_path, RUNS[:1])
    begin(tmp_path, RUNS[0]).mark_failed("\x1b[2J[red]gone")
    assert row(screen(capsys, tmp_path), "grpo").endswith("␛[2J[red]gone")


def test_a_runs_folder_without_studies_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert screen(capsys, tmp_path) == [f"no study in {tmp_path} yet"]


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        status.main([str(tmp_path / "nowhere")])
    with pytest.raises(InputError, match="there is nothing at file:"):
        status.main([(tmp_path / "nowhere").as_uri()])
    with pytest.raises(InputError, match="--watch"):
        status.main([str(tmp_path), "--json", "--watch"])


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens while --watch sleeps, in order."""
    todo: list[Callable[[], object]] = []
    monkeypatch.setattr(status.time, "sleep", lambda _: todo.pop(0)())
    return todo


def watched(runs: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    ended = status.main([str(runs), "--watch"])
    return ended, capsys.readouterr().out.splitlines()


def finish_later(runs: Path, task: PlannedTask) -> Callable[[], object]:
    return lambda: finish(runs, task, seconds=2.0)


def test_watching_tells_what_changes_and_ends_with_the_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: list
) -> None:
    first, second = RUNS[0], planned("grpo 0.04M s1")
    plan(tmp_path, [first, second])
    steps += [
        lambda: None,
        finish_later(tmp_path, first),
        lambda: None,
        finish_later(tmp_path, second),
    ]
    ended, lines = watched(tmp_path, capsys)
    assert ended == 0
    assert lines == [
        "formats: done 0, running 0, failed 0, waiting 2; time left --",
        "grpo 0.04M s0: done, program, by 50 points",
        "formats: done 1, running 0, failed 0, waiting 1; time left about 1:04",
        "grpo 0.04M s1: done, program, by 50 points",
        "formats: done 2, running 0, failed 0, waiting 0",
    ]


def test_watching_ends_with_1_if_something_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: list
) -> None:
    plan(tmp_path, RUNS[:1])
    steps.append(lambda: begin(tmp_path, RUNS[0], step=7).mark_failed("nan"))
    ended, lines = watched(tmp_path, capsys)
    assert ended == 1
    assert lines[1] == "grpo 0.04M s0: failed at step 7/32: nan"


def test_watching_goes_on_while_folders_come_and_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: list
) -> None:
    plan(tmp_path, RUNS[:1])
    plan_file = tmp_path / STUDY / "plan.json"
    begin(tmp_path, RUNS[0], step=2)
    steps += [
        lambda: (tmp_path / RUNS[0].address).rename(tmp_path / "aside"),
        lambda: plan_file.write_text("{"),
    ]
    assert watched(tmp_path, capsys)[0] == 0


def test_watching_an_address_goes_on_while_the_network_is_away(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    steps: list,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan(tmp_path, RUNS[:1])
    look, away = LocalFileSystem.ls, [False]

    def sometimes(*words: Any, **named: Any) -> Any:
        if away[0]:
            raise ConnectionError("the network is away")
        return look(*words, **named)

    monkeypatch.setattr(LocalFileSystem, "ls", sometimes)
    steps += [
        lambda: away.insert(0, True),
        finish_later(tmp_path, RUNS[0]),
        lambda: away.insert(0, False),
    ]
    assert status.main([tmp_path.as_uri(), "--watch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "formats: done 0, running 0, failed 0, waiting 1; time left --",
        f"cannot work at {tmp_path.as_uri()}: ConnectionError: the network is away; what was seen "
        "before is shown",
        "grpo 0.04M s0: done, program, by 50 points",
        "formats: done 1, running 0, failed 0, waiting 0",
    ]
    away.insert(0, True)
    with pytest.raises(RunError, match="the network is away"):
        status.main([tmp_path.as_uri(), "--watch"])


def test_ctrl_c_gives_the_terminal_back(tmp_path: Path) -> None:
    plan(tmp_path, RUNS)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "formatlab", "status", str(tmp_path), "--watch"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    written = b""
    while b"sft 0.04M s0" not in written:
        written += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    written += os.read(ours, 65_536)
    os.close(ours)
    assert (process.returncode, errors) == (130, b"\nformatlab status: interrupted\n")
    assert written.rindex(b"\x1b[?25h") > written.rindex(b"\x1b[?25l")


def test_looking_needs_no_heavy_package(runs: Path) -> None:
    heavy = {"torch", "transformers", "trl", "datasets", "matplotlib", "pandas", "scipy", "fsspec"}
    program = """
import sys
from formatlab.cli.main import main
main(["status", sys.argv[1]])
print(*sys.modules, file=sys.stderr)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(runs)], capture_output=True, text=True, check=True
    )
    assert "ppo 0.04M s0" in ended.stdout
    assert heavy & set(ended.stderr.split()) == set()
