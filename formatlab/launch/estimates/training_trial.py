"""Trials of training: a step of pretraining, a batch of a probe, a step of an algorithm."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from formatlab.launch.estimates.trial import (
    ScaleTrial,
    first_documents,
    quarters,
    rl_prompts,
    some_documents,
)
from formatlab.models.lora import LoraSettings
from formatlab.models.scale import find_scale
from formatlab.store.run_folder import RunFolder
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import OnPolicy
from formatlab.train.pretraining.base import Pretraining
from formatlab.train.probe import Probe
from formatlab.world.prompt import Prompt, plain_prompt

_QUICK = 0.05
"""Seconds of a step of pretraining below which as many are timed as lie between its reports."""
_LENGTHS = (
    "prompts_per_step",
    "group_size",
    "iterations",
    "sequences_per_update",
    "completion_length",
    "micro_batch",
    "batch",
    "precision",
    "critic",
)
"""Settings that make a step longer or shorter."""
_SWITCHES = ("kl_coefficient", "entropy_coefficient")
"""Settings of which all values but 0 cost the same."""
_UPDATES = 6
"""Updates of fine-tuning that are timed."""


@dataclass(frozen=True, kw_only=True)
class PretrainingTrial(ScaleTrial):
    """One step of pretraining."""

    pretraining: Pretraining

    @property
    def label(self) -> str:
        """The scale."""
        return f"pretraining {self.scale}"

    def _rest(self) -> dict[str, Any]:
        return {"loss_on": self.pretraining.loss_on}

    @property
    def _sizes(self) -> list[int]:
        return quarters(find_scale(self.scale).batch_documents)

    def _at(self, size: int, place: Path, model: Path) -> float:
        from formatlab.train.pretraining.base import Base
        from formatlab.train.pretraining.pretrain import pretrain

        tokenizer, corpus = some_documents(self.world, self.vocabulary)
        base = Base(world=self.world, scale=self.scale, pretraining=self.pretraining)

        def seconds_per_step(documents: int) -> float:
            folder = RunFolder.create(place / str(documents), config={}, env={})
            reported = [(0, self._clock())]
            pretrain(
                base,
                folder,
                first_documents(corpus, documents),
                tokenizer,
                lambda step, total, note: reported.append((step, self._clock())),
            )
            # The time before the first step is counted where there is only one; it is short.
            (first, began), (last, ended) = reported[len(reported) > 2], reported[-1]
            return (ended - began) / (last - first)

        if size < self._sizes[-1]:
            return seconds_per_step(size)
        seconds = seconds_per_step(3 * size)
        return seconds if seconds > _QUICK else seconds_per_step(41 * size)


@dataclass(frozen=True, kw_only=True)
class ProbeTrial(ScaleTrial):
    """One batch of completions, sampled and graded."""

    probe: Probe
    limit: int
    """Most tokens of a completion."""

    @property
    def label(self) -> str:
        """The scale."""
        return f"sampling {self.scale}"

    @property
    def batch(self) -> int:
        """Completions that are sampled side by side."""
        return min(self.probe.batch, self.probe.prompts * self.probe.samples)

    def _rest(self) -> dict[str, Any]:
        return {"batch": self.batch, "samples": self.probe.samples, "limit": self.limit}

    @property
    def _sizes(self) -> list[int]:
        return quarters(max(1, self.batch // self.probe.samples))

    def _at(self, size: int, place: Path, model: Path) -> float:
        from formatlab.models.model import load_saved, load_tokenizer
        from formatlab.train.policy import observe_policy

        policy, tokenizer = load_saved(model), load_tokenizer(model)
        started = self._clock()
        observe_policy(
            policy, tokenizer, rl_prompts(self.world, size), self.probe, limit=self.limit
        )
        return self._clock() - started


@dataclass(frozen=True, kw_only=True)
class StageTrial(ScaleTrial):
    """One step of GRPO, PPO or RLOO, or one update of SFT or DPO."""

    settings: OnPolicy | Sft | Dpo
    lora: LoraSettings | None

    @property
    def label(self) -> str:
        """Algorithm and scale."""
        return f"{self.settings.name} {self.scale}"

    def _rest(self) -> dict[str, Any]:
        settings = costly_settings(self.settings.config)
        return {"settings": settings, "lora": asdict(self.lora) if self.lora else None}

    @property
    def _sizes(self) -> list[int]:
        settings = self.settings
        if not isinstance(settings, OnPolicy):
            return [settings.batch]
        return [
            size
            for size in quarters(settings.prompts_per_step)
            if settings.update_sequences * size % settings.prompts_per_step == 0
        ]

    def _at(self, size: int, place: Path, model: Path) -> float:
        settings = replace(
            self.settings,
            learning_rate=self.settings.learning_rate or 1e-6,
            checkpoint_every=10**6,
        )
        folder = RunFolder.create(place, config={}, env={})
        prompts = rl_prompts(self.world, size)
        reported = [self._clock()]
        options: dict[str, Any] = {
            "model": model,
            "probe": Probe(prompts=1, samples=1, fractions=()),
            "probe_prompts": prompts[:1],
            "seed": 0,
            "lora": self.lora,
            "report": lambda step, line: reported.append(self._clock()),
        }
        if isinstance(settings, OnPolicy):
            self._sample_and_learn(folder, settings, prompts, options)
        else:
            self._fine_tune(folder, settings, options)
        paces = [after - before for before, after in pairwise(reported)]
        return median(paces[1:])  # the first one is longer, by all that is set up in it

    def _sample_and_learn(
        self,
        folder: RunFolder,
        settings: OnPolicy,
        prompts: list[Prompt],
        options: dict[str, Any],
    ) -> None:
        """Make two steps, with so many prompts each."""
        from formatlab.train.on_policy.engine import Engine
        from formatlab.train.on_policy.exploration import Exploration
        from formatlab.train.on_policy.run import run_on_policy
        from formatlab.train.reward import Reward

        update = settings.update_sequences * len(prompts) // settings.prompts_per_step
        small = replace(
            settings,
            prompts=len(prompts),
            prompts_per_step=len(prompts),
            epochs=2,
            sequences_per_update=None if settings.sequences_per_update is None else update,
        )
        run_on_policy(
            folder,
            settings=small,
            reward=Reward(),
            exploration=Exploration(),
            engine=Engine(),
            prompts=prompts,
            **options,
        )

    def _fine_tune(self, folder: RunFolder, settings: Sft | Dpo, options: dict[str, Any]) -> None:
        """Make a few updates on documents, or on pairs of them."""
        from formatlab.models.model import load_tokenizer
        from formatlab.train.fine_tuning.examples import Example, Pair, dpo_row, sft_row
        from formatlab.train.fine_tuning.run import run_fine_tuning

        tokenizer: Any = load_tokenizer(options["model"])
        documents = islice(self.world.documents(), settings.batch * _UPDATES)
        examples = [
            Example(prompt=plain_prompt(d.problem).text, completion=d.solution) for d in documents
        ]
        rows = (
            [dpo_row(Pair(chosen=one, rejected=one), tokenizer) for one in examples]
            if isinstance(settings, Dpo)
            else [sft_row(one, tokenizer) for one in examples]
        )
        settings = replace(settings, examples=len(rows), epochs=1)
        run_fine_tuning(folder, rows, settings=settings, about={}, **options)


def costly_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of an algorithm's settings decides the cost of a step: whether, not how much."""
    lengths = {name: config[name] for name in _LENGTHS if name in config}
    switches = {name: bool(config[name]) for name in _SWITCHES if name in config}
    return lengths | switches
