"""Files of every kind give the rows that they hold, and say where one is broken."""

import errno
import gzip
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.observe.files import rows as rows_module
from formatlab.observe.files.rows import CHUNK_ROWS, BadRow, csv_chunks, json_chunks, jsonl_chunks
from formatlab.observe.files.source import find_sources

ROWS = [{"completion": f"The answer is {n}.", "n": n} for n in range(3)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def read(path: Path) -> tuple[list[tuple[int, dict]], list[BadRow]]:
    """Rows with their numbers, and what is no row."""
    rows, bad = [], []
    (source,) = find_sources([str(path)])
    for chunk in source.chunks():
        bad += chunk.bad
        for number, row in chunk.rows():
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                rows.append((number, dict(row)))
    return rows, bad


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


JSON_FILES = {
    "a.jsonl": JSONL,
    "bom.jsonl": b"\xef\xbb\xbf" + JSONL,
    "crlf.jsonl": JSONL.replace(b"\n", b"\r\n"),
    "unended.jsonl": JSONL.rstrip(),
    "named.json": JSONL,
    "list.json": json.dumps(ROWS),
    "indented.json": json.dumps(ROWS, indent=2),
    "rows.json": json.dumps({"accuracy": 0.5, "data": ROWS}),
    "columns.json": json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}),
    "pandas.json": json.dumps(
        {key: {str(i): row[key] for i, row in enumerate(ROWS)} for key in ROWS[0]}
    ),
    "split.json": json.dumps(
        {"columns": list(ROWS[0]), "data": [list(row.values()) for row in ROWS], "nrows": 3}
    ),
    "a.jsonl.gz": gzip.compress(JSONL),
    "members.jsonl.gz": gzip.compress(JSONL[:40]) + gzip.compress(JSONL[40:]),
    "unnamed.jsonl": gzip.compress(JSONL),
    "list.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "a.jsonl.zst": pa.Codec("zstd").compress(JSONL, asbytes=True),
    "frames.jsonl.zst": b"".join(
        pa.Codec("zstd").compress(part, asbytes=True) for part in (JSONL, b"\n")
    ),
}


@pytest.mark.parametrize("name", JSON_FILES)
def test_rows_of_json_in_every_guise(name: str, tmp_path: Path):
    rows, bad = read(written(tmp_path / name, JSON_FILES[name]))
    assert [row for _, row in rows] == ROWS
    assert [number for number, _ in rows] == [1, 2, 3]
    assert bad == []


def test_an_object_tells_its_rows_what_it_says_of_all(tmp_path: Path):
    said = {"step": 3, "metadata": {"model": "m"}}
    of_all = {"accuracy": 1.0, "metrics": {"acc": 1}, "config": {"long": "x" * 3_000}}
    whole = said | of_all | {"n": 7, "data": ROWS}
    rows, _ = read(written(tmp_path / "a.json", json.dumps(whole)))
    assert [row for _, row in rows] == [said | row for row in ROWS]


def test_rows_may_be_kept_in_groups(tmp_path: Path):
    groups = {"gsm8k": ROWS, "svamp": ROWS}
    rows, _ = read(written(tmp_path / "a.json", json.dumps({"model": "m", "results": groups})))
    assert [row for _, row in rows] == [
        {"model": "m", "key": key} | row for key in groups for row in ROWS
    ]
    rows, _ = read(written(tmp_path / "b.json", json.dumps({"data": {"rows": ROWS}})))
    assert [row for _, row in rows] == ROWS


def test_rows_may_be_kept_by_keys(tmp_path: Path):
    keyed = {f"q{n}": row for n, row in enumerate(ROWS)}
    rows, _ = read(written(tmp_path / "a.json", json.dumps(keyed)))
    assert [row for _, row in rows] == [{"key": key} | row for key, row in keyed.items()]


CSV_FILES = {
    "a.csv": 'n,completion\n0,"The answer\nis ""0""."\n1,\n',
    "b.csv": 'n;completion\n0;"The answer\nis ""0""."\n1;\n',
    "c.tsv": 'n\tcompletion\n0\t"The answer\nis ""0""."\n\n1\t\n',
    "d.csv.gz": gzip.compress(b'n,completion\n0,"The answer\nis ""0""."\n1,\n'),
}


def test_samples_in_a_field_of_csv_are_a_list(tmp_path: Path):
    table = 'completions,score,gold\n"[\'a\', \'b\']","[True, False]","[0, 4]"\n'
    rows, _ = read(written(tmp_path / "a.csv", table))
    assert rows[0][1] == {"completions": ["a", "b"], "score": [True, False], "gold": "[0, 4]"}
    rows, _ = read(written(tmp_path / "b.csv", 'completion,gold\n"[0, 4]","[0, 4]"\n'))
    assert rows[0][1] == {"completion": "[0, 4]", "gold": "[0, 4]"}


@pytest.mark.parametrize("name", CSV_FILES)
def test_csv_stays_text_and_counts_lines(name: str, tmp_path: Path):
    rows, bad = read(written(tmp_path / name, CSV_FILES[name]))
    assert rows[0] == (2, {"n": "0", "completion": 'The answer\nis "0".'})
    assert rows[1][1] == {"n": "1", "completion": ""}
    assert rows[1][0] == (5 if name == "c.tsv" else 4)
    assert bad == []


