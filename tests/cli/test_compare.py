"""`formatlab compare` from outside: what a person types, and what becomes of it."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_runs import Factory, study_factory

from formatlab.cli.main import main
from formatlab.measure.comparison import CHANGES_IN_WORDS
from formatlab.measure.measures import MEASURES_IN_WORDS

FORMATS = ("The answer is {}.", '{{"answer": {}}}', "We get \\boxed{{{}}}")


def jsonl(path: Path, *, right: int, first: int = 0) -> Path:
    """Rollouts of twelve prompts with three each, of which some are right."""
    rows = [
        {
            "prompt": f"q{prompt}",
            "completion": FORMATS[(prompt + place) % 3].format(5 if place < right else place + 6),
            "gold": "5",
        }
        for prompt in range(first, first + 12)
        for place in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [jsonl(tmp_path / f"{name}.jsonl", right=n) for n, name in enumerate(("a", "b", "c"))]


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    return study_factory(tmp_path)


def compare(*words: object) -> int:
    return main(["compare", *map(str, words)])


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of numbers; of a .csv, all are text."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".json":
        return json.loads(path.read_text())
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_files_are_compared(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(*files[:2]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"a  {files[0]}\nb  {files[1]}\n12 prompts that both have, compare")
    (line,) = [line for line in told.out.splitlines() if line.startswith("gain  ")]
    assert line.split()[1:4] == ["0.0%", "33.3%", "+33.3"]
    assert told.out.index("\naccuracy +33.3 ") < told.out.index("\nshare of ")
    assert "\nchrf distance " in told.out
    (line,) = [line for line in told.out.splitlines() if line.startswith("chrF distance  ")]
    assert line.split()[2] == "3"
    assert told.out.endswith("other measures are not kept; --output FILE.csv writes all of them\n")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_all_numbers_are_written(
    suffix: str, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = files[0].with_name(f"out{suffix}")
    assert compare(*files[:2], "--output", output) == 0
    assert f"numbers {output}" in capsys.readouterr().out
    rows = read(output)
    assert list(rows[0])[:5] == ["a_name", "b_name", "arm", "seed", "n_seeds"]
    assert list(rows[0])[5:9] == ["paired", "measure", "subset", "k"]
    (gain,) = [row for row in rows if row["measure"] == "gain"]
    assert (gain["a_name"], gain["b_name"]) == (str(files[0]), str(files[1]))
    assert float(gain["difference"]) == pytest.approx(1 / 3)
    assert float(gain["a"]) == 0 and int(gain["n_prompts"]) == 12
    told = [*MEASURES_IN_WORDS, *CHANGES_IN_WORDS]
    for row in rows:
        assert any(fnmatch(row["measure"], word) for word in told), row["measure"]
    texts = next(row for row in rows if row["measure"] == "text_distinct@k")
    assert float(texts["retained"]) == pytest.approx(float(texts["b"]) / float(texts["a"]))
    assert gain["retained"] in (None, "")


def test_each_of_several_is_compared_with_the_first(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output, figure = (files[0].with_name(name) for name in ("out.csv", "out.png"))
    assert compare(*files, "--no-texts", "--output", output, "--figure", figure) == 0
    said = capsys.readouterr().out.splitlines()
    pairs = [line.split()[:2] for line in said[1:3]]
    assert pairs == [["a.jsonl", "b.jsonl"], ["a.jsonl", "c.jsonl"]]
    assert said[-1] == f"figure {figure}"
    rows = read(output)
    assert {(row["a_name"], row["b_name"]) for row in rows} == {
        (str(files[0]), str(other)) for other in files[1:]
    }
    assert not any("chrf" in row["measure"] for row in rows)
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_a_figure_alone_is_drawn(suffix: str, files: list[Path]) -> None:
    figure = files[0].with_name(f"out{suffix}")
    assert compare(*files[:2], "--no-texts", "--figure", figure) == 0
    assert figure.stat().st_size > 1000
    assert sorted(path.name for path in figure.parent.iterdir()) == sorted(
        [*(file.name for file in files), figure.name]
    )


def test_a_run_alone_is_compared_with_its_base(
    make_run: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run().path
    assert compare(run, "--no-texts") == 0
    alone = capsys.readouterr().out
    assert alone.startswith(f"a  {run}@base\nb  {run}@2\n12 prompts")
    assert compare(f"{run}@base", run, "--no-texts") == 0
    assert capsys.readouterr().out == alone
    assert compare(f"{run}@base", f"{run}@0.5", "--no-texts") == 0
    assert f"b  {run}@0.5\n" in capsys.readouterr().out


def test_each_run_of_a_study_is_compared_with_its_base(
    make_run: Factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run(seed=seed).path for seed in (0, 1)]
    make_run(seed=2, probe_epochs=(), train=False, done=False)
    output = tmp_path / "out.json"
    assert compare(runs[0].parent, "--no-texts", "--output", output) == 0
    rows = read(output)
    of_runs = [row for row in rows if row["a_name"]]
    assert {(row["a_name"], row["b_name"], row["seed"]) for row in of_runs} == {
        (f"{run}@base", f"{run}@2", seed) for seed, run in enumerate(runs)
    }
    (mean,) = [row for row in rows if not row["a_name"] and row["measure"] == "gain"]
    gains = [row["difference"] for row in of_runs if row["measure"] == "gain"]
    assert (mean["n_seeds"], mean["arm"]) == (2, of_runs[0]["arm"])
    assert mean["difference"] == pytest.approx(sum(gains) / 2)
    assert mean["low"] < min(gains) and max(gains) < mean["high"]
    said = capsys.readouterr().out.splitlines()
    arm = of_runs[0]["arm"]
    assert [line.split()[:2] for line in said[:3]] == [["arm", "seed"], [arm, "0"], [arm, "1"]]
    assert "with 95% bootstrap intervals over 12 prompts, paired" in said[4]
    assert "means over finished runs of a trained base" in "\n".join(said)
    assert compare(runs[0].parent, runs[0], "--no-texts") == 2
    assert "is a study of several runs; name one of them" in capsys.readouterr().err


def test_a_run_can_be_compared_with_a_file(
    make_run: Factory, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(make_run().path, files[0], "--no-texts") == 0
    assert "no shared prompts (12 and 12): what differs may be the" in capsys.readouterr().out


def test_whose_verdicts_count_is_told(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = files[0].with_name("theirs.jsonl")
    theirs.write_text(
        "".join(f'{{"prompt": "q{n}", "completion": "5", "correct": true}}\n' for n in range(12))
    )
    assert compare(theirs, files[1], files[2], "--no-texts") == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        f"formatlab compare: {theirs}: no right answers are there to grade by; the file's own "
        "verdicts count"
    ]


def test_columns_of_files_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file, said in zip(files, ("5", "6"), strict=True):
        row = {"prompt": "q", "completion": "no idea", "mine": f"The answer is {said}.", "want": 5}
        file.write_text("".join(json.dumps(row | {"prompt": f"q{n}"}) + "\n" for n in range(12)))
    output = tmp_path / "out.json"
    words = (*files, "--text", "mine", "--gold", "want", "--output", output)
    assert compare(*words) == 0
    assert capsys.readouterr().err == ""
    (gain,) = [row for row in read(output) if row["measure"] == "gain"]
    assert (gain["a"], gain["b"]) == (1, 0)
    assert compare(*files, "--text", "gone") == 2
    assert "gone" in capsys.readouterr().err


@pytest.mark.parametrize("k", [2, 3])
def test_diversity_is_compared_at_the_k_that_is_asked_for(
    k: int, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = files[0].with_name("out.json")
    assert compare(*files[:2], "--no-texts", "--k", k, "--output", output) == 0
    assert f"diversity: of {k} rollouts of each prompt" in capsys.readouterr().out
    ks = {row["k"] for row in read(output) if row["measure"] == "format_entropy_given_prompt"}
    assert ks == {k}


def test_files_are_written_before_anything_is_printed(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that stops, such as `head`, does not keep the files from being written."""

    class Stopped:
        encoding = "utf-8"

        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None: ...

        def isatty(self) -> bool:
            return False

    from formatlab.cli import compare as verb

    output, figure = (files[0].with_name(name) for name in ("out.csv", "out.svg"))
    words = [*map(str, files[:2]), "--no-texts", "--output", str(output), "--figure", str(figure)]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Stopped())
        with pytest.raises(BrokenPipeError):
            verb.main(words)
    assert read(output) and figure.stat().st_size > 1000


