"""The study that everything else is compared with."""

import pytest

from tests.faults.soundness import compared
from tests.faults.whole_study import WholeStudy

pytestmark = pytest.mark.faults


def test_a_study_equals_itself_and_has_every_kind_of_stage(study: WholeStudy):
    assert compared(study.runs, study.runs).differences == ()
    for algorithm in ("grpo", "ppo", "rloo", "expert_iteration", "sft", "dpo"):
        assert (study.runs / study.run(algorithm) / "DONE").exists()
    assert (study.runs / study.run("sft", adapter=True) / "DONE").exists()
    for adapter in (False, True):
        assert (study.runs / study.run("grpo", adapter=adapter, chained=True) / "DONE").exists()
