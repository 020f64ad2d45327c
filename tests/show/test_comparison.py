"""Comparisons as tables, sentences, rows of files, and a figure."""

import csv
import io
import json
from dataclasses import replace
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
    KEYS,
    Compared,
    arm_rows,
    comparison_lines,
    comparison_rows,
    print_arms,
    print_comparison,
    print_comparisons,
    short_names,
)
from formatlab.show.tables.measures import print_measures
from formatlab.show.tables.table import write_rows

PANELS = ["share of rollouts", "gain in accuracy", "diversity retained"]


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
    # Sentences first, then shares, then the measures that most readers want, in their order.
    sentences, table = said.split("\n\n")[1:]
    assert sentences.splitlines() == comparison_lines(named(found))
    head, *lines = table.splitlines()
    columns = "measure  k  a  b  b - a [95%]  b / a [95%]  prompts".split("  ")
    assert [of.strip() for of in head.split("  ") if of] == columns
    known = {
        (row["measure"], row["subset"])
        for row in found.differences.to_pylist()
        if row["difference"] is not None
    }
    labels = [key.label for key in KEYS if key[:2] in known]
    assert {"accuracy", "gain by format", "H(F|X)", "right texts", "chrF, of prompts"} < set(labels)
    starts = [*("share of a", "share of b", "accuracy", "  of a", "  of b"), *labels[1:]]
    assert [line.split("  ")[0] or line[:6] for line in lines] == starts
    gain = next(line for line in lines if line.startswith("gain "))
    gained = found.gain.change
    cells = ["40.0%", "60.0%", f"+20.0 [{100 * gained.low:+.1f}, {100 * gained.high:+.1f}]", "12"]
    assert gain.split() == ["gain", *" ".join(cells).split()]


def test_what_is_retained_is_told_beside_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (
        pa.concat_tables([rollouts(tags), rollouts(others, start=12)])
        for tags, others in (("AabbA", "Abbbb"), ("AABbb", "AAAAA"))
    )
    found = compare(a, b)
    print_comparison(named(found))
    said = capsys.readouterr().out.splitlines()
    (row,) = [
        of
        for of in found.differences.to_pylist()
        if (of["measure"], of["subset"], of["k"]) == ("chrf_distance", "all", 5)
    ]
    (line,) = [line for line in said if line.startswith("chrF distance ")]
    low, middle, high = (100 * row[f"retained{end}"] for end in ("_low", "", "_high"))
    bounds = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
    assert (
        line.split()
        == (
            f"chrF distance 5 {row['a']:.3f} {row['b']:.3f} {row['difference']:+.3f} {bounds} "
            f"{middle:.0f}% [{low:.0f}, {high:.0f}] 24"
        ).split()
    )


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
    told = "diversity: between prompts alone, as more than one in ten has a single rollout"
    assert told in said.splitlines()
    assert "+100.0" in said and "accuracy" not in said
    assert "chrF, of prompts" in said and "chrF distance" not in said
    print_comparisons([named(ungraded), named(ungraded)])
    head, first, *_, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["a", "b", "accuracy", "JS", "divergence", "H(F)"]
    assert first.split()[:4] == ["a.jsonl", "b.jsonl", "-", "+0.693"]
    assert "gain in percentage points" in last


def test_a_few_shared_prompts_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(named(compare(rollouts("Ab"), rollouts("AB", start=9), texts=False)))
    said = capsys.readouterr().out
    assert (
        "only 3 shared prompts (12 and 12): what differs may be the prompts, and there is" in said
    )


