"""How often the tagger gives real answers the label that their source made them in.

    python -m benchmarks.confusion ../shared/data
    python -m benchmarks.confusion ../shared/data --write docs/instruments.md

Reads `format_samples.jsonl` and `graded/*.jsonl` of a folder, prints the confusion matrix,
precision, recall and F1 of every label, the accuracy of every source, and every disagreement. With
`--write` the tables replace what stands between the two marks in a page.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answer_sources import rows
from benchmarks.page import write_measured
from formatlab.errors import FormatlabError
from formatlab.observe.tagger import NONE, tag
from formatlab.world.formats import FORMATS

GRADED = {
    "rho-1b-cot": "prose",
    "rho-1b-interpreter": "code_fenced",
    "tora-70b": "code_fenced",
}
"""Format that the answers of each graded file were made in."""

LABELS = (*FORMATS, NONE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One real answer, as labelled by its source and by the tagger."""

    source: str
    place: str
    """File and line."""
    label: str
    tag: str
    text: str


def answers(folder: Path) -> Iterator[Answer]:
    """Tag every labelled answer of the data folder."""
    files = {folder / "format_samples.jsonl": None} | {
        folder / "graded" / f"{name}.jsonl": label for name, label in GRADED.items()
    }
    for file, label in files.items():
        for number, row in enumerate(rows(file), start=1):
            yield Answer(
                source=row.get("source", f"{file.stem} (graded)"),
                place=f"{file.name}:{number}",
                label=label or row["label"],
                tag=tag(row["text"]).format,
                text=row["text"],
            )


def f1_scores(seen: Sequence[Answer]) -> dict[str, tuple[int, float, float, float]]:
    """Label -> answers of it, precision, recall, F1, for every label that a source has."""
    pairs = Counter((answer.label, answer.tag) for answer in seen)
    scores = {}
    for label in LABELS:
        right = pairs[label, label]
        of_label = sum(pairs[label, other] for other in LABELS)
        given = sum(pairs[other, label] for other in LABELS)
        if of_label:
            precision = right / given if given else 0.0
            recall = right / of_label
            f1 = 2 * right / (given + of_label)
            scores[label] = (of_label, precision, recall, f1)
    return scores


def macro_f1(seen: Sequence[Answer]) -> float:
    """Mean F1 over the labels that the sources have."""
    scores = f1_scores(seen).values()
    return sum(f1 for *_, f1 in scores) / len(scores)


def tables(seen: Sequence[Answer]) -> str:
    """The measurement as Markdown."""
    pairs = Counter((answer.label, answer.tag) for answer in seen)
    columns = [label for label in LABELS if any(pairs[other, label] for other in LABELS)]
    scores = f1_scores(seen)
    samples = [answer for answer in seen if answer.place.startswith("format_samples")]
    lines = [
        f"{len(samples):,} answers of `format_samples.jsonl`: macro-F1 {macro_f1(samples):.4f} "
        f"over the {len(f1_scores(samples))} labels that they have. With `graded/`, {len(seen):,} "
        f"answers: macro-F1 {macro_f1(seen):.4f}, accuracy "
        f"{sum(answer.label == answer.tag for answer in seen) / len(seen):.4f}.",
        "",
        "Rows are the labels of the sources, columns the tagger's:",
        "",
        "| | " + " | ".join(columns) + " | precision | recall | F1 |",
        "|---" * (len(columns) + 4) + "|",
    ]
    for label, (_, precision, recall, f1) in scores.items():
        cells = [str(pairs[label, column] or "") for column in columns]
        lines.append(
            f"| {label} | {' | '.join(cells)} | {precision:.4f} | {recall:.4f} | {f1:.4f} |"
        )
    lines += ["", "| source | label | answers | accuracy |", "|---|---|---|---|"]
    for source, label in sorted({(answer.source, answer.label) for answer in seen}):
        of_source = [a for a in seen if (a.source, a.label) == (source, label)]
        right = sum(answer.tag == label for answer in of_source)
        lines.append(f"| {source} | {label} | {len(of_source):,} | {right / len(of_source):.4f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the measurement and every disagreement."""
    parser = argparse.ArgumentParser(description="How often the tagger is right.")
    parser.add_argument("folder", type=Path, help="holds format_samples.jsonl and graded/")
    parser.add_argument("--write", type=Path, help="page whose measured part is replaced")
    options = parser.parse_args()
    seen = list(answers(options.folder))
    measured = tables(seen)
    print(measured)
    for answer in seen:
        if answer.label != answer.tag:
            print(f"\n{answer.place} {answer.source}: {answer.label}, tagged {answer.tag}")
            print("    " + answer.text[:600].replace("\n", "\n    "))
    if options.write is not None:
        write_measured(options.write, "benchmarks.confusion", measured)


if __name__ == "__main__":
    try:
        main()
    except FormatlabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
