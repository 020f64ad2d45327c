"""`formatlab tag` from outside: what a person types, and what becomes of it."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from formatlab.cli.main import main
from formatlab.cli.tagging_report import print_verdicts
from formatlab.observe.files import tagging_run
from formatlab.observe.files.tag_counts import TagCounts
from formatlab.observe.files.verdict_counts import Compared
from formatlab.show.tables.tags import format_rows, print_tags
from formatlab.world.formats import FORMATS as FORMATS_OF_THE_WORLD

REPOSITORY = Path(__file__).parents[2]
FORMATS = ("The answer is {}.", '{{"answer": {}}}', "We get \\boxed{{{}}}")


def verl_rows(steps: int = 3, rows: int = 6) -> list[dict[str, Any]]:
    return [
        {
            "input": f"q{n % 3}",
            "output": FORMATS[n % 3].format(n),
            "gts": str(n if n % 2 else n + 1),
            "score": 1.0,
            "step": step,
            "reward_extra": {"a": [n]} if n else "none",
        }
        for step in range(1, steps + 1)
        for n in range(rows)
    ]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    packed = gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode()
    path.write_bytes(packed)
    return path


def tag(*words: object) -> int:
    return main(["tag", *map(str, words)])


def test_scripts_are_told_where_not_all_is_latin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    latin = jsonl(tmp_path / "a.jsonl", [{"completion": "The answer is 5."}])
    assert tag(latin) == 0
    assert "written in" not in capsys.readouterr().out
    said = ["The answer is 5.", "答案是5。", "我们相加 to get 5", "5"]
    more = jsonl(tmp_path / "b.jsonl", [{"completion": text} for text in said])
    assert tag(more, "--by", "writing") == 0
    told = capsys.readouterr().out
    assert (
        "written in cjk 50.0%, latin 25.0%, no letters 25.0%; two scripts share 25.0% of the texts"
    ) in told
    assert re.search(r"^\W*cjk\b", told, re.MULTILINE)


def test_a_run_of_verl(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for step in (9, 10):
        rows = [row | {"step": step} for row in verl_rows(1)]
        jsonl(tmp_path / f"{step}.jsonl.gz", rows)
    output, plot = tmp_path / "out.parquet", tmp_path / "out.png"
    assert tag(tmp_path / "*.gz", "--output", output, "--figure", plot) == 0
    said = capsys.readouterr()
    assert (
        "verl rollout_data_dir: completion 'output', prompt 'input', gold 'gts', step 'step' "
        f"(12 rows of 2 files, the first {tmp_path}/9.jsonl.gz)" in said.out
    )
    assert "the grader's errors by format" in said.out
    assert said.err == ""
    table = pq.read_table(output)
    assert table.num_rows == 12
    assert set(verl_rows()[0]) <= set(table.schema.names)
    assert table["step"].to_pylist() == [9] * 6 + [10] * 6
    assert table["tag"].to_pylist()[:3] == ["prose", "json", "latex"]
    assert table["correct"].to_pylist()[:2] == [False, True]
    assert table["reward_extra"].to_pylist()[:2] == ["none", '{"a": [1]}']
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet"])
def test_every_kind_of_file(suffix: str, tmp_path: Path):
    rows = [{"completion": "The answer is 5.", "gold": "5", "step": "1"}] * 3
    path = tmp_path / f"in{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(rows))
    elif suffix == ".csv":
        path.write_text("completion,gold,step\n" + "The answer is 5.,5,1\n" * 3)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert tag(path, "--output", tmp_path / "out.parquet") == 0
    table = pq.read_table(tmp_path / "out.parquet")
    kept = table.select(["completion", "gold", "step_input"]).rename_columns(list(rows[0]))
    assert kept.to_pylist() == rows
    assert table["step"].to_pylist() == [1.0] * 3
    assert table["correct"].to_pylist() == [True] * 3


def test_files_of_trl_with_chats(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "completions"
    folder.mkdir()
    for step in (1, 2):
        rows = [
            {
                "step": step,
                "prompt": [{"role": "user", "content": "1 + 1?"}],
                "completion": [{"role": "assistant", "content": "The answer is 2."}],
                "reward": 1.0,
                "advantage": 0.0,
            }
        ] * 2
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, folder / f"completions_{step:05d}.parquet")
    assert tag(folder, "--output", tmp_path / "out.parquet") == 0
    assert "TRL completions" in capsys.readouterr().out
    out = pq.read_table(tmp_path / "out.parquet")
    assert out["tag"].to_pylist() == ["prose"] * 4
    assert out["completion"].to_pylist()[0] == [
        {"role": "assistant", "content": "The answer is 2."}
    ]
    assert out["correct"].null_count == 4


def test_bad_rows_and_files_are_named_and_the_rest_is_tagged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    good = jsonl(tmp_path / "good.jsonl", verl_rows())
    with good.open("a") as file:
        file.write("{oops\n" * 30)
    (tmp_path / "other.jsonl").write_text('{"loss": 1}\n')
    (tmp_path / "broken.parquet").write_text("no parquet")
    assert tag(tmp_path, "--output", tmp_path.parent / "out.parquet") == 0
    said = capsys.readouterr().err.splitlines()
    assert f"skipped: {tmp_path}/broken.parquet: not a parquet file" in said
    assert any("other.jsonl: no column is known to hold completions" in line for line in said)
    (line,) = [line for line in said if line.startswith("bad row: ")]
    assert line.startswith(f"bad row: {good}:19: not JSON")
    assert line.endswith("(and 29 more like it)")
    assert said[-1] == "bad rows: 30 in all, left out"


def test_own_formats_and_columns(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", [{"said": "<final>5</final>", "info": {"right": 5}}])
    formats = tmp_path / "f.toml"
    formats.write_text(
        "[final]\nrecognise = '<final>'\nanswer = '<final>(?P<answer>.*?)</final>'\n"
    )
    words = ("--text", "said", "--gold", "info.right", "--formats", formats)
    assert tag(path, "--output", tmp_path / "out.parquet", *words) == 0
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["tag"], row["answer"], row["correct"]) == ("final", "5", True)


def test_what_was_tagged_can_be_tagged_again(tmp_path: Path):
    row = {"completion": "The answer is 5.", "answer": "5", "correct": False, "truncated": None}
    path = jsonl(tmp_path / "a.jsonl", [row, row | {"completion": "The answer is 6."}])
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    assert tag(path, "--output", first) == 0
    assert tag(first, "--output", second) == 0
    said = ("tag", "answer", "correct", "truncated", "file_correct", "file_truncated")
    once, again = (pq.read_table(file).select(said).to_pylist() for file in (first, second))
    assert again == once
    assert [row["correct"] for row in again] == [True, False]
    found = pq.read_table(second).to_pylist()[0]
    assert (found["answer_input_input"], found["source_file_input"]) == ("5", str(path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the files"),
        (["gone.jsonl"], "there is no file gone.jsonl"),
        (["gone*.jsonl"], "no file matches"),
        (["{in}", "--output", "{folder}"], "is a folder"),
        (["{in}", "--output", "out.txt"], "name it .parquet"),
        (["{in}", "--output", "{folder}/no/out.parquet"], "is no folder"),
        (["{in}", "--figure", "shares.gif"], "--figure: shares.gif should be"),
        (["{in}", "--figure", "{folder}/no/a.png"], "--figure"),
        (["{in}", "--by", "nope"], "no column 'nope', which --by names (columns: gts"),
        (["{in}", "--by", "a"], "'reward_extra.a' may be meant"),
        (["{plain}", "--by", "step"], "--by step: no column is known to hold the step; name it"),
        (["{in}", "--jobs", "-1"], "--jobs is -1"),
        (["{in}", "--text", "nope"], "no column 'nope', which --text names (columns: gts"),
        (["{in}", "--formats", "gone.toml"], "there is no file gone.toml"),
        (["{empty}"], "holds no rows"),
        (["{tokens}"], "--tokenizer"),
        (["{tokens}", "--tokenizer", "{folder}"], "cannot be loaded"),
    ],
)
def test_mistakes_are_named(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    token_row = {"step": 1, "prompt_tokens": [1], "response_tokens": [2]}
    places = {
        "in": jsonl(tmp_path / "in.jsonl", verl_rows()),
        "plain": jsonl(tmp_path / "plain.jsonl", [{"text": "5"}]),
        "empty": jsonl(tmp_path / "empty.jsonl", []),
        "tokens": jsonl(tmp_path / "tokens.jsonl", [token_row]),
        "folder": tmp_path,
    }
    given = [word.format(**places) for word in words]
    output = [] if "--output" in given else ["--output", str(tmp_path / "out.parquet")]
    assert tag(*given, *output) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*.parquet"))
    assert not list(tmp_path.glob(".unfinished*"))


def test_the_output_may_not_be_an_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"completion": ["5"]}), path)
    assert tag(path, "--output", path) == 2
    assert "is also one of the files" in capsys.readouterr().err
    assert pq.read_table(path).schema.names == ["completion"]


def test_an_existing_output_is_replaced_on_demand_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = jsonl(tmp_path / "a.jsonl", [{"completion": "5"}])
    for flag, name in (("--output", "out.parquet"), ("--figure", "shares.png")):
        there = tmp_path / name
        there.write_text("mine")
        words = ["--output", tmp_path / "new.parquet"] if flag == "--figure" else []
        assert tag(file, *words, flag, there) == 2
        assert f"{flag}: {there} exists" in capsys.readouterr().err
        assert there.read_text() == "mine"
    assert not (tmp_path / "new.parquet").exists()
    assert tag(file, "--output", tmp_path / "out.parquet", "--overwrite") == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 1


def test_help_is_cheap():
    program = (
        "import sys\nfrom formatlab.cli.main import main\n"
        "try:\n    main(['tag', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    shown, _, loaded = done.stdout.partition("loaded:")
    assert "--formats" in shown
    examples = [line.split() for line in shown.splitlines() if line.startswith("    formatlab tag")]
    assert len(examples) == 3
    heavy = {"torch", "pyarrow", "numpy", "transformers", "matplotlib", "regex"}
    assert heavy & set(loaded.split()) == set()


def test_neither_torch_nor_trl_is_needed(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", verl_rows())
    program = (
        "import sys\nfrom formatlab.cli.main import main\n"
        f"main(['tag', {str(path)!r}, '--output', {str(tmp_path / 'o.parquet')!r}])\n"
        "print('loaded:', *sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.partition("loaded:")[2].split()
    assert {"torch", "trl", "transformers", "matplotlib"} & set(loaded) == set()


@pytest.mark.parametrize(
    "begun", [".unfinished*", ".unfinished*.0"], ids=["workers start", "rows are written"]
)
def test_an_interrupt_leaves_nothing_behind(begun: str, tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", verl_rows(steps=30_000))
    command = [sys.executable, "-m", "formatlab", "tag", path, "--output", tmp_path / "o.parquet"]
    process = subprocess.Popen(
        [*map(str, command), "--jobs", "2"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    while not list(tmp_path.glob(begun)):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
    _, error = process.communicate()
    assert process.returncode == 130
    *progress, last = filter(None, error.splitlines())
    assert last == "formatlab tag: interrupted"
    assert all(line.startswith("tagging: ") for line in progress), error
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_real_answers(shared_data: Path, tmp_path: Path):
    assert tag(shared_data / "graded" / "*.jsonl", "--output", tmp_path / "o.parquet") == 0
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.num_rows == 3 * 1319
    agree = [
        row["correct"] == row["upstream_correct"]
        for row in table.select(["correct", "upstream_correct"]).to_pylist()
    ]
    assert sum(agree) / len(agree) > 0.97


def test_what_tag_wrote_can_be_tagged_again_but_only_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    chat = [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "It is 5."}]
    jsonl(tmp_path / "chats.jsonl", [{"messages": chat, "gold": "5"}] * 3)
    first = tmp_path / "first.parquet"
    assert tag(tmp_path / "chats.jsonl", "--output", first) == 0
    assert tag(first, "--output", tmp_path / "again.parquet") == 0
    assert pq.read_table(tmp_path / "again.parquet")["tag"].to_pylist() == ["prose"] * 3
    capsys.readouterr()
    (tmp_path / "again.parquet").unlink()
    assert tag(tmp_path, "--output", tmp_path / "all.parquet") == 0
    assert "first.parquet: written by `formatlab tag`" in capsys.readouterr().err
    assert pq.read_table(tmp_path / "all.parquet").num_rows == 3


def test_rows_that_cannot_be_graded_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = jsonl(tmp_path / "a.jsonl", [{"response": "It is 5.", "right": "5"}])
    assert tag(file, "--output", tmp_path / "o.parquet") == 0
    assert "not graded: no column is known to hold the right answer" in capsys.readouterr().out
    assert tag(file, "--gold", "right", "--output", tmp_path / "p.parquet") == 0
    assert "not graded" not in capsys.readouterr().out


def test_the_class_of_the_readme_can_be_given_as_a_file(tmp_path: Path):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (source,) = [b for b in re.findall(r"```python\n(.*?)```", readme, re.S) if "class" in b]
    (tmp_path / "shout.py").write_text(source, encoding="utf-8")
    file = jsonl(tmp_path / "a.jsonl", [{"text": "IT IS 5!", "gold": "5"}] * 2)
    before = dict(FORMATS_OF_THE_WORLD)
    try:
        output = tmp_path / "o.parquet"
        assert tag(file, "--formats", tmp_path / "shout.py", "--output", output) == 0
    finally:
        FORMATS_OF_THE_WORLD.clear()
        FORMATS_OF_THE_WORLD.update(before)
    table = pq.read_table(output)
    assert (table["tag"].to_pylist(), table["mixed"].to_pylist()) == (["shout"] * 2, [False] * 2)


def test_a_recorded_truncation_beats_the_look_of_the_text(tmp_path: Path):
    row = {"run_id": "r", "prompt_id": "p", "completion": "It is 5.", "gold": "5", "step": 0}
    file = jsonl(tmp_path / "a.jsonl", [row | {"truncated": True}, row | {"truncated": False}])
    assert tag(file, "--output", tmp_path / "o.parquet") == 0
    table = pq.read_table(tmp_path / "o.parquet")
    assert table["truncated"].to_pylist() == [True, False]


def test_an_alarm_where_the_file_and_we_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    texts = ["The answer is 5."] * 6 + ["It is hard to say."] * 4
    rows = [{"response": text, "answer": "5", "correct": True, "reward": 0.5} for text in texts]
    assert tag(jsonl(tmp_path / "a.jsonl", rows), "--output", tmp_path / "o.parquet") == 0
    said = capsys.readouterr().out
    assert "right by the file's own verdict ('correct')" in said
    assert "we agree with the file on 60% of 10 rows" in said
    assert f"1  {tmp_path}/a.jsonl:7: It is hard to say." in said
    assert "mean reward of the file ('reward'): 0.5 where we call it right (6 rows)" in said
    assert (
        "ALARM: of 10 rows the file calls 10 right (100%) and we 6 right (60%); 4 of 4 "
        "disagreements are texts in which we find no answer." in said
    )


def test_the_flexible_reading_is_told_where_it_finds_more(capsys: pytest.CaptureFixture[str]):
    counts = TagCounts()
    for n in range(10):
        strict = n < 6
        flags = {"well_formed": strict, "mixed": False, "truncated": False}
        counts.add(None, n, "prose", **flags, correct=strict, flexible=True, theirs=True)
        compared = Compared("prose", True, strict, "" if strict else "no answer")
        counts.verdicts.add(compared, "so 5 are left", "a.jsonl:1", flexible=True)
    cells = counts.cells_by_cluster()
    print_tags(format_rows(counts.tags, cells), [], reasons={"no answer": 4}, interval="interval")
    print_verdicts(counts.verdicts, [], cells, counts.tags)
    said = capsys.readouterr().out
    assert (
        "flexible reading (else the last number that sentences commit to): 100% right in all, "
        "prose 100%" in said
    )
    assert "we agree with the file on 60% of 10 rows, with the flexible reading on 100%" in said
    assert "ALARM" in said


def test_no_alarm_where_they_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = {"response": "The answer is 5.", "answer": "5", "finish_reason": "length"}
    rows = [row | {"correct": True}] * 60 + [row | {"correct": False}] * 2
    assert tag(jsonl(tmp_path / "a.jsonl", rows), "--output", tmp_path / "o.parquet") == 0
    said = capsys.readouterr().out
    assert "we agree with the file on 97% of 62 rows" in said
    assert "cut off: 62 of 62 rows by the file's own word ('finish_reason')" in said
    assert "ALARM" not in said


def test_a_quick_look_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = jsonl(tmp_path / "a.jsonl", verl_rows())
    assert tag(file) == 0
    said = capsys.readouterr().out
    assert "share by step (3 steps)" in said
    assert "rows are not kept; --output FILE.parquet writes each with its tag" in said
    assert list(tmp_path.iterdir()) == [file]


def spoken_in(language: str, texts: list[str]) -> list[dict[str, Any]]:
    return [
        {"question": f"{language} {n}", "text": text, "gold": "5", "info": {"language": language}}
        for n, text in enumerate(texts)
    ]


def test_shares_and_accuracy_by_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = spoken_in("en", ["The answer is 5."] * 15 + ['{"answer": 5}'] * 5)
    rows += spoken_in("vi", ["The answer is 6."] * 4)
    file, figure = jsonl(tmp_path / "a.jsonl", rows), tmp_path / "a.svg"
    assert tag(file, "--by", "info.language", "--figure", figure) == 0
    said = capsys.readouterr().out
    table = said.partition("by info.language, %\n")[2].splitlines()
    assert table[0].split() == ["info.language", "rows", "prose", "json", "right"]
    assert table[1].split() == ["en", "20", "75", "25", "100"]
    low, high = map(int, table[2].split("]")[0].strip(" [").split(","))
    assert low < 75 < high
    assert table[3].split() == ["vi", "4", "100", "0", "0"]
    assert "[" not in table[3] + table[4].partition("[low")[0]  # four prompts have no interval
    assert figure.read_text().startswith("<?xml")


def test_rows_by_what_tagging_adds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, text in (("base.jsonl", "The answer is 5."), ("grpo.jsonl", '{"answer": 5}')):
        jsonl(tmp_path / name, [{"text": text, "gold": "5"}] * 3)
    assert tag(tmp_path) == 0
    assert "2 files are counted together; --by source_file tells them apart" in (
        capsys.readouterr().out
    )
    for column in ("source", "source_file"):
        assert tag(tmp_path, "--by", column) == 0
        lines = capsys.readouterr().out.partition(f"by {column}, %")[2].splitlines()
        assert [line.split() for line in lines[2:4]] == [
            ["base.jsonl", "3", "0", "100", "100"],
            ["grpo.jsonl", "3", "100", "0", "100"],
        ]
    path = jsonl(tmp_path / "steps.jsonl", verl_rows(steps=30))
    assert tag(path, "--by", "step") == 0
    said = capsys.readouterr().out
    assert "share by step" not in said
    assert re.search(r"^1 to 2 +12 ", said.partition("by step, %")[2], re.M)


def test_a_column_that_differs_in_every_row_is_no_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = jsonl(tmp_path / "a.jsonl", [{"text": "5", "id": n} for n in range(3_000)])
    assert tag(file, "--by", "id") == 2
    said = capsys.readouterr().err
    assert "--by id: more than 2,000 different values in the first 2,048 rows" in said


def test_two_layouts_are_told_apart_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    jsonl(tmp_path / "1.jsonl", verl_rows(1))
    jsonl(tmp_path / "2.jsonl", [{"problem": "q", "response": "It is 5.", "answer": "5"}])
    jsonl(tmp_path / "3.jsonl", [{"problem": "p", "response": "It is 5.", "answer": "5"}])
    assert tag(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "2 layouts, counted together (--by source_file tells files apart):",
        "1  verl rollout_data_dir: completion 'output', prompt 'input', gold 'gts', step 'step' "
        f"(6 rows of {tmp_path}/1.jsonl)",
        "2  columns by name: completion 'response', prompt 'problem', gold 'answer', step none "
        f"(2 rows of 2 files, the first {tmp_path}/2.jsonl)",
    ]


def test_files_with_the_same_problem_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for n in range(5):
        jsonl(tmp_path / f"{n}.jsonl", [{"loss": n}])
    jsonl(tmp_path / "good.jsonl", verl_rows(1))
    assert tag(tmp_path) == 0
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"skipped: {tmp_path}/0.jsonl: no column is known to hold completions")
    assert first.endswith("(and 4 more like it)")
    assert last == "skipped: 5 files in all"


def test_what_takes_long_says_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tagging_run, "_FIRST_LINE", 0.0)
    file = jsonl(tmp_path / "a.jsonl", [{"text": "5"}] * 600)
    assert tag(file) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"tagging: 43%, 256 rows, [\d,]+ a second, about [\d,]+ s left", line)


def test_an_earlier_name_of_the_figure_is_taken(tmp_path: Path):
    file = jsonl(tmp_path / "a.jsonl", verl_rows())
    assert tag(file, "--plot", tmp_path / "a.png") == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


FIELD = {
    "qwenmath_gsm8k_qwen3b_rlft.jsonl": (200, 173, 200),
    "rg_rlvr_qwen3b_arithmetic_intra.json": (300, 288, 300),
    "xling_grpo_vi_mgsm_en.json": (200, 0, 0),
    "nemo_gym_math_with_code.jsonl": (5, 1, 0),
    "nemo_gym_math_with_judge.jsonl": (5, 3, 5),
    "nemo_gym_reasoning_gym.jsonl": (5, 2, 0),
    "rasbt_math500_qwen3_answers.json": (200, 0, 200),
    "rlvr_misalignment_math_step1300.jsonl": (12, 1, 12),
    "countdown/grpo.jsonl": (500, 218, 0),
}
"""File -> its rollouts, those that it calls right, and those that have a gold."""


@pytest.mark.parametrize("name", FIELD)
def test_files_of_the_field_are_read_without_flags(
    name: str, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = shared_data / "field" / name
    if not file.exists():
        pytest.skip(f"{file} is not there")
    assert tag(file, "--output", tmp_path / "o.parquet") == 0
    assert capsys.readouterr().err == ""
    table = pq.read_table(tmp_path / "o.parquet")
    called_right = [bool(right) for right in table["file_correct"].to_pylist()]
    graded = table.num_rows - table["correct"].null_count
    assert (table.num_rows, sum(called_right), graded) == FIELD[name]
