"""Comparisons as tables, sentences, rows of files, and a figure."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from formatlab.measure.comparison import Comparison, compare, measures
from formatlab.show.figures.comparison import comparison_figure
from formatlab.show.figures.layout import save_figure
from formatlab.show.tables.comparison import (
    Compared,
    comparison_lines,
    comparison_rows,
    print_comparison,
    print_comparisons,
    short_names,
)
from formatlab.show.tables.measures import print_measures
from formatlab.show.tables.table import write_rows

PANELS = ["share of rollouts", "gain in accuracy", "diversity"]


def rollouts(tags: str, *, start: int = 0, graded: bool = True) -> pa.Table:
    """Rollouts of twelve prompts, each of one letter a sample; a capital is right."""
    rows = [
        {
            "prompt_id": f"q{n}",
            "tag": letter.lower(),
            "correct": letter.isupper() if graded else None,
            "completion": f"{letter * 9} of {n % 5} and {place}",
            "answer": letter if graded else None,
        }
        for n in range(start, start + 12)
        for place, letter in enumerate(tags[n % 2 :] + tags[: n % 2])
    ]
    kinds = {"prompt_id": pa.string(), "tag": pa.string(), "correct": pa.bool_()}
    kinds |= {"completion": pa.string(), "answer": pa.string()}
    return pa.Table.from_pylist(rows, schema=pa.schema(kinds.items()))


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(rollouts("AabbA"), rollouts("AABbb"))


@pytest.fixture(scope="module")
def unpaired() -> Comparison:
    return compare(rollouts("Aab"), rollouts("ABb", start=100))


@pytest.fixture(scope="module")
def ungraded() -> Comparison:
    return compare(rollouts("a", graded=False), rollouts("b", graded=False))


def named(found: Comparison, a: str = "a.jsonl", b: str = "b.jsonl") -> Compared:
    return Compared(a=a, b=b, found=found)


def titles(figure: Figure) -> list[str]:
    return [panel.get_title(loc="left") for panel in figure.axes]


def test_one_comparison_is_told_in_full(found, capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(named(found))
    said = capsys.readouterr().out
    assert said.startswith("a  a.jsonl\nb  b.jsonl\n12 prompts that both have, compared pair by p")
    assert "diversity: of 5 rollouts of each prompt" in said
    told = set(found.differences["measure"].to_pylist())
    assert {line.split()[0] for line in said.splitlines() if line[:1].isalpha()} >= {
        name.split()[0] for name in told
    }
    (line,) = [line for line in said.splitlines() if line.startswith("gain ")]
    gained = found.gain.change
    assert line.split()[1:4] == ["all", "40.0%", "60.0%"]
    assert f"+20.0 [{100 * gained.low:+.1f}, {100 * gained.high:+.1f}]" in line
    assert said.rstrip().endswith(comparison_lines(named(found))[-1])


def test_sentences_tell_where_changes_come_from(found) -> None:
    gain, *others = comparison_lines(named(found))
    assert gain.startswith("accuracy +20.0") and "by skill within formats" in gain
    assert others and all("within such pairs" in line for line in others)
    assert any(line.startswith("chrf distance ") for line in others)


def test_prompts_that_one_side_lacks_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = rollouts("Ab"), rollouts("AB", start=1)
    print_comparison(named(compare(a, b, texts=False)))
    said = capsys.readouterr().out
    assert "11 prompts that both have, compared pair by pair; 2 that only one side has are" in said


def test_without_shared_prompts_there_is_no_gain(
    unpaired, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(named(unpaired))
    said = capsys.readouterr().out
    assert "no shared prompts (12 and 12): what differs may be the prompts" in said
    assert "gain_format" not in said
    assert comparison_lines(named(unpaired)) == []


def test_without_verdicts_and_samples_tags_are_compared(
    ungraded, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(named(ungraded))
    said = capsys.readouterr().out
    assert "diversity within prompts: none, as most prompts have a single rollout" in said
    assert "+100.0" in said and "accuracy" not in said
    print_comparisons([named(ungraded), named(ungraded)])
    assert "gain in percentage points" in capsys.readouterr().out


def test_several_comparisons_have_a_row_each(
    found, unpaired, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparisons([named(found, "x/sft.jsonl", "x/b.jsonl"), named(unpaired, "x/c", "x/d")])
    head, first, second, *_, last = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["a", "b", "accuracy", "gain"]
    assert first.split()[:5] == ["sft.jsonl", "b.jsonl", "40.0%", "to", "60.0%"]
    assert second.split()[:6] == ["c", "d", "33.3%", "to", "66.7%", "-"]
    assert "over 12 prompts; 1 without shared prompts" in last


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a.jsonl", "b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["runs/x/a.jsonl", "runs/x/b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["/r/a/m.jsonl", "/r/b/m.jsonl"], ["a/m.jsonl", "b/m.jsonl"]),
        (["./deep/a.jsonl", "./deep/b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["./deep/a.jsonl", "deep//b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["../one/a.jsonl", "../two/a.jsonl"], ["one/a.jsonl", "two/a.jsonl"]),
        (["one/a.jsonl", "two/a.jsonl"], ["one/a.jsonl", "two/a.jsonl"]),
        (["runs/sft/", "runs/grpo/"], ["sft", "grpo"]),
        (["/r/a.jsonl", "b/c.jsonl"], ["/r/a.jsonl", "b/c.jsonl"]),
        (["r/a.jsonl", "name@2"], ["r/a.jsonl", "name@2"]),
        (["r/ab/x", "r/abc/x"], ["ab/x", "abc/x"]),
    ],
)
def test_names_are_told_without_what_all_share(names: list[str], short: list[str]) -> None:
    found = list(short_names(names).values())
    assert [name.rstrip("/") for name in found] == short


def test_rows_of_files_have_every_number(found) -> None:
    rows = comparison_rows([named(found), named(found, b="c.jsonl")])
    assert len(rows) == 2 * found.differences.num_rows
    assert list(rows[0])[:6] == ["a_name", "b_name", "arm", "seed", "n_seeds", "paired"]
    assert {row["b_name"] for row in rows} == {"b.jsonl", "c.jsonl"}
    assert all(row["paired"] is True for row in rows)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet", ".CSV"])
def test_every_kind_of_file_holds_the_same_rows(suffix: str, found, tmp_path: Path) -> None:
    rows = comparison_rows([named(found, a="é, \n")])
    path = tmp_path / f"out{suffix}"
    write_rows(path, rows)
    if suffix == ".parquet":
        assert pq.read_table(path).to_pylist() == rows
    elif suffix == ".json":
        assert json.loads(path.read_text(encoding="utf-8")) == rows
    else:
        read = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8"), newline="")))
        texts = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
        assert read == texts
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_no_rows_are_a_file_as_well(tmp_path: Path) -> None:
    for suffix in (".csv", ".json", ".parquet"):
        write_rows(tmp_path / f"out{suffix}", [])
    assert (tmp_path / "out.json").read_text() == "[]\n"
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_a_figure_has_a_panel_for_each_kind_of_difference(found, all_text) -> None:
    figure = comparison_figure([named(found)])
    assert titles(figure) == PANELS
    said = " ".join(all_text(figure).split())
    assert "What differs: a.jsonl to b.jsonl" in said
    assert "intervals over 12 prompts, paired" in said and "Diversity at 5 rollouts" in said
    shares, gain, _ = figure.axes
    assert [label.get_text() for label in shares.get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in gain.get_yticklabels()] == [
        *("accuracy", "format", "routing", "skill")
    ]
    (first, *_) = [line for line in gain.lines if line.get_linestyle() == "None"]
    assert np.ravel(first.get_xydata()) == pytest.approx([20, 0])
    assert gain.get_xlabel() == "b less a, percentage points"


@pytest.mark.parametrize("pairs", [2, 9, 20])
def test_several_comparisons_are_in_one_figure(
    pairs: int, found, unpaired, all_text, tmp_path: Path
) -> None:
    compared = [named(unpaired if n == 1 else found, b=f"b{n}.jsonl") for n in range(pairs)]
    figure = comparison_figure(compared)
    assert titles(figure) == PANELS
    said = " ".join(all_text(figure).split())
    assert "intervals over 12 prompts of each side" in said
    assert "Diversity at 3 to 5 rollouts" in said
    assert (f"{pairs} comparisons, one point each" in said) == (pairs > 8)
    legend = [text.get_text() for of in figure.legends for text in of.get_texts()]
    assert legend == ([f"a.jsonl to b{n}.jsonl" for n in range(pairs)] if pairs <= 8 else [])
    points = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert len(points) == 2 * pairs
    save_figure(figure, tmp_path / "a.svg")


@pytest.mark.parametrize("pairs", [1, 2])
@pytest.mark.parametrize("name", ["$x_{1}$ ^ \\frac", "\\boxed{$", "a" * 400, "\u202e\x1b[31m"])
def test_names_of_files_are_no_mathematics_and_have_any_length(
    name: str, pairs: int, found, tmp_path: Path
) -> None:
    figure = comparison_figure([named(found, name, f"{name}{n}") for n in range(pairs)])
    save_figure(figure, tmp_path / "a.svg")
    assert max(figure.get_size_inches()) < 20
    texts = [text.get_text() for of in figure.legends for text in of.get_texts()]
    texts += [text.get_text() for text in figure.texts]
    assert not any("\x1b" in text or "\u202e" in text for text in texts)


def test_what_was_not_measured_has_no_panel(unpaired, ungraded, all_text) -> None:
    figure = comparison_figure([named(ungraded)])
    assert "gain in accuracy" not in titles(figure)
    assert "Format, routing" not in " ".join(all_text(figure).split())
    figure = comparison_figure([named(unpaired)])
    assert titles(figure) == ["share of rollouts", "diversity"]


def test_nothing_is_a_percentage_of_nothing(all_text) -> None:
    of_one, of_two = rollouts("AA"), rollouts("AB")
    figure = comparison_figure([named(compare(of_one, of_two, texts=False))])
    panel = next((of for of in figure.axes if of.get_title(loc="left") == "diversity"), None)
    labels = [] if panel is None else [label.get_text() for label in panel.get_yticklabels()]
    assert "H(F)" not in labels  # no entropy at all before


def measured(table: pa.Table, **columns: Any) -> list[dict[str, Any]]:
    return [columns | row for row in measures(table, texts=False).to_pylist()]


def test_measures_have_a_row_for_each_set_of_rollouts(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        *measured(rollouts("AabbA"), run="one", epoch=0.0),
        *measured(rollouts("AABbb"), run="one", epoch=2.0),
        *measured(rollouts("a", graded=False), run="b.jsonl", epoch=None),
    ]
    print_measures(rows)
    head, *body = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["rollouts", "epoch", "accuracy"]
    assert [line.split()[:2] for line in body[:2]] == [["one", "base"], ["one", "2"]]
    assert body[0].split()[2] == ".40"
    assert body[2].split()[:2] == ["b.jsonl", "-"]
    assert "bootstrap over prompts" in body[-1]
