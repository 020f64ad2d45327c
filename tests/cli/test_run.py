"""`formatlab run` from outside: what a person types, and what becomes of it."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from formatlab.cli.main import main
from formatlab.store.run_folder import RunFolder

PATIENCE = 1200
"""Seconds after which something hangs; a loaded machine may take minutes."""

EXPERIMENT = '''
"""A study small enough for a test."""

import time
from pathlib import Path

from formatlab.store.run_folder import RunFolder
from formatlab.study.study import LadderStudy
from formatlab.train.pretraining.base import Pretraining
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.probe import Probe
from formatlab.world.mixture import Mixture
from formatlab.world.world import World

SMALL = LadderStudy(
    name="small",
    world=World(
        mixture=Mixture(name="two", shares={"direct": 0.5, "tool_tags": 0.5}),
        families=("chain",),
        max_steps=1,
        largest=5,
    ),
    scales=("0.04M",),
    pretraining=Pretraining(tokens=60_000, vocabulary=300, checkpoint_every=10),
    grpo=Grpo(
        prompts=8, prompts_per_step=4, group_size=4, completion_length=24, checkpoint_every=1
    ),
    probe=Probe(prompts=8, samples=2, fractions=(0.5,)),
)
PRESETS = {"small": SMALL}

append_metrics = RunFolder.append_metrics  # of every worker


def held_up(run, *rows):
    """A base or a run, as the file says, stands still after two lines while the file is there."""
    while len(run.metrics()) == 2 and Path("HOLD").exists():
        if run.config["kind"] != Path("HOLD").read_text():
            break
        time.sleep(0.05)
    append_metrics(run, *rows)


RunFolder.append_metrics = held_up
'''


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiments") / "small.py"
    path.write_text(EXPERIMENT.replace("HOLD", str(path.with_name("hold"))))
    return path


@pytest.fixture
def hold(experiment: Path) -> Iterator[Path]:
    """The file that holds up what it names, `base` or `run`."""
    path = experiment.with_name("hold")
    yield path
    path.unlink(missing_ok=True)


def start(*words: object, largest_file: int | None = None) -> subprocess.Popen:
    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-m", "formatlab", *map(str, words)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        preexec_fn=limit,
    )


def call(*words: object, largest_file: int | None = None) -> tuple[int, str, str]:
    process = start(*words, largest_file=largest_file)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def wait_until(true: Callable[[], object]) -> None:
    last = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < last
        time.sleep(0.05)


def start_held_up(kind: str, hold: Path, experiment: Path, runs: Path) -> subprocess.Popen:
    """Start the study and wait until its base or its run stands still."""
    hold.write_text(kind)
    process = start("run", experiment, "--runs-dir", runs)
    folder = {"base": "bases", "run": "small"}[kind]

    def standing() -> bool:
        assert process.poll() is None, process.communicate()
        logs = [log.read_text() for log in runs.glob(f"{folder}/*/metrics.jsonl")]
        return any(log.count("\n") == 2 for log in logs)

    wait_until(standing)
    return process


def only_run(runs: Path) -> RunFolder:
    (config,) = runs.glob("small/*/config.json")
    return RunFolder.open(config.parent)


@pytest.fixture(scope="module")
def whole(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Runs folder and output of a study that ran through."""
    runs = tmp_path_factory.mktemp("whole")
    status, output, errors = call("run", experiment, "--runs-dir", runs)
    assert (status, errors) == (0, "")
    return runs, output


def test_a_study_ends_in_a_table_a_report_and_figures(whole: tuple[Path, str]):
    runs, output = whole
    assert "0.04M" in output
    assert "winner" in output
    assert str(runs / "small" / "report.html") in output
    assert (runs / "small" / "report.html").stat().st_size > 10_000
    assert {path.suffix for path in (runs / "small" / "figures").iterdir()} == {".png", ".svg"}
    run = only_run(runs)
    assert run.done
    assert run.winners() is not None


def test_the_same_command_again_does_nothing_again(experiment: Path, whole: tuple[Path, str]):
    runs, _ = whole
    before = {path: path.stat().st_mtime_ns for path in only_run(runs).path.rglob("*")}
    status, output, _ = call("run", experiment, "--runs-dir", runs)
    assert status == 0
    assert output.startswith("2 of 2 done before\n")
    assert "winner" in output
    assert before == {path: path.stat().st_mtime_ns for path in only_run(runs).path.rglob("*")}


def test_report_makes_the_same_files_again(whole: tuple[Path, str], tmp_path: Path):
    runs, _ = whole
    page = (runs / "small" / "report.html").read_bytes()
    (runs / "small" / "report.html").unlink()
    words = ("report", runs / "small", "--gallery", tmp_path / "plots")
    status, output, errors = call(*words)
    assert status == 0
    assert [line for line in errors.splitlines() if not line.endswith(" done")] == []
    assert (runs / "small" / "report.html").read_bytes() == page
    assert list((tmp_path / "plots" / "figures").glob("*.png"))
    assert "winner" in output


def test_a_run_is_forecast_before_its_first_step(whole: tuple[Path, str]):
    run = only_run(whole[0])
    forecast = run.forecast()
    assert forecast is not None
    assert run.response() is not None
    assert run.metrics()[0]["forecast"] == forecast["sha256"]
    assert all("forecast" not in line for line in run.metrics()[1:])
    status, output, _ = call("score-forecasts", run.path, "--recorded")
    assert status == 0
    assert "share x accuracy" in output


