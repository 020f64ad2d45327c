"""The benchmark of speed: every contender trains, and the tables divide by the lab."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import speed, steps, world
from benchmarks.turns import Row, in_process, table
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.prompt import plain_prompt

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def here(function: Callable[..., Any], asked: Mapping[str, Any], _: Path | None = None) -> Any:
    """What `in_process` does, without the seconds that importing takes in another process."""
    return function(**json.loads(json.dumps(asked)))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.json"
    given = [asdict(plain_prompt(problem)) for problem in FOUR_FORMATS.problems("rl", 6)]
    path.write_text(json.dumps(given))
    return path


@pytest.mark.parametrize("who", ["lab", "stock TRL"])
def test_a_turn_tells_the_seconds_of_its_steps_but_the_first(
    who: steps.Who, tiny_base: Path, prompts: Path
):
    turn = steps.train(
        who=who,
        algorithm="grpo",
        base=str(tiny_base / "model"),
        prompts=str(prompts),
        prompts_per_step=2,
        precision="float32",
        probe=(1, 1),
    )
    assert len(turn["seconds"]) == 2
    assert min(turn["seconds"]) > 0
    assert 1 <= turn["tokens"] <= 64
    assert 0 <= turn["idle"] <= 1
    assert turn["peak"] > 2**27


def test_contenders_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, Path | None]] = []

    def turn(function: object, given: Mapping[str, Any], checkout: Path | None) -> steps.Turn:
        asked.append((given["who"], checkout))
        return steps.Turn(seconds=[1.0, 2.0], tokens=30.0, idle=0.5, peak=2**30)

    monkeypatch.setattr(steps, "in_process", turn)
    monkeypatch.setattr(steps, "make_bench_base", lambda scale, *_: tmp_path / scale)
    former = tmp_path / "former"
    contest = steps.Contest(runs=tmp_path, rounds=2, former=former, steps=2, prompts_per_step=2)
    lab, stock, was = contest.step_rows("grpo", "0.04M")
    contenders = [("lab", None), ("stock TRL", None), ("former lab", former)]
    assert asked == contenders * 2
    assert (lab.what, lab.who, lab.values) == ("grpo 0.04M", "lab", [1.0, 2.0, 1.0, 2.0])
    assert (stock.who, was.who) == ("stock TRL", "former lab")
    assert lab.note == "30 tokens a completion, 50% of groups idle"
    assert [row.who for row in contest.step_rows("ppo", "0.04M")] == ["lab", "former lab"]
    assert [row.values for row in contest.memory_rows("0.13M")] == [[1.0, 1.0]] * 2


def test_a_table_says_how_much_better_the_lab_is():
    rows = [
        Row(what="grpo 0.04M", who="lab", values=[1.0, 2.0, 9.0]),
        Row(what="grpo 0.04M", who="stock TRL", values=[6.0, 7.0], note="9% of groups idle"),
        Row(what="problems", who="former lab", values=[125.0], more_is_better=True),
        Row(what="problems", who="lab", values=[12_500.0], more_is_better=True),
    ]
    heading, _, *lines = table(rows, values="seconds").splitlines()
    assert heading.startswith("| what | contender | seconds, median (least to most) | n |")
    assert lines == [
        "| grpo 0.04M | lab | 2.00 (1.00 to 9.00) | 3 |  |  |",
        "| grpo 0.04M | stock TRL | 6.50 (6.00 to 7.00) | 2 | 3.2x | 9% of groups idle |",
        "| problems | former lab | 125 (125 to 125) | 1 | 100.0x |  |",
        "| problems | lab | 12,500 (12,500 to 12,500) | 1 |  |  |",
    ]
    assert table([], values="seconds") == "Not measured."


def test_a_turn_uses_the_package_of_a_checkout(tmp_path: Path):
    package = tmp_path / "formatlab" / "world"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "four_formats.py").write_text("raise SystemExit(7)")
    asked = {"what": "problems", "seconds": 0.01}
    with pytest.raises(subprocess.CalledProcessError) as caught:
        in_process(world.rate, asked, tmp_path)
    assert caught.value.returncode == 7
    assert in_process(world.rate, asked) > 0


def test_parts_have_their_places_in_page_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world, "in_process", here)
    page, values = tmp_path / "page.md", tmp_path / "values.json"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    values.write_text('{"steps": "as it was"}')
    speed.main(["--only", "world", "--rounds", "1", "--json", str(values), "--write", str(page)])
    stored = json.loads(values.read_text())
    assert stored["steps"] == "as it was"
    assert [row["what"] for row in stored["world"]["rows"]] == ["problems", "documents"]
    text = page.read_text(encoding="utf-8")
    assert "| documents | lab |" in text
    for name in speed.PARTS:
        assert f"<!-- end of benchmarks.speed {name} -->" in text


def test_a_study_is_run_by_each_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("here", "former"):
        package = tmp_path / name / "formatlab"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(
            "import sys\nopen('words.txt', 'a').write(' '.join(sys.argv[1:]) + '\\n')"
        )
    monkeypatch.setattr(speed, "HERE", tmp_path / "here")
    values = tmp_path / "values.json"
    former = str(tmp_path / "former")
    speed.main(["--only", "study", "--rounds", "2", "--former", former, "--json", str(values)])
    lab, was = json.loads(values.read_text())["study"]["rows"]
    assert (lab["who"], len(lab["values"])) == ("lab", 2)
    assert (was["who"], was["what"]) == ("former lab", "scale_attractors, cpu")
    for name in ("here", "former"):
        words = (tmp_path / name / "words.txt").read_text().splitlines()
        assert len(words) == 2
        assert words[0].startswith("run experiments/scale_attractors.py --preset cpu --jobs 2 --")
