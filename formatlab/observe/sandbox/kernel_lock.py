"""Kernel locks: a process gives up files, network and most system calls, for good.

Linux alone offers them without privileges: Landlock (https://docs.kernel.org/userspace-api/landlock.html)
for files, TCP and signals, and seccomp filters
(https://docs.kernel.org/userspace-api/seccomp_filter.html) for system calls. Both are kept by
whatever the process starts, and nothing undoes them.
"""

import ctypes
import errno
import os
import platform
import signal
import struct
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SECCOMP_MODE_FILTER = 2

_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446  # the same on every architecture
_LANDLOCK_CREATE_RULESET_VERSION = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many kinds of file access each version knows, from the lowest bit; 16 from version 5 on."""

# Instructions of the filter language: load a word of the call's data, jump if equal, return.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000

_CALLS = (
    "read write close lseek mmap mprotect munmap mremap brk madvise futex getrandom "
    "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall "
    "clock_gettime clock_getres gettimeofday getpid gettid getrusage sched_yield "
    "sched_getaffinity membarrier rseq exit exit_group"
).split()
"""All that computing needs. Nothing here opens, starts, signals or connects anything."""

# Numbers in the order of _CALLS, from the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl,
# include/uapi/asm-generic/unistd.h); the first of each is the architecture's own number (audit.h).
_NUMBERS = {
    "x86_64": (
        0xC000003E,
        *(0, 1, 3, 8, 9, 10, 11, 25, 12, 28, 202, 318, 13, 14, 15, 131, 219),
        *(228, 229, 96, 39, 186, 98, 24, 204, 324, 334, 60, 231),
    ),
    "aarch64": (
        0xC00000B7,
        *(63, 64, 57, 62, 222, 226, 215, 216, 214, 233, 98, 278, 134, 135, 139, 132, 128),
        *(113, 114, 169, 172, 178, 165, 124, 123, 283, 293, 93, 94),
    ),
}


class LockError(Exception):
    """This system does not offer a lock; the message says which, and why it matters."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class KernelLock:
    """The locks of this system, looked up once, closed in two steps.

    Raises:
        LockError: not Linux, an architecture without a table here, or a kernel without Landlock.
    """

    def __init__(self) -> None:
        """See what the kernel offers; nothing is locked yet."""
        numbers = _NUMBERS.get(platform.machine())
        if sys.platform != "linux" or numbers is None:
            raise LockError(
                f"{platform.system()} on {platform.machine()} has no kernel locks that are known "
                "here; Linux on x86_64 or aarch64 has"
            )
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._version = self._libc.syscall(
            ctypes.c_long(_LANDLOCK_CREATE_RULESET),
            None,
            ctypes.c_size_t(0),
            ctypes.c_uint(_LANDLOCK_CREATE_RULESET_VERSION),
        )
        if self._version < 1:
            raise LockError(
                "this kernel has no Landlock, or it is switched off "
                f"({os.strerror(ctypes.get_errno())}); Linux 5.13 and later can have it"
            )
        self._filter = ctypes.create_string_buffer(_filter(numbers[0], numbers[1:]))
        self._program = _Program(
            (len(self._filter) - 1) // 8, ctypes.cast(self._filter, ctypes.c_void_p)
        )

    def forbid_files(self) -> None:
        """Landlock without a single exception; open descriptors go on working."""
        rights = (1 << _FILE_RIGHTS.get(self._version, 16)) - 1
        ruleset = struct.pack(
            "=QQQ",
            rights,
            0b11 if self._version >= 4 else 0,  # TCP: bind, connect
            0b11 if self._version >= 6 else 0,  # to outside: abstract sockets, signals
        )
        size = 24 if self._version >= 6 else 16 if self._version >= 4 else 8
        self._control(_PR_SET_NO_NEW_PRIVS, 1)
        descriptor = self._checked(
            self._libc.syscall(
                ctypes.c_long(_LANDLOCK_CREATE_RULESET),
                ruleset,
                ctypes.c_size_t(size),
                ctypes.c_uint(0),
            ),
            "Landlock",
        )
        self._checked(
            self._libc.syscall(
                ctypes.c_long(_LANDLOCK_RESTRICT_SELF), ctypes.c_int(descriptor), ctypes.c_uint(0)
            ),
            "Landlock",
        )
        os.close(descriptor)

    def forbid_system_calls(self) -> None:
        """A filter that refuses all but what computing needs; the process dies with its parent."""
        self._control(_PR_SET_PDEATHSIG, signal.SIGKILL)
        self._control(_PR_SET_NO_NEW_PRIVS, 1)
        self._control(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(self._program))

    def _control(self, option: int, first: int, second: int = 0) -> None:
        arguments = (ctypes.c_ulong(number) for number in (first, second, 0, 0))
        self._checked(self._libc.prctl(ctypes.c_int(option), *arguments), f"prctl({option})")

    def _checked(self, result: int, what: str) -> int:
        if result < 0:
            raise LockError(f"the kernel refuses {what}: {os.strerror(ctypes.get_errno())}")
        return result


def _filter(architecture: int, allowed: tuple[int, ...]) -> bytes:
    """A filter program: another architecture's calls kill, calls outside the list are refused."""
    assert len(allowed) == len(_CALLS)
    instructions = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the call
        *((_JUMP_IF_EQUAL, len(allowed) - place, 0, call) for place, call in enumerate(allowed)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
