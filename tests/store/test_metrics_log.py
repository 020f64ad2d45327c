"""The metrics log, also after a writer killed in mid-line."""

import json
from pathlib import Path

import pytest

from formatlab.errors import RunError
from formatlab.store.metrics_log import MetricsLog, metrics_tail


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "metrics.jsonl")


def test_rows_come_back_in_order(log: MetricsLog) -> None:
    rows = [{"step": step, "share": {"prose": 0.5}} for step in range(3)]
    for row in rows:
        log.append(row)
    assert log.rows() == rows


def test_there_are_no_rows_before_the_first(log: MetricsLog) -> None:
    assert log.rows() == []


def test_numbers_json_does_not_have_become_null(log: MetricsLog) -> None:
    log.append({"step": 0, "kl": float("nan"), "share": {"prose": float("inf")}, "top": (1.0,)})
    assert log.rows() == [{"step": 0, "kl": None, "share": {"prose": None}, "top": [1.0]}]


@pytest.mark.parametrize("rest", [b'{"step": 1, "rew', b'{"step": 1}', b"\xff"])
def test_an_unfinished_last_line_is_dropped_and_written_over(log: MetricsLog, rest: bytes) -> None:
    log.append({"step": 0})
    with log.path.open("ab") as file:
        file.write(rest)
    assert log.rows() == [{"step": 0}]
    log.append({"step": 1})
    assert log.rows() == [{"step": 0}, {"step": 1}]


def test_an_unfinished_first_line_is_dropped_too(log: MetricsLog) -> None:
    log.path.write_text('{"st')
    log.append({"step": 0})
    assert log.rows() == [{"step": 0}]


@pytest.mark.parametrize("damage", ["{nonsense", "[1, 2]"])
def test_a_damaged_line_is_named(log: MetricsLog, damage: str) -> None:
    log.path.write_text(f'{{"step": 0}}\n{damage}\n{{"step": 2}}\n')
    with pytest.raises(RunError, match="line 2"):
        log.rows()


@pytest.mark.parametrize(("step", "left"), [(0, []), (2, [0, 1]), (9, [0, 1, 2, 3])])
def test_dropping_keeps_the_steps_before(log: MetricsLog, step: int, left: list[int]) -> None:
    for number in range(4):
        log.append({"step": number})
    log.drop_from(step)
    assert [row["step"] for row in log.rows()] == left


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
