"""`formatlab run` from outside: what a person types, and what becomes of it."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from formatlab.store.run_folder import RunFolder

EXPERIMENT = '''
"""A study small enough for a test."""

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
'''


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiments") / "small.py"
    path.write_text(EXPERIMENT)
    return path


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
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


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
    status, output, errors = call("report", runs / "small", "--gallery", tmp_path / "plots")
    assert (status, errors) == (0, "")
    assert (runs / "small" / "report.html").read_bytes() == page
    assert list((tmp_path / "plots" / "figures").glob("*.png"))
    assert "winner" in output


def assert_equal_runs(one: RunFolder, other: RunFolder) -> None:
    for split in ("train", "probe"):
        assert one.rollouts(split).equals(other.rollouts(split))
    assert one.winners() == other.winners()


def test_a_launcher_killed_at_three_random_moments_and_resumed_gives_the_same(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path
):
    moments = random.Random(20261120)
    for _ in range(3):
        process = start("run", experiment, "--runs-dir", tmp_path)
        try:
            process.communicate(timeout=moments.uniform(4, 16))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    status, _, errors = call("run", experiment, "--runs-dir", tmp_path)
    assert (status, errors) == (0, "")
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


def test_workers_end_with_a_launcher_that_was_killed(experiment: Path, tmp_path: Path):
    process = start("run", experiment, "--runs-dir", tmp_path)
    while not list(tmp_path.glob("bases/*/config.json")):
        assert process.poll() is None
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for _ in range(100):
        if not any(_alive(int(child)) for child in children):
            break
        time.sleep(0.1)
    assert not any(_alive(int(child)) for child in children)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_told_to_end_says_how_to_go_on_and_the_command_does(
    number: signal.Signals, experiment: Path, whole: tuple[Path, str], tmp_path: Path
):
    process = start("run", experiment, "--runs-dir", tmp_path)
    while not list(tmp_path.glob("bases/*/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"formatlab run {experiment} --runs-dir {tmp_path}" in output
    assert "Traceback" not in output + errors
    status, _, errors = call("run", experiment, "--runs-dir", tmp_path)
    assert (status, errors) == (0, "")
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


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


@pytest.mark.parametrize("largest_file", [20_000, 250_000])
def test_no_space_is_said_and_nothing_half_written_is_taken_for_whole(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path, largest_file: int
):
    """Writes fail at a size that the corpus, the weights or a checkpoint passes first."""
    status, _, errors = call("run", experiment, "--runs-dir", tmp_path, largest_file=largest_file)
    assert status == 1
    assert "space" in errors
    assert "Traceback" not in errors
    status, _, errors = call("run", experiment, "--runs-dir", tmp_path)
    assert (status, errors) == (0, "")
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


def test_two_launchers_at_once_share_the_work(
    experiment: Path, whole: tuple[Path, str], tmp_path: Path
):
    launchers = [start("run", experiment, "--runs-dir", tmp_path) for _ in range(2)]
    ends = []
    for launcher in launchers:
        output, errors = launcher.communicate(timeout=300)
        ends.append((launcher.returncode, errors))
        assert "winner" in output
    assert ends == [(0, ""), (0, "")]
    assert not only_run(tmp_path).resumes()
    assert_equal_runs(only_run(tmp_path), only_run(whole[0]))


def test_part_of_a_study_is_selected_by_facts(experiment: Path, tmp_path: Path):
    words = ("run", experiment, "--runs-dir", tmp_path, "--seeds", 0, 1)
    status, _, errors = call(*words, "--only", "seed=2")
    assert (status, errors) == (2, "formatlab run: --only seed=2: there are only 0, 1\n")
    status, _, errors = call(*words, "--only", "scale=0.04M,seed=1")
    assert (status, errors) == (0, "")
    assert [path.name.split("-")[3] for path in tmp_path.glob("small/0*")] == ["s1"]
    assert [path.name.split("-")[2] for path in tmp_path.glob("bases/*")] == ["s1"]
