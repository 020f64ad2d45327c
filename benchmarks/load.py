"""Whether grades depend on what else the machine does: `python -m benchmarks.load FOLDER`.

It grades the same texts twice, by itself and beside processes that do nothing but work, and lists
the texts whose grades differ; there should be none. Most texts are those of the data sets in the
folder; some are made to come near the limits: loops of several lengths, loops without end, floods
of memory, expressions that take long to compare, and texts of 100,000 characters.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks.answer_sources import graded, human_latex, human_prose
from formatlab.observe.grader import Grade, grade

Text = tuple[str, str]
"""A completion and its right answer."""

_LOOP = "def f():\n    total = 0\n    for n in range({}):\n        total += n\n    return total"
_ENDLESS = "def f():\n    total = {}\n    while True:\n        total += 1\n    return total"
_FLOOD = "def f():\n    rows = []\n    while True:\n        rows.append('x' * {})\n    return 5"


def near_limits(n: int) -> list[Text]:
    """Some texts that take time: loops of 5 to 100 ms, and what has to be ended."""
    lengths = [20_000 + 380_000 * i // max(1, n - 1) for i in range(n)]
    made = [(_LOOP.format(length), str(length * (length - 1) // 2)) for length in lengths]
    few = range(max(1, n // 10))
    made += [(_ENDLESS.format(i), "5") for i in few] + [(_FLOOD.format(100 + i), "5") for i in few]
    made += [(rf"It is \boxed{{(x+{i})^{{40}}}}.", rf"(x+{i})^{{39}}(x+{i})") for i in few]
    made += [(f"word{i} " * 20_000 + "The answer is 5.", "5") for i in few]
    made += [("2 + 3 = 5. " * 9_000 + f"The answer is {i}.", "5") for i in few]
    return made


def texts_of(folder: Path, n: int, near: int) -> list[Text]:
    """Texts of the data sets, drawn alike every time, with those near the limits among them."""
    cases = [*graded(folder), *human_latex(folder), *human_prose(folder)]
    made = near_limits(near)
    drawn = Random(0).sample(cases, min(len(cases), n - len(made)))
    texts = [(case.text, case.gold) for case in drawn] + made
    Random(1).shuffle(texts)
    return texts


def grades_of(texts: list[Text]) -> list[Grade]:
    """The grade of each text; prints how long it took."""
    start = time.perf_counter()
    found = [grade(text, gold) for text, gold in texts]
    print(f"  {len(found):,} texts in {time.perf_counter() - start:.0f} s")
    return found


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that work, all of them begun."""
    loop = "print(flush=True)\nwhile True: pass"
    started = [
        subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


def main() -> None:
    """Grade twice, compare and print; ends with status 1 where grades differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the data sets")
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--near", type=int, default=100, help="of them loops near the limit")
    parser.add_argument("--busy", type=int, default=8, help="processes that work beside")
    options = parser.parse_args()
    texts = texts_of(options.folder, options.texts, options.near)
    print("by itself")
    alone = grades_of(texts)
    print(f"beside {options.busy} processes")
    with busy(options.busy):
        beside = grades_of(texts)
    reasons = Counter(seen.reason or "right" for seen in alone)
    print(", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common()))
    apart = [
        (text, one, other)
        for (text, _), one, other in zip(texts, alone, beside, strict=True)
        if one != other
    ]
    print(f"{len(apart):,} grades differ")
    for text, one, other in apart[:20]:
        print(f"  {one.reason or 'right'} and {other.reason or 'right'}: {text[:100]!r}")
    sys.exit(bool(apart))


if __name__ == "__main__":
    main()
