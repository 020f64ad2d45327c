"""`formatlab probe`: what one model answers, in which formats, without training it."""

from dataclasses import dataclass
from pathlib import Path

from formatlab.store.output_file import check_output
from formatlab.train.probe import Probe
from formatlab.world.prompt import Shots

DESCRIPTION = """\
Sample a model on a set of problems and say which formats it answers in, how often each is right,
and how varied the answers are.

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
    if options.output is not None:
        check_output(
            "--output",
            options.output,
            kinds=(".parquet", ".jsonl"),
            inputs=[Path(of).expanduser() for of in (options.model, options.problems)],
            overwrite=options.overwrite,
        )
    probe = Probe(
        prompts=options.prompts,
        samples=options.samples,
        temperature=options.temperature,
        fractions=(),
        batch=options.batch,
        seed=options.seed,
    )
    _observe(options, probe)
    return 0


def _observe(options: ProbeOptions, probe: Probe) -> None:
    import torch

    from formatlab.measure import winners
    from formatlab.models.model import best_device, count_parameters, silence_libraries
    from formatlab.models.source import find_model, load_model
    from formatlab.observe.answers.number import parse_number
    from formatlab.show.tables.probe import print_probe
    from formatlab.store.rollout import rollouts_to_table
    from formatlab.store.rollout_file import write_rollout_file
    from formatlab.train.policy import observe_policy
    from formatlab.world.problem_set import take_problems
    from formatlab.world.prompt import real_prompts

    silence_libraries()
    # What takes long comes after what can be wrong.
    source = find_model(options.model)
    problems = take_problems(options.problems, options.split, options.prompts, option="--prompts")
    device = best_device()
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    model, tokenizer = load_model(source, device=device, dtype=dtype)
    prompts = real_prompts(problems, options.shots, tokenizer if options.chat else None)
    rows = observe_policy(
        model,
        tokenizer,
        prompts,
        probe,
        limit=options.completion_length,
        run_id=options.model,
        step=0,
        epoch=0.0,
    )
    table = rollouts_to_table(rows)
    if options.output is not None:
        write_rollout_file(options.output, table)
    count = count_parameters(model)
    print(
        f"{options.model}: {count.total:,} parameters ({count.non_embedding:,} non-embedding); "
        f"{len(prompts)} problems of {options.problems} x {probe.samples} samples, "
        f"temperature {probe.temperature:g}, at most {options.completion_length} tokens"
    )
    (winner,) = winners(table).to_pylist()
    answers = {
        (row.prompt_id, parse_number(row.answer) or row.answer)
        for row in rows
        if row.answer is not None
    }
    print_probe(rows, winner, samples=probe.samples, distinct=len(answers) / len(prompts))
    if options.output is not None:
        print(f"rollouts {options.output}")