def test_several_comparisons_have_a_row_each(
    found, unpaired, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparisons([named(found, "x/sft.jsonl", "x/b.jsonl"), named(unpaired, "x/c", "x/d")])
    head, first, second, *_, last = capsys.readouterr().out.splitlines()
    columns = [of.strip() for of in head.split("  ") if of]
    assert columns == ["a", "b", "accuracy", *(key.label for key in KEYS if key.in_row)]
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
        *("gain", "gain by format", "gain by routing", "gain by skill")
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
    assert (f"{pairs} comparisons, in the order of the table" in said) == (pairs > 8)
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
    assert titles(figure) == ["share of rollouts", "diversity retained"]


def test_nothing_is_a_percentage_of_nothing(all_text) -> None:
    of_one, of_two = rollouts("AA"), rollouts("AB")
    figure = comparison_figure([named(compare(of_one, of_two, texts=False))])
    assert "H(F)" not in labels_of(figure, "diversity retained")  # no entropy at all before
    figure = comparison_figure([named(compare(of_two, rollouts("AAB"), texts=False))])
    assert "H(F)" in labels_of(figure, "diversity retained")


def panel_of(figure: Figure, title: str) -> Any:
    (panel,) = [of for of in figure.axes if of.get_title(loc="left") == title]
    return panel


def labels_of(figure: Figure, title: str) -> list[str]:
    return [label.get_text() for label in panel_of(figure, title).get_yticklabels()]


def points_in(panel: Any) -> list[tuple[float, float]]:
    """The places of the points of a panel, without the ends of their bars."""
    lines = [line for line in panel.lines if line.get_linestyle() == "None"]
    return [tuple(np.ravel(line.get_xydata())) for line in lines]


def test_the_panel_of_diversity_shows_what_is_retained(found) -> None:
    figure = comparison_figure([named(found)])
    panel = panel_of(figure, "diversity retained")
    assert panel.get_xlabel() == "b, percent of a"
    known = {
        (row["measure"], row["subset"]): row["retained"]
        for row in found.differences.to_pylist()
        if row["retained"] is not None
    }
    shown = [key for key in KEYS if key[:2] in known and key.measure != "tokens"]
    labels = labels_of(figure, "diversity retained")
    assert labels == [key.label for key in shown]
    assert {"H(F)", "texts", "right texts", "chrF distance"} < set(labels)
    points = dict(zip(labels, (x for x, _ in points_in(panel)), strict=True))
    for key in shown:
        assert points[key.label] == pytest.approx(100 * known[key[:2]])
    (at,) = [
        line for line in panel.lines if line.get_linestyle() == "-" and line.get_alpha() is None
    ]
    assert list(at.get_xdata()) == [100, 100]
    low, high = panel.get_xlim()
    assert low <= 0 and high <= 300


def of_study(seeds: int = 3, arm: str = "0.15M", **more: Any) -> list[Compared]:
    """Comparisons of the runs of an arm."""
    after = ("AABbb", "AAABb", "ABbbb", "AABBb")
    return [
        Compared(
            a=f"runs/s{seed}@base",
            b=f"runs/s{seed}@2",
            found=compare(rollouts("AabbA"), rollouts(after[seed]), texts=False, resamples=50),
            arm=arm,
            seed=seed,
            **more,
        )
        for seed in range(seeds)
    ]


def rows_of(compared: Compared) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = compared.found.differences.to_pylist()
    return {(row["measure"], row["subset"], row["k"]): row for row in rows}


def test_means_of_an_arm_are_over_its_seeds() -> None:
    compared = of_study(3)
    rows = arm_rows(compared)
    assert {(row["arm"], row["n_seeds"]) for row in rows} == {("0.15M", 3)}
    by_key = {(row["measure"], row["subset"], row["k"]): row for row in rows}
    for key in (("share", "a", None), ("gain", "all", None), ("format_distinct@k", "all", 5)):
        of_seeds = [rows_of(one)[key] for one in compared]
        for side in ("a", "b", "difference"):
            expected = np.mean([of[side] for of in of_seeds])
            assert by_key[key][side] == pytest.approx(expected)
    for key, name, prefix in (
        (("gain", "all", None), "difference", ""),
        (("format_entropy_corrected", "all", None), "retained", "retained_"),
    ):
        values = [rows_of(one)[key][name] for one in compared]
        half = 4.302653 * np.std(values, ddof=1) / 3**0.5  # Student's, two degrees of freedom
        row = by_key[key]
        assert row[name] == pytest.approx(np.mean(values))
        assert row[f"{prefix}high"] == pytest.approx(np.mean(values) + half)
        assert row[f"{prefix}low"] == pytest.approx(
            max(np.mean(values) - half, -1 if not prefix else 0)
        )
    shares = by_key["share", "a", None]
    assert (shares["retained"], shares["retained_low"], shares["retained_high"]) == (None,) * 3
    assert len(comparison_rows(compared)) == len(rows) + 3 * compared[0].found.differences.num_rows


def test_one_seed_or_runs_that_do_not_count_have_no_mean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for compared in (of_study(1), of_study(2, counted=False), of_study(3, arm="")):
        assert arm_rows(compared) == []
        print_arms(compared)
        assert capsys.readouterr().out == ""
    both = [*of_study(2), *of_study(1, arm="0.8M")]
    assert {row["arm"] for row in arm_rows(both)} == {"0.15M"}


def test_what_a_run_lacks_is_told_by_the_number_of_its_seeds() -> None:
    one, other = of_study(2)
    ungraded = compare(
        rollouts("AabbA", graded=False), rollouts("aabbb", graded=False), texts=False
    )
    other = Compared(a=other.a, b=other.b, found=ungraded, arm=other.arm, seed=1)
    rows = {(row["measure"], row["subset"]): row for row in arm_rows([one, other])}
    gain, share = rows["gain", "all"], rows["share", "a"]
    assert (gain["n_seeds"], gain["low"], share["n_seeds"]) == (1, None, 2)


def test_runs_of_a_study_are_told_by_arm_and_seed(capsys: pytest.CaptureFixture[str]) -> None:
    compared = [*of_study(2), *of_study(2, arm="0.8M")]
    print_comparisons(compared)
    head, *body = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["arm", "seed", "accuracy", "gain"]
    assert [line.split()[:3] for line in body[:4]] == [
        [arm, seed, "40.0%"] for arm in ("0.15M", "0.8M") for seed in "01"
    ]
    print_comparisons([*compared, named(compared[0].found)])
    assert capsys.readouterr().out.split()[:2] == ["a", "b"]


def test_a_tag_that_some_seeds_never_write_counts_as_none_in_the_mean() -> None:
    one, other = of_study(2)
    never = compare(rollouts("AabbA"), rollouts("AAABc"), texts=False, resamples=50)
    rows = arm_rows([one, replace(other, found=never)])
    (row,) = [row for row in rows if (row["measure"], row["subset"]) == ("share", "c")]
    assert (row["n_seeds"], row["a"]) == (2, 0)
    assert row["b"] == row["difference"] == pytest.approx((0 + 1 / 5) / 2)


def test_means_of_arms_are_printed_with_what_is_retained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    compared = [*of_study(2), *of_study(2, arm="0.8M")]
    print_arms(compared)
    empty, head, *lines = capsys.readouterr().out.splitlines()
    assert empty == ""
    columns = "arm  measure  k  a  b  b - a [95%]  b / a [95%]  seeds".split("  ")
    assert [of.strip() for of in head.split("  ") if of] == columns
    named_arms = [line.split()[0] for line in lines[:-2] if not line.startswith(" ")]
    assert named_arms == ["0.15M", "0.8M"]
    assert lines[0].split()[:4] == ["0.15M", "accuracy", "40.0%", "70.0%"]
    h_of_all = ("format_entropy_corrected", "all")
    (row,) = [row for row in arm_rows(of_study(2)) if (row["measure"], row["subset"]) == h_of_all]
    line = next(line for line in lines if line.split()[:1] == ["H(F)"])
    assert f" {100 * row['retained']:.0f}% [" in line and line.split()[-1] == "2"
    assert lines[-2:] == [
        "",
        "means over finished runs of a trained base, with Student's 95% intervals over seeds",
    ]


def test_the_figure_of_a_study_draws_its_arms(all_text, tmp_path: Path) -> None:
    compared = [*of_study(3), *of_study(2, arm="0.8M"), *of_study(1, arm="3.2M")]
    figure = comparison_figure(compared)
    assert titles(figure) == PANELS
    legend = [text.get_text() for of in figure.legends for text in of.get_texts()]
    assert legend == ["0.15M", "0.8M"]  # one seed has no mean
    said = " ".join(all_text(figure).split())
    assert "means over 2 to 3 seeds with Student's 95% intervals; probes of 12 prompts" in said
    assert "bootstrap" not in said
    means = {row["arm"]: row for row in arm_rows(compared) if row["measure"] == "gain"}
    tops = sorted((y, x) for x, y in points_in(panel_of(figure, "gain in accuracy")))[:2]
    assert [x for _, x in tops] == pytest.approx([100 * of["difference"] for of in means.values()])
    save_figure(figure, tmp_path / "a.png")


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
    # Of several k that of the largest.
    (answers,) = [
        row["value"]
        for row in rows
        if (row["run"], row["epoch"], row["measure"], row["k"])
        == ("one", 0, "answer_distinct@k", 5)
    ]
    assert f" {answers:.2f} " in body[0] and answers == 3
    assert "bootstrap over prompts" in body[-1]
