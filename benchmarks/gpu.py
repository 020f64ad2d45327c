"""The benchmark on a GPU, in parts that are done once: `make gpu OUT=FOLDER`.

    python -m benchmarks.gpu FOLDER [--minutes 12] [--only PART ...] [--write docs/performance.md]
    python -m benchmarks.gpu FOLDER --device cpu --tiny     every line of it, on any machine

Each part is a process that may take so many minutes, and leaves FOLDER/PART.json. A part that is
done is not done again: the same command goes on where time ran out, also on another machine that is
given the folder. What the parts print is in FOLDER/log.txt. Bases, and the runs of the study, are
kept in `--runs`. It ends with the table of all parts; what nobody measured says so.

    tests             the tests marked gpu
    step_small        seconds of a GRPO step beside stock TRL, 0.13M
    step_middle       the same, 4.1M
    side_by_side      16 runs of 1.0M side by side, beside one after another
    step_large        seconds of a GRPO step beside stock TRL, 107M in bfloat16
    decoding          the sampler at 107M, beside transformers' static cache and vLLM
    study             scale_attractors, cut down: 0.46M to 12M, two seeds
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.decoding import decoding_rows
from benchmarks.page import write_measured
from benchmarks.side_by_side import beside_rows
from benchmarks.steps import Contest, make_bench_base
from benchmarks.turns import HERE, Row, table
from formatlab.errors import InputError
from formatlab.store.atomic_file import write_bytes_atomically
from formatlab.store.run_folder import RunFolder

TESTS = "tests/train/test_gpu.py"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large everything is."""

    tests: tuple[str, ...] = ()
    """Further words for pytest."""
    scales: tuple[str, str, str] = ("0.13M", "4.1M", "107M")
    tokens: int = 3_000_000
    """Of a base's pretraining."""
    steps: int = 6
    prompts_per_step: int = 64
    runs: int = 16
    """Side by side."""
    run_scale: str = "1.0M"
    decoded: int = 64
    """Tokens of a completion, where decoding alone is measured."""
    study: tuple[str, ...] = (
        *("--preset", "gpu", "--scales", "0.46M", "1.9M", "4.1M", "12M", "--seeds", "0", "1"),
        *("--pretraining.tokens", "10000000", "--grpo.epochs", "2"),
    )


