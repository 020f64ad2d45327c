"""`formatlab forecast SOURCE`: which format RL will end in, from the policy before it."""

import math
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from formatlab.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from formatlab.forecast.known import RunSettings
    from formatlab.store import RunFolder

DESCRIPTION = """\
Say which format will lead after RL that rewards correctness, and with what share: from the probe of
the policy before RL and the settings of the run, by every method that the lab has. Methods were
fitted on the runs of plots/forecasts; `formatlab score-forecasts` says how good they are.

SOURCE is a run folder (forecast from its base with its settings; RUN@EPOCH or RUN/policy from a
later policy), a base, anyone's rollout files with right answers, or with --problems a model, which
is sampled as by `formatlab probe`. Settings that are not given are those of the run, else those of
the small ladder.

examples:
  formatlab forecast runs/scale_attractors/0.13M-four-grpo-s0-6611bad8
  formatlab forecast runs/forecasts/0.13M-equal-faithful-grpo-s0-1a2b3c4d/policy --epochs 5
  formatlab forecast rollouts.jsonl --parameters 1.5e9 --learning-rate 1e-6 --group-size 16
  formatlab forecast owner/model --problems gsm8k --prompts 64 --samples 8 --chat
"""

_LADDER: dict[str, Any] = {
    "algorithm": "grpo",
    "warmup": 0.1,
    "schedule": "constant",
    "loss_type": "dr_grpo",
    "kl_coefficient": 0.0,
    "prompts_per_step": 64,
    "group_size": 8,
    "scale_rewards": "none",
    "updates_per_step": 1,
    "steps_per_epoch": 16,
    "epochs": 2,
}
"""Settings of the small ladder, whose learning rate follows from the size."""

_REDRAWN = 200
"""Probes drawn from the probe for the interval of a probability."""


