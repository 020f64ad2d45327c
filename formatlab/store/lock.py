"""A lock on a folder with a heartbeat, so that two processes never write to one run or base.

A lock is a small file beside the folder. Whoever creates it owns the lock, counts a heartbeat up in
it, and removes it in the end. A process on the same machine sees at once that an owner died; one on
another machine sees the heartbeat stop, measured with its own clock, since clocks differ and may be
set back. An owner that finds its lock taken, for instance after a long sleep, ends itself rather
than write beside another process.
"""

import json
import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn, Protocol

from formatlab.errors import RunError
from formatlab.store.atomic_file import explained_os_errors

BEAT = 5.0
"""Seconds between two heartbeats."""
PATIENCE = 60.0
"""Seconds without a heartbeat after which an owner on another machine is taken to be dead. A
network file system may show a file as it was half a minute ago."""

_LENGTH = 512
"""Bytes of a record. Its length is fixed so that it can be overwritten in place on a full disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Who holds a lock."""

    host: str
    boot: str
    """The boot of the machine and the process name space, in which process numbers are unique."""
    pid: int
    process: int
    """When the process started, in ticks since the machine's boot; 0 if not known."""
    beat: int
    token: str
    """Drawn at random every time that a lock is taken."""

    @property
    def dead(self) -> bool:
        """Whether the owner is certainly gone: a process of this machine that is not running."""
        if self.boot != _boot():
            return False
        began = _process_start(self.pid)
        return began is None or (0 not in (began, self.process) and began != self.process)

    @property
    def alive(self) -> bool:
        """Whether the owner certainly exists, perhaps stopped: a known process of this machine."""
        known = self.boot == _boot() and self.process != 0
        return known and _process_start(self.pid) == self.process

    @property
    def words(self) -> str:
        """The owner in words."""
        return f"process {self.pid} on {self.host}"


class Record(Protocol):
    """Where a lock's record is kept."""

    def make(self, content: bytes) -> bool:
        """Make the record; False if there is one."""
        ...

    def read(self) -> bytes | None:
        """Its content; None if there is none."""
        ...

    def replace(self, old: bytes, new: bytes) -> bytes | None:
        """Overwrite it if its content is `old`; returns what it was, None if there is none."""
        ...

    def remove(self, content: bytes) -> None:
        """Remove it if this is its content."""
        ...


class RecordFile:
    """A lock's record in a file, on a file system that machines may share."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_name(f".{folder.name}.lock")

    def make(self, content: bytes) -> bool:
        """Create the file; only one of several processes that try succeeds."""
        with explained_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                return False
            try:
                os.write(descriptor, content)
            except OSError:
                self.path.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
        return True

    def read(self) -> bytes | None:
        """Read the file."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, old: bytes, new: bytes) -> bytes | None:
        """Overwrite the file in place; whoever takes over a lock creates another file."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            there = os.read(descriptor, len(old) + 1)
            if there == old:
                os.pwrite(descriptor, new, 0)
            return there
        finally:
            os.close(descriptor)

    def remove(self, content: bytes) -> None:
        """Remove the file if this is its content; of several processes one looks at a time."""
        with explained_os_errors(self.path), suppress(FileNotFoundError):
            descriptor = os.open(self.path, os.O_RDWR)
            try:
                _wait_for_turn(descriptor)
                # Meanwhile another process may have removed it, and a third one made its own.
                same = os.path.samestat(os.fstat(descriptor), self.path.stat())
                if same and os.read(descriptor, len(content) + 1) == content:
                    self.path.unlink()
            finally:
                os.close(descriptor)


class Held(RunError):
    """Another process is writing to the folder."""


def held(folder: Path) -> Owner | None:
    """Who holds a folder's lock, as far as can be seen here; None if nobody or a dead process."""
    return held_record(RecordFile(folder))


def held_record(record: Record) -> Owner | None:
    """Who holds the lock that a record stands for; see `held`."""
    content = record.read()
    owner = _owner(content) if content is not None else None
    return None if owner is None or owner.dead else owner


class Watch:
    """Looks at locks repeatedly, and takes an owner whose heartbeat stopped for dead."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Owner, float]] = {}

    def held(self, folder: Path) -> Owner | None:
        """Who holds a folder's lock; None if nobody, or an owner whose heartbeat stopped."""
        return self.living(str(folder), held(folder))

    def living(self, name: str, owner: Owner | None) -> Owner | None:
        """The owner of the lock called `name`, as just read, unless its heartbeat stopped."""
        now = time.monotonic()
        if owner is None:
            self._seen.pop(name, None)
            return None
        seen, since = self._seen.get(name, (None, now))
        if seen != owner:
            since = now
        self._seen[name] = (owner, since)
        return owner if owner.alive or now - since <= PATIENCE else None


