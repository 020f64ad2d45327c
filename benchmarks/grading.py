"""How often the grader errs, per file and per format, against verdicts from elsewhere.

    python -m benchmarks.grading FOLDER [--write PAGE]

FOLDER holds the data sets (`graded/`, `gsm8k/`, `math500/`, `format_samples.jsonl`, ...). Every
disagreement with a published verdict is printed with the end of the text; those that were read and
found to be errors of the published verdict stand, with the reason, in `reviewed_verdicts.jsonl`.
The table of error rates that comes with the package is written anew.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from benchmarks.answer_sources import (
    Case,
    graded,
    human_latex,
    human_prose,
    model_latex,
    read_otherwise,
    rendered,
    rows,
    run_otherwise,
    unmarked,
)
from benchmarks.page import write_measured
from formatlab.errors import FormatlabError, InputError
from formatlab.measure.error_rates import TABLE, ErrorRate, wilson
from formatlab.observe.grader import Grade, grade
from formatlab.show.tables.grader import error_text

_REVIEWED = Path(__file__).with_name("reviewed_verdicts.jsonl")
_TABLE = Path(__file__).parents[1] / "formatlab" / "measure" / TABLE
_RENDERED = 300


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description="How often the grader errs, per format.")
    parser.add_argument("folder", type=Path, help="holds graded/, gsm8k/, math500/ and the rest")
    parser.add_argument("--write", type=Path, help="page whose measured part is replaced")
    options = parser.parse_args()
    published = _published(options.folder)
    others = chain(
        human_prose(options.folder),
        human_latex(options.folder),
        model_latex(options.folder),
        read_otherwise(options.folder),
        run_otherwise(options.folder),
        rendered(per_format=_RENDERED),
    )
    rates = _rates(chain(published.seen, _graded(others)))
    readings = _readings(unmarked(options.folder))
    measured = f"{published.agreement()}\n\n{_shown(rates)}\n\n{readings}"
    print(f"\n{measured}")
    _write(rates)
    if options.write is not None:
        write_measured(options.write, "benchmarks.grading", measured)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Published:
    """The published verdicts, put right where they were found to be wrong."""

    seen: list[tuple[Case, Grade]]
    counts: dict[str, Counter[str]]
    """By file: rows, those we agree with, those whose verdict is sound, agreement among them."""

    def agreement(self) -> str:
        """A table of agreement by file."""
        lines = [
            "| file | agreement on all rows | agreement where the published verdict is right |",
            "|---|---|---|",
        ]
        for name, count in {**self.counts, "all": _sum(self.counts.values())}.items():
            lines.append(
                f"| {name} | {count['agreed']:,} of {count['rows']:,} = "
                f"{count['agreed'] / count['rows']:.2%} | {count['sound agreed']:,} of "
                f"{count['sound']:,} = {count['sound agreed'] / count['sound']:.2%} |"
            )
        return "\n".join(lines)


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    total = Counter[str]()
    for count in counts:
        total += count
    return total


def _graded(cases: Iterable[Case]) -> Iterator[tuple[Case, Grade]]:
    for case in cases:
        seen = grade(case.text, case.gold)
        if seen.correct != case.right:
            _print_disagreement(case, seen, "")
        yield case, seen


def _published(folder: Path) -> _Published:
    reviews = {row["place"]: row for row in rows(_REVIEWED)}
    seen: list[tuple[Case, Grade]] = []
    counts: dict[str, Counter[str]] = {}
    for case in graded(folder):
        verdict = grade(case.text, case.gold)
        agreed = verdict.correct == case.right
        review = reviews.pop(case.place, None)
        if review is not None and review["text"] != case.key:
            raise InputError(f"{_REVIEWED}: {case.place} is another text than the one reviewed")
        if not agreed:
            _print_disagreement(case, verdict, review["why"] if review else "NOT REVIEWED")
        count = counts.setdefault(case.place.partition(":")[0], Counter())
        count.update({"rows": 1, "agreed": agreed})
        if review is None:
            count.update({"sound": 1, "sound agreed": agreed})
        else:
            case = replace(case, right=not case.right)
        seen.append((case, verdict))
    if reviews:
        raise InputError(f"{_REVIEWED}: there is no row {', '.join(reviews)}")
    return _Published(seen=seen, counts=counts)


def _print_disagreement(case: Case, seen: Grade, review: str) -> None:
    theirs = "right" if case.right else "wrong"
    ours = "right" if seen.correct else seen.reason
    print(
        f"{case.place} {case.key} [{seen.tag.format}] gold {case.gold!r}; "
        f"theirs: {theirs} ({case.note!r}); ours: {ours} ({seen.answer!r}) {review}\n"
        f"    ...{case.text[-240:]!r}"
    )


def _rates(cases: Iterable[tuple[Case, Grade]]) -> list[ErrorRate]:
    counts: dict[tuple[str, str], Counter[str]] = {}
    for case, seen in cases:
        count = counts.setdefault((seen.tag.format, case.source), Counter())
        count["right" if case.right else "wrong"] += 1
        if seen.correct != case.right:
            count["refused" if case.right else "paid"] += 1
    return [
        ErrorRate(
            format=form,
            source=source,
            right=count["right"],
            refused=count["refused"],
            wrong=count["wrong"],
            paid=count["paid"],
        )
        for (form, source), count in sorted(counts.items())
    ]


def _readings(cases: Iterable[Case]) -> str:
    """A table of the errors of the strict and the flexible reading on prose without a mark."""
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        seen = grade(case.text, case.gold, truncated=False if case.ended else None)
        verdicts = {"strict": seen.correct, "flexible": seen.flexible_correct}
        count = counts.setdefault(case.source, Counter())
        count["right" if case.right else "wrong"] += 1
        for reading, correct in verdicts.items():
            count[f"{reading} refused"] += case.right and not correct
            count[f"{reading} paid"] += correct and not case.right
        if case.right != seen.flexible_correct:
            _print_disagreement(case, seen, f"flexible: {seen.flexible_answer!r}")
    lines = [
        "| reading | right answers refused | wrong answers paid | prose without a mark |",
        "|---|---|---|---|",
    ]
    for source, count in counts.items():
        for reading in ("strict", "flexible"):
            refused, paid = count[f"{reading} refused"], count[f"{reading} paid"]
            of_right = error_text(refused, count["right"], wilson(refused, count["right"]))
            of_wrong = error_text(paid, count["wrong"], wilson(paid, count["wrong"]))
            lines.append(f"| {reading} | {of_right} | {of_wrong} | {source} |")
    return "\n".join(lines)


def _write(rates: list[ErrorRate]) -> None:
    formats: dict[str, list[dict[str, object]]] = {}
    for rate in rates:
        formats.setdefault(rate.format, []).append(
            {
                "source": rate.source,
                "right": rate.right,
                "refused": rate.refused,
                "false_negative": _rounded(rate.false_negative),
                "wrong": rate.wrong,
                "paid": rate.paid,
                "false_positive": _rounded(rate.false_positive),
            }
        )
    content = {
        "what": "errors of the grader per format: share, and 95% Wilson interval",
        "written_by": "python -m benchmarks.grading FOLDER",
        "formats": formats,
    }
    _TABLE.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _rounded(share: tuple[float, float, float] | None) -> list[float] | None:
    return None if share is None else [round(part, 5) for part in share]


def _shown(rates: list[ErrorRate]) -> str:
    lines = [
        "| format | right answers refused | wrong answers paid | source |",
        "|---|---|---|---|",
    ]
    for rate in rates:
        refused = error_text(rate.refused, rate.right, rate.false_negative)
        paid = error_text(rate.paid, rate.wrong, rate.false_positive)
        lines.append(f"| {rate.format} | {refused} | {paid} | {rate.source} |")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main()
    except FormatlabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
