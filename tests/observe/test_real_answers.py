"""Real answers, whose sources say in which format they were made."""

import json
from pathlib import Path

import pytest

from benchmarks.confusion import Answer, answers, f1_scores, macro_f1
from formatlab.observe.grader import grade
from formatlab.observe.tagger import tag


@pytest.fixture(scope="module")
def seen(shared_data: Path) -> list[Answer]:
    return list(answers(shared_data))


def test_macro_f1_of_the_samples_is_at_least_098(seen: list[Answer]) -> None:
    samples = [answer for answer in seen if answer.place.startswith("format_samples")]
    assert len(samples) >= 3000
    assert macro_f1(samples) >= 0.98


def test_no_label_and_no_source_is_left_behind(seen: list[Answer]) -> None:
    assert min(f1 for *_, f1 in f1_scores(seen).values()) >= 0.98
    for source in {answer.source for answer in seen}:
        of_source = [answer for answer in seen if answer.source == source]
        assert sum(a.label == a.tag for a in of_source) >= 0.98 * len(of_source), source


def test_a_tag_does_not_depend_on_line_ends_or_on_what_ends_a_turn(seen: list[Answer]) -> None:
    for answer in seen[::7]:
        plain = tag(answer.text)
        assert tag(answer.text.replace("\n", "\r\n")) == plain, answer.place
        assert tag(f"{answer.text}</s>\n<|im_end|>\n") == plain, answer.place


def test_what_is_cut_off_keeps_its_label(seen: list[Answer]) -> None:
    # half of a text mostly shows what it was trying to be; code before its output is still code
    kept = {
        "program": {"program", "code_fenced"},
        "code_fenced": {"program", "script", "code_fenced"},
        "json": {"json"},
        "tool_tags": {"tool_tags", "code_tags"},
        "prose": {"prose"},
    }
    for label, labels in kept.items():
        halves = [tag(a.text[: len(a.text) // 2]) for a in seen if a.label == label][:400]
        share = sum(half.format in labels for half in halves) / len(halves)
        assert share >= 0.9, (label, share)
        assert sum(half.truncated for half in halves) >= 0.5 * len(halves), label


def test_texts_made_after_public_reports_have_their_label_and_verdict(shared_data: Path) -> None:
    path = shared_data / "field" / "cases.jsonl"
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(cases) >= 400
    missed, paid = [], []
    for case in cases:
        seen = grade(case["text"], case["gold"])
        label, correct = case["want_tag"], case["want_correct"]
        if label not in (None, seen.tag.format) or correct not in (None, seen.correct):
            missed.append(case["id"])
        if correct is False and seen.correct:
            paid.append(case["id"])
    assert paid == []
    assert len(missed) <= 0.02 * len(cases), missed
