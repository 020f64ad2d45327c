"""`formatlab compare A B`: what differs between two sets of rollouts, with intervals."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from formatlab.errors import InputError

if TYPE_CHECKING:
    from formatlab.analysis.sides import Side
    from formatlab.store.track import Track

DESCRIPTION = """\
Compare sets of rollouts: shares of formats, accuracy, where a gain comes from (other formats, or
skill), and diversity at equally many rollouts of each prompt. Differences have 95% intervals of a
bootstrap over prompts (from ten on), pair by pair where both sides have the same prompts; means of
arms have Student's, over seeds.

SIDES are run folders (the last probe, or RUN@EPOCH such as RUN@base), or anyone's rollout files,
read and tagged as by `formatlab tag`. Each is compared with the first. A run alone is compared with
its base, and so is each run of a study, with the means of each arm over seeds. With --problems,
SIDES are models: they are sampled first, as by `formatlab probe`.

examples:
  what RL did to a run, and to every run of a study
    formatlab compare runs/scale_attractors/0.13M-four-grpo-s0-6611bad8
    formatlab compare runs/scale_attractors --output changes.csv
  checkpoints of somebody's training, from their rollouts
    formatlab compare sft.jsonl grpo.jsonl --figure sft-to-grpo.png
  two models on one set of problems
    formatlab compare owner/base owner/tuned --problems gsm8k --prompts 200 --samples 8 --chat

The measures that most readers want are printed. With --output all of them go to a .csv, .json or
.parquet file, a row a measure, with a, b, their difference, and b / a (retained):
{words}
"""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What to compare, and where to write."""

    output: Path | None = None
    """File of all numbers: .csv, .json or .parquet."""
    figure: Path | None = None
    """Figure of the differences: a .png, .svg or .pdf file."""
    overwrite: bool = False
    """Replace output and figure if they exist."""
    texts: bool = True
    """Whether to compare texts, which takes the longest."""
    k: int | None = None
    """Rollouts of a prompt at which diversity is compared; as many as there are, at most 8."""
    embed: str | None = None
    """Folder or hub id of a sentence-transformers model, for the distance of meanings."""
    text: str | None = None
    """Column of the completion in files, if not recognised."""
    gold: str | None = None
    """Column of the right answer in files, if not recognised."""
    problems: str | None = None
    """Problems to sample models on: hub id, local file, or `gsm8k`."""
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
    """With --problems: whether to use the models' chat templates."""
    seed: int | None = None
    """With --problems: decides all draws; 0."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, compare, and print."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(CompareOptions):
        sides: Annotated[
            list[str], tyro.conf.Positional, tyro.conf.arg(metavar="SIDES", help_behavior_hint="")
        ]
        """Run folders, a study, rollout files, or models."""

    options = tyro.cli(
        Options, args=arguments, prog="formatlab compare", description=_description()
    )
    if not options.sides:
        raise InputError("name what to compare: formatlab compare A B")
    _check(options, options.sides)
    _compare(options, options.sides)
    return 0


def _description() -> str:
    from formatlab.measure.comparison import CHANGES_IN_WORDS
    from formatlab.measure.measures import MEASURES_IN_WORDS, words_in_lines

    return DESCRIPTION.format(words=words_in_lines(MEASURES_IN_WORDS | CHANGES_IN_WORDS))


def _check(options: CompareOptions, words: Sequence[str]) -> None:
    from formatlab.analysis.sides import inputs
    from formatlab.cli.probe import check_sampling
    from formatlab.show.tables.table import TABLE_FILES
    from formatlab.store.output_file import FIGURE_FILES, check_output

    check_sampling(options, "models are")
    read = inputs([*words, *([options.problems] if options.problems else [])])
    for flag, path, kinds in (
        ("--output", options.output, TABLE_FILES),
        ("--figure", options.figure, FIGURE_FILES),
    ):
        if path is not None:
            check_output(flag, path, kinds=kinds, inputs=read, overwrite=options.overwrite)


def _compare(options: CompareOptions, words: Sequence[str]) -> None:
    from formatlab.analysis.frames import compare
    from formatlab.cli.shown_work import shown_work
    from formatlab.show.tables.comparison import (
        Compared,
        comparison_rows,
        print_arms,
        print_comparison,
        print_comparisons,
    )
    from formatlab.show.tables.table import write_rows

    with shown_work("compare") as track:
        pairs = _sampled(options, words) if options.problems else _pairs(options, words, track)
        _print_notes([side for pair in pairs for side in (pair.a, pair.b)])
        embed = None
        if options.embed is not None:
            from formatlab.models.embeddings import TextEmbedder

            embed = TextEmbedder(options.embed).embed
        compared = [
            Compared(
                a=of.a.label,
                b=of.b.label,
                found=compare(
                    of.a.rollouts, of.b.rollouts, k=options.k, texts=options.texts, embed=embed
                ),
                arm=of.arm,
                seed=of.seed,
                counted=of.counted,
            )
            for of in track(pairs, "comparing")
        ]
    # Files first: whoever reads the output, such as `head`, may stop.
    if options.output is not None:
        write_rows(options.output, comparison_rows(compared))
    if options.figure is not None:
        from formatlab.show.figures.comparison import comparison_figure
        from formatlab.show.figures.layout import save_figure

        save_figure(comparison_figure(compared), options.figure)
    if len(compared) == 1:
        print_comparison(compared[0])
    else:
        print_comparisons(compared)
    print_arms(compared)
    print()
    if options.output is not None:
        print(f"numbers {options.output}")
    else:
        print("other measures are not kept; --output FILE.csv writes all of them")
    if options.figure is not None:
        print(f"figure {options.figure}")


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two sets of rollouts to compare; of a run of a study, with its arm."""

    a: "Side"
    b: "Side"
    arm: str = ""
    seed: int | None = None
    counted: bool = True


