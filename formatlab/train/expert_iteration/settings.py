"""Expert iteration: sample, keep the right answers, fine-tune on them, and again."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from formatlab.train.fine_tuning.settings import Sft
from formatlab.train.stage import RolloutSettings, StageInputs


@dataclass(frozen=True, kw_only=True)
class ExpertIteration(RolloutSettings):
    """Settings of expert iteration (Anthony et al. 2017; here as in arXiv 2504.07912).

    A round samples every prompt once from the newest policy, keeps of each prompt the distinct
    completions that the reward paid, and fine-tunes on them. A round is an epoch.
    """

    name: ClassVar[str] = "expert_iteration"
    counts: ClassVar[tuple[str, ...]] = (
        "prompts_per_step",
        "group_size",
        "rounds",
        "sft_epochs",
        "sft_batch",
    )

    prompts_per_step: int = 64
    """Different prompts in one step."""
    group_size: int = 8
    """Completions of each prompt."""
    rounds: int = 2
    """Times of sampling and fine-tuning; each passes over the prompts once."""
    start: Literal["base", "last"] = "base"
    """What each round fine-tunes: the base, or the policy of the round before."""
    sft_epochs: int = 2
    """Passes over the kept completions in a round."""
    sft_batch: int = 16
    """Completions in one optimiser update."""

    @property
    def epochs(self) -> int:
        """Passes over the prompts: the rounds."""
        return self.rounds

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.rounds

    @property
    def rules(self) -> dict[str, Any]:
        """Those of all stages, and of the fine-tuning in a round."""
        return {**super().rules, "sft": Sft.version}

    def fine_tuning(self, kept: int) -> Sft:
        """A round's fine-tuning on `kept` completions."""
        return Sft(
            source="rollouts",
            examples=max(kept, self.sft_batch),
            epochs=self.sft_epochs,
            batch=self.sft_batch,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup=self.warmup,
            adam_beta2=self.adam_beta2,
            gradient_clip=self.gradient_clip,
            precision=self.precision,
            micro_batch=self.micro_batch,
            checkpoint_every=self.checkpoint_every,
            completion_length=self.completion_length,
        )

    def _train(self, inputs: StageInputs) -> None:
        from formatlab.train.expert_iteration.rounds import run_expert_iteration

        run_expert_iteration(self, inputs)


def echo_chamber_expert_iteration(prompts: int = 7_424) -> ExpertIteration:
    """The original paper's settings for its models of 150M parameters (arXiv 2504.07912).

    64 completions a prompt at temperature 1, the distinct right ones kept, two epochs at learning
    rate 1e-4 and batch 256 from the base in each of three rounds (two at 1B). The original samples
    with top-p 0.95; this lab's sampler draws from the whole distribution. GSM8K's 7,473 training
    problems are cut to a multiple of 64.
    """
    return ExpertIteration(
        learning_rate=1e-4,
        prompts=prompts,
        group_size=64,
        rounds=3,
        start="base",
        sft_epochs=2,
        sft_batch=256,
        temperature=1.0,
        completion_length=1024,
        precision="bfloat16",
        micro_batch=64,
        checkpoint_every=16,
    )
