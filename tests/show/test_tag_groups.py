"""Tagged rollouts by a column: how values become groups, and what table and figure say of them."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from formatlab.observe.files.tag_counts import Group, TagCounts
from formatlab.show.figures.layout import save_figure
from formatlab.show.figures.shares_by_column import shares_by_column
from formatlab.show.tables.tag_groups import divided, group_rows, group_table, print_groups


def names(groups: Mapping[Group, int], most: int = 3) -> list[str]:
    return [values.name for values in divided(groups, most)]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"vi": 1, "en": 5}, ["en", "vi"]),
        ({10: 1, 9.5: 2}, ["9.5", "10"]),
        ({"10": 1, "9": 1}, ["9", "10"]),
        ({1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}, ["1 to 2", "3 to 4", "5 to 6"]),
        ({"a10": 1, "a9": 2, "b": 3, "c": 1, "d": 1}, ["a9", "a10", "b", "(2 others)"]),
        ({True: 4, False: 1}, ["false", "true"]),
        ({"x": 1, None: 7}, ["x", "(none)"]),
        ({None: 7}, ["(none)"]),
        ({"runs/a/1.jsonl": 1, "runs/b/1.jsonl": 1}, ["a/1.jsonl", "b/1.jsonl"]),
        ({"runs/1.jsonl": 1, "runs/2.jsonl": 1}, ["1.jsonl", "2.jsonl"]),
        ({"owner/model": 1}, ["owner/model"]),
        ({"a/x": 1, "y": 1}, ["a/x", "y"]),
    ],
)
def test_values_become_few_groups(groups: Mapping[Group, int], said: list[str]):
    assert names(groups) == said
    members = [value for values in divided(groups, 3) for value in values.members]
    assert sorted(map(str, members)) == sorted(map(str, groups))


def test_only_numbers_have_a_place_on_an_axis():
    assert [values.middle for values in divided({"1": 1, "2": 1}, 1)] == [1.5]
    assert [values.middle for values in divided({"1": 1, "b": 1}, 2)] == [None, None]


def counted() -> TagCounts:
    """Sixty prompts in English, all right; thirty in Vietnamese, of two formats, a third right."""
    counts = TagCounts()
    flags = {"well_formed": True, "mixed": False, "truncated": False}
    for n in range(60):
        counts.add(None, n, "prose", **flags, correct=True, flexible=True, theirs=False, group="en")
    for n in range(30):
        tag = "prose" if n % 2 else "json"
        right = n % 3 == 0
        counts.add(None, n, tag, **flags, correct=right, flexible=right, group="vi")
    return counts


def test_numbers_of_groups():
    counts = counted()
    values = divided(counts.by_group, 12)
    cells = counts.cells_by_group([of.members for of in values])
    english, vietnamese = group_rows(values, counts.tags, cells)
    assert (english.rows, vietnamese.rows) == (60, 30)
    assert {tag: share.value for tag, share in vietnamese.shares.items()} == {
        "prose": 0.5,
        "json": 0.5,
    }
    share, right = vietnamese.shares["json"].interval, vietnamese.accuracy
    assert share is not None
    assert share[0] < 0.5 < share[1]
    assert right is not None
    assert right.value == pytest.approx(1 / 3)
    assert english.called_right is not None
    assert english.called_right.value == 0
    assert english.called_right.interval == pytest.approx((0, 0.0602), abs=1e-3)  # Wilson of 60
    assert vietnamese.called_right is None
    pooled = counts.cells_by_group([("en", "vi")])
    whole = counts.cells_by_cluster()
    assert all(np.array_equal(pooled[name][:, 0], whole[name]) for name in whole)


def test_the_flexible_reading_is_shown_where_it_finds_more():
    counts = TagCounts()
    flags = {"well_formed": True, "mixed": False, "truncated": False}
    for n in range(20):
        counts.add(
            None, n, "prose", **flags, correct=n < 10, flexible=n < 15, theirs=True, group="en"
        )
    values = divided(counts.by_group, 12)
    (row,) = rows = group_rows(values, counts.tags, counts.cells_by_group([("en",)]))
    assert (row.accuracy and row.accuracy.value, row.flexible and row.flexible.value) == (0.5, 0.75)
    columns = [column.header for column in group_table("language", rows).columns]
    assert columns == [
        "language",
        "rows",
        "prose",
        "right",
        "right,\nflexible",
        "right by\nthe file",
    ]
    assert len(shares_by_column("language", rows, files=1, interval="x").axes[1].containers) == 3


def test_the_table_fits_a_terminal():
    counts = counted()
    values = divided(counts.by_group, 12)
    rows = group_rows(values, counts.tags, counts.cells_by_group([of.members for of in values]))
    console = Console(file=io.StringIO(), width=80)
    console.print(group_table("language", rows))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert lines[1] == ["language", "rows", "prose", "json", "right", "the", "file"]
    assert lines[2] == ["en", "60", "100", "0", "100", "0"]
    assert lines[4] == ["vi", "30", "50", "50", "33", "-"]


def test_no_number_is_cut_off(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "40")
    counts = TagCounts()
    flags = {"well_formed": True, "mixed": False, "truncated": False}
    for n in range(1_400):
        tag = f"format_{n % 8}"
        counts.add(
            None, n, tag, **flags, correct=n < 700, flexible=True, theirs=n < 900, group="x" * 99
        )
    values = divided(counts.by_group, 12)
    cells = counts.cells_by_group([of.members for of in values])
    print_groups("language", group_rows(values, counts.tags, cells), interval="interval")
    said = capsys.readouterr().out
    assert "1,400" in said
    assert said.count("…") == 1  # of the name
    assert "[47, 53]" in said


@pytest.mark.parametrize("groups", [("en", "vi"), (10, 20), ("10", None)])
def test_the_figure_has_shares_and_what_is_right(groups: tuple[Group, ...], tmp_path: Path):
    counts = TagCounts()
    for n in range(40):
        counts.add(
            None,
            n,
            "prose" if n % 4 else "json",
            well_formed=True,
            mixed=False,
            truncated=False,
            correct=n % 2 == 0,
            flexible=n % 2 == 0,
            theirs=True,
            group=groups[n % 2],
        )
    values = divided(counts.by_group, 12)
    rows = group_rows(values, counts.tags, counts.cells_by_group([of.members for of in values]))
    figure = shares_by_column("a $column", rows, files=1, interval="interval")
    shares, right = figure.axes
    assert [len(panel.containers) for panel in (shares, right)] == [2, 2]
    assert right.get_ylabel() == "right"
    numbers = all(isinstance(group, int) for group in groups)
    assert shares.get_xlabel() == ("a $column" if numbers else "")
    if not numbers:
        ticks = [label.get_text() for label in shares.get_xticklabels()]
        assert ticks == [of.name for of in values]
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
