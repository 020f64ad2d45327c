"""`formatlab tag FILES`: which formats anyone's rollouts are in, and how often each is right."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from formatlab.errors import InputError

if TYPE_CHECKING:
    from formatlab.observe.files.tagging_run import TaggingRun

DESCRIPTION = """\
Tag the completions in files of rollouts, whoever wrote them: which format each is in, whether it
is well formed, whether formats are mixed in it, whether it was cut off; and, where the right
answer is known, whether its own is right.

examples:
  a quick look at a run of verl (rollout_data_dir); nothing is written
    formatlab tag rollouts/*.jsonl
  the evaluations of several checkpoints, side by side, with a figure
    formatlab tag evals/ --by source_file --figure formats.png
  rollouts of your own, {"q": "2 + 3?", "tries": [{"said": "5"}], "info": {"right": ["5"]}}, kept
    formatlab tag mine.jsonl --text said --gold info.right.0 --output mine.parquet

FILES are JSONL, JSON, CSV or parquet, the first three also as .gz or .zst; globs and folders of
such files do as well. Recognised without flags: completions_*.parquet of TRL, rollout_data_dir and
validation_data_dir of verl, save_traces of open-instruct, samples of OpenRLHF, episodes and traces
of prime-rl and verifiers, evaluations of Qwen2.5-Math and lm-evaluation-harness, answers of the
Chat Completions and Responses APIs, formatlab's own rollouts, chats (the assistant's last messages
are the completion), and columns with usual names. Samples in a list, and results in lists of
objects, are rows of their own. Only completions are tagged: a prompt or chat that stands before one
in the same text is left out. Files may be larger than memory, except for JSON that is one object.

The summary is printed: shares and accuracy by format and by step, with --by by any column. Where
our verdicts part from the file's own, it says so and shows examples. Rows that cannot be tagged are
named and counted, a line for each kind.

The output is parquet: every column of the input (lists and objects of JSON as JSON text), then tag,
well_formed, mixed, mixed_formats, truncated; writing (the script of most words, such as latin or
cjk), mixed_writing (two scripts share the text); answer, correct, reason, flexible_answer,
flexible_correct (these five null without a right answer; the flexible reading takes, where no
answer is stated, the last number that sentences commit to); file_correct, file_reward,
file_truncated (what the file itself says; its truncation is taken for `truncated`); step, sample
(the number of the rollout among those of its prompt); source_file, source_row. A column of the
input that has one of these names is kept with _input behind it.

Formats of your own (--formats) are patterns in a TOML file, asked before the built-in ones:
  [final]
  recognise = '<final>'
  answer = '<final>(?P<answer>.*?)</final>'
  code = false

or a Python file with subclasses of formatlab.world.formats.Format that have a name,
recognise(page) and read(page), where page.text is the completion.
"""

_MOST_GROUPS = 12
"""Values of a column that are printed."""


@dataclass(frozen=True, kw_only=True)
class TagOptions:
    """What to tag, and where to write."""

    output: Path | None = None
    """Parquet file that every row is written to, with its tag; without it nothing is written."""
    overwrite: bool = False
    """Replace output and figure if they exist."""
    by: str | None = None
    """Column to compare by, such as language, model or metadata.model; also step, source_file."""
    figure: Path | None = None
    """Figure of the shares over the steps, or by --by: a .png, .svg or .pdf file."""
    text: str | None = None
    """Column of the completion, if not recognised; dots reach into objects and lists: `a.0.b`."""
    gold: str | None = None
    """Column of the right answer, if not recognised."""
    step: str | None = None
    """Column of the training step, if not recognised."""
    grade: bool = True
    """Whether to grade rows with a right answer, which runs code in a sandbox."""
    formats: Path | None = None
    """Formats of your own: a .toml or .py file."""
    tokenizer: str | None = None
    """For files of token ids: folder or hub id of the model, or its tokenizer.json."""
    jobs: int = 0
    """Worker processes; 0: one for each core, or none for small files."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line, tag, and print."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(TagOptions):
        files: Annotated[
            list[str], tyro.conf.Positional, tyro.conf.arg(metavar="FILES", help_behavior_hint="")
        ]
        """Files, globs in quotes, or folders."""
        figure: Annotated[Path | None, tyro.conf.arg(aliases=["--plot"])] = None
        """Figure of the shares over the steps, or by --by: a .png, .svg or .pdf file."""

    options = tyro.cli(Options, args=arguments, prog="formatlab tag", description=DESCRIPTION)
    if not options.files:
        raise InputError("name the files to tag: formatlab tag FILES")
    _check(options)
    _tag(options, options.files)
    return 0


def _check(options: TagOptions) -> None:
    if options.jobs < 0:
        raise InputError(f"--jobs is {options.jobs}; 0 (one for each core) or more")


def _tag(options: TagOptions, files: Sequence[str]) -> None:
    from rich.console import Console

    from formatlab.observe.files.layouts import Columns
    from formatlab.observe.files.source import RolloutReader, find_sources
    from formatlab.observe.files.tagging import TagJob
    from formatlab.observe.files.tagging_run import TaggingRun, worker_count
    from formatlab.observe.own_formats import own_formats
    from formatlab.store.output_file import FIGURE_FILES, check_output

    if options.formats is not None:
        own_formats(options.formats)  # a mistake in them is told before anything is read
    sources = find_sources(files)
    for flag, path, kinds in (
        ("--output", options.output, (".parquet", ".pq")),
        ("--figure", options.figure, FIGURE_FILES),
    ):
        if path is not None:
            inputs = [source.path for source in sources]
            check_output(flag, path, kinds=kinds, inputs=inputs, overwrite=options.overwrite)
    columns = Columns(text=options.text, gold=options.gold, step=options.step, by=options.by)
    run = TaggingRun(
        reader=RolloutReader(sources=sources, columns=columns, tokenizer=options.tokenizer),
        job=TagJob(
            formats=options.formats, grading=options.grade, keeping=options.output is not None
        ),
        workers=options.jobs or worker_count(sources),
        console=Console(stderr=True),
    )
    run.write(options.output)
    _print_summary(run, options)
    if options.figure is not None:
        _draw(run, options, options.figure)
    if options.output is not None:
        print(f"tagged {options.output}")
    if options.figure is not None:
        print(f"figure {options.figure}")
    if options.output is None:
        print("rows are not kept; --output FILE.parquet writes each with its tag")


def _print_summary(run: "TaggingRun", options: TagOptions) -> None:
    from formatlab.cli.tagging_report import (
        print_verdicts,
        print_writings,
        reasons_in_words,
    )
    from formatlab.show.tables.tag_groups import divided, group_rows, print_groups
    from formatlab.show.tables.tags import format_rows, print_tags, step_rows

    counts = run.counts
    print(*run.layout_lines, sep="\n")
    print(*run.failure_lines, sep="\n", end="\n" if run.failure_lines else "", file=sys.stderr)
    print(f"{run.rows:,} rows in {run.seconds:.1f} s ({run.rows / run.seconds:,.0f} a second)\n")
    reasons = dict(counts.reasons.most_common()) if options.grade else None
    by_cluster = counts.cells_by_cluster()
    steps = step_rows(counts.steps, counts.tags, counts.cells_by_step())
    print_tags(
        format_rows(counts.tags, by_cluster),
        [] if options.by == "step" else steps,
        reasons=None if reasons is None else reasons_in_words(reasons),
        interval=run.interval,
    )
    print_writings(counts.writings)
    if options.by is not None:
        values = divided(counts.by_group, _MOST_GROUPS)
        cells = counts.cells_by_group([of.members for of in values])
        print_groups(options.by, group_rows(values, counts.tags, cells), interval=run.interval)
    elif run.files > 1 and len(steps) < 2:
        print(f"\n{run.files:,} files are counted together; --by source_file tells them apart")
    print_verdicts(counts.verdicts, run.reader.layouts, by_cluster, counts.tags)
    print()


def _draw(run: "TaggingRun", options: TagOptions, path: Path) -> None:
    from formatlab.show.figures.layout import save_figure
    from formatlab.show.figures.shares_by_column import MOST_NAMES, MOST_VALUES, shares_by_column
    from formatlab.show.figures.tag_shares import tag_shares
    from formatlab.show.tables.tag_groups import divided, group_rows
    from formatlab.show.tables.tags import format_rows, step_rows

    counts = run.counts
    if options.by is None:
        rows = format_rows(counts.tags, counts.cells_by_cluster())
        steps = step_rows(counts.steps, counts.tags, counts.cells_by_step())
        figure = tag_shares(rows, steps, files=run.files, interval=run.interval)
    else:
        values = divided(counts.by_group, MOST_VALUES)
        if not all(of.middle is not None for of in values if of.members != (None,)):
            values = divided(counts.by_group, MOST_NAMES)
        cells = counts.cells_by_group([of.members for of in values])
        groups = group_rows(values, counts.tags, cells)
        figure = shares_by_column(options.by, groups, files=run.files, interval=run.interval)
    save_figure(figure, path)
