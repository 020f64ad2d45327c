"""The beginning of an experiment file: a study of seconds, which presets are made of."""

TINY = '''"""Endpoint: none; a study of seconds."""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.pretraining.base import Pretraining
from formatlab.train.probe import Probe
from formatlab.world.mixture import Mixture
from formatlab.world.world import World

TINY = LadderStudy(
    name="tiny",
    world=World(
        mixture=Mixture(name="tiny", shares={"direct": 0.4, "tool_tags": 0.6}),
        families=("chain",),
        max_steps=1,
        largest=5,
    ),
    scales=("0.04M",),
    pretraining=Pretraining(tokens=60_000, vocabulary=300),
    grpo=Grpo(prompts=8, prompts_per_step=4, group_size=4, epochs=1, completion_length=24),
    probe=Probe(prompts=6, samples=2, fractions=()),
)
'''
