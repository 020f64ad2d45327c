"""How many small programs a second the sandbox runs: `python -m benchmarks.sandbox`.

It calls `Sandbox.run` on a word problem's solution of eight lines, limits set: from one thread,
from as many threads as cores and twice as many, and from as many processes as cores (as several
runs, or `formatlab tag`, do). Where a process waits on an idle core, most of the time goes into
waking it; one thread bound to one core shows the cost of the interpreter.
"""

import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable

from formatlab.observe.sandbox import Sandbox

PROGRAM = """def solution():
    eggs = 16
    eaten = 3
    baked = 4
    left = eggs - eaten - baked
    money = left * 2
    return money
solution()"""
ROUNDS = 5
SECONDS = 1.0


def rate(run: Callable[[str], object]) -> float:
    """Programs a second of one caller, over about a second."""
    for _ in range(20):
        run(PROGRAM)
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        for _ in range(10):
            run(PROGRAM)
        done += 10
    return done / spent


def rate_of_threads(run: Callable[[str], object], threads: int) -> float:
    """Programs a second of several threads together."""
    rates: list[float] = []
    callers = [threading.Thread(target=lambda: rates.append(rate(run))) for _ in range(threads)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return sum(rates)


def rate_of_process(core: int | None) -> float:
    """Programs a second of one process, bound to a core or free."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    sandbox = Sandbox()
    try:
        return rate(sandbox.run)
    finally:
        sandbox.close()


def rate_of_processes(cores: list[int | None]) -> float:
    """Programs a second of several processes together."""
    with multiprocessing.get_context("spawn").Pool(len(cores)) as pool:
        return sum(pool.map(rate_of_process, cores, chunksize=1))


def show(name: str, measure: Callable[[], float]) -> None:
    """Print the median of several rounds, and their range."""
    rates = [measure() for _ in range(ROUNDS)]
    median = statistics.median(rates)
    print(
        f"{name:42s} {median:8,.0f} programs/s ({min(rates):,.0f} to {max(rates):,.0f}), "
        f"{1e6 / median:7.1f} us each"
    )


def main() -> None:
    """Measure and print."""
    cores = os.cpu_count() or 1
    sandbox = Sandbox()
    show("one thread", lambda: rate(sandbox.run))
    show(f"{cores} threads of one process", lambda: rate_of_threads(sandbox.run, cores))
    show(f"{2 * cores} threads of one process", lambda: rate_of_threads(sandbox.run, 2 * cores))
    sandbox.close()
    if sys.platform == "linux":
        show("one process bound to one core", lambda: rate_of_processes([0]))
    show(f"{cores} processes", lambda: rate_of_processes([None] * cores))


if __name__ == "__main__":
    main()
