import json
from pathlib import Path

import pytest

from formatlab.store.metrics_log import metrics_tail


def lines(count: int, padding: int = 0) -> str:
    return "".join(json.dumps({"step": n, "words": "x" * padding}) + "\n" for n in range(count))


@pytest.mark.parametrize("padding", [0, 1000, 40_000], ids=["short", "long", "longer than a block"])
@pytest.mark.parametrize("count", [0, 1, 5, 60])
def test_the_last_lines_come_in_order(tmp_path: Path, count: int, padding: int) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text(lines(count, padding))
    found = [row["step"] for row in metrics_tail(log, 5)]
    assert found == list(range(count))[-5:]


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text(lines(3) + '{"step": 3')
    assert [row["step"] for row in metrics_tail(log, 2)] == [1, 2]


def test_lines_that_are_no_objects_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(b'{"step": 0}\n\xff\x00\n[1]\n{"step": 3}\n')
    assert [row["step"] for row in metrics_tail(log, 4)] == [0, 3]


def test_without_a_log_there_are_no_lines(tmp_path: Path) -> None:
    assert metrics_tail(tmp_path / "metrics.jsonl", 5) == []
