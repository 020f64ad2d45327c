"""A worker: a process of the launcher that Ctrl-C does not reach; the launcher ends it."""

import signal
from multiprocessing.process import BaseProcess


def start_worker(worker: BaseProcess) -> None:
    """Start a process that never sees SIGINT, not even while it imports what it needs.

    Ctrl-C reaches every process of a terminal, and one that is just beginning dies of it with a
    traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which it inherits
    try:
        worker.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
