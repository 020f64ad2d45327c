"""Anyone's rollouts, as data frames, tables and rows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import formatlab
from formatlab.analysis.frames import compare, gain, tagged
from formatlab.errors import InputError
from formatlab.measure.frames import FRAME_COLUMNS, Frame, rollouts_of

BASE = [
    {"prompt": "2 + 3?", "tag": "prose", "correct": True},
    {"prompt": "2 + 3?", "tag": "latex", "correct": False},
]
TRAINED = [
    {"prompt": "2 + 3?", "tag": "prose", "correct": True},
    {"prompt": "2 + 3?", "tag": "prose", "correct": True},
]
PROSE, LATEX, JSON = "The answer is 5.", "We get \\boxed{6}", '{"answer": 5}'
TEXTS = [{"prompt": "2 + 3?", "text": text, "gold": "5"} for text in (PROSE, LATEX, JSON)]
KINDS = {"rows": list, "data frame": pd.DataFrame, "table": pa.Table.from_pylist}

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"prompt_id": "p0", "tag": row["tag"], "correct": row["correct"]} for row in rows]


def several(tags: str, prompts: int = 12) -> list[dict[str, Any]]:
    """Rollouts of some prompts, each of one letter a sample; a capital is right."""
    return [
        {"prompt": f"q{n}", "tag": letter.lower(), "correct": letter.isupper(), "text": letter * 9}
        for n in range(prompts)
        for letter in tags
    ]


@each_kind
@pytest.mark.parametrize("columns", [list, numbered], ids=["prompt", "prompt_id"])
def test_a_gain_is_split(kind: Any, columns: Any) -> None:
    found = formatlab.gain(kind(columns(BASE)), kind(columns(TRAINED)))
    assert (found.change.value, found.format.value, found.skill.value) == (0.5, 0.5, 0)


def test_rollouts_without_a_verdict_are_left_out() -> None:
    more = [*TRAINED, {"prompt": "2 + 3?", "tag": "latex", "correct": None}]
    assert formatlab.gain(pd.DataFrame(BASE), pd.DataFrame(more)) == gain(BASE, TRAINED)


@each_kind
def test_texts_are_tagged_and_graded_and_their_answers_kept(kind: Any) -> None:
    found = tagged(kind(TEXTS), "a")
    assert set(found.column_names) == {"prompt_id", "tag", "correct", "completion", "answer"}
    assert found["tag"].to_pylist() == [formatlab.tag(row["text"]).format for row in TEXTS]
    assert found["tag"].to_pylist() == ["prose", "latex", "json"]
    assert found["correct"].to_pylist() == [True, False, True]
    assert found["answer"].to_pylist() == ["5", "6", "5"]


@each_kind
def test_what_is_there_is_not_made_again(kind: Any) -> None:
    mine = [{**TEXTS[0], "tag": "mine", "correct": False, "answer": "V"}]
    assert tagged(kind(mine), "a").select(["tag", "correct", "answer"]).to_pylist() == [
        {"tag": "mine", "correct": False, "answer": "V"}
    ]
    without = [{name: value for name, value in mine[0].items() if name != "correct"}]
    assert tagged(kind(without), "a").select(["tag", "correct", "answer"]).to_pylist() == [
        {"tag": "mine", "correct": True, "answer": "V"}
    ]


def test_texts_without_a_gold_have_no_verdict() -> None:
    golds = pd.DataFrame({"prompt": ["p"] * 3, "text": [PROSE] * 3, "gold": ["5", None, "6"]})
    assert tagged(golds, "a")["correct"].to_pylist() == [True, None, False]
    assert tagged(golds, "a")["answer"].to_pylist() == ["5", None, "5"]
    assert "correct" not in tagged(golds.drop(columns="gold"), "a").column_names
    numbers = golds.assign(gold=[5.0, None, 6.0])
    assert tagged(numbers, "a")["correct"].to_pylist() == [True, None, False]


def test_tags_suffice_where_nothing_can_be_graded() -> None:
    golds = [{**row, "gold": "5"} for row in numbered(BASE)]
    without = [{name: value for name, value in row.items() if name != "correct"} for row in golds]
    assert tagged(without, "a").column_names == ["prompt_id", "tag"]
    assert compare(without, without, texts=False).gain is None
    with pytest.raises(InputError, match="base: no column `correct`; it has prompt_id, tag, gold"):
        gain(without, TRAINED)
    some = [{**TEXTS[0], "tag": "prose"}, {**TEXTS[0], "tag": "prose", "text": None}]
    assert tagged(some, "a")["correct"].to_pylist() == [True, None]


def test_columns_of_pandas_own_types_are_read() -> None:
    frame = pd.DataFrame(TRAINED).astype({"tag": "category", "correct": "boolean"})
    assert gain(BASE, frame) == gain(BASE, TRAINED)
    assert gain(BASE, frame.set_index("prompt", drop=False)) == gain(BASE, TRAINED)


def without(name: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != name} for row in TRAINED]


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        (without("tag"), "trained: no column `tag`, nor a `completion` or `text`.*; it has prompt"),
        (without("prompt"), "trained: no column `prompt_id` or `prompt`; it has tag, correct"),
        (pd.DataFrame({"prompt": ["p"], "tag": ["prose"]}), "trained: no column `correct`"),
        ([], "trained: no column .* it has none"),
        ("a.parquet", "trained: neither a data frame nor an Arrow table nor rows, but str"),
        (5, "but int"),
        ({"prompt": ["p"]}, "but dict"),
        ([{"prompt": "p", "tag": "prose", "correct": "perhaps"}], "`correct` must be true or fal"),
        ([{"prompt": "p", "tag": "prose", "correct": 2}], "`correct` must be true or false"),
        (
            [{"prompt": "p", "tag": "prose", "correct": 0.5}],
            "`correct` .*other numbers than 0 and 1",
        ),
        ([{"prompt": "p", "text": [{"role": "user", "content": "q"}]}], "trained: `text`: "),
        ([{"prompt": "p", "tag": {"is": 1}, "correct": True}], "trained: `tag` must be text"),
        ([{"prompt": "p", "text": [1], "gold": "5"}], "trained: `text`: no text but a list"),
        ([{"prompt": None, "text": PROSE, "gold": "5"}], "trained: `prompt` is missing in 1 rows"),
        ([{"prompt": "p", "tag": None, "correct": True}], "trained: `tag` is missing in 1 rows"),
        ([*TEXTS, {"prompt": "p", "text": None}], "trained: 1 rows have neither a tag nor a text"),
        ([{"prompt": "another", "tag": "prose", "correct": True}], "no prompt has graded"),
    ],
)
def test_what_cannot_be_measured_is_told(trained: Frame, words: str) -> None:
    with pytest.raises(InputError, match=words):
        gain(BASE, trained)


@each_kind
def test_frames_of_every_kind_compare_alike(kind: Any) -> None:
    a, b = several("Aabb"), several("AABb")
    found = formatlab.compare(kind(a), kind(b))
    assert found.differences.equals(compare(a, b).differences)
    assert (found.paired, found.n_prompts, found.k) == (True, (12, 12), 4)
    assert found.gain is not None and found.gain.change.value == pytest.approx(0.5)
    measures = set(found.differences["measure"].to_pylist())
    assert {"share", "accuracy", "gain", "text_distinct@k", "chrf_distance"} <= measures


@each_kind
def test_one_set_of_rollouts_is_tagged_and_measured(kind: Any) -> None:
    rows = [
        {"prompt": f"q{n}", "text": text, "gold": "5"}
        for n in range(12)
        for text in ("So 2 + 3 = 5. The answer is 5.", "\\boxed{6}")
    ]
    found = formatlab.measures(kind(rows)).to_pylist()
    values = {(row["measure"], row["subset"], row["k"]): row["value"] for row in found}
    assert values["share", "latex", None] == values["accuracy", "all", None] == 0.5
    assert values["accuracy", "prose", None] == values["text_distinct@k", "all", 2] / 2 == 1


def test_a_comparison_may_leave_out_texts_or_embed_them() -> None:
    def measures(**options: Any) -> set[str]:
        found = compare(several("Ab"), several("AB"), **options)
        return set(found.differences["measure"].to_pylist())

    plain, lean = measures(), measures(texts=False)
    assert plain - lean and not any("chrf" in name for name in lean)
    embedded = measures(embed=lambda texts: np.array([[len(text), ord(text[0])] for text in texts]))
    assert "semantic_distance" in embedded - plain


@pytest.mark.parametrize(("a", "b", "side"), [([], TRAINED, "a"), (BASE, [], "b")])
def test_a_comparison_names_its_side(a: Frame, b: Frame, side: str) -> None:
    with pytest.raises(InputError, match=f"^{side}: "):
        formatlab.compare(a, b)


def test_the_order_of_rows_is_that_of_samples_unless_they_are_numbered() -> None:
    rows = several("Aabb")
    shuffled = [{**row, "sample": n % 4} for n, row in enumerate(rows)][::-1]
    numbered = [{**row, "sample": n % 4} for n, row in enumerate(rows)]
    found = compare(numbered, shuffled, k=2, texts=False)
    assert {of for of in found.differences["difference"].to_pylist() if of is not None} == {0}


def test_columns_that_are_not_known_are_left_alone() -> None:
    rows = [{**row, "model": "m", "tokens": 3} for row in BASE]
    assert rollouts_of(rows, "a").column_names == ["prompt_id", "tag", "correct", "tokens"]
    assert [of for of in FRAME_COLUMNS if of in tagged(rows, "a").column_names] == tagged(
        rows, "a"
    ).column_names


@each_kind
@pytest.mark.parametrize("values", [(1, 0), (1.0, 0.0), (True, False), ("True", "false")])
def test_verdicts_are_read_as_they_are_written(kind: Any, values: tuple[Any, Any]) -> None:
    rows = [{"prompt": "p", "tag": "prose", "correct": value} for value in (*values, None)]
    assert tagged(kind(rows), "a")["correct"].to_pylist() == [True, False, None]


@pytest.mark.parametrize("kind", [list, pd.DataFrame])
def test_a_column_of_several_kinds_is_text(kind: Any) -> None:
    rows = [
        {"prompt": prompt, "tag": tag, "correct": correct, "gold": gold, "sample": 0}
        for prompt, tag, correct, gold in (
            (3, "prose", True, 5),
            ("3", "prose", 1, "5"),
            ("x", 2, None, None),
            (None, "prose", 0, 2.5),
        )
    ]
    found = rollouts_of(kind(rows[:3]), "a").to_pydict()
    assert found["prompt_id"] == ["3", "3", "x"]
    assert found["tag"] == ["prose", "prose", "2"]
    assert found["correct"] == [True, True, None]
    with pytest.raises(InputError, match="a: `prompt` is missing in 1 rows"):
        rollouts_of(kind(rows), "a")
    golds = [{"prompt": "p", "text": PROSE, "gold": gold} for gold in (5, "6", None)]
    assert tagged(kind(golds), "a")["correct"].to_pylist() == [True, False, None]


def test_rows_may_have_different_columns() -> None:
    rows = [
        {"prompt": "p", "text": PROSE},
        {"text": LATEX, "prompt": "p", "gold": "6", "tokens": 3},
        {"prompt": "q", "text": JSON, "gold": "6"},
    ]
    found = tagged(rows, "a").to_pydict()
    assert found["prompt_id"] == ["p", "p", "q"]
    assert found["correct"] == [None, True, False]
    assert found["tokens"] == [None, 3, None]


def chat(text: str, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text, **more}]


@each_kind
@pytest.mark.parametrize("name", ["completion", "text"])
def test_chats_are_read(kind: Any, name: str) -> None:
    question = [{"role": "system", "content": "Hm."}, {"role": "user", "content": "2 + 3?"}]
    rows = [
        {"prompt": question, name: chat(text), "gold": "5"} for text in (PROSE, LATEX, JSON)
    ] + [{"prompt": question[1:], name: None, "gold": "5"}]
    found = tagged(kind(rows[:3]), "a").to_pydict()
    assert found["completion"] == [PROSE, LATEX, JSON]
    assert found["tag"] == ["prose", "latex", "json"]
    assert found["correct"] == [True, False, True]
    assert found["prompt_id"] == [json.dumps(question)] * 3
    mine = [{**row, "tag": "mine"} for row in rows]
    read = tagged(kind(mine), "a").to_pydict()
    assert read["completion"] == [PROSE, LATEX, JSON, None]
    assert len(set(read["prompt_id"])) == 2


@pytest.mark.parametrize("kind", [list, pd.DataFrame])
@pytest.mark.parametrize(
    "other",
    [PROSE, chat(PROSE, tool_calls=None), [{"role": "assistant", "content": [{"text": PROSE}]}]],
)
def test_chats_of_several_kinds_are_read(kind: Any, other: Any) -> None:
    rows = [{"prompt": "p", "completion": of} for of in (chat(LATEX), other)]
    found = tagged(kind(rows), "a").to_pydict()
    assert found["completion"] == [LATEX, PROSE]
    assert found["tag"] == ["latex", "prose"]


def test_chats_are_compared_prompt_by_prompt() -> None:
    def chats(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "prompt": chat(row["prompt"]), "text": chat(row["text"])} for row in rows]

    a, b = several("Aabb"), several("AABb")
    found = formatlab.compare(chats(a), pd.DataFrame(chats(b)))
    assert found.paired and found.shared == 12
    assert found.differences.equals(compare(a, b).differences)
