"""`formatlab probe`: what models answer, in which formats, without training them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from formatlab.errors import InputError, RunError
from formatlab.train.failure import out_of_memory
from formatlab.train.probe import Probe
from formatlab.world.prompt import Shots

if TYPE_CHECKING:
    from formatlab.models.source import ModelSource
    from formatlab.show.tables.probe import ProbedModel
    from formatlab.store.rollout import Rollout
    from formatlab.train.probe_run import ProbeRun
    from formatlab.world.problem import Problem

DESCRIPTION = """\
Sample models on a set of problems and say which formats each answers in, how often it is right,
with pass@k for the k that the samples allow, and how varied its answers are. Of several models a
table with a row each comes at the end. MODELS are hub ids, local folders, GGUF files, or
`smollm2-135m`, which `make real` installs.

With --output the rollouts of one model go to that file. Of several, each gets a file of its own,
with the model's name before the suffix: out.parquet becomes out-NAME.parquet, where NAME is as much
of the end of the model's path as tells it from the others. While it goes on, and if it ends early,
the rollouts so far are kept beside the output, in NAME.partial.jsonl.

examples:
  formatlab probe smollm2-135m --problems gsm8k --prompts 64 --samples 4 --chat
  formatlab probe runs/bases/*/model --problems my_problems.jsonl
  formatlab probe owner/name owner/other --problems train.jsonl --output rollouts.parquet
"""


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """What to observe, and how."""

    problems: str
    """Hub id, local jsonl, json, csv or parquet file, or `gsm8k`."""
    model: tuple[str, ...] = ()
    """Models, as they can also stand without this option."""
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
    """Replace outputs that exist."""


SAMPLING = ("split", "prompts", "samples", "temperature", "completion_length", "chat", "seed")
"""Options of other verbs that say how models are sampled, with --problems alone."""


def check_sampling(options: Any, what: str) -> None:
    """Refuse options that say how models are sampled where none is.

    Args:
        options: of a verb, with `problems` and `SAMPLING`.
        what: is sampled, as in `models are`.

    Raises:
        InputError: one is given without --problems.
    """
    for name in SAMPLING if options.problems is None else ():
        value = getattr(options, name)
        if value is not None and value is not False:  # 0 is a value
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} says how {what} sampled, on --problems PROBLEMS")


def sampling_options(options: Any) -> ProbeOptions:
    """What a verb with `problems` and `SAMPLING` asks of a probe."""
    named = {name: value for name in SAMPLING if (value := getattr(options, name)) is not None}
    return ProbeOptions(problems=options.problems or "", **named)


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, sample, and print."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ProbeOptions):
        models: Annotated[
            list[str], tyro.conf.Positional, tyro.conf.arg(metavar="MODELS", help_behavior_hint="")
        ]
        """Models to observe, one after the other."""

    options = tyro.cli(Options, args=arguments, prog="formatlab probe", description=DESCRIPTION)
    models = [*options.models, *options.model]
    if not models:
        raise InputError("name a model: formatlab probe MODEL --problems PROBLEMS")
    observe_models(options, models)
    return 0


def observe_models(options: ProbeOptions, models: Sequence[str]) -> "list[ProbedModel]":
    """Sample models on the same problems, print what they answer, and write their rollouts."""
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
    names = short_names(models)
    return _observe(options, probe, names, _outputs(options, names))


def short_names(models: Sequence[str]) -> dict[str, str]:
    """As much of the end of each model's path as tells it from the others, with - for the slashes.

    Raises:
        InputError: a model is there twice.
    """
    parts = {model: [part for part in model.split("/") if part.strip(".")] for model in models}
    if len(parts) < len(models):
        twice = next(model for model in models if models.count(model) > 1)
        raise InputError(f"the model {twice} is there twice; name each once")
    for most in range(1, max(map(len, parts.values())) + 1):
        names = {model: "-".join(of[-most:]) for model, of in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    raise InputError(f"some of these models are the same: {', '.join(models)}; name each once")


def _outputs(options: ProbeOptions, names: Mapping[str, str]) -> dict[str, Path]:
    """The file of each model's rollouts, all of them checked; none without --output."""
    if options.output is None:
        return {}
    from formatlab.store.output_file import check_output
    from formatlab.train.probe_run import kept_beside

    asked = options.output
    outputs = {
        model: asked if len(names) == 1 else asked.with_stem(f"{asked.stem}-{name}")
        for model, name in names.items()
    }
    inputs = [Path(of).expanduser() for of in (*names, options.problems)]
    for output in outputs.values():
        for path, kinds in ((output, (".parquet", ".jsonl")), (kept_beside(output), (".jsonl",))):
            check_output("--output", path, kinds=kinds, inputs=inputs, overwrite=options.overwrite)
    return outputs


def _observe(
    options: ProbeOptions, probe: Probe, names: Mapping[str, str], outputs: Mapping[str, Path]
) -> "list[ProbedModel]":
    from formatlab.models.source import check_tokenizer, find_model
    from formatlab.show.tables.probe import print_models
    from formatlab.world.problem_set import take_problems

    # What takes long comes after what can be wrong.
    sources = [find_model(model) for model in names]
    _check_no_rollouts(options)
    problems = take_problems(options.problems, options.split, options.prompts, option="--prompts")
    for source in sources:
        check_tokenizer(source)
    probed: list[ProbedModel] = []
    for number, source in enumerate(sources, start=1):
        place = f" ({number} of {len(sources)} models)" * (len(sources) > 1)
        output = outputs.get(source.name)
        probed.append(
            _observe_one(options, probe, source, problems, names[source.name], place, output)
        )
        if output is not None:
            print(f"rollouts {output}")
        print(end="\n" * (len(sources) > 1))
    if len(probed) > 1:
        print_models(probed)
    return probed


def _check_no_rollouts(options: ProbeOptions) -> None:
    """Refuse what models wrote in place of the problems that they were given.

    A set of problems may have texts beside them, such as solutions, but neither another right
    answer nor anything that is said of each text.
    """
    from formatlab.observe.files.source import first_rollout
    from formatlab.world.problem_set import find_problems, problem_answer

    path = find_problems(options.problems, split=options.split)
    found = None if path is None else first_rollout(path)
    if found is None:
        return
    row, layout = found
    answer = problem_answer(row)
    judged = (layout.verdict, layout.reward, layout.truncated, layout.step)
    if answer is None or layout.gold not in (None, answer) or any(judged):
        raise InputError(
            f"--problems: {path} holds rollouts ({layout}), and no problems; give the set of "
            "problems that was asked, a question and its right answer a row"
        )


def _observe_one(
    options: ProbeOptions,
    probe: Probe,
    source: "ModelSource",
    problems: "Sequence[Problem]",
    name: str,
    place: str,
    output: Path | None,
) -> "ProbedModel":
    """Sample a model, write its rollouts, and print what they are."""
    from rich.console import Console

    from formatlab.launch.progress import ProgressDisplay
    from formatlab.train.probe_run import kept_beside

    rows: list[Rollout] = []
    keep = None if output is None else kept_beside(output)
    run = None
    try:
        with ProgressDisplay(Console(stderr=True)) as display:
            display.say(f"reading {source.name}{place}")
            run = _probe_run(options, probe, source, problems)
            run.sample(rows, display.update, keep=keep)
    except BaseException as error:
        if run is not None:
            _tell_of_failure(run, rows, options, name, keep)
        if said := out_of_memory(error):
            raise RunError(f"{said}; lower --batch, which is {probe.batch}") from error
        raise
    if output is not None and keep is not None:
        from formatlab.store.rollout import rollouts_to_table
        from formatlab.store.rollout_file import write_rollout_file

        write_rollout_file(output, rollouts_to_table(rows))
        keep.unlink()
    return _print_observed(run, rows, options, name)


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
        name=source.name,
        model=model,
        tokenizer=tokenizer,
        prompts=real_prompts(problems, options.shots, tokenizer if options.chat else None),
        probe=probe,
        limit=options.completion_length,
    )


def _tell_of_failure(
    run: "ProbeRun",
    rows: "Sequence[Rollout]",
    options: ProbeOptions,
    name: str,
    keep: Path | None,
) -> None:
    """Print what was sampled before it failed, and say where it is kept."""
    if rows:
        _print_observed(run, rows, options, name)
        done, total = len({row.prompt_id for row in rows}), len(run.prompts)
        where = "" if keep is None else f"; their rollouts are in {keep}"
        print(
            f"formatlab probe: it ended after {done} of {total} problems, and this is about "
            f"them{where}",
            file=sys.stderr,
        )
    elif keep is not None:
        keep.unlink(missing_ok=True)


def _print_observed(
    run: "ProbeRun", rows: "Sequence[Rollout]", options: ProbeOptions, name: str
) -> "ProbedModel":
    from formatlab.models.model import count_parameters
    from formatlab.observe.answers.number import parse_number
    from formatlab.show.tables.probe import print_probe, probed_model

    count, done = count_parameters(run.model), len({row.prompt_id for row in rows})
    print(
        f"{run.name}: {count.total:,} parameters ({count.non_embedding:,} non-embedding); "
        f"{done} problems of {options.problems} x {run.probe.samples} samples, "
        f"temperature {run.probe.temperature:g}, at most {options.completion_length} tokens"
    )
    answers = {
        (row.prompt_id, parse_number(row.answer) or row.answer)
        for row in rows
        if row.answer is not None
    }
    probed = probed_model(name, count.total, rows, distinct=len(answers) / done)
    print_probe(probed)
    return probed