def _print_notes(sides: "Sequence[Side]") -> None:
    for note in dict.fromkeys(f"{of.label}: {of.note}" for of in sides if of.note):
        print(f"formatlab compare: {note}", file=sys.stderr)


def _pairs(options: CompareOptions, words: Sequence[str], track: "Track") -> list[_Pair]:
    """Each set of rollouts with the first, or the ends of each run of a study."""
    from formatlab.analysis.sides import is_study, last_side
    from formatlab.analysis.study import Study
    from formatlab.observe.files.layouts import Columns

    if len(words) > 1:
        columns = Columns(text=options.text, gold=options.gold)
        first, *others = (last_side(word, columns=columns) for word in words)
        return [_Pair(a=first, b=other) for other in others]
    (word,) = words
    ends = Study(word, track=track).ends() if is_study(word) else []
    if not ends:
        raise InputError(
            f"{word} alone has nothing to be compared with; name a second one, or a run with "
            "probes of its base and of a later policy"
        )
    several = len(ends) > 1
    return [
        _Pair(
            a=a,
            b=b,
            arm=arm.label if several else "",
            seed=run.seed,
            counted=run in arm.finished,
        )
        for arm, run, a, b in ends
    ]


def _sampled(options: CompareOptions, models: Sequence[str]) -> list[_Pair]:
    """Probe models, and pair their rollouts as those of other sides."""
    from formatlab.analysis.sides import Side
    from formatlab.cli.probe import observe_models, sampling_options
    from formatlab.measure.frames import rollouts_of
    from formatlab.store.rollout import rollouts_to_table

    if len(models) == 1:
        raise InputError("--problems: name two models or more to sample and compare")
    probed = sampling_options(options)
    first, *others = (
        Side(label=of.name, rollouts=rollouts_of(rollouts_to_table(of.rows), of.name))
        for of in observe_models(probed, models)
    )
    return [_Pair(a=first, b=other) for other in others]