@dataclass(frozen=True, kw_only=True)
class ForecastOptions:
    """What the run will be, and where to write."""

    algorithm: str | None = None
    """Algorithm: grpo, ppo or rloo."""
    parameters: float | None = None
    """Parameters of the model without its embedding; only together with the learning rate."""
    learning_rate: float | None = None
    """Peak learning rate; without it, as fast as on the small ladder."""
    warmup: float | None = None
    """Share of the updates over which the learning rate rises."""
    kl_coefficient: float | None = None
    """Weight of the KL divergence to the base."""
    prompts_per_step: int | None = None
    """Different prompts in one step."""
    group_size: int | None = None
    """Completions of each prompt."""
    updates_per_step: int | None = None
    """Optimiser updates made from one batch of rollouts."""
    steps_per_epoch: int | None = None
    """Steps of one pass over the prompts."""
    epochs: int | None = None
    """Passes over the prompts; the forecast is for the end of each."""
    output: Path | None = None
    """File of all forecasts: .csv, .json or .parquet."""
    figure: Path | None = None
    """Figure of the expected shares: a .png, .svg or .pdf file."""
    overwrite: bool = False
    """Replace output and figure if they exist."""
    text: str | None = None
    """Column of the completion in files, if not recognised."""
    gold: str | None = None
    """Column of the right answer in files, if not recognised."""
    problems: str | None = None
    """Problems to sample a model on: hub id, local file, or `gsm8k`."""
    split: str | None = None
    """With --problems: split of a set that has several; test."""
    prompts: int | None = None
    """With --problems: number of problems, from the start of the set; 64."""
    samples: int | None = None
    """With --problems: completions of each problem; 4."""
    temperature: float | None = None
    """With --problems: sampling temperature; 1."""
    completion_length: int | None = None
    """With --problems: most tokens of a completion; 256."""
    chat: bool = False
    """With --problems: whether to use the model's chat template."""
    seed: int | None = None
    """With --problems: decides all draws; 0."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, forecast, and print."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(ForecastOptions):
        source: Annotated[
            str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE", help_behavior_hint="")
        ] = ""
        """A run folder, rollout files, or a model."""

    options = tyro.cli(Options, args=arguments, prog="formatlab forecast", description=DESCRIPTION)
    if not options.source:
        raise InputError("name what to forecast from: formatlab forecast RUN")
    _check(options, options.source)
    _forecast(options, options.source)
    return 0


def _check(options: ForecastOptions, word: str) -> None:
    from formatlab.analysis.sides import inputs
    from formatlab.cli.probe import check_sampling
    from formatlab.show.tables.table import TABLE_FILES
    from formatlab.store.output_file import FIGURE_FILES, check_output

    check_sampling(options, "a model is")
    for flag, path, kinds in (
        ("--output", options.output, TABLE_FILES),
        ("--figure", options.figure, FIGURE_FILES),
    ):
        if path is not None:
            read = inputs([word])
            check_output(flag, path, kinds=kinds, inputs=read, overwrite=options.overwrite)


def _forecast(options: ForecastOptions, word: str) -> None:
    import numpy as np

    from formatlab.forecast import METHODS
    from formatlab.forecast.case import Known, response_of
    from formatlab.forecast.known import base_probe
    from formatlab.forecast.record import all_forecasts, best_method, fitted, fitted_of
    from formatlab.show.tables.forecasts import (
        forecast_rows,
        forecast_words,
        method_words,
        print_forecasts,
    )
    from formatlab.show.tables.table import write_rows

    rollouts, own, begun = _source(options, word)
    settings = _settings(options, own)
    probe = base_probe(rollouts)
    response = response_of(begun, probe.formats) if begun else None
    if (
        response is not None
        and own is not None
        and settings != replace(own, epochs=settings.epochs)
    ):
        response = None
        print(
            "formatlab forecast: the run's response to an update holds for its own settings alone, "
            "and is left out",
            file=sys.stderr,
        )
    known = Known(probe=probe, settings=settings, response=response)
    epochs = np.arange(1.0, settings.epochs + 1)
    forecasts = all_forecasts(known, epochs)
    best = best_method(known)
    method, fit = METHODS[best], fitted_of(best)
    redrawn = [
        method.forecast(replace(known, probe=probe), epochs.tolist(), fit).chances
        for probe in known.probe.redrawn(_REDRAWN)
    ]
    low, high = np.quantile(redrawn, [0.025, 0.975], axis=0)  # (H, F + 1) each
    words = [
        forecast_words(forecasts[best], low, high, place=place) for place in range(len(epochs))
    ]
    # Files first: whoever reads the output, such as `head`, may stop.
    if options.output is not None:
        write_rows(options.output, forecast_rows(forecasts))
    if options.figure is not None:
        from formatlab.show.figures.forecasts import course_figure
        from formatlab.show.figures.layout import save_figure

        drawn = best if METHODS[best].gives_shares else "replicator"
        figure = course_figure(
            forecasts[drawn],
            known.probe.shares,
            title=f"Forecast from {word}",
            words=f"Shares by {method_words(drawn)}, fitted on {fitted()['on']}. "
            f"By {method_words(best)}: {words[-1]}",
        )
        save_figure(figure, options.figure)
    print(f"probability of leading, by {method_words(best)} (fitted on {fitted()['on']}):")
    for epoch, sentence in zip(epochs, words, strict=True):
        print(f"  after {epoch:g} epoch{'s' * bool(epoch != 1)}: {sentence}")
    print()
    print_forecasts(forecasts)
    if settings.pace > 3 or settings.pace < 1 / 3:
        print(
            f"\nThe learning rate is {settings.pace:.2g} times that of the runs the methods were "
            "fitted on, so how fast shares move is an extrapolation."
        )
    for name in ("output", "figure"):
        if (path := getattr(options, name)) is not None:
            print(f"{name} {path}")


def _source(
    options: ForecastOptions, word: str
) -> "tuple[pa.Table, RunSettings | None, RunFolder | None]":
    """The rollouts of the policy before RL, the settings of its run, and the run that begins so."""
    from formatlab.analysis.sides import is_study, sides
    from formatlab.forecast.known import run_settings
    from formatlab.observe.files.layouts import Columns
    from formatlab.store import RunFolder
    from formatlab.store.runs_folder import is_run_folder

    if options.problems is not None:
        return _sampled(options, word), None, None
    policy = Path(word)
    if policy.name == "policy" and is_run_folder(policy.parent):
        word = f"{policy.parent}@last"
    path, _, epoch = word.rpartition("@")
    folder = Path(path if path and is_run_folder(Path(path)) else word)
    if not is_run_folder(folder):
        if is_study(word):
            raise InputError(f"{word} is a study; name one of its runs")
        of_files = sides(word, columns=Columns(text=options.text, gold=options.gold))[0]
        return of_files.rollouts, None, None
    run = RunFolder.open(folder)
    config = run.config
    on_policy = "group_size" in config.get("settings", {})  # else a base, or a run of SFT
    own = run_settings(config) if on_policy else None
    if folder == Path(word) or epoch == "last":
        epochs = run.epochs("probe")
        if not epochs:
            raise InputError(f"{folder} has no probe of its policy to forecast from")
        at = epochs[-1 if epoch == "last" else 0]
        return run.rollouts("probe", epoch=at), own, run if at == 0 else None
    return sides(word)[0].rollouts, own, None


def _sampled(options: ForecastOptions, model: str) -> "pa.Table":
    from formatlab.cli.probe import observe_models, sampling_options
    from formatlab.store.rollout import rollouts_to_table

    (probed,) = observe_models(sampling_options(options), [model])
    return rollouts_to_table(probed.rows)


def _settings(options: ForecastOptions, own: "RunSettings | None") -> "RunSettings":
    """The settings of the run, with what the command line says in place of its own."""
    from formatlab.analysis.forecasts import ON_POLICY
    from formatlab.forecast.known import RunSettings, ladder_rate

    given = {name: value for name in _LADDER if (value := getattr(options, name, None)) is not None}
    if options.parameters is not None and options.learning_rate is None:
        raise InputError("--parameters says nothing without --learning-rate; give both")
    if options.algorithm is not None and options.algorithm not in ON_POLICY:
        raise InputError(f"--algorithm {options.algorithm}: it is one of {', '.join(ON_POLICY)}")
    if options.parameters is not None and not 1 <= options.parameters < math.inf:
        raise InputError(f"--parameters is {options.parameters}; it is a number of parameters")
    parameters = options.parameters or (own.non_embedding_parameters if own else None)
    if options.learning_rate is not None and parameters is None:
        raise InputError(
            "--learning-rate needs --parameters, the model's number of parameters without its "
            "embedding: how far an update moves goes with both"
        )
    size = int(parameters or 1_000_000)
    rate = own.learning_rate if own else ladder_rate(size)
    if options.learning_rate is not None:
        rate = options.learning_rate
    base = asdict(own) if own else _LADDER
    return RunSettings(**{**base, **given, "non_embedding_parameters": size, "learning_rate": rate})
