"""The recorder: makes a rollout of each graded completion, and writes those of training to disk."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from formatlab.observe.grader import Grade
from formatlab.observe.tagger import Tag
from formatlab.store.rollout import Rollout, Split, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.world.prompt import Prompt


def graded_rollout(
    prompt: Prompt,
    completion: str,
    seen: Grade | Tag,
    *,
    run_id: str,
    split: Split,
    step: int,
    epoch: float,
    tokens: int,
    truncated: bool,
    sample: int = 0,
    reward: float | None = None,
    advantage: float | None = None,
    logprob: float | None = None,
    entropy: float | None = None,
) -> Rollout:
    """The row of one completion.

    `seen` is the grade of the completion; its tag alone where the right answer is not known. The
    keyword arguments are columns of `ROLLOUT_SCHEMA`, which has their meanings and units.
    """
    grade, tag = (seen, seen.tag) if isinstance(seen, Grade) else (None, seen)
    return Rollout(
        run_id=run_id,
        split=split,
        step=step,
        epoch=epoch,
        prompt_id=prompt.id,
        family=prompt.family,
        sample=sample,
        prompt=prompt.text,
        completion=completion,
        tokens=tokens,
        tag=tag.format,
        well_formed=tag.well_formed,
        mixed=tag.mixed,
        mixed_formats=tag.mixed_formats,
        truncated=truncated,
        gold=prompt.gold if grade else None,
        answer=grade.answer if grade else None,
        correct=grade.correct if grade else None,
        reason=grade.reason if grade else tag.missing or "",
        flexible_answer=grade.flexible_answer if grade else None,
        flexible_correct=grade.flexible_correct if grade else None,
        reward=reward,
        advantage=advantage,
        logprob=logprob,
        entropy=entropy,
    )


def sample_numbers(prompt_ids: Sequence[str]) -> list[int]:
    """For each row of a batch, how many rows before it have the same prompt."""
    seen: dict[str, int] = {}
    numbers = []
    for prompt_id in prompt_ids:
        numbers.append(seen.get(prompt_id, 0))
        seen[prompt_id] = numbers[-1] + 1
    return numbers


def number_samples(rows: Sequence[Rollout]) -> list[Rollout]:
    """The rows of a whole batch, each with its position among those of its prompt."""
    numbers = sample_numbers([row.prompt_id for row in rows])
    return [replace(row, sample=number) for row, number in zip(rows, numbers, strict=True)]


class TrainRecorder:
    """Collects the training rollouts of an epoch and writes them to the run folder.

    Rows are on disk after `flush`, which the trainer calls before every checkpoint: a checkpoint
    never stands without the rollouts that led to it.
    """

    def __init__(self, folder: RunFolder, *, epoch: int, part_rows: int | None = None) -> None:
        """Continue an epoch of which the folder may hold the first steps already.

        Args:
            folder: where the rows go.
            epoch: index of the pass over the prompts that comes next.
            part_rows: rows after which an epoch continues in a further file, so that neither the
                memory nor the time of a flush grows with the epoch; None for one file an epoch.
        """
        self._folder = folder
        self._part_rows = part_rows
        self._rows: list[Rollout] = []
        self._start(epoch)

    def add(self, rows: Sequence[Rollout]) -> None:
        """Keep rows in the order of their epochs; when an epoch begins, the last one is written."""
        for epoch, of_epoch in groupby(rows, key=lambda row: int(row.epoch)):
            if epoch != self._epoch:
                self.flush()
                self._start(epoch)
            self._rows += of_epoch

    def flush(self) -> None:
        """Write the rows added since the last flush."""
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