SAMPLING = {
    "--split": "test",
    "--prompts": "8",
    "--samples": "2",
    "--temperature": "0.5",
    "--completion-length": "8",
    "--seed": "0",
}


@pytest.mark.parametrize("words", [*map(list, SAMPLING.items()), ["--chat"], ["--prompts", "0"]])
def test_options_of_sampling_are_refused_without_problems(
    words: list[str], files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(*files[:2], *words) == 2
    said = f"formatlab compare: {words[0]} says how models are sampled, on --problems PROBLEMS\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("words", [[""], ["", "{a}"], ["{a}", ""]])
@pytest.mark.parametrize("verb", ["compare", "measure"])
def test_an_empty_name_is_no_folder(
    verb: str,
    words: list[str],
    make_run: Factory,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(make_run().path)  # not even where a run is
    assert main([verb, *(word.format(a=files[0]) for word in words)]) == 2
    said = f"formatlab {verb}: a name is empty; name run folders, studies or rollout files\n"
    assert capsys.readouterr().err == said


class ByLength:
    """Stands for an embedder of texts."""

    names: list[str]

    def __init__(self, model: str):
        self.names.append(model)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32)


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> type[ByLength]:
    from formatlab.models import embeddings

    monkeypatch.setattr(embeddings, "TextEmbedder", ByLength)
    ByLength.names = []
    return ByLength


def test_meanings_are_compared_on_demand(embedder: type[ByLength], files: list[Path]) -> None:
    output = files[0].with_name("out.json")
    assert compare(*files[:2], "--embed", "owner/name", "--output", output) == 0
    assert embedder.names == ["owner/name"]
    found = {row["measure"] for row in read(output) if row["subset"] == "all"}
    assert {"semantic_distance", "semantic_vendi", "semantic_distance_of_prompts"} <= found


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "name what to compare: formatlab compare A B"),
        (["{a}"], 2, "alone has nothing to be compared with; name a second one, or a run"),
        (["{a}", "gone.jsonl"], 2, "there is no file gone.jsonl"),
        (["{a}", "gone@base"], 2, "there is no file gone@base"),
        (["{a}", "{run}@7"], 2, "has no epoch '7'; it has base, 0.5, 2"),
        (["{a}", "{model}"], 2, "is a model, and no run; `formatlab compare` samples"),
        (["{a}", "{damaged}"], 1, "is left out: DONE is not JSON"),
        (["{a}", "{b}", "--output", "out.txt"], 2, "out.txt should be a .csv or .json or .parqu"),
        (["{a}", "{b}", "--figure", "out.gif"], 2, "--figure: out.gif should be a .png or .svg"),
        (["{a}", "{b}", "--output", "{folder}/no/out.csv"], 2, "is no folder; make it"),
        (["{a}", "--problems", "gsm8k"], 2, "--problems: name two models or more"),
        (["{a}", "{b}", "--k", "4"], 2, "k is 4; nine in ten prompts have 3 or more rollouts, so"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_mistakes_are_told_in_a_line(
    words: list[str],
    status: int,
    said: str,
    make_run: Factory,
    files: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places: dict[str, Any] = {"a": files[0], "b": files[1], "folder": tmp_path}
    if "{run}@7" in words:
        places["run"] = make_run().path
    if "{damaged}" in words:
        places["damaged"] = make_run().path
        (places["damaged"] / "DONE").write_text("{")
    if "{model}" in words:
        places["model"] = tmp_path / "model"
        places["model"].mkdir()
        (places["model"] / "config.json").write_text('{"model_type": "llama"}')
    before = sorted(tmp_path.rglob("*"))
    assert compare(*(word.format(**places) for word in words)) == status
    error = capsys.readouterr().err
    assert said in error and error.startswith("formatlab compare: ")
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("flag", ["--output", "--figure"])
def test_what_is_there_is_replaced_on_demand_alone(
    flag: str, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    there = files[0].with_name("out.csv" if flag == "--output" else "out.png")
    there.write_text("mine")
    words = (*files[:2], "--no-texts", flag, there)
    assert compare(*words) == 2
    assert f"{flag}: {there} exists" in capsys.readouterr().err
    assert there.read_text() == "mine"
    assert compare(*words, "--overwrite") == 0
    assert there.read_bytes() != b"mine"


@pytest.mark.parametrize("name", ["a.json", "a@2.json", "*.json", "problems"])
def test_what_is_read_is_never_replaced(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / ("a@2.json" if "@" in name else "a.json")
    file.write_text('[{"prompt": "q", "completion": "5"}]')
    other = jsonl(tmp_path / "b.jsonl", right=1)
    words = [other, tmp_path / name]
    if name == "problems":
        words = ["owner/a", "owner/b", "--problems", file]
    assert compare(*words, "--output", file, "--overwrite") == 2
    assert f"--output: {file} is also one of the files that are read" in capsys.readouterr().err
    assert file.read_text().startswith("[")


def test_models_are_sampled_and_compared(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [shutil.copytree(model, tmp_path / name / "model") for name in ("small", "large")]
    problems = tmp_path / "problems.jsonl"
    problems.write_text("".join(f'{{"question": "{n}+1?", "answer": {n + 1}}}\n' for n in range(3)))
    sizes = ("--prompts", 3, "--samples", 2, "--completion-length", 8)
    output = tmp_path / "out.json"
    assert compare(*models, "--problems", problems, *sizes, "--output", output, "--no-texts") == 0
    told = capsys.readouterr()
    assert "a  small-model\nb  large-model\n3 prompts that both have" in told.out
    assert "sampling: step" in told.err
    rows = read(output)
    assert {(row["a_name"], row["b_name"], row["paired"]) for row in rows} == {
        ("small-model", "large-model", True)
    }
    # They are one model, drawn with one seed.
    assert {row["difference"] for row in rows} <= {0, None}
    assert {row["n_prompts"] for row in rows if row["measure"] == "tokens"} == {3}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("large", "out.json", "problems.jsonl", "small")
    ]


@pytest.mark.parametrize("verb", ["compare", "measure"])
def test_help_names_every_measure_and_is_cheap(verb: str) -> None:
    program = (
        "import sys\nfrom formatlab.cli.main import main\n"
        f"try:\n    main(['{verb}', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    shown, _, loaded = done.stdout.partition("loaded:")
    lines = [line for line in shown.splitlines() if line.startswith("  ")]
    names = {line.split()[0] for line in lines}
    words = MEASURES_IN_WORDS | (CHANGES_IN_WORDS if verb == "compare" else {})
    assert [name for name in words if name not in names] == []
    assert "--embed" in shown and f"  formatlab {verb} " in shown
    heavy = {"torch", "trl", "transformers", "matplotlib", "datasets", "peft", "pandas"}
    assert heavy & set(loaded.split()) == set()


def test_a_gain_of_public_rollouts_is_one_of_format(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [shared_data / "field" / "countdown" / f"{name}.jsonl" for name in ("rft", "grpo")]
    if not all(file.is_file() for file in files):
        pytest.skip("needs the rollouts of ../shared/data/field/countdown")
    output = tmp_path / "out.json"
    assert compare(*files, "--no-texts", "--output", output) == 0
    told = capsys.readouterr()
    assert "500 prompts that both have, compared pair by pair" in told.out
    assert told.err.count("the file's own verdicts count") == 2
    rows = [row for row in read(output) if row["subset"] == "all"]
    points = {row["measure"]: 100 * row["difference"] for row in rows}
    assert points["gain"] == pytest.approx(6.0, abs=0.05)
    assert points["gain_format"] == pytest.approx(8.1, abs=0.3)
    assert points["gain_skill_within"] < 0
