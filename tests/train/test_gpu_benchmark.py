"""The benchmark on a GPU, rehearsed on the CPU: every part at a tiny size."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import decoding, gpu, side_by_side, steps
from benchmarks.turns import Row
from formatlab.models.model import best_device

pytestmark = pytest.mark.skipif(best_device().type != "cpu", reason="a rehearsal for the CPU")


def here(function: Callable[..., Any], asked: Mapping[str, Any], _: Path | None = None) -> Any:
    """What `in_process` does, without the seconds that importing takes in another process."""
    return json.loads(json.dumps(function(**json.loads(json.dumps(asked)))))


@pytest.fixture
def rehearsed(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Does a part at a tiny size, in this process, from the tests' own base."""
    monkeypatch.setattr(steps, "in_process", here)
    monkeypatch.setattr(side_by_side, "in_process", here)
    for module in (gpu, steps):
        monkeypatch.setattr(module, "make_bench_base", lambda *_: tiny_base / "model")
    monkeypatch.setattr(gpu, "TINY", replace(gpu.TINY, runs=1))
    (tmp_path / "runs").mkdir()

    def do(name: str) -> gpu.Result | None:
        words = [str(tmp_path / "out"), "--device", "cpu", "--tiny", "--part", name]
        gpu.main([*words, "--seconds", "500", "--runs", str(tmp_path / "runs")])
        return gpu.read(tmp_path / "out", name)

    return do


@pytest.mark.parametrize("part", ["step_small", "step_large"])
def test_a_step_beside_stock_trl(part: str, rehearsed: Callable):
    lab, stock = rehearsed(part).rows
    assert [lab.who, stock.who] == ["lab", "stock TRL"]
    assert lab.what == stock.what
    assert (lab.what, lab.who) in gpu.comparisons(gpu.TINY)
    assert min(*lab.values, *stock.values) > 0


def test_runs_side_by_side(rehearsed: Callable, tiny_base: Path, tmp_path: Path):
    together, after_one_another = rehearsed("side_by_side").rows
    assert (together.what, together.who) in gpu.comparisons(gpu.TINY)
    assert together.is_lab and not after_one_another.is_lab
    assert min(*together.values, *after_one_another.values) > 0
    (tmp_path / "go").touch()
    base, folder = str(tiny_base / "model"), str(tmp_path)
    other = side_by_side.train(
        place=1, runs=2, steps=1, prompts_per_step=2, base=base, folder=folder
    )
    assert other["alone"] is None
    assert other["began"] < other["ended"]
    assert (tmp_path / "ready-1").exists()


def test_decoding(rehearsed: Callable, monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []

    def generate(prompts: list[Any], sampling: Any, use_tqdm: bool) -> None:
        asked.append(sum(len(prompt["prompt_token_ids"]) for prompt in prompts))

    engine = SimpleNamespace(generate=generate)
    vllm = SimpleNamespace(LLM=lambda **_: engine, SamplingParams=lambda **_: None)
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setattr(decoding, "find_spec", lambda name: True)
    rows = rehearsed("decoding").rows
    expected = [of for of in gpu.comparisons(gpu.TINY) if of[0].startswith("decoding")]
    assert [(row.what, row.who) for row in rows] == expected
    assert asked == [16 * decoding.PROMPT_TOKENS] * 4
    assert all(len(row.values) == 3 and row.more_is_better for row in rows)


@pytest.mark.slow
def test_the_study(rehearsed: Callable):
    result = rehearsed("study")
    assert result.done
    assert result.said.startswith("`scale_attractors`, runs done: 1. 0.04M-four-grpo-s0: ")


def test_a_study_that_runs_out_of_time_tells_what_is_done(tmp_path: Path):
    result = gpu.study(gpu.Given(sizes=gpu.TINY, runs=tmp_path, seconds=gpu._SECONDS_TO_TELL + 0.5))
    assert not result.done
    assert result.said == "`scale_attractors`, runs done: 0. "


def test_parts_are_done_once_each_in_its_own_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = [str(tmp_path), "--device", "cpu", "--tiny", "--only", "tests"]
    gpu.main([*command, "--minutes", "0.1"])
    assert "tests: no time is left" in capsys.readouterr().out
    gpu.main(command)
    printed = capsys.readouterr().out
    assert "tests: ended after" in printed
    assert "Tests on the CPU (torch " in printed and " tests collected" in printed
    assert "Not measured, or not to the end: step_small, " in printed
    log = (tmp_path / "log.txt").read_text()
    gpu.main(command)
    assert "ended" not in capsys.readouterr().out
    assert (tmp_path / "log.txt").read_text() == log


def test_a_part_that_fails_or_takes_too_long_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(gpu, "_SECONDS_TO_START", 0)
    command = [str(tmp_path), "--only", "tests"]
    gpu.main(command)  # there is no GPU
    assert "tests: failed, see log.txt: after" in capsys.readouterr().out
    assert "no cuda here: torch takes cpu" in (tmp_path / "log.txt").read_text()
    gpu.main([*command, "--minutes", "0.001"])
    assert "tests: stopped after" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.json"))


def test_the_page_has_a_place_for_it_and_says_what_is_not_measured(tmp_path: Path):
    page = tmp_path / "page.md"
    whole = Path(__file__).parents[2] / "docs" / "performance.md"
    page.write_text(whole.read_text(encoding="utf-8"), encoding="utf-8")
    what, who = gpu.comparisons(gpu.FULL)[0]
    result = gpu.Result(rows=[Row(what=what, who=who, values=[0.5])], done=True)
    stored = json.dumps(vars(result) | {"rows": [vars(row) for row in result.rows]})
    (tmp_path / "step_small.json").write_text(stored)
    gpu.main([str(tmp_path), "--minutes", "0", "--write", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "| grpo 0.13M, seconds a step | lab | 0.500 (0.500 to 0.500) | 1 |  |  |" in text
    assert "| grpo 107M, bfloat16, seconds a step | stock TRL | not measured | 0 |  |  |" in text
    assert "| 16 runs of 1.0M, seconds for a step of each | one after another | not" in text
