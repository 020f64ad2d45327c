"""Which format does a real pretrained model keep when RL rewards only right answers to GSM8K?

The same instruments as in the controlled world, on a model and problems that nobody here made.
Expectation: the share of the format that is right most often at the base grows. A model that is
almost never right (SmolLM2-135M solves about 2% of GSM8K) has almost no reward to learn from, so
little should move; what moves then is drift, and the report's intervals have to say so.

Endpoint: the winner at the last probe, with the interval of its margin. A base that is right less
often than the floor in every format is undertrained for this purpose, and its run is not counted.

Presets: `cpu` is a few small steps that show the whole path on two cores, `demo` one of them; `gpu`
is the original work's settings of GRPO, PPO and expert iteration (arXiv 2504.07912).
"""

from dataclasses import replace

from formatlab.study.study import ModelStudy
from formatlab.train.expert_iteration.settings import echo_chamber_expert_iteration
from formatlab.train.on_policy.settings import Grpo, echo_chamber_grpo, echo_chamber_ppo
from formatlab.train.probe import Probe

CPU = ModelStudy(
    name="gsm8k",
    model="smollm2-135m",
    problems="gsm8k",
    chat=True,
    grpo=Grpo(
        learning_rate=1e-5,
        kl_coefficient=1e-3,
        prompts=12,
        prompts_per_step=4,
        group_size=4,
        epochs=1,
        completion_length=128,
        micro_batch=8,
        checkpoint_every=1,
    ),
    probe=Probe(prompts=16, samples=4, fractions=(), batch=64),
)

PRESETS = {
    "cpu": CPU,
    "demo": replace(
        CPU,
        grpo=replace(CPU.grpo, prompts=4),
        probe=replace(CPU.probe, prompts=8, samples=2),
    ),
    "gpu": replace(
        CPU,
        grpo=echo_chamber_grpo(),
        ppo=echo_chamber_ppo(),
        expert_iteration=echo_chamber_expert_iteration(),
        probe=Probe(prompts=256, samples=4, batch=512),
    ),
}
