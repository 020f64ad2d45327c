"""Chunks come back tagged, in order, with all their columns, from one process or several."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tokenizers

from formatlab.errors import RunError
from formatlab.observe.files import tagging
from formatlab.observe.files.layout import Layout
from formatlab.observe.files.layouts import Columns, find_layout
from formatlab.observe.files.rows import Chunk
from formatlab.observe.files.source import RolloutReader, find_sources
from formatlab.observe.files.tagged_file import TAG_SCHEMA
from formatlab.observe.files.tagging import TaggedChunk, TagJob, tag_chunk, tag_chunks
from formatlab.observe.files.verdict_counts import Compared
from formatlab.observe.grader import Grade
from formatlab.observe.tagger import tag


def chunk(rows: list[Any], file: str = "a.jsonl") -> Chunk:
    texts = tuple(json.dumps(row).encode() for row in rows)
    return Chunk(file=file, numbers=tuple(range(1, len(rows) + 1)), texts=texts, position=1)


def tagged(rows: list[Any], layout: Layout, job: TagJob | None = None) -> TaggedChunk:
    return tag_chunk(chunk(rows), layout, job or TagJob())


def rows_of(done: TaggedChunk) -> list[dict[str, Any]]:
    batch = done.batch()
    return [] if batch is None else batch.to_pylist()


RIGHT = "The answer is 5."
PLAIN = Layout(name="x", text="completion", gold="gold", step="step", prompt="prompt")


def test_every_input_column_and_those_of_tagging():
    (row,) = rows_of(
        tagged([{"completion": "The answer is 5.", "gold": 5, "extra": [1], "tag": "t"}], PLAIN)
    )
    assert set(row) == {"completion", "gold", "extra", "tag_input", *TAG_SCHEMA.names}
    assert (row["tag"], row["well_formed"], row["mixed"], row["mixed_formats"]) == (
        "prose",
        True,
        False,
        [],
    )
    assert (row["answer"], row["correct"], row["reason"]) == ("5", True, "")
    assert (row["extra"], row["tag_input"]) == ("[1]", "t")
    assert (row["source_file"], row["source_row"], row["step"]) == ("a.jsonl", 1, None)


@pytest.mark.parametrize(
    ("gold", "correct"),
    [
        ("5", True),
        ("#### 5", True),
        (5.0, True),
        (["5"], True),
        ("6", False),
        (None, None),
        ("", None),
        (float("nan"), None),
        (True, None),
        ({"a": 1}, None),
        (["5", "6"], None),
        ({"value": ["5"]}, True),
    ],
)
def test_what_is_no_gold_grades_nothing(gold: object, correct: bool | None):
    (row,) = rows_of(tagged([{"completion": "The answer is 5.", "gold": gold}], PLAIN))
    assert row["correct"] is correct
    if correct is None:
        assert (row["answer"], row["reason"]) == (None, None)


def test_a_gold_or_step_that_cannot_be_read_is_told_once():
    rows = [
        {"completion": RIGHT, "gold": gold, "step": step}
        for gold, step in ((["5", "6"], 1), (["5", "7"], "last"), ("5", "x"), (None, None))
    ]
    done = tagged(rows, PLAIN)
    assert [row["correct"] for row in rows_of(done)] == [None, None, True, None]
    assert [row["step"] for row in rows_of(done)] == [1.0, None, None, None]
    assert done.notes.lines("note") == [
        "note: a.jsonl:1: not graded: column 'gold': a list of 2 different answers; one was "
        "expected (and 1 more like it)",
        "note: a.jsonl:2: without a step: column 'step': the step is no number but 'last' "
        "(and 1 more like it)",
    ]


def test_what_the_file_says_is_kept_and_compared():
    layout = replace(PLAIN, verdict="score", reward="reward", truncated="finish_reason")
    rows = [
        {"completion": text, "gold": gold, "score": score, "reward": 0.5, "finish_reason": why}
        for text, gold, score, why in (
            (RIGHT, "5", 1, "stop"),
            ("The answer is 6.", "5", 0, "length"),
            (RIGHT, "5", False, None),
            ("Let me think. The", None, None, "length"),
        )
    ]
    done = tagged(rows, layout)
    found = rows_of(done)
    assert [row["file_correct"] for row in found] == [True, False, False, None]
    assert [row["file_truncated"] for row in found] == [False, True, None, True]
    assert [row["truncated"] for row in found] == [False, True, False, True]
    assert [row["file_reward"] for row in found] == [0.5] * 4
    verdicts = done.counts.verdicts
    ((kind, number),) = verdicts.disagreements
    assert (kind, number) == (Compared("prose", False, True, ""), 1)
    assert verdicts.examples == {kind: f"a.jsonl:3: {RIGHT}"}
    assert verdicts.rewarded == {True: 2, False: 1, None: 1}
    assert verdicts.cut == {(False, False): 1, (True, False): 1, (True, True): 1}
    doubled = tagged(rows, layout).counts.verdicts
    doubled.merge(verdicts)
    assert (doubled.rows.total(), doubled.rewards) == (6, {True: 2.0, False: 1.0, None: 1.0})


def test_both_readings_are_kept(monkeypatch: pytest.MonkeyPatch):
    asked: list[bool | None] = []

    def reads_more(text: str, gold: str, *, truncated: bool | None, **_: object) -> Grade:
        asked.append(truncated)
        more = truncated is not True
        return Grade(
            tag=tag(text),
            answer=None,
            correct=False,
            reason="no answer",
            flexible_answer="5" if more else None,
            flexible_correct=more,
        )

    monkeypatch.setattr(tagging, "grade_or_raise", reads_more)
    layout = replace(PLAIN, verdict="score", truncated="finish_reason")
    rows = [
        {"completion": "so 5 are left", "gold": "5", "score": 1, "finish_reason": why}
        for why in ("stop", "length", None)
    ]
    done = tagged(rows, layout)
    assert asked == [False, True, None]
    found = [(row["flexible_answer"], row["flexible_correct"]) for row in rows_of(done)]
    assert found == [("5", True), (None, False), ("5", True)]
    assert done.counts.cells_by_cluster()["flexible_correct"].sum() == 2
    assert done.counts.verdicts.flexible == {(True, True): 2, (True, False): 1}
    doubled = tagged(rows, layout).counts.verdicts
    doubled.merge(done.counts.verdicts)
    assert doubled.flexible.total() == 6
    (ungraded,) = rows_of(tagged(rows[:1], layout, TagJob(grading=False)))
    assert (ungraded["flexible_answer"], ungraded["flexible_correct"]) == (None, None)


def test_the_script_of_each_text_is_kept_and_counted():
    rows = [{"completion": said, "gold": "5"} for said in (RIGHT, "答案是5。", "我们相加 to get 5")]
    done = tagged(rows, PLAIN)
    found = [(row["writing"], row["mixed_writing"]) for row in rows_of(done)]
    assert found == [("latin", False), ("cjk", False), ("cjk", True)]
    done.counts.merge(tagged(rows[:1], PLAIN).counts)
    assert done.counts.writings == {("latin", False): 2, ("cjk", False): 1, ("cjk", True): 1}


def test_grading_can_be_left_out():
    job = TagJob(grading=False)
    (row,) = rows_of(tagged([{"completion": "The answer is 5.", "gold": "5"}], PLAIN, job))
    assert row["correct"] is None


def test_bad_rows_are_counted_and_the_first_named():
    rows = [*({"completion": None} for _ in range(30)), {"completion": "5"}, {"other": 1}]
    done = tagged(rows, PLAIN)
    assert done.bad.total == 31
    assert done.bad.lines("bad row") == [
        "bad row: a.jsonl:1: column 'completion': no text (null) (and 30 more like it)"
    ]
    assert [row["source_row"] for row in rows_of(done)] == [31]


def test_a_table_loses_only_its_bad_rows():
    table = pa.record_batch({"completion": ["5", None, "7"], "n": [1, 2, 3]})
    done = tag_chunk(Chunk(file="a", numbers=(1, 2, 3), table=table, position=1), PLAIN, TagJob())
    assert [(row["n"], row["source_row"]) for row in rows_of(done)] == [(1, 1), (3, 3)]


def test_counts_by_step_and_reason():
    rows = [
        {"completion": "The answer is 5.", "gold": "5", "step": 1},
        {"completion": "The answer is 5.", "gold": "6", "step": "1"},
        {"completion": "", "gold": "5", "step": 2.0},
        {"completion": "5", "step": "none"},
    ]
    counts = tagged(rows, PLAIN).counts
    assert counts.steps == (1.0, 2.0)
    assert counts.tags == ("prose", "direct", "none")
    assert counts.cells_by_step()["rows"].tolist() == [[2, 0, 0], [0, 0, 1]]
    assert {name: cells.sum() for name, cells in counts.cells_by_cluster().items()} == {
        "rows": 4,
        "well_formed": 3,
        "mixed": 0,
        "truncated": 0,
        "graded": 3,
        "correct": 1,
        "flexible_correct": 1,
        "judged": 0,
        "called_right": 0,
    }
    assert counts.reasons == {"wrong": 1, "no answer": 1}


def test_rollouts_of_a_prompt_share_a_cluster():
    same = tagged([{"completion": "5", "prompt": "q"}] * 5, PLAIN).counts
    assert len({key[0] for key in same.by_cluster}) == 1
    none = tagged([{"completion": "5", "prompt": ""}] * 5, PLAIN).counts
    assert len({key[0] for key in none.by_cluster}) > 1


def test_an_own_format_that_fails_is_a_bad_row(tmp_path: Path):
    source = (
        "from formatlab.world.formats import Format\n"
        "class Broken(Format):\n"
        "    name = 'broken'\n"
        "    def recognise(self, page):\n"
        "        return page.text == 'good' or 1 / 0\n"
        "    def read(self, page):\n"
        "        return 'no answer'\n"
    )
    (tmp_path / "f.py").write_text(source)
    job = TagJob(formats=tmp_path / "f.py")
    done = tagged([{"completion": "good"}, {"completion": "bad"}], PLAIN, job)
    assert [row["tag"] for row in rows_of(done)] == ["broken"]
    assert "ZeroDivisionError" in done.bad.first[0].reason


def test_token_ids_are_decoded(tmp_path: Path):
    words = {"5": 0, "The": 1, "answer": 2, "is": 3, "<end>": 4}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="5"))
    tokenizer.add_special_tokens(["<end>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    layout = Layout(
        name="x", text="ids", gold="gold", form="tokens", tokenizer=str(tmp_path), prompt=None
    )
    done = tagged([{"ids": [1, 2, 3, 0, 4], "gold": [0]}, {"ids": "1"}], layout)
    (row,) = rows_of(done)
    assert (row["tag"], row["correct"]) == ("prose", True)
    assert "no list of token ids" in done.bad.first[0].reason


def test_episodes_give_a_row_a_trace():
    nodes = [{"message": {"role": "assistant", "content": "5"}, "parent": None, "sampled": True}]
    trace = {"task": {"data": {"answer": "5"}}, "nodes": nodes}
    run = {"work": {"step": 4}}
    rows = [
        {"id": "e", "task": {}, "traces": [trace, trace], "run": run},
        {"task": {}, "traces": [], "run": run},
    ]
    done = tagged(rows, find_layout(Path("a.jsonl"), rows, Columns(), None))
    assert [row["correct"] for row in rows_of(done)] == [True, True]
    assert [(row["step"], row["id"]) for row in rows_of(done)] == [(4.0, "e")] * 2
    assert "no rollout in 'traces': an empty list" in done.bad.first[0].reason


def test_a_lone_surrogate_and_nul(tmp_path: Path):
    done = tagged([{"completion": "\ud800 \x00 The answer is 5.", "gold": "5"}], PLAIN)
    (row,) = rows_of(done)
    assert row["correct"]
    assert row["completion"] == "? \x00 The answer is 5."


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.jsonl"
    with path.open("w") as file:
        for number in range(2_000):
            file.write(json.dumps({"step": number // 100, "completion": f"#### {number}"}) + "\n")
    return path


def read(path: Path) -> Iterator[tuple[Chunk, Layout]]:
    return RolloutReader(sources=find_sources([str(path)]), columns=Columns()).chunks()


def test_workers_give_what_one_process_gives(big: Path):
    alone = list(tag_chunks(read(big), TagJob(), workers=1))
    together = list(tag_chunks(read(big), TagJob(), workers=2))
    assert [rows_of(done) for done in together] == [rows_of(done) for done in alone]
    assert [done.counts for done in together] == [done.counts for done in alone]


def test_a_worker_that_dies_is_explained(big: Path, tmp_path: Path):
    killer = tmp_path / "killer.py"
    killer.write_text(
        "import os\n"
        "from formatlab.world.formats import Format\n"
        "class Killer(Format):\n"
        "    name = 'killer'\n"
        "    def recognise(self, page):\n"
        f"        return os.getpid() != {os.getpid()} and os.kill(os.getpid(), {signal.SIGKILL})\n"
        "    def read(self, page):\n"
        "        return 'no answer'\n"
    )
    with pytest.raises(RunError, match=r"a worker process died, at about .*rows \d+ to"):
        list(tag_chunks(read(big), TagJob(formats=killer), workers=2))
