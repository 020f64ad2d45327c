"""`formatlab probe`: what one model answers, in which formats, without training it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.errors import InputError, RunError
from formatlab.train.probe import Probe
from formatlab.train.shortage import out_of_memory
from formatlab.world.prompt import Shots

if TYPE_CHECKING:
    from formatlab.models.source import ModelSource
    from formatlab.store.rollout import Rollout
    from formatlab.train.probe_run import ProbeRun
    from formatlab.world.problem import Problem

DESCRIPTION = """\
Sample a model on a set of problems and say which formats it answers in, how often each is right,
and how varied the answers are. While it goes on, and if it ends early, the rollouts so far are kept
beside the output, in NAME.partial.jsonl.

examples:
  formatlab probe --model smollm2-135m --problems gsm8k --prompts 64 --samples 4 --chat
  formatlab probe --model runs/bases/<base>/model --problems my_problems.jsonl
  formatlab probe --model owner/name --problems train.jsonl --output rollouts.parquet
"""


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """What to observe, and how."""

    model: str
    """Hub id, local folder, GGUF file, or `smollm2-135m` (installed by `make real`)."""
    problems: str
    """Hub id, local jsonl, json, csv or parquet file, or `gsm8k`."""
    split: str = "test"
    """Split of a problem set that has several."""
    prompts: int = 64
    """Number of problems, from the start of the set, which must hold as many."""
    samples: int = 4
    """Completions of each problem."""
    temperature: float = 1.0
    """Sampling temperature; 1 samples the model itself."""
    completion_length: int = 256
    """Most tokens of a completion."""
    batch: int = 64
    """Completions sampled side by side; bounds memory."""
    chat: bool = False
    """Whether to use the model's chat template."""
    shots: Shots = Shots(counts={})
    """Worked examples before each question: format -> number; none by default."""
    seed: int = 0
    """Decides all draws."""
    output: Path | None = None
    """File that the rollouts are written to: .parquet or .jsonl."""
    overwrite: bool = False
    """Replace the output if it exists."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, sample, and print."""
    import tyro

    options = tyro.cli(
        ProbeOptions, args=arguments, prog="formatlab probe", description=DESCRIPTION
    )
    if options.completion_length < 1:
        raise InputError(
            f"--completion-length is {options.completion_length}; it must be at least 1"
        )
    probe = Probe(
        prompts=options.prompts,
        samples=options.samples,
        temperature=options.temperature,
        fractions=(),
        batch=options.batch,
        seed=options.seed,
    )
    keep = None
    if options.output is not None:
        from formatlab.store.output_file import check_output
        from formatlab.train.probe_run import kept_beside

        keep = kept_beside(options.output)
        inputs = [Path(of).expanduser() for of in (options.model, options.problems)]
        for path, kinds in ((options.output, (".parquet", ".jsonl")), (keep, (".jsonl",))):
            check_output("--output", path, kinds=kinds, inputs=inputs, overwrite=options.overwrite)
    _observe(options, probe, keep)
    return 0


def _observe(options: ProbeOptions, probe: Probe, keep: Path | None) -> None:
    from rich.console import Console

    from formatlab.launch.progress import ProgressDisplay
    from formatlab.models.source import check_tokenizer, find_model
    from formatlab.world.problem_set import take_problems

    # What takes long comes after what can be wrong.
    source = find_model(options.model)
    problems = take_problems(options.problems, options.split, options.prompts, option="--prompts")
    check_tokenizer(source)
    rows: list[Rollout] = []
    run = None
    try:
        with ProgressDisplay(Console(stderr=True)) as display:
            display.say(f"reading {options.model}")
            run = _probe_run(options, probe, source, problems)
            run.sample(rows, display.update, keep=keep)
    except BaseException as error:
        if run is not None:
            _tell_of_failure(run, rows, options, keep)
        if said := out_of_memory(error):
            raise RunError(f"{said}; lower --batch, which is {probe.batch}") from error
        raise
    if options.output is not None and keep is not None:
        from formatlab.store.rollout import rollouts_to_table
        from formatlab.store.rollout_file import write_rollout_file

        write_rollout_file(options.output, rollouts_to_table(rows))
        keep.unlink()
    _print_observed(run, rows, options)
    if options.output is not None:
        print(f"rollouts {options.output}")


def _probe_run(
    options: ProbeOptions, probe: Probe, source: "ModelSource", problems: "Sequence[Problem]"
) -> "ProbeRun":
    """Read the model and make the prompts; both take a while."""
    import torch

    from formatlab.models.model import best_device, silence_libraries
    from formatlab.models.source import load_model
    from formatlab.train.probe_run import ProbeRun
    from formatlab.world.prompt import real_prompts

    silence_libraries()
    device = best_device()
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    model, tokenizer = load_model(source, device=device, dtype=dtype)
    return ProbeRun(
        name=options.model,
        model=model,
        tokenizer=tokenizer,
        prompts=real_prompts(problems, options.shots, tokenizer if options.chat else None),
        probe=probe,
        limit=options.completion_length,
    )


def _tell_of_failure(
    run: "ProbeRun", rows: "Sequence[Rollout]", options: ProbeOptions, keep: Path | None
) -> None:
    """Print what was sampled before it failed, and say where it is kept."""
    if rows:
        _print_observed(run, rows, options)
        done, total = len({row.prompt_id for row in rows}), len(run.prompts)
        where = "" if keep is None else f"; their rollouts are in {keep}"
        print(
            f"formatlab probe: it ended after {done} of {total} problems, and this is about "
            f"them{where}",
            file=sys.stderr,
        )
    elif keep is not None:
        keep.unlink(missing_ok=True)


def _print_observed(run: "ProbeRun", rows: "Sequence[Rollout]", options: ProbeOptions) -> None:
    from formatlab.measure import winners
    from formatlab.models.model import count_parameters
    from formatlab.observe.answers.number import parse_number
    from formatlab.show.tables.probe import print_probe
    from formatlab.store.rollout import rollouts_to_table

    count, done = count_parameters(run.model), len({row.prompt_id for row in rows})
    print(
        f"{options.model}: {count.total:,} parameters ({count.non_embedding:,} non-embedding); "
        f"{done} problems of {options.problems} x {run.probe.samples} samples, "
        f"temperature {run.probe.temperature:g}, at most {options.completion_length} tokens"
    )
    (winner,) = winners(rollouts_to_table(rows)).to_pylist()
    answers = {
        (row.prompt_id, parse_number(row.answer) or row.answer)
        for row in rows
        if row.answer is not None
    }
    print_probe(rows, winner, samples=run.probe.samples, distinct=len(answers) / done)
