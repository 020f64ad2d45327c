import json
from pathlib import Path

import pytest

from formatlab.errors import InputError
from formatlab.study.model_run import real_prompts, take_problems
from formatlab.world.prompt import Shots


@pytest.fixture
def problems(tmp_path: Path) -> str:
    path = tmp_path / "problems.jsonl"
    rows = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(6)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_the_first_problems_are_taken_and_those_trained_on_left_out(problems: str):
    trained = take_problems(problems, "train", 4, option="--grpo.prompts")
    probed = take_problems(
        problems, "test", 2, option="--probe.prompts", without={p.question for p in trained}
    )
    assert [p.answer for p in trained] == ["1", "2", "3", "4"]
    assert [p.answer for p in probed] == ["5", "6"]


def test_too_few_problems_are_said_with_the_option_to_lower(problems: str):
    with pytest.raises(InputError, match=r"holds 6 different problems, and 7 .*--grpo\.prompts"):
        take_problems(problems, "train", 7, option="--grpo.prompts")
    with pytest.raises(InputError, match=r"holds 5 .*not trained on.*--probe\.prompts"):
        take_problems(problems, "test", 6, option="--probe.prompts", without={"0 + 1?"})


def test_prompts_carry_question_answer_and_an_id_that_does_not_depend_on_the_examples(
    problems: str,
):
    taken = take_problems(problems, "train", 2, option="--prompts")
    bare = real_prompts(taken, Shots(counts={}), None)
    shown = real_prompts(taken, Shots(counts={"prose": 1}), None)
    assert [prompt.text for prompt in bare] == ["0 + 1?\n", "1 + 1?\n"]
    assert [prompt.gold for prompt in shown] == ["1", "2"]
    assert [prompt.id for prompt in bare] == [prompt.id for prompt in shown]
    assert all(s.text.endswith(b.text) for s, b in zip(shown, bare, strict=True))
