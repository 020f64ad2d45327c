"""`formatlab probe` on a model of random weights: every number that it promises is printed."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_llama import tiny_model, tiny_tokenizer

from formatlab.cli.main import main


def test_a_model_is_observed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tiny_model().save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    problems, output = tmp_path / "problems.jsonl", tmp_path / "rollouts.parquet"
    problems.write_text("".join(f'{{"question": "{n}+1?", "answer": {n + 1}}}\n' for n in range(3)))
    words = ["--model", tmp_path / "model", "--problems", problems, "--output", output]
    limits = ["--prompts", "3", "--samples", "2", "--completion-length", "8"]
    assert main(["probe", *map(str, words), *limits]) == 0
    said = capsys.readouterr().out
    rollouts = pq.read_table(output)
    assert rollouts.num_rows == 6
    for tag in set(rollouts["tag"].to_pylist()):
        assert tag in said
        assert ("the grader's errors by format" in said) or tag == "none"
    for words in ("accuracy 0.", "H(F|X)", "distinct answers", "truncated"):
        assert words in said
