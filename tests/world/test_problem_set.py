"""Problem sets: every layout and kind of file, and what is said of a broken one."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.world.problem import Problem
from formatlab.world.problem_set import gold_answer, load_problems, take_problems

ROWS = [
    {"question": "How many legs has a spider?", "answer": 8},
    {"question": "How many legs have two cats?", "answer": 8},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".json":
            path.write_text(json.dumps(rows, indent=1))
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case ".csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("file", "count", "family", "first"),
    [
        ("gsm8k/test.jsonl", 1319, "gsm8k", "18"),
        ("gsm8k", 7473, "gsm8k", "72"),
        ("svamp/SVAMP.json", 1000, "svamp", "51"),
        ("math500/math500.jsonl", 500, "math500", r"\left( 3, \frac{\pi}{2} \right)"),
        ("mawps/singleop.jsonl", 531, "singleop", "14"),
        ("mawps/multiarith.jsonl", 580, "multiarith", "39"),
    ],
)
def test_public_sets_are_read_as_they_are(
    shared_data: Path, file: str, count: int, family: str, first: str
) -> None:
    problems = load_problems(str(shared_data / file))
    assert len(problems) == count == len({problem.question for problem in problems})
    assert {problem.family for problem in problems} == {family}
    assert problems[0].answer == first


def test_the_answers_of_gsm8k_are_all_whole_numbers(shared_data: Path) -> None:
    for split in ("train", "test"):
        answers = [
            problem.answer for problem in load_problems(str(shared_data / "gsm8k"), split=split)
        ]
        assert [answer for answer in answers if str(int(answer)) != answer] == []


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv"])
def test_every_kind_of_file_says_the_same(tmp_path: Path, suffix: str) -> None:
    problems = load_problems(str(write(tmp_path / f"legs{suffix}", ROWS)))
    assert problems == [
        Problem(question=row["question"], answer="8", family="legs") for row in ROWS
    ]


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ({"question": " Why? ", "answer": "So.\n#### 1,234"}, "Why?", "1234"),
        ({"input": "How many?", "target": 14.0}, "How many?", "14"),
        ({"problem": "$x$?", "level": 1, "answer": r"\frac{1}{2}"}, "$x$?", r"\frac{1}{2}"),
        ({"Body": "Two cats", "Question": "Legs?", "Answer": 8.0}, "Two cats. Legs?", "8"),
        ({"Body": "Two cats.", "Question": "Legs?", "Answer": 8.0}, "Two cats. Legs?", "8"),
        ({"id": 1, "question": "Far?", "answer": 2.5}, "Far?", "2.5"),
    ],
)  # fmt: skip
def test_layouts_are_told_by_their_fields(
    tmp_path: Path, row: dict[str, Any], question: str, answer: str
) -> None:
    (problem,) = load_problems(str(write(tmp_path / "a.jsonl", [row])))
    assert (problem.question, problem.answer) == (question, answer)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("14.0", "14"),
        (14.0, "14"),
        ("1,234,567.50", "1234567.5"),
        ("-0.0", "0"),
        ("007", "7"),
        ("+3", "3"),
        ("1,2", "1,2"),
        ("1,2,3", "1,2,3"),
        ("x = 5", "x = 5"),
        ("5\n#### -12", "-12"),
        ("0.375", "0.375"),
        ("1000000000000000000000000001", "1000000000000000000000000001"),
    ],
)
def test_answers_become_canonical(written: object, canonical: str) -> None:
    assert gold_answer(written) == canonical


@given(number=st.integers(), zeros=st.sampled_from(["", ".0", ".000"]), commas=st.booleans())
def test_one_number_has_one_canonical_text(number: int, zeros: str, commas: bool) -> None:
    assert gold_answer(f"{number:{',' if commas else ''}}{zeros}") == str(number)


@given(st.text())
def test_canonical_text_stays(answer: str) -> None:
    once = gold_answer(answer)
    assert "####" in once or gold_answer(once) == once


def test_a_question_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [ROWS[0], ROWS[1], ROWS[0]])
    assert len(load_problems(str(path))) == 2


def test_a_folder_holds_a_file_a_split(tmp_path: Path) -> None:
    folder = tmp_path / "legs"
    folder.mkdir()
    write(folder / "test.csv", ROWS)
    assert {problem.family for problem in load_problems(str(folder), split="test")} == {"legs"}
    with pytest.raises(InputError, match=r"has no train\.jsonl \(problem files found: test\.csv\)"):
        load_problems(str(folder))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"question": "a", "answer": 1}\n\nhello\n', "line 3: not JSON .*'hello'"),
        ("a.jsonl", '{"question": "a", "answer": 1}\n{"question"', "line 2: not JSON"),
        ("a.jsonl", "[1]\n", r"line 1: an object was expected, not '\[1\]'"),
        (
            "a.jsonl",
            '{"question": "a", "answer": 1}\n{"question": "b", "reply": 2}\n',
            r"line 2: field 'answer' is missing \(fields present: question, reply\)",
        ),
        ("a.jsonl", '{"input": "a", "target": NaN}', "line 1: field 'target' is empty"),
        ("a.jsonl", '{"question": " ", "answer": 1}', "line 1: field 'question' is empty"),
        ("a.jsonl", '{"Question": "a", "Answer": 1}', "line 1: field 'Body' is missing"),
        (
            "a.jsonl",
            '{"text": "a"}',
            r"line 1: no question found \(fields present: text\); .*Body \+ Question \+ Answer",
        ),
        ("a.jsonl", "", "is empty"),
        ("a.json", "", "is empty"),
        ("a.json", "[]", "is empty"),
        ("a.json", '[\n{"question": }\n]', r"line 2: not JSON .*'\{\"question\": \}'"),
        ("a.json", '{"question": "a", "answer": 1}\n{"q": 1}', r"name it \.jsonl"),
        ("a.json", '{"question": "a"}', "a list of objects was expected"),
        ("a.json", '[{"question": "a"}]', "item 1: field 'answer' is missing"),
        ("a.csv", "question,answer\n", "is empty"),
        ("a.csv", "question,answer\na,1\nb\n", "line 3: field 'answer' is empty"),
        ("a.parquet", "PAR", "not a parquet file"),
        ("a.txt", "?", r"not one of the kinds that can be read \(\.jsonl, "),
        ("a.jsonl", b'{"question": "\xff"}', "not UTF-8 text"),
    ],
)  # fmt: skip
def test_a_broken_file_is_said_so_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        load_problems(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gsm8k", r"'openai/gsm8k' are not found on this machine and the hub cannot be reached"),
        ("nobody/nothing", r"'nobody/nothing' are not found on this machine and the hub cannot"),
        ("a b", "neither a file nor a data set of the hub by this name"),
        ("missing.jsonl", r"there is no file or folder .*missing\.jsonl"),
        ("./missing", "there is no file or folder"),
    ],
)
def test_a_set_that_is_nowhere_is_said_so(
    spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=message):
        load_problems(spec)


@pytest.fixture
def numbered(tmp_path: Path) -> str:
    path = tmp_path / "problems.jsonl"
    rows = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(6)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_the_first_problems_are_taken_and_those_trained_on_left_out(numbered: str):
    trained = take_problems(numbered, "train", 4, option="--grpo.prompts")
    probed = take_problems(
        numbered, "test", 2, option="--probe.prompts", without={p.question for p in trained}
    )
    assert [p.answer for p in trained] == ["1", "2", "3", "4"]
    assert [p.answer for p in probed] == ["5", "6"]


def test_too_few_problems_are_said_with_the_option_to_lower(numbered: str):
    with pytest.raises(InputError, match=r"holds 6 different problems, and 7 .*--grpo\.prompts"):
        take_problems(numbered, "train", 7, option="--grpo.prompts")
    with pytest.raises(InputError, match=r"holds 5 .*not trained on.*--probe\.prompts"):
        take_problems(numbered, "test", 6, option="--probe.prompts", without={"0 + 1?"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [(["8", "9"], "field 'answer': a list of 2 different"), ([], "field 'answer' holds no answer"),
     (True, "field 'answer': the right answer is text or a number, not True")],
)  # fmt: skip
def test_an_answer_of_another_kind_is_refused_by_name(
    answer: object, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", [*ROWS, ROWS[0] | {"answer": answer}])
    with pytest.raises(InputError) as caught:
        load_problems(str(path))
    assert f"{path}, line 3: {said}" in str(caught.value)
    write(path, [ROWS[0] | {"answer": [8]}])
    assert load_problems(str(path))[0].answer == "8"
