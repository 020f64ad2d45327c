"""The benchmark of a training step: every contender trains, and the table divides by the lab."""

from pathlib import Path

import pytest

from benchmarks import speed


@pytest.mark.parametrize("who", ["lab", "stock TRL"])
def test_a_turn_tells_the_seconds_of_its_steps_but_the_first(who: speed.Who, tiny_base: Path):
    seconds = speed._turn(
        who=who, algorithm="grpo", base=str(tiny_base / "model"), steps=3, prompts_per_step=2
    )
    assert len(seconds) == 2
    assert min(seconds) > 0


def test_the_table_says_how_much_faster_the_lab_is():
    seconds: dict[speed.Who, list[float]] = {"lab": [1.0, 2.0, 9.0], "stock TRL": [6.0, 7.0]}
    rows = [
        speed.Row(algorithm="grpo", scale="0.04M", who=who, seconds=found)
        for who, found in seconds.items()
    ]
    _, _, lab, stock = speed._table(rows).splitlines()
    assert lab == "| grpo 0.04M | lab | 2.00 (1.00 to 9.00) | 3 |  |"
    assert stock == "| grpo 0.04M | stock TRL | 6.50 (6.00 to 7.00) | 2 | 3.2x |"
