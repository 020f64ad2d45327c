"""Rollouts of trainers are read without flags, in rows of ours laid out as they write them.

Each case names the repository, file and commit of the code that writes such rows.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import tokenizers

from formatlab.observe.files.layout import Layout
from formatlab.observe.files.layouts import Columns
from formatlab.observe.files.source import RolloutReader, find_sources
from formatlab.observe.files.tagging import TagJob, tag_chunk

RIGHT, WRONG = "The answer is 5.", "The answer is 6."


def read(*paths: Path) -> tuple[list[Layout], list[dict[str, Any]]]:
    """The layouts of files and folders, and what `formatlab tag` makes of their rows."""
    reader = RolloutReader(sources=find_sources([str(path) for path in paths]), columns=Columns())
    found: list[dict[str, Any]] = []
    for chunk, layout in reader.chunks():
        done = tag_chunk(chunk, layout, TagJob())
        assert (done.bad.lines("bad"), done.notes.lines("note")) == ([], [])
        batch = done.batch()
        found += batch.to_pylist() if batch else []
    assert reader.skipped == {}
    return list(reader.layouts), found


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_of(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What was read of each row."""
    said = ("correct", "step", "file_correct", "file_reward", "file_truncated")
    return [tuple(row[name] for name in said) for row in rows]


def test_verl_before_its_new_trainer(tmp_path: Path):
    """verl-project/verl, verl/trainer/ppo/ray_trainer.py at 0094eb2057e6, _write_generations.

    One file a step, of `rollout_data_dir` and `validation_data_dir`; what the reward function gives
    beside its score (here that of DAPO) are columns, of a validation `reward` too.
    """
    prompt = "user\nWhat is 2 + 3?\nassistant\n"
    for step in (9, 10):
        rows = [
            {"input": prompt, "output": text, "gts": "5", "score": score, "step": step}
            | {"reward": score, "acc": acc, "pred": pred}
            for text, score, acc, pred in ((RIGHT, 1.0, True, "5"), (WRONG, -1.0, False, "6"))
        ]
        jsonl(tmp_path / f"{step}.jsonl", *rows)
    (layout,), found = read(tmp_path)
    assert (layout.name, layout.prompt) == ("verl rollout_data_dir", "input")
    assert read_of(found) == [
        (right, step, right, 1.0 if right else -1.0, None)
        for step in (9.0, 10.0)
        for right in (True, False)
    ]


def test_verl_today(tmp_path: Path):
    """verl-project/verl, verl/trainer/ppo/v1/trainer_base.py at 04141f84a365, _log_rollout_data."""
    rows = [
        {"input": "user\nWhat is 2 + 3?\nassistant\n", "output": text, "gts": gold, "score": score}
        | {"step": 3, "uid": f"0f9b7d62-63a4-4a43-8d3c-6c1f3a6f6c11_{session}_0"}
        for session, (text, gold, score) in enumerate([(RIGHT, "5", 1.0), (WRONG, "5", 0.0)])
    ]
    (layout,), found = read(jsonl(tmp_path / "3.jsonl", *rows))
    assert layout.name == "verl rollout_data_dir"
    assert read_of(found) == [(True, 3.0, True, 1.0, None), (False, 3.0, False, 0.0, None)]


def trace(text: str, score: float, **fields: Any) -> dict[str, Any]:
    """PrimeIntellect-ai/verifiers, verifiers/v1/trace.py at 00eee6c6308d, without empty fields."""
    return {
        "version": 1,
        "id": "7b0c5d",
        "verifiers": {"version": "0.2.1"},
        "task": {"type": "Sums", "data": {"idx": 4, "prompt": "2 + 3?", "answer": "5"}, "key": "4"},
        "agent": {"config": {"model": "m", "harness": {"id": "default"}}, "name": "agent"},
        "nodes": [
            {"message": {"role": "system", "content": "Solve it."}, "sampled": False},
            {"parent": 0, "message": {"role": "user", "content": "2 + 3?"}, "sampled": False},
            {
                "parent": 1,
                "message": {"role": "assistant", "content": text, "reasoning_content": "Hm, 7."},
                "sampled": True,
                "token_ids": [1, 2],
                "mask": [False, True],
                "logprobs": [-0.1],
            },
        ],
        "calls": [{"node": 2, "model": "m", "finish_reason": "stop", "time": {"start": 1.0}}],
        "rewards": {"correct": {"score": score, "weight": 1.0}},
        "metrics": {"num_turns": 1.0},
        "is_completed": True,
        "ok": True,
        "stop_condition": "agent_completed",
        "errors": [],
    } | fields


