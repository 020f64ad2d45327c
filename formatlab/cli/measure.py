"""`formatlab measure RUNS`: all measures of runs or rollout files, as one tidy table."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from formatlab.errors import InputError

DESCRIPTION = """\
Measure sets of rollouts: shares, accuracy, pass@k and maj@k, entropies of formats and answers, and
how varied texts are at equally many rollouts of each prompt, over all rollouts and over the right
ones. RUNS are studies, run folders (their first and last probe, or with --every-probe all of them;
RUN@EPOCH for one), or anyone's rollout files, read and tagged as by `formatlab tag`.

examples:
  formatlab measure runs/scale_attractors --output measures.csv
  formatlab measure grpo.jsonl

A short table is printed. With --output everything goes to a .csv, .json or .parquet file, a row a
set of rollouts and measure: run (or file), arm, scale, parameters, algorithm, reward_name, seed and
epoch (empty of files), measure, subset (all rollouts, the right ones, or those of one
tag), k (rollouts of each prompt that it looks at), value, low and high (95% interval of a bootstrap
over prompts), n_prompts (that bear on it). The measures:
{words}
"""


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What to measure, and where to write."""

    output: Path | None = None
    """File of all measures: .csv, .json or .parquet."""
    overwrite: bool = False
    """Replace the output if it exists."""
    every_probe: bool = False
    """Measure all probes of a run, and not its first and last alone."""
    texts: bool = True
    """Whether to compare texts, which takes the longest."""
    k: int | None = None
    """Rollouts of a prompt that measures of diversity look at; as many as there are, at most 8."""
    embed: str | None = None
    """Folder or hub id of a sentence-transformers model, for the distance of meanings."""
    text: str | None = None
    """Column of the completion in files, if not recognised."""
    gold: str | None = None
    """Column of the right answer in files, if not recognised."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, measure, and print."""
    import tyro

    from formatlab.measure.measures import MEASURES_IN_WORDS, words_in_lines

    @dataclass(frozen=True, kw_only=True)
    class Options(MeasureOptions):
        runs: Annotated[
            list[str], tyro.conf.Positional, tyro.conf.arg(metavar="RUNS", help_behavior_hint="")
        ]
        """Studies, run folders, or rollout files."""

    of_runs = {"js_divergence": "of a run, divergence of the shares from those of its first probe"}
    words = DESCRIPTION.format(words=words_in_lines(MEASURES_IN_WORDS | of_runs))
    options = tyro.cli(Options, args=arguments, prog="formatlab measure", description=words)
    if not options.runs:
        raise InputError("name what to measure: formatlab measure RUNS")
    _measure(options, options.runs)
    return 0


def _measure(options: MeasureOptions, words: Sequence[str]) -> None:
    from formatlab.analysis.sides import inputs, is_study, sides
    from formatlab.analysis.study import RUN_COLUMNS, Study
    from formatlab.cli.shown_work import shown_work
    from formatlab.measure.comparison import measures
    from formatlab.observe.files.layouts import Columns
    from formatlab.show.tables.measures import print_measures
    from formatlab.show.tables.table import TABLE_FILES, write_rows
    from formatlab.store.output_file import check_output

    if options.output is not None:
        check_output(
            "--output",
            options.output,
            kinds=TABLE_FILES,
            inputs=inputs(words),
            overwrite=options.overwrite,
        )
    embed = None
    if options.embed is not None:
        from formatlab.models.embeddings import TextEmbedder

        embed = TextEmbedder(options.embed).embed
    columns = Columns(text=options.text, gold=options.gold)
    rows: list[dict[str, Any]] = []
    with shown_work("measure") as track:
        for word in words:
            if is_study(word):
                measured = Study(word, track=track).measured(
                    every_probe=options.every_probe,
                    k=options.k,
                    texts=options.texts,
                    embed=embed,
                    track=track,
                )
                rows += measured.to_pylist()
                continue
            (side,) = sides(word, columns=columns)
            if side.note:
                print(f"formatlab measure: {word}: {side.note}", file=sys.stderr)
            of_set = dict.fromkeys(RUN_COLUMNS) | {"run": side.label}
            if side.run:
                of_set = Study(word.rpartition("@")[0], track=track).columns_of(side.run)
            measured = measures(side.rollouts, k=options.k, texts=options.texts, embed=embed)
            rows += [of_set | {"epoch": side.epoch} | row for row in measured.to_pylist()]
    if not rows:
        raise InputError(f"{', '.join(words)}: there are no rollouts yet")
    # The file first: whoever reads the output, such as `head`, may stop.
    if options.output is not None:
        write_rows(options.output, rows)
    print_measures(rows)
    if options.output is not None:
        print(f"\nmeasures {options.output}")
    else:
        print("\nthe others are not kept; --output FILE.csv writes all measures")
