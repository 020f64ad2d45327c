"""Grades beside other work: what is near a limit is graded alike on a busy and on a free machine.

`python -m benchmarks.load` does the same with 5,000 texts.
"""

from benchmarks.load import busy, grades_of, near_limits


def test_texts_near_the_limits_are_graded_alike_beside_eight_busy_processes() -> None:
    texts = near_limits(6)
    alone = grades_of(texts)
    with busy(8):
        beside = grades_of(texts)
    assert beside == alone
    loops = alone[:6]
    assert all(seen.correct for seen in loops), loops
    assert {seen.reason for seen in alone} >= {"time", "memory", ""}
