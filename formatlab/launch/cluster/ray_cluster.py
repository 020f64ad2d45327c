"""Ray: an executor whose tasks run on the machines of a Ray cluster, each with what it asks for."""

import os
import re
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from formatlab.errors import InputError, RunError
from formatlab.launch.executor import Busy, Lost, TaskEvent
from formatlab.launch.options import LaunchOptions
from formatlab.launch.packed_task import Pack, PackedTask
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_enable_metrics_collection": "false",
    "RAY_DEDUP_LOGS_SKIP_REGEX": r"[\s\S]*",  # lost machines are told of in our words
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a task that asks for no GPU sees none
}
_STORE = 100 * 2**20
"""Bytes of Ray's object store on this machine; next to nothing goes through it."""
_PATIENCE = 5.0
"""Seconds that the head may take to answer at first, and progress to come."""
_LOOK_EVERY = 15.0
"""Seconds between two looks at whether the cluster still has a place for what waits."""


@contextmanager
def ray_cluster(
    options: LaunchOptions, pack: Pack, *, most: int, cpus: int
) -> Iterator["RayCluster"]:
    """Join a cluster, or start one on this machine, for a `with` block.

    Args:
        options: where it is, and what each run asks for.
        pack: makes remote tasks.
        most: most tasks submitted at a time; Ray queues them.
        cpus: CPUs of a cluster that is started here.

    Raises:
        InputError: Ray is not installed, or the address is no address.
        RunError: there is no cluster, or one that this Ray cannot join.
    """
    for name, value in _ENVIRONMENT.items():  # read when Ray is imported
        os.environ.setdefault(name, value)
    if options.address == "local" and "RAY_AUTH_MODE" not in os.environ:
        # Ray would leave a token in the home folder, and ask for it from then on.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError as error:
        raise InputError("Ray is not installed: pip install 'formatlab[ray]'") from error
    with ExitStack() as stack:
        arguments: dict[str, Any] = {"address": options.address, "logging_level": "ERROR"}
        if options.address == "local":
            # Ray keeps its logs for ever; and its sockets need a short path.
            short = "/tmp" if os.path.isdir("/tmp") else None
            temporary = tempfile.TemporaryDirectory(
                prefix="ray-", dir=short, ignore_cleanup_errors=True
            )
            arguments["_temp_dir"] = stack.enter_context(temporary)
            arguments |= {"num_cpus": cpus, "object_store_memory": _STORE}
            arguments["include_dashboard"] = False
        elif options.address != "auto":
            _check_there(options.address)
        stack.callback(ray.shutdown)
        try:
            ray.init(log_to_driver=False, **arguments)
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise RunError(_not_joined(options.address, error)) from error
        yield RayCluster(options, pack, most)


