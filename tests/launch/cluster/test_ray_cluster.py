"""Studies on a real Ray cluster of several nodes, of which some are lost."""

import getpass
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_study import STEPS, STUDY, ended, launch, run_folders, same_results, wait_until, worker

from formatlab.store.run_folder import RunFolder

pytest.importorskip("ray", reason="needs Ray: pip install 'formatlab[ray]'")
pytestmark = pytest.mark.slow

STORE = 80 * 2**20  # the smallest object store that Ray allows


class Machines:
    """A cluster whose head does no work, beside nodes of one CPU each."""

    def __init__(self, cluster: Any, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.nodes: list[Any] = []

    def add(self) -> None:
        """Add a node with temporary files of its own."""
        temporary = self.folder / str(len(self.nodes))
        temporary.mkdir(parents=True)
        variables = {"TMPDIR": str(temporary)}
        self.nodes.append(
            self.cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars=variables)
        )

    def lose_node_of(self, process: int) -> None:
        """Lose the node that started a process, and with it the process, as when power fails."""
        parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        (lost,) = [
            node for node in self.nodes if node.all_processes["raylet"][0].process.pid == parent
        ]
        self.nodes.remove(lost)
        self.cluster.remove_node(lost, allow_graceful=False)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        # Ray's default of 15 leaves workers next to nothing of a busy machine.
        "RAY_worker_niceness": "0",
    }
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    machines = Machines(cluster, tmp_path_factory.mktemp("nodes"))
    head_node: Any = cluster.head_node
    session = Path(head_node.get_session_dir_path())
    try:
        for _ in range(3):
            machines.add()
        yield machines
    finally:
        cluster.shutdown()
        shutil.rmtree(session, ignore_errors=True)  # Ray would keep its logs


@pytest.fixture
def runs(reference: Path, tmp_path: Path) -> Path:
    """A runs folder with the study's bases, as of an interrupted command."""
    shutil.copytree(reference / "bases", tmp_path / "runs" / "bases")
    return tmp_path / "runs"


def begun(runs: Path) -> list[Path]:
    """Runs that are under way and have something to go on from."""
    marks = (runs / STUDY).glob("0.04M-*/checkpoints/checkpoint-*/WHOLE")
    return [mark.parents[2] for mark in marks if not (mark.parents[2] / "DONE").exists()]


def went_on(runs: Path) -> list[str]:
    """Runs that were interrupted once, and did not begin anew."""
    resumed = {folder.name: RunFolder.open(folder).resumes() for folder in run_folders(runs)}
    return [name for name, rows in resumed.items() if len(rows) == 1 and rows[0]["step"] > 0]


def test_a_study_of_which_a_node_is_lost_ends_like_that_of_one_machine(
    machines: Machines, experiment: Path, hold: Path, reference: Path, tmp_path: Path
):
    runs = tmp_path / "runs"
    address = machines.cluster.address
    study = launch(experiment, runs, "--launcher", "ray", "--address", address)
    wait_until(lambda: begun(runs), study)
    folder = begun(runs)[0]
    machines.lose_node_of(worker(folder))
    hold.unlink()
    status, said = ended(study)
    assert status == 0, said
    assert "the machine that did it was lost; it goes on from its checkpoint" in said
    assert "raylet" not in said
    assert went_on(runs) == [folder.name]
    assert same_results(runs, reference)


def test_machines_that_share_an_address_alone_go_on_with_what_a_lost_one_sent(
    machines: Machines, experiment: Path, hold: Path, reference: Path, runs: Path
):
    def sent() -> list[Path]:
        lists = (runs / STUDY).glob("0.04M-*/.sent.json")
        found = {path.parent: json.loads(path.read_text())["files"] for path in lists}
        whole = [folder for folder, files in found.items() if any("WHOLE" in f for f in files)]
        return [folder for folder in whole if not (folder / "DONE").exists()]

    words = ("--launcher", "ray", "--address", machines.cluster.address)
    study = launch(experiment, runs.as_uri(), *words)
    wait_until(sent, study)
    folder = sent()[0]
    os.kill(worker(folder), signal.SIGKILL)
    hold.unlink()
    status, said = ended(study)
    assert status == 0, said
    assert "the process that did it was ended" in said
    assert went_on(runs) == [folder.name]
    assert same_results(runs, reference)
    assert not list((runs / STUDY).glob("*/checkpoints/checkpoint-*"))
    # What is left on the machines can be made again by any of them, or is removed by the next task:
    # the lock of a work folder, for instance.
    left = machines.folder.glob(f"*/formatlab-{getpass.getuser()}/*")
    names = {path.name.lstrip(".").partition("-")[0] for path in left}
    assert names <= {"corpora", "models", "work"}


def test_two_launchers_at_one_study_do_each_run_once(
    machines: Machines, experiment: Path, reference: Path, runs: Path
):
    words = ("--launcher", "ray", "--address", machines.cluster.address)
    studies = [launch(experiment, runs, *words), launch(experiment, runs, "--jobs", 1)]
    for status, said in map(ended, studies):
        assert status == 0, said
    for folder in run_folders(runs):
        assert len(RunFolder.open(folder).metrics()) == STEPS
        assert not RunFolder.open(folder).resumes()
    assert same_results(runs, reference)
    assert not (runs / ".aside").exists()


def test_what_fails_is_told_and_stops_only_what_needs_it(
    machines: Machines, experiment: Path, runs: Path
):
    words = ("--train", "lora", "--lora.target-modules", "no_such_layer", "--only", "seed=0")
    study = launch(
        experiment, runs, "--launcher", "ray", "--address", machines.cluster.address, *words
    )
    status, said = ended(study)
    assert status == 2
    assert "no_such_layer" in said
    assert "Traceback" not in said


def test_more_than_any_machine_has_is_refused(machines: Machines, experiment: Path, tmp_path: Path):
    words = ("--launcher", "ray", "--address", machines.cluster.address, "--gpus-per-run", 0.5)
    status, said = ended(launch(experiment, tmp_path / "runs", *words))
    assert status == 1
    assert "asks for 1 CPU, 0.5 GPU, and no machine of the Ray cluster has that" in said
    assert "0 CPU, 0 GPU" in said  # the head


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("127.0.0.1:1", 1, "there is no Ray cluster at 127.0.0.1:1"),
        ("ray://head:10001", 2, "give host:port of the head"),
    ],
)
def test_an_address_without_a_cluster_is_told(
    experiment: Path, tmp_path: Path, address: str, status: int, said: str
):
    words = ("--launcher", "ray", "--address", address)
    ended_with, told = ended(launch(experiment, tmp_path / "runs", *words))
    assert ended_with == status
    assert said in told
    assert "Traceback" not in told


@pytest.mark.usefixtures("hold")
def test_who_is_told_to_end_ends_the_workers_and_says_how_to_go_on(
    machines: Machines, experiment: Path, runs: Path
):
    words = ("--launcher", "ray", "--address", machines.cluster.address)
    study = launch(experiment, runs, *words)
    wait_until(lambda: begun(runs), study)
    process = worker(begun(runs)[0])
    study.send_signal(signal.SIGTERM)
    status, said = ended(study)
    assert status == 128 + signal.SIGTERM
    assert "Interrupted. What is done is kept; the same command goes on from there" in said
    assert not alive(process)


def alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
