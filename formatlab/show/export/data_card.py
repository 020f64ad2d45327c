"""The data card: README.md of exported rollouts, for people, hubs and `datasets`."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from formatlab.measure import UNDECIDED
from formatlab.show.export.card import (
    card_template,
    citation,
    column_table,
    front_matter,
    grader_markdown,
    licence_text,
    markdown_code,
    markdown_text,
)
from formatlab.show.export.provenance import provenance
from formatlab.show.export.tables import RUNS_SCHEMA, run_winners_schema
from formatlab.show.palette import format_order
from formatlab.show.run_result import RunResult
from formatlab.show.tables.grader import GRADER_NOTE
from formatlab.show.tables.table import markdown_table
from formatlab.show.wording import percent_text
from formatlab.store import ROLLOUT_SCHEMA

SPLITS = ("train", "probe")
"""Of rollouts."""

_FORMATS = {
    "program": "a function definition holds the solution",
    "script": "statements of code without a function",
    "code_tags": "words with code in tags that say so",
    "code_fenced": "words around fenced code that is run on the way",
    "tool_tags": "turns or calls of a tool in tags",
    "tool": "what early versions of formatlab called `tool_tags`",
    "json": "an object that carries the answer",
    "latex": "worked mathematics that ends in a box",
    "prose": "sentences",
    "direct": "the answer alone",
    "none": "no format was recognised",
}

_SIZES = ((10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"), (10**7, "10M"))
_PARTS = ("rollouts", "runs", "winners", "metrics")


@dataclass(frozen=True, kw_only=True)
class ExportedData:
    """The contents of an export of rollouts."""

    name: str
    """Of its folder."""
    runs: Sequence[RunResult]
    tags: Mapping[str, Mapping[str, Counter[str]]]
    """Name of the run -> split -> tag -> rollouts."""
    metrics: pa.Table
    digest: str
    """SHA-256 of its tables."""
    left_out: Mapping[str, str]
    """Run folders that are not in it -> why."""
    commands: Sequence[Sequence[str]]
    """Command lines that made the studies, if known."""
    licence: str | None
    """Its identifier on the hub; None if the owner has not chosen one."""

    def count(self, split: str, run: RunResult | None = None) -> int:
        """Return the rollouts of a split, of one run or of all."""
        names = self.tags if run is None else [run.name]
        return sum(self.tags[name][split].total() for name in names)


def data_card(data: ExportedData) -> str:
    """Return the card as Markdown with its front matter."""
    studies = list(dict.fromkeys(run.facts.study for run in data.runs))
    synthetic = all(run.facts.synthetic for run in data.runs)
    tags = _tags(data)
    return card_template("data_card.md.jinja").render(
        front_matter=_front_matter(data, studies, synthetic),
        title=markdown_text(f"Rollouts of {', '.join(studies)}"),
        folder=json.dumps(data.name, ensure_ascii=False),
        n_runs=len(data.runs),
        synthetic=synthetic,
        files=markdown_table(("table", "files", "rows", "one row is"), _files(data)),
        counts=markdown_table(
            ("run", "scale", "algorithm", "seed", *SPLITS, "winner of the last probe"),
            [_count_row(data, run) for run in data.runs],
        ),
        formats=markdown_table(("format", "what it is", *SPLITS), _format_rows(data, tags)),
        columns=[
            (name, column_table(schema))
            for name, schema in (
                ("rollouts", ROLLOUT_SCHEMA),
                ("runs", RUNS_SCHEMA),
                ("winners", run_winners_schema()),
                ("metrics", data.metrics.schema),
            )
        ],
        made=markdown_table(("what", "how"), provenance(data.runs, data.commands)),
        left_out=[(markdown_code(k), markdown_text(v)) for k, v in data.left_out.items()],
        grader_note=GRADER_NOTE,
        grader=grader_markdown(tags),
        notes=[
            f"{markdown_code(run.name)}: {markdown_text(' '.join(run.notes))}"
            for run in data.runs
            if run.notes
        ],
        licence=licence_text(data.licence, synthetic=synthetic),
        citation=citation(),
    )


def _front_matter(data: ExportedData, studies: Sequence[str], synthetic: bool) -> str:
    rows = data.count("train") + data.count("probe")
    splits = [
        {"split": split, "path": f"rollouts/{split}/*.parquet"}
        for split in SPLITS
        if data.count(split)
    ]
    tables = [{"config_name": name, "data_files": f"{name}.parquet"} for name in _PARTS[1:]]
    algorithms = sorted({run.facts.algorithm for run in data.runs})
    return front_matter(
        {
            "license": data.licence or "unknown",
            "pretty_name": f"formatlab rollouts of {', '.join(studies)}",
            "language": ["en"] if synthetic else None,
            "task_categories": ["text-generation"],
            "size_categories": [_size(rows)],
            "tags": [
                *("formatlab", "reinforcement-learning", "rollouts"),
                *["synthetic"] * synthetic,
                *algorithms,
            ],
            "configs": [
                {
                    "config_name": _PARTS[0],
                    "default": True,
                    # Without a digest of the content `datasets` would use its cache of an
                    # earlier export.
                    "description": f"SHA-256 of all tables: {data.digest}",
                    "data_files": splits,
                },
                *tables,
            ],
        }
    )


def _size(rows: int) -> str:
    """The hub's word for a number of rows."""
    low = None
    for bound, name in _SIZES:
        if rows < bound:
            return f"{low}<n<{name}" if low else f"n<{name}"
        low = name
    return "n>10M"


def _files(data: ExportedData) -> list[tuple[str, str, str, str]]:
    splits = [split for split in SPLITS if data.count(split)]
    parts = [
        (
            f"`rollouts`, split `{split}`",
            f"`rollouts/{split}/*.parquet`, one a run",
            f"{data.count(split):,}",
            "a rollout",
        )
        for split in splits
    ]
    winners = sum(len(run.winners) for run in data.runs)
    return [
        *parts,
        ("`runs`", "`runs.parquet`", f"{len(data.runs):,}", "a run, with its configuration"),
        ("`winners`", "`winners.parquet`", f"{winners:,}", "a run at an epoch of its probe"),
        ("`metrics`", "`metrics.parquet`", f"{data.metrics.num_rows:,}", "a run at a step"),
    ]


def _count_row(data: ExportedData, run: RunResult) -> list[str]:
    facts = run.facts
    return [
        markdown_code(run.name),
        markdown_text(f"{facts.scale} ({facts.parameters:,} parameters)"),
        markdown_text(facts.chain or facts.algorithm),
        facts.seeds_text,
        *(f"{data.count(split, run):,}" for split in SPLITS),
        _winner(run),
    ]


def _winner(run: RunResult) -> str:
    if run.final is None:
        return "not probed after training"
    if run.final["winner"] == UNDECIDED:
        return f"{UNDECIDED} ({markdown_code(run.final['leader'])} leads)"
    return f"{markdown_code(run.final['winner'])}, {percent_text(run.final['share'])}"


def _tags(data: ExportedData) -> list[str]:
    return format_order({tag for of in data.tags.values() for tags in of.values() for tag in tags})


def _format_rows(data: ExportedData, tags: Sequence[str]) -> list[list[str]]:
    return [
        [
            markdown_code(tag),
            _FORMATS.get(tag, ""),
            *(f"{sum(of[split][tag] for of in data.tags.values()):,}" for split in SPLITS),
        ]
        for tag in tags
    ]