def test_parquet_comes_in_chunks(tmp_path: Path):
    n = 2 * CHUNK_ROWS + 7
    table = pa.table({"completion": [str(i) for i in range(n)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    rows, _ = read(tmp_path / "a.parquet")
    assert rows == [(i + 1, {"completion": str(i)}) for i in range(n)]


@pytest.mark.parametrize(
    ("name", "content", "kept", "row", "said"),
    [
        ("a.jsonl", JSONL + b"{oops\n" + JSONL, 6, 4, "not JSON"),
        ("a.jsonl", JSONL + b"[1]\n", 3, 4, "not a JSON object: '[1]'"),
        ("a.jsonl", JSONL + b'{"a": "\xff"}\n', 3, 4, "not UTF-8"),
        ("a.jsonl", JSONL + b"[" * 100_000 + b"\n", 3, 4, "nested too deeply"),
        ("a.json", json.dumps(ROWS)[:-1] + ",", 3, 4, "the list is not closed"),
        ("a.json", json.dumps(ROWS) + "x", 3, 4, "text after the end"),
        ("a.json", json.dumps(ROWS)[:-1] + " {]", 3, 4, "the rest cannot be read"),
        ("a.json", json.dumps([*ROWS, 5]), 3, 4, "not a JSON object: '5'"),
        ("a.csv", "completion,n\na,1\nb\nc,3\n", 2, 3, "1 fields, and the header names 2"),
        ("a.csv", b"completion,n\na,1\n\xff,2\n", 1, 3, "not UTF-8"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_read(
    name: str, content: bytes | str, kept: int, row: int, said: str, tmp_path: Path
):
    path = written(tmp_path / name, content)
    rows, bad = read(path)
    assert len(rows) == kept
    assert [(b.file, b.row) for b in bad] == [(str(path), row)]
    assert said in bad[0].reason
    assert str(bad[0]).startswith(f"{path}:{row}: ")


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_the_end_of_a_cut_off_file_is_named(suffix: str, tmp_path: Path):
    long = JSONL * 40_000
    packed = (
        gzip.compress(long)
        if suffix == "gz"
        else b"".join(
            pa.Codec("zstd").compress(long[i : i + 100_000], asbytes=True)
            for i in range(0, len(long), 100_000)
        )
    )
    rows, bad = read(written(tmp_path / f"a.jsonl.{suffix}", packed[: len(packed) * 3 // 4]))
    assert len(rows) > 1000
    assert bad
    assert "the rest cannot be read" in bad[-1].reason


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "x", "not one of the kinds"),
        ("a.parquet", "x", "not a parquet file"),
        ("a.parquet", "PAR1PAR1", "cannot read"),
        ("a.parquet.gz", gzip.compress(b"PAR1"), "unpack it first"),
        ("a.json", "5", "not JSON"),
        ("a.json", '{"a": 1', "line 1: not JSON"),
        ("a.csv", "a,a\n1,2\n", "named twice"),
        ("a.csv", "\na,b\n", "the first line is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    name: str, content: bytes | str, said: str, tmp_path: Path
):
    with pytest.raises(InputError, match=said):
        read(written(tmp_path / name, content))


def test_folders_and_globs_are_files_in_the_order_of_their_numbers(tmp_path: Path):
    for name in ("10.jsonl", "9.jsonl", "deep/1.jsonl.gz", "notes.txt", "run_metadata.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / name, b"")
    found = [str(s.path.relative_to(tmp_path)) for s in find_sources([str(tmp_path)])]
    assert found == ["9.jsonl", "10.jsonl", "deep/1.jsonl.gz"]
    by_glob = [str(tmp_path / "*.jsonl"), str(tmp_path / "9.jsonl")]
    assert [s.path.name for s in find_sources(by_glob)] == [
        "9.jsonl",
        "10.jsonl",
        "run_metadata.jsonl",
    ]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("gone.jsonl", "there is no file"), ("*.jsonl", "no file matches"), ("", "holds no")],
)
def test_what_stands_for_no_file_is_named(pattern: str, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        find_sources([str(tmp_path / pattern)])


@pytest.mark.parametrize("closed", [".", "deep"])
def test_a_folder_that_may_not_be_read_is_not_taken_for_empty(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written(tmp_path / "a.jsonl", JSONL)
    (tmp_path / "deep").mkdir()
    scan = os.scandir

    def refuse(path: str | os.PathLike[str]):
        if Path(path) == tmp_path / closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read all folders
    with pytest.raises(InputError, match=f"cannot read {tmp_path / closed}: Permission denied$"):
        find_sources([str(tmp_path)])


def test_an_item_longer_than_what_is_read_at_once(tmp_path: Path):
    rows = [{"completion": "x" * 3_000_000}, {"completion": "y" * 10}]
    read_rows, bad = read(written(tmp_path / "a.json", json.dumps(rows)))
    assert [row for _, row in read_rows] == rows
    assert bad == []


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(ITEMS, max_size=8), st.integers(1, 40), st.sampled_from([None, 1]))
def test_a_list_is_cut_into_its_items_wherever_reading_stops(
    items: list, piece: int, indent: int | None
):
    text = json.dumps(items, indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "_READ", piece)
        chunks = list(json_chunks("a", io.BytesIO(text.encode()), lambda: 0))
    assert [json.loads(row) for chunk in chunks for row in chunk.texts] == items
    assert not any(chunk.bad for chunk in chunks)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_explained(content: bytes):
    for read_chunks in (json_chunks, jsonl_chunks, csv_chunks):
        try:
            chunks = list(read_chunks("a", io.BytesIO(content), lambda: 0))
        except InputError:
            continue
        for chunk in chunks:
            list(chunk.rows())
