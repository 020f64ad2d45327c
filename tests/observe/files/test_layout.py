"""A row gives its step, and an episode its rows."""

import pytest

from formatlab.observe.files.layouts import Layout, expanded


def test_an_episode_is_a_row_for_each_trace():
    rows = expanded({"id": "e", "task": {}, "traces": [{"n": 1}, {"n": 2}]})
    assert [row["trace"] for row in rows] == [{"n": 1}, {"n": 2}]
    assert all(row["id"] == "e" and "traces" not in row for row in rows)
    assert list(expanded({"task": {}, "traces": []})) == []
    assert list(expanded({"a": 1})) == [{"a": 1}]


@pytest.mark.parametrize(
    ("value", "step"),
    [(3, 3.0), ("12", 12.0), (0.5, 0.5), (None, None), (True, None), ("last", None), ("inf", None)],
)
def test_a_step_is_a_number(value: object, step: float | None):
    layout = Layout(name="x", text="completion", step="step", file_step=7)
    assert layout.step_of({"step": value}) == step
    assert Layout(name="x", text="completion", file_step=7).step_of({"step": value}) == 7