def _check_there(address: str) -> None:
    """See whether somebody listens; Ray itself would try for minutes, and end this process."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in address:
        raise InputError(
            f"--address {address}: give host:port of the head (6379 is the port of `ray start "
            "--head`), auto for the cluster that this machine belongs to, or local"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except OSError as error:
        raise RunError(
            f"there is no Ray cluster at {address} ({error.strerror or error}); start one with "
            "`ray start --head`, or use --address local"
        ) from error


def _not_joined(address: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    if address == "auto" and isinstance(error, ConnectionError):
        return (
            "this machine belongs to no Ray cluster; start one with `ray start --head`, join one "
            "with `ray start --address host:port`, or use --address local"
        )
    return (
        f"cannot join the Ray cluster at {address}: {said}. The launcher's machine has to belong "
        "to the cluster (`ray start --address host:port --num-cpus 0` is enough), with the same "
        "Python and Ray"
    )


class RayCluster:
    """See `executor.Executor`."""

    def __init__(self, options: LaunchOptions, pack: Pack, most: int) -> None:
        """Take a cluster that was joined; see `ray_cluster`."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._pack, self._most = pack, most
        self._cpus, self._memory = options.cpus_per_run, options.memory_gb_per_run
        self._gpus = options.gpus_per_run
        if self._gpus is None:
            self._gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        self._head = ray.get_runtime_context().gcs_address
        here = ray.get_runtime_context().get_node_id()
        self._mailbox: Any = (
            ray.remote(_Mailbox)
            .options(
                num_cpus=0,
                # With the launcher, and not on a machine that may be lost.
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=here, soft=False),
            )
            .remote()
        )
        # A process a task, as in the pool: nothing is left of the one before.
        self._do: Any = ray.remote(max_retries=0, max_calls=1)(_do)
        self._running: dict[Any, tuple[Task, dict[str, float]]] = {}
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._short_of: dict[str, float] | None = None

    def has_room(self, task: Task) -> bool:
        """Whether fewer tasks are submitted than may be."""
        return len(self._running) < self._most

    def submit(self, task: Task, silent: Owner | None) -> None:
        """Queue it.

        Raises:
            RunError: no machine of the cluster has what it asks for.
        """
        wanted = {"CPU": float(min(self._cpus, task.most_threads or self._cpus))}
        options: dict[str, Any] = {"num_cpus": wanted["CPU"], "name": task.label}
        if self._gpus:
            wanted["GPU"] = options["num_gpus"] = self._gpus
        if self._memory:
            wanted["memory"] = options["memory"] = self._memory * 2**30
        if not self._running and not _somewhere(wanted):
            raise RunError(
                f"each run asks for {_words(wanted)}, and no machine of the Ray cluster has that "
                f"({_machines()}); add one, or lower --cpus-per-run, --gpus-per-run or "
                "--memory-gb-per-run"
            )
        reference = self._do.options(**options).remote(self._pack(task, silent), self._mailbox)
        self._running[reference] = (task, wanted)

    def events(self) -> list[tuple[str, TaskEvent]]:
        """Progress of the workers, results of ended ones, a remark if no machine fits the rest."""
        import ray

        if not self._running:
            time.sleep(1)
            return []
        ended, _ = ray.wait(list(self._running), timeout=1)
        events = self._progress()
        for reference in ended:
            task, _ = self._running.pop(reference)
            events.append((task.address, _result(reference, task.label)))
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + _LOOK_EVERY
            events += self._look()
        return events

    def cancel(self) -> None:
        """End all workers."""
        import ray

        for reference in self._running:
            with suppress(Exception):
                ray.cancel(reference, force=True)

    def _progress(self) -> list[tuple[str, TaskEvent]]:
        import ray
        from ray.exceptions import RayError

        with suppress(RayError):
            return list(ray.get(self._mailbox.take.remote(), timeout=_PATIENCE))
        return []

    def _look(self) -> list[tuple[str, TaskEvent]]:
        """Say so, once, when machines were lost and none is left that could do what waits.

        Raises:
            RunError: the head is gone; Ray would end this process a little later.
        """
        host, _, port = self._head.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except OSError as error:
            raise RunError(
                f"the head of the Ray cluster, {self._head}, is gone; start the cluster again, and "
                "the same command goes on"
            ) from error
        short = next((w for _, w in self._running.values() if not _somewhere(w)), None)
        told, self._short_of = self._short_of, short
        if short is None or short == told:
            return []
        text = (
            f"no machine of the Ray cluster has {_words(short)} any more ({_machines()}); waiting "
            "for one to join"
        )
        return [("", Remark(text))]


class _Mailbox:
    """Keeps the workers' progress until the launcher asks; lives on the launcher's machine."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Progress | Remark]] = []

    def add(self, address: str, event: Progress | Remark) -> None:
        self._events.append((address, event))

    def take(self) -> list[tuple[str, Progress | Remark]]:
        events, self._events = self._events, []
        return events


def _do(remote: PackedTask, mailbox: Any) -> Outcome | Busy:
    """A worker's function; it does not wait for the mailbox, which may be gone."""
    return remote.do(lambda event: mailbox.add.remote(remote.address, event))


def _result(reference: Any, label: str) -> TaskEvent:
    import ray
    from ray.exceptions import (
        NodeDiedError,
        OutOfMemoryError,
        RayError,
        RayTaskError,
        WorkerCrashedError,
    )

    try:
        return ray.get(reference)
    except RayTaskError as error:  # an exception that nobody foresaw, in colour
        said = re.sub(r"\x1b\[\d*m", "", str(error)).strip()
        return Outcome(label, f"{said.splitlines()[-1]}\n\n{said}", 1)
    except NodeDiedError:
        return Lost("the machine that did it was lost")
    except OutOfMemoryError:
        return Lost("its machine ran out of memory (--memory-gb-per-run keeps others off it)")
    except WorkerCrashedError:
        return Lost("the process that did it was ended (often: out of memory)")
    except RayError as error:
        return Lost(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


def _alive() -> list[Mapping[str, float]]:
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _somewhere(wanted: Mapping[str, float]) -> bool:
    """Whether some machine, with nothing else on it, has all of it."""
    return any(
        all(machine.get(name, 0.0) >= amount for name, amount in wanted.items())
        for machine in _alive()
    )


def _machines() -> str:
    return "; ".join(_words({"CPU": 0.0, "GPU": 0.0} | dict(machine)) for machine in _alive())


def _words(resources: Mapping[str, float]) -> str:
    words = [f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if name in resources]
    if "memory" in resources:
        words.append(f"{resources['memory'] / 2**30:.1f} GB of memory")
    return ", ".join(words)
