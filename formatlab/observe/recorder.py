"""The recorder: turns sampled completions into rollout rows, and keeps every one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from formatlab.observe.grader import Grade
from formatlab.store.rollout import Rollout, Split, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.world.prompt import Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One completion as it was sampled and graded."""

    prompt: Prompt
    sample: int
    """Position among the completions of the same prompt in the same batch, from 0."""
    completion: str
    grade: Grade
    tokens: int
    """Length in tokens, the end mark included."""
    truncated: bool
    """Whether it was cut at the length limit."""
    logprob: float | None
    """Sum over its tokens, in nats, at temperature 1; None where the sampler does not tell."""
    entropy: float | None
    """Mean over its tokens, in nats, at temperature 1; None where the sampler does not tell."""
    reward: float | None = None
    """What the trainer was told; None for a probe."""
    advantage: float | None = None
    """What the policy was trained on; None for a probe."""

    def numbered(self, sample: int) -> Self:
        """The same observation at another place among those of its prompt."""
        return replace(self, sample=sample)


def rollout(
    observation: Observation, *, run_id: str, split: Split, step: int, epoch: float
) -> Rollout:
    """The row that an observation becomes."""
    grade = observation.grade
    return Rollout(
        run_id=run_id,
        split=split,
        step=step,
        epoch=epoch,
        prompt_id=observation.prompt.id,
        family=observation.prompt.family,
        sample=observation.sample,
        prompt=observation.prompt.text,
        completion=observation.completion,
        tokens=observation.tokens,
        tag=grade.tag.format,
        well_formed=grade.tag.well_formed,
        mixed=grade.tag.mixed,
        mixed_formats=grade.tag.mixed_formats,
        truncated=observation.truncated,
        gold=observation.prompt.gold,
        answer=grade.answer,
        correct=grade.correct,
        reason=grade.reason,
        reward=observation.reward,
        advantage=observation.advantage,
        logprob=observation.logprob,
        entropy=observation.entropy,
    )


def sample_numbers(prompt_ids: Sequence[str]) -> list[int]:
    """For each row of a batch, how many rows before it have the same prompt."""
    seen: dict[str, int] = {}
    numbers = []
    for prompt_id in prompt_ids:
        numbers.append(seen.get(prompt_id, 0))
        seen[prompt_id] = numbers[-1] + 1
    return numbers


class TrainRecorder:
    """Collects the training rollouts of an epoch and writes them to the run folder.

    Rows are on disk after `flush`, which the trainer calls before every checkpoint: a checkpoint
    never stands without the rollouts that led to it.
    """

    def __init__(self, folder: RunFolder, *, epoch: int, part_rows: int | None = None) -> None:
        """Go on with an epoch of which the folder may hold the first steps already.

        Args:
            folder: where the rows go.
            epoch: index of the pass over the prompts that comes next.
            part_rows: rows after which an epoch goes on in a further file, so that neither the
                memory nor the time of a flush grows with the epoch; None for one file an epoch.
        """
        self._folder = folder
        self._part_rows = part_rows
        self._rows: list[Rollout] = []
        self._start(epoch)

    def add(self, observations: Sequence[Observation], *, step: int, epoch: int) -> None:
        """Keep the rollouts of one step; those of a finished epoch are written first."""
        name = self._folder.name
        self.keep(
            [
                rollout(o, run_id=name, split="train", step=step, epoch=float(epoch))
                for o in observations
            ],
            epoch=epoch,
        )

    def keep(self, rows: Sequence[Rollout], *, epoch: int) -> None:
        """Keep rows of one epoch; those of a finished epoch are written first."""
        if epoch != self._epoch:
            self.flush()
            self._start(epoch)
        self._rows += rows

    def flush(self) -> None:
        """Write what was kept since the last time."""
        if len(self._rows) == self._written:
            return
        self._folder.write_rollouts("train", float(self._epoch), self._rows, part=self._part)
        self._written = len(self._rows)
        if self._part_rows is not None and self._written >= self._part_rows:
            self._part, self._rows, self._written = self._part + 1, [], 0

    def _start(self, epoch: int) -> None:
        self._epoch = epoch
        self._part = self._folder.last_part("train", epoch)
        table = self._folder.rollouts("train", epoch=epoch, part=self._part)
        self._rows = rollouts_from_table(table)
        self._written = len(self._rows)