def episode(*traces: dict[str, Any], step: int, errors: Any = ()) -> dict[str, Any]:
    """PrimeIntellect-ai/verifiers, verifiers/v1/episode.py at 11eb4d611d99, to_record."""
    return {
        "id": "e1",
        "env": {"id": "sums", "name": "sums"},
        "task": {"type": "Sums", "data": {"idx": 4, "answer": "5"}},
        "group": {"id": "g"},
        "run": {"type": "train", "id": "r", "work": {"type": "train", "step": step}},
        "ok": not errors,
        "errors": list(errors),
        "traces": list(traces),
    }


def test_prime_rl_today(tmp_path: Path):
    """PrimeIntellect-ai/prime-rl, src/prime_rl/monitors/file/monitor.py at 048a6e23428e.

    A stream of episodes in chunks, those that are full packed by zstd (traces/chunks.py at
    551bfc39ba61), with an index and annotations beside it.
    """
    failed = {"type": "ProviderError", "message": "no answer within 60 s"}
    first = [
        episode(trace(RIGHT, 1.0), trace(WRONG, 0.0), step=7, errors=[failed]),
        episode(trace(WRONG, 0.0, stop_condition="max_output_tokens"), step=7),
    ]
    packed = "".join(json.dumps(row) + "\n" for row in first).encode()
    stream = tmp_path / "traces" / "stream"
    jsonl(stream / "00001.jsonl", episode(trace("The answer is", 0.0), step=8))
    (stream / "00000.jsonl.zst").write_bytes(pa.Codec("zstd").compress(packed, asbytes=True))
    jsonl(tmp_path / "traces" / "stream.index.jsonl", {"line": 1, "reward": 1.0, "offset": 0})
    jsonl(tmp_path / "traces" / "annotations" / "orch" / "00000.jsonl", {"trace": "7b0c5d"})
    (tmp_path / "eval_plan.json").write_text('{"sums": {"0": 8}}')
    (layout,), found = read(tmp_path)
    assert (layout.name, layout.nesting.lists) == ("prime-rl episodes", ("traces",))
    assert read_of(found) == [
        (True, 7.0, True, 1.0, False),
        (False, 7.0, False, 0.0, False),
        (False, 7.0, False, 0.0, True),
        (False, 8.0, False, 0.0, False),
    ]


def test_prime_rl_before_its_episodes(tmp_path: Path):
    """Traces of a step in a file, in prime-rl's pull request 2983; rewards have no weights."""
    cut = {"calls": [{"finish_reason": "length"}], "rewards": {"correct": 0.0}}
    rows = [trace(RIGHT, 1.0), trace("So 2 + 3", 0.0, **cut)]
    path = jsonl(tmp_path / "rollouts" / "step_12" / "train" / "all" / "traces.jsonl", *rows)
    (layout,), found = read(path)
    assert layout.name == "verifiers traces"
    assert read_of(found) == [(True, 12.0, True, 1.0, False), (False, 12.0, False, 0.0, True)]


def test_verifiers_today(tmp_path: Path):
    """PrimeIntellect-ai/verifiers, verifiers/v1/cli/output.py at 041e0a31a176, write_trace.

    Rewards with weights are added up; half a reward is no verdict.
    """
    half = {"correct": {"score": 1.0, "weight": 0.5}, "style": {"score": 0.2, "weight": 1.0}}
    turn = {"message": {"role": "tool", "tool_call_id": "c", "content": "5"}, "sampled": False}
    called = {"id": "c", "name": "run", "arguments": '{"code": "2 + 3"}'}
    nodes = [
        {"message": {"role": "user", "content": "2 + 3?"}, "sampled": False},
        {
            "parent": 0,
            "message": {"role": "assistant", "content": None, "tool_calls": [called]},
            "sampled": True,
        },
        turn | {"parent": 1},
        {"parent": 2, "message": {"role": "assistant", "content": RIGHT}, "sampled": True},
    ]
    rows = [trace(RIGHT, 1.0, rewards=half), trace("", 0.0, nodes=nodes)]
    (layout,), found = read(jsonl(tmp_path / "outputs" / "sums" / "traces.jsonl", *rows))
    assert (layout.name, layout.verdict) == ("verifiers traces", None)
    assert [row["file_reward"] for row in found] == [0.7, 0.0]
    assert [row["correct"] for row in found] == [True, True]
    assert [row["tag"] for row in found] == ["prose", "tool_tags"]