FULL = Sizes()
TINY = Sizes(
    tests=("--collect-only",),
    scales=("0.04M", "0.04M", "0.04M"),
    tokens=100_000,
    steps=2,
    prompts_per_step=2,
    runs=2,
    run_scale="0.04M",
    decoded=4,
    study=(
        *("--preset", "demo", "--scales", "0.04M", "--pretraining.tokens", "100000"),
        *("--grpo.prompts", "8", "--grpo.prompts-per-step", "4", "--grpo.group-size", "4"),
        *("--grpo.epochs", "1", "--probe.prompts", "4", "--probe.samples", "2"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a part found."""

    done: bool = True
    """Otherwise the part goes on when the command is repeated."""
    rows: Sequence[Row] = ()
    said: str = ""
    """For the page, in a sentence; Markdown."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a part is given."""

    sizes: Sizes
    runs: Path
    """Where bases are, and the runs of the study."""
    seconds: float
    """After which it is ended."""


class Part(NamedTuple):
    """A part, and the minutes that it may take."""

    do: Callable[[Given], Result]
    minutes: float


def tests(given: Given) -> Result:
    """Run the tests marked gpu."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "gpu", TESTS, *given.sizes.tests],
        cwd=HERE,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, flush=True)
    ended = done.stdout.strip().splitlines()[-1]
    told = f"Tests on {device} (torch {torch.__version__}): {ended}."
    return Result(done=done.returncode == 0, said=told)


def step(place: int, given: Given) -> Result:
    """Measure a GRPO step beside stock TRL, in one turn each."""
    sizes = given.sizes
    contest = Contest(
        runs=given.runs,
        tokens=sizes.tokens,
        steps=sizes.steps,
        prompts_per_step=sizes.prompts_per_step,
        rounds=1,
        precision="bfloat16" if place == 2 else "float32",
    )
    rows = contest.step_rows("grpo", sizes.scales[place])
    return Result(rows=[replace(row, what=step_name(sizes, place)) for row in rows])


def side_by_side(given: Given) -> Result:
    """Measure many runs in one go, and one after another."""
    sizes = given.sizes
    base = make_bench_base(sizes.run_scale, sizes.tokens, given.runs)
    rows = beside_rows(
        beside_name(sizes),
        base,
        runs=sizes.runs,
        steps=sizes.steps - 1,
        prompts_per_step=sizes.prompts_per_step,
    )
    return Result(rows=rows)


def decoding(given: Given) -> Result:
    """Measure the sampler beside others'."""
    sizes = given.sizes
    rows = decoding_rows(
        sizes.scales[2],
        given.runs / "decoded",
        prompts=sizes.prompts_per_step,
        group=8,
        tokens=sizes.decoded,
        rounds=3,
    )
    return Result(rows=rows)


def study(given: Given) -> Result:
    """Run, or go on with, the study; tell the winners of the runs that are done."""
    words = ["run", "experiments/scale_attractors.py", *given.sizes.study]
    words += ["--runs-dir", str(given.runs)]
    try:
        status = subprocess.run(
            [sys.executable, "-m", "formatlab", *words],
            cwd=HERE,
            timeout=given.seconds - _SECONDS_TO_TELL,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        status = None
    return Result(done=status == 0, said=winners(given.runs / "scale_attractors"))


def winners(folder: Path) -> str:
    """The winner of each run of a study that is done, at its last probe."""
    found = []
    for path in sorted(folder.glob("*/config.json")):
        run = RunFolder.open(path.parent)
        table = run.winners() if run.done else None
        if table is not None:
            last = table.slice(table.num_rows - 1).to_pylist()[0]
            share = f"{last['leader']}, margin {100 * last['margin']:.0f} points"
            found.append(f"{run.name.rpartition('-')[0]}: {last['winner']} ({share})")
    return f"`scale_attractors`, runs done: {len(found)}. " + "; ".join(found) + "." * bool(found)


PARTS: dict[str, Part] = {
    "tests": Part(tests, 2.5),
    "step_small": Part(partial(step, 0), 2),
    "step_middle": Part(partial(step, 1), 2),
    "side_by_side": Part(side_by_side, 2.5),
    "step_large": Part(partial(step, 2), 2.5),
    "decoding": Part(decoding, 2),
    "study": Part(study, 6),
}
_SECONDS_TO_TELL = 25
"""Of the study's: to begin, and to tell what is done when its runs have to stop."""
_SECONDS_TO_START = 40
"""A part that would have less is not begun."""


def step_name(sizes: Sizes, place: int) -> str:
    """What a comparison of steps is called."""
    return f"grpo {sizes.scales[place]}{', bfloat16' * (place == 2)}, seconds a step"


def beside_name(sizes: Sizes) -> str:
    """What the comparison of many runs is called."""
    return f"{sizes.runs} runs of {sizes.run_scale}, seconds for a step of each"


def comparisons(sizes: Sizes) -> list[tuple[str, str]]:
    """What all parts compare, and the contenders, in the order of the table."""
    decoded = f"decoding at {sizes.scales[2]}"
    return [
        *((step_name(sizes, place), who) for place in range(3) for who in ("lab", "stock TRL")),
        *((beside_name(sizes), who) for who in ("lab, side by side", "one after another")),
        (f"{decoded}, float32, tokens a second", "lab"),
        *(
            (f"{decoded}, bfloat16, tokens a second", who)
            for who in ("lab", "transformers, static cache", "vLLM")
        ),
    ]


def page(folder: Path, sizes: Sizes) -> str:
    """What the parts found, as Markdown."""
    results = {name: read(folder, name) for name in PARTS}
    found = {(row.what, row.who): row for of in results.values() if of for row in of.rows}
    rows = [
        found.get((what, who)) or Row(what=what, who=who, values=[])
        for what, who in dict.fromkeys(comparisons(sizes))
    ]
    said = [of.said for of in results.values() if of and of.said]
    missing = [name for name, of in results.items() if of is None or not of.done]
    if missing:
        said.append(f"Not measured, or not to the end: {', '.join(missing)}.")
    return "\n\n".join([table(rows, values="measured"), *said])


def read(folder: Path, name: str) -> Result | None:
    """What a part left, if it did."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Result(**stored | {"rows": [Row(**row) for row in stored["rows"]]})


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the parts that are not done, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where results are")
    parser.add_argument("--minutes", type=float, default=12, help="for all parts together")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, as a rehearsal")
    parser.add_argument("--runs", type=Path, default=Path("runs/gpu"), help="where bases are")
    parser.add_argument("--write", type=Path, help="page for the table")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    sizes = TINY if options.tiny else FULL
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.part:
        _check_device(options.device)
        given = Given(sizes=sizes, runs=options.runs.resolve(), seconds=options.seconds)
        result = PARTS[options.part].do(given)
        written = json.dumps(asdict(result), indent=1).encode()
        write_bytes_atomically(options.folder / f"{options.part}.json", written)
        return
    end = time.monotonic() + 60 * options.minutes
    for name in options.only:
        before = read(options.folder, name)
        if before is None or not before.done:
            seconds = min(60 * PARTS[name].minutes, end - time.monotonic())
            print(f"{name}: {_done(name, options, seconds)}", flush=True)
    found = page(options.folder, sizes)
    print(f"\n{found}")
    if options.write:
        write_measured(options.write, "benchmarks.gpu", found)


def _done(name: str, options: argparse.Namespace, seconds: float) -> str:
    """Do a part in a process of its own; say how that went."""
    if seconds < _SECONDS_TO_START:
        return "no time is left"
    words = [str(options.folder), "--part", name, "--seconds", f"{seconds:.0f}"]
    words += ["--device", options.device, "--runs", str(options.runs), *["--tiny"] * options.tiny]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}
    start = time.monotonic()
    with (options.folder / "log.txt").open("a", encoding="utf-8") as log:
        part = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu", *words],
            env=os.environ | {"HF_HUB_OFFLINE": "1"} | hidden,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = part.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with suppress(ProcessLookupError):  # whatever it started, too
                os.killpg(part.pid, signal.SIGKILL)
            part.wait()
    how = {0: "ended", None: "stopped"}.get(status, "failed, see log.txt:")
    return f"{how} after {time.monotonic() - start:.0f} s"


def _check_device(device: str) -> None:
    from formatlab.models.model import best_device

    if (best_device().type == "cpu") != (device == "cpu"):
        raise InputError(f"no {device} here: torch takes {best_device().type}; see --device")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
