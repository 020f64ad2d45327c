"""The work of a step as it is counted, and the figure that is made of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaForCausalLM

from benchmarks import cost
from benchmarks.roofline import Machine, Rollout, Work, step_work
from formatlab.models.scale import find_scale

VOCABULARY = 300


def rollout(prompt: str = "a", *, prompt_tokens: int, tokens: int, learned: bool = True) -> Rollout:
    return Rollout(prompt=prompt, prompt_tokens=prompt_tokens, tokens=tokens, learned=learned)


@pytest.mark.parametrize("name", ["0.04M", "0.46M"])
def test_operations_are_those_that_torch_counts(name: str):
    scale = find_scale(name)
    model = LlamaForCausalLM(scale.architecture(vocabulary=VOCABULARY, context=64, pad=0, eos=1))
    model.set_attn_implementation("eager")  # of the fused one torch counts nothing on a CPU
    ids, kept = torch.randint(300, (1, 40)), 11
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, logits_to_keep=kept)
    work = step_work(scale, VOCABULARY, [rollout(prompt_tokens=30, tokens=11)])
    # Torch counts attention to all 40 tokens, whether they are hidden or not.
    hidden = 4 * scale.depth * scale.width * (40 * 40 - 40 * 41 // 2)
    assert work["base"].flops + hidden == counter.get_total_flops()


def test_a_prompt_is_read_once_for_its_group():
    scale = find_scale("0.04M")
    one = [rollout(prompt_tokens=30, tokens=1)]
    logits = 2 * scale.width * VOCABULARY
    assert (
        step_work(scale, VOCABULARY, one * 8)["base"].flops
        == step_work(scale, VOCABULARY, one)["base"].flops + 7 * logits
    )


def test_learning_costs_three_passes_over_what_is_learned():
    scale = find_scale("0.13M")
    learned = rollout(prompt_tokens=30, tokens=20)
    idle = rollout("b", prompt_tokens=30, tokens=20, learned=False)
    work = step_work(scale, VOCABULARY, [learned, idle])
    logits = 2 * scale.width * VOCABULARY * 20
    assert work["sampling"].flops == work["base"].flops
    assert work["learning"].flops == 3 * work["base"].flops / 2 + logits
    nothing = step_work(scale, VOCABULARY, [idle])["learning"]
    assert nothing.flops == 0


def test_sampling_reads_the_weights_at_every_position():
    scale = find_scale("1.9M")
    short, long = (
        step_work(scale, VOCABULARY, [rollout(prompt_tokens=1, tokens=tokens)])
        for tokens in (2, 102)
    )
    weights = 4 * scale.parameters(VOCABULARY)
    more = long["sampling"].bytes - short["sampling"].bytes
    assert 100 * weights < more < 120 * weights
    assert short["base"].bytes < 2 * weights


def test_the_slower_of_arithmetic_and_memory_decides():
    machine = Machine(flops=10, bytes=2)
    assert machine.seconds(Work(flops=30, bytes=4)) == 3
    assert machine.seconds(Work(flops=10, bytes=4)) == 2


def test_settings_are_measured_tabled_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cost, "VARIED", ("0.04M", "0.08M"))
    machine = Machine(flops=1e11, bytes=1e10)
    monkeypatch.setattr(cost, "machine", lambda: machine)
    few = [
        *(cost.Setting(varied="parameters", scale=scale) for scale in cost.VARIED),
        *(cost.Setting(varied="group size", scale=scale, group=4) for scale in cost.VARIED),
        *(cost.Setting(varied="completion length", scale=scale, length=8) for scale in cost.VARIED),
    ]
    few = [replace(setting, rollouts=8, length=min(setting.length, 12)) for setting in few]
    monkeypatch.setattr(cost, "SETTINGS", few)
    cost.main(["--folder", str(tmp_path)])
    rows = cost.read_table(tmp_path / "cost.csv")
    assert [(row.varied, row.scale, row.group_size) for row in rows] == [
        (setting.varied, setting.scale, setting.group) for setting in few
    ]
    for row in rows:
        assert row.rollouts == 8
        assert 1 <= row.tokens <= row.completion_length
        assert 0 < row.learned <= 1
        assert row.floor > 0
        assert row.seconds > 0
        assert row.machine_flops == machine.flops
    drawn = (tmp_path / "cost.png").read_bytes()
    cost.main(["--folder", str(tmp_path), "--draw"])
    assert (tmp_path / "cost.png").read_bytes() == drawn