def test_verifiers_before_its_traces(tmp_path: Path):
    """PrimeIntellect-ai/verifiers, verifiers/utils/save_utils.py at 00d832043321.

    What the environment measures (here `correct_answer`) is beside `metrics` again; `metadata.json`
    holds no rollouts.
    """
    rows = [
        {
            "example_id": 0,
            "prompt": [{"role": "user", "content": "2 + 3?"}],
            "completion": [{"role": "assistant", "content": text}],
            "answer": "5",
            "reward": reward,
            "error": None,
            "timing": {"generation_ms": 12.0},
            "is_completed": True,
            "is_truncated": cut,
            "stop_condition": "max_turns_reached",
            "metrics": {"check_answer": reward},
            "tool_defs": [],
            "token_usage": {"input_tokens": 9.0, "output_tokens": 4.0},
            "check_answer": reward,
        }
        for text, reward, cut in ((RIGHT, 1.0, False), ("So 2 + 3 is", 0.0, True))
    ]
    folder = tmp_path / "outputs" / "evals" / "sums--m" / "1f2e"
    jsonl(folder / "results.jsonl", *rows)
    (folder / "metadata.json").write_text(json.dumps({"env_id": "sums", "model": "m"}))
    (layout,), found = read(folder)
    assert layout.name == "verifiers rollouts"
    assert read_of(found) == [(True, None, True, 1.0, False), (False, None, False, 0.0, True)]


def test_open_instruct(tmp_path: Path):
    """allenai/open-instruct, open_instruct/rl_utils.py at 00feb3a56731, RolloutRecord.

    It has token ids, numbers rollouts in their batch and not by prompt, and pays 10.
    """
    words = {word: n for n, word in enumerate(["?", "The", "answer", "is", "5", "6", "<end>"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    tokenizer.add_special_tokens(["<end>"])
    model = tmp_path / "model"
    model.mkdir()
    tokenizer.save(str(model / "tokenizer.json"))
    rows = [
        {"step": 2, "sample_idx": n, "prompt_idx": n // 2, "prompt_tokens": [n // 2]}
        | {"response_tokens": [1, 2, 3, 4 + n % 2], "reward": 10.0 * (n % 2 == 0)}
        | {"advantage": 0.0, "finish_reason": "length" if n == 3 else "stop", "dataset": "gsm8k"}
        | {"ground_truth": [4], "request_info": {"num_calls": 0}, "logprobs": [-0.1] * 4}
        for n in range(4)
    ]
    folder = tmp_path / "rollouts"
    jsonl(folder / "run_rollouts_000000.jsonl", *rows)
    jsonl(folder / "run_metadata.jsonl", {"run_name": "run", "model_name": str(model)})
    (layout,), found = read(folder)
    assert (layout.name, layout.verdict, layout.sample) == ("open-instruct save_traces", None, None)
    assert read_of(found) == [
        (True, 2.0, None, 10.0, False),
        (False, 2.0, None, 0.0, False),
        (True, 2.0, None, 10.0, False),
        (False, 2.0, None, 0.0, True),
    ]


def test_openrlhf(tmp_path: Path):
    """OpenRLHF/OpenRLHF, openrlhf/cli/batch_inference.py at 0551ff62af4a: generate_vllm, rm."""
    generated = jsonl(tmp_path / "generated.jsonl", *[{"input": "2 + 3?", "output": RIGHT}] * 2)
    rewarded = jsonl(
        tmp_path / "rewarded.jsonl", {"input": "2 + 3?", "output": RIGHT, "reward": -0.25}
    )
    layouts, found = read(generated, rewarded)
    assert {layout.name for layout in layouts} == {"OpenRLHF samples"}
    assert read_of(found) == [(None, None, None, reward, None) for reward in (None, None, -0.25)]
    assert [row["tag"] for row in found] == ["prose"] * 3


def test_openrlhf_logs_a_sample_a_step(tmp_path: Path):
    """OpenRLHF/OpenRLHF, openrlhf/trainer/ppo_utils/loggers.py at 82c060e61b2a, in a table of W&B.

    The text is the whole sequence without special tokens, so that of a template the roles are left.
    """
    asked = "system\nYou solve sums.\nuser\nWhat is 2 + 3?\nassistant\n"
    table = {
        "columns": ["global_step", "text", "reward"],
        "data": [[1, f"{asked}{RIGHT}", 1.0], [2, f"{asked}{WRONG}", 0.0]],
    }
    path = tmp_path / "generated_samples_2.table.json"
    path.write_text(json.dumps(table))
    (layout,), found = read(path)
    assert (layout.cut, layout.step) == ("turn", "global_step")
    assert layout.completion_of({"text": f"{asked}{RIGHT}"}) == RIGHT
    assert read_of(found) == [(None, 1.0, True, 1.0, None), (None, 2.0, False, 0.0, None)]
