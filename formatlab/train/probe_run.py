"""The probe run: one model on one set of problems, its progress shown and its rollouts kept.

Rollouts go into a file beside the output, a line each, as they are sampled; so whatever ends the
process, they are there. Whoever has all of them writes the output and removes that file.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.store.atomic_file import explained_os_errors
from formatlab.store.rollout import Rollout, rollouts_to_table
from formatlab.train.progress import Progress
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from formatlab.train.probe import Probe


def kept_beside(output: Path) -> Path:
    """The file that rollouts are kept in until the output is written."""
    return output.with_name(f"{output.stem}.partial.jsonl")


@dataclass(frozen=True, kw_only=True)
class ProbeRun:
    """A model, problems, and how they are sampled."""

    name: str
    """Of the model, as the user gave it."""
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    prompts: Sequence[Prompt]
    probe: "Probe"
    limit: int
    """Most tokens of a completion."""

    def sample(
        self,
        rows: list[Rollout],
        show: Callable[[Progress], None],
        *,
        keep: Path | None = None,
    ) -> None:
        """Sample every prompt, in the batches in which the probe of a run would.

        Args:
            rows: where rollouts are added, a batch at a time; what is there counts when it fails.
            show: told of the progress; a step is a problem.
            keep: file that rollouts are written to as they come; it is begun anew.

        Raises:
            RunError: the file cannot be written.
        """
        from formatlab.train.policy import observe_policy

        total, at_once = len(self.prompts), max(1, self.probe.batch // self.probe.samples)
        with open(keep, "w", encoding="utf-8") if keep else nullcontext() as file:
            show(self._progress(rows, 0))
            for start in range(0, total, at_once):
                batch = observe_policy(
                    self.model,
                    self.tokenizer,
                    self.prompts[start : start + at_once],
                    self.probe,
                    limit=self.limit,
                    run_id=self.name,
                    step=0,
                    epoch=0.0,
                )
                rows += batch
                if keep and file is not None:
                    with explained_os_errors(keep):
                        for row in rollouts_to_table(batch).to_pylist():
                            file.write(json.dumps(row, ensure_ascii=False) + "\n")
                        file.flush()
                show(self._progress(rows, min(start + at_once, total)))

    def _progress(self, rows: Sequence[Rollout], done: int) -> Progress:
        (leader, count), *_ = Counter(row.tag for row in rows).most_common(1) or [(None, 0)]
        share = count / len(rows) if rows else None
        total = len(self.prompts)
        return Progress("sampling", done, total, leader, share, "a step is a problem")