def assert_equal_runs(one: RunFolder, other: RunFolder) -> None:
    for split in ("train", "probe"):
        assert one.rollouts(split).equals(other.rollouts(split))
    assert one.winners() == other.winners()


def test_a_study_that_is_told_to_end_and_then_killed_is_finished_by_the_same_command(
    experiment: Path, whole: tuple[Path, str], hold: Path, tmp_path: Path
):
    """Who is told to end says how to go on; the workers of a killed launcher end with it."""
    told = start_held_up("base", hold, experiment, tmp_path)
    told.send_signal(signal.SIGINT)
    output, errors = told.communicate(timeout=PATIENCE)
    assert told.returncode == 128 + signal.SIGINT
    assert f"formatlab run {experiment} --runs-dir {tmp_path}" in output
    assert "Traceback" not in output + errors

    killed = start_held_up("run", hold, experiment, tmp_path)
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    assert children
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    wait_until(lambda: not any(_alive(int(number)) for number in children))

    hold.unlink()
    status, _, errors = call("run", experiment, "--runs-dir", tmp_path)
    assert (status, errors) == (0, "")
    (resumed,) = only_run(tmp_path).resumes()
    assert resumed["step"] > 0
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_launcher_that_is_not_there_leaves_the_plan_as_it_was(
    experiment: Path, whole: tuple[Path, str]
):
    runs, _ = whole
    plan = (runs / "small" / "plan.json").read_text()
    # No address of a cluster: nothing is looked for beyond this machine.
    words = ("--seeds", "9", "--launcher", "ray", "--address", "nowhere.invalid:1")
    status, _, errors = call("run", experiment, "--runs-dir", runs, *words)
    assert status != 0
    assert "nowhere.invalid" in errors
    assert (runs / "small" / "plan.json").read_text() == plan


def test_a_damaged_base_is_told_put_aside_and_made_again(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path
):
    for name in ("bases", "small"):
        shutil.copytree(whole[0] / name, tmp_path / name)
    (base,) = tmp_path.glob("bases/*/model")
    weights = base / "model.safetensors"
    damaged = weights.read_bytes()[:-1000]
    weights.write_bytes(damaged)
    started = only_run(tmp_path).env["started"]
    status, output, errors = call("run", experiment, "--runs-dir", tmp_path)
    assert (status, errors) == (0, "")
    assert "the weights in model/ are gone or not those that were made; made again" in output
    (aside,) = tmp_path.glob(".aside/bases/*/model/model.safetensors")
    assert aside.read_bytes() == damaged
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))
    assert only_run(tmp_path).env["started"] == started  # of the same base again


def test_a_run_of_a_base_with_other_weights_is_made_again(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path
):
    for name in ("bases", "small"):
        shutil.copytree(whole[0] / name, tmp_path / name)
    config = only_run(tmp_path).path / "config.json"
    sha256 = only_run(tmp_path).config["base"]["sha256"]
    config.write_text(config.read_text().replace(sha256, "0" * 64))
    status, output, errors = call("run", experiment, "--runs-dir", tmp_path)
    assert (status, errors) == (0, "")
    assert "other weights than those that are there now" in output
    assert only_run(tmp_path).config["base"]["sha256"] == sha256
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


def test_no_space_is_said_and_nothing_half_written_is_taken_for_whole(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path
):
    """Writes fail at a size that the weights or a checkpoint pass first."""
    status, _, errors = call("run", experiment, "--runs-dir", tmp_path, largest_file=250_000)
    assert status == 1
    assert "space" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.glob("bases/*/config.json"))
    status, _, errors = call("run", experiment, "--runs-dir", tmp_path)
    assert (status, errors) == (0, "")
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


def test_two_launchers_at_once_share_the_work(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path
):
    launchers = [start("run", experiment, "--runs-dir", tmp_path) for _ in range(2)]
    ends = []
    for launcher in launchers:
        output, errors = launcher.communicate(timeout=PATIENCE)
        ends.append((launcher.returncode, errors))
        assert "winner" in output
    assert ends == [(0, ""), (0, "")]
    assert not only_run(tmp_path).resumes()
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


def test_part_of_a_study_is_selected_by_facts(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("bases", "small"):  # in which seed 0 is done
        shutil.copytree(whole[0] / name, tmp_path / name)
    words = ["run", str(experiment), "--runs-dir", str(tmp_path), "--seeds", "0", "1"]
    assert main([*words, "--only", "seed=2"]) == 2
    assert capsys.readouterr().err == "formatlab run: --only seed=2: there are only 0, 1\n"
    assert main([*words, "--only", "scale=0.04M,seed=0"]) == 0
    assert "2 of 2 done before" in capsys.readouterr().out
    assert [path.name.split("-")[3] for path in tmp_path.glob("small/0*")] == ["s0"]
    assert [path.name.split("-")[2] for path in tmp_path.glob("bases/*")] == ["s0"]
    plan = json.loads((tmp_path / "small" / "plan.json").read_text())
    assert sorted(name.split("-s")[1][0] for name in plan["selected"]) == ["0", "0"]
    assert len(plan["tasks"]) == 4
