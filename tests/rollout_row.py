"""A rollout that is right, for tests to change."""

from formatlab.store.rollout import Rollout

ROW = Rollout(
    run_id="run",
    split="train",
    step=0,
    epoch=0.0,
    prompt_id="a",
    family="chain",
    sample=0,
    prompt="How many?\n",
    completion="3",
    tokens=2,
    tag="direct",
    well_formed=True,
    mixed=False,
    mixed_formats=(),
    truncated=False,
    gold="3",
    answer="3",
    correct=True,
    reason="",
    flexible_answer="3",
    flexible_correct=True,
    reward=1.0,
    advantage=None,
    logprob=-1.0,
    entropy=0.5,
)