@contextmanager
def locked(
    folder: Path, *, wait: bool = False, waiting: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Hold a folder's lock for a `with` block; the folder need not exist yet.

    Args:
        folder: what is to be written to.
        wait: wait until it is free, instead of failing.
        waiting: called once with who holds it, before waiting.

    Raises:
        Held: another process holds it, and `wait` is not set.
        InputError: no permission.
        RunError: no space left, or another failure of the file system.
    """
    with locked_record(RecordFile(folder), str(folder), wait=wait, waiting=waiting):
        yield


@contextmanager
def locked_record(
    record: Record, name: str, *, wait: bool, waiting: Callable[[str], None] = lambda _: None
) -> "Iterator[Heartbeat]":
    """Hold the lock that a record stands for, called `name` in messages; see `locked`."""
    mine = Owner(
        host=platform.node(),
        boot=_boot(),
        pid=os.getpid(),
        process=_process_start(os.getpid()) or 0,
        beat=0,
        token=secrets.token_hex(8),
    )
    _take(record, mine, name, wait=wait, waiting=waiting)
    heartbeat = Heartbeat(record, mine, name)
    heartbeat.start()
    try:
        yield heartbeat
    finally:
        heartbeat.stop()


def _take(
    record: Record, mine: Owner, name: str, *, wait: bool, waiting: Callable[[str], None]
) -> None:
    """Create the record, once there is none or its owner is dead."""
    seen, since, told = None, time.monotonic(), False
    while not record.make(_content(mine)):
        content = record.read()
        if content is None:
            continue
        if content != seen:
            seen, since = content, time.monotonic()
        owner = _owner(content)
        if owner == mine:  # made, though the answer was lost on the way from some storage
            return
        silent = time.monotonic() - since > PATIENCE and not (owner and owner.alive)
        if (owner and owner.dead) or silent:
            record.remove(content)
            continue
        who = owner.words if owner else "another process"
        if not wait:
            raise Held(
                f"another process is writing to {name} ({who}); let it finish, or choose another "
                "folder"
            )
        if not told:
            waiting(who)
            told = True
        time.sleep(0.2)


class Heartbeat(threading.Thread):
    """Counts a lock's heartbeat up, and ends this process if the lock was taken from it."""

    def __init__(self, record: Record, owner: Owner, name: str) -> None:
        super().__init__(daemon=True, name=f"heartbeat of {name}")
        self._record, self._name = record, name
        self._owner = owner
        self._stopped = threading.Event()
        self._turn = threading.Lock()

    def run(self) -> None:
        """Beat until the lock is released."""
        while not self._stopped.wait(BEAT):
            with suppress(OSError):  # a full disk, or a network that is away: the next one counts
                self.beat()

    def stop(self) -> None:
        """Release the lock."""
        self._stopped.set()
        self.join()
        there = self._record.read()
        owner = _owner(there) if there is not None else None
        if there is not None and owner is not None and owner.token == self._owner.token:
            self._record.remove(there)

    def beat(self) -> None:
        """Write a heartbeat; this ends the process if the lock is no longer its own.

        Raises:
            OSError: the record cannot be read or written now.
        """
        with self._turn:
            self._beat()

    def _beat(self) -> None:
        beaten = replace(self._owner, beat=self._owner.beat + 1)
        mine = _content(self._owner)
        there = self._record.replace(mine, _content(beaten))
        if there == mine:
            self._owner = beaten
            return
        owner = _owner(there) if there is not None else None
        if owner is None or owner.token != self._owner.token:
            self._end(owner)
        self._owner = owner  # of an earlier beat whose answer was lost on the way

    def _end(self, there: Owner | None) -> NoReturn:
        now = there.words if there else "nobody"
        print(
            f"formatlab: the lock on {self._name} was taken from this process while it slept (it "
            f"is held by {now}); this process ends, and the same command goes on",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)


def _content(owner: Owner) -> bytes:
    return json.dumps(asdict(owner)).ljust(_LENGTH - 1).encode() + b"\n"


def _owner(content: bytes) -> Owner | None:
    """Read a record; None while it is being written."""
    try:
        return Owner(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _wait_for_turn(descriptor: int) -> None:
    """Lock an open file against other processes that do this, until it is closed."""
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:  # Windows
        return
    with suppress(OSError):  # a file system without such locks
        flock(descriptor, LOCK_EX)


def _boot() -> str:
    """Names the machine's boot and process name space; the host alone where they are unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _process_start(pid: int) -> int | None:
    """When a process of this machine started, in ticks; 0 if not known, None if it is gone."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else int(fields[18])  # field 22 of proc(5), starttime
    except OSError:  # no such process, another user's where these are hidden, or no /proc at all
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0
