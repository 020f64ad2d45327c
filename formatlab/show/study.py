"""A study as figures and tables see it: its measured runs, grouped into arms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from formatlab.errors import InputError
from formatlab.show.arm import Arm, Mixture, distinct_rewards, grouped_arms, mixtures_of
from formatlab.show.palette import format_order
from formatlab.show.run_facts import RunReward
from formatlab.show.run_result import RunResult, measured_run, with_distance_from_base
from formatlab.show.wording import mixture_text, name_text
from formatlab.store import RunFolder
from formatlab.store.track import Track, untracked


@dataclass(frozen=True, kw_only=True)
class Study:
    """All runs of a study."""

    name: str
    arms: Sequence[Arm]
    """By setting, then by parameter count."""
    mixtures: Sequence[Mixture]
    """The mixtures that occur."""

    @property
    def runs(self) -> list[RunResult]:
        """All runs, arm by arm."""
        return [run for arm in self.arms for run in arm.runs]

    @property
    def settings(self) -> list[str]:
        """The settings of the arms, in order."""
        return list(dict.fromkeys(arm.setting for arm in self.arms))

    @property
    def rewards(self) -> list[RunReward]:
        """The rewards, each once, in the order of the arms."""
        return distinct_rewards([run.facts for run in self.runs])

    @property
    def only_correctness(self) -> bool:
        """Whether all runs have the default reward, which then is not named."""
        return all(reward.is_correctness for reward in self.rewards)

    @property
    def any_without_signal(self) -> bool:
        """Whether an arm's reward carries no signal, so that it can drift but not collapse."""
        return any(not arm.reward.has_signal for arm in self.arms)

    @cached_property
    def tags(self) -> list[str]:
        """All tags that occur, in the order of the palette."""
        return format_order(
            {row["tag"] for run in self.runs for row in run.training_shares}
            | {of["tag"] for run in self.runs for row in run.winners for of in row["formats"]}
        )

    @property
    def mixtures_text(self) -> str:
        """The mixtures in a sentence, if there are several; else empty."""
        if len(self.mixtures) < 2:
            return ""
        texts = [f"{mixture.label}: {self._mixture_words(mixture)}" for mixture in self.mixtures]
        return f" Of the settings, {'; '.join(texts)}."

    def _mixture_words(self, mixture: Mixture) -> str:
        words = mixture_text(mixture.shares)
        if sum(other.shares == mixture.shares for other in self.mixtures) < 2:
            return words
        errors = [
            f"{name_text(tag)} mistranslates {' and '.join(map(name_text, phrases))}"
            for tag, phrases in mixture.mistranslates.items()
        ]
        return f"{words} ({', '.join(errors) or 'nothing mistranslated'})"

    @property
    def any_chain(self) -> bool:
        """Whether a run is a stage after others, so that its start is not the base."""
        return any(run.facts.after_stages for run in self.runs)

    @property
    def start_name(self) -> str:
        """The word for the model that the runs started from."""
        return "start" if self.any_chain else "base"

    @property
    def probe_text(self) -> str:
        """The size of the probes, in words."""
        sizes = {
            (row["n_prompts"], row["samples_per_prompt"] or 0)
            for run in self.runs
            for row in run.winners
        }
        texts = [
            f"{prompts:,} prompts x {samples or 'unequal'} samples"
            for prompts, samples in sorted(sizes)
        ]
        return " or ".join(texts) or "0 prompts"


def measured_study(runs: Sequence[RunFolder], *, track: Track = untracked) -> Study:
    """Read and measure the runs of a study.

    Args:
        runs: their folders.
        track: shows how many are measured.

    Raises:
        InputError: no runs, or the same run twice.
    """
    if not runs:
        raise InputError(
            "There are no runs to show. Give a runs folder in which a study has been run."
        )
    results = with_distance_from_base(
        runs, [measured_run(run) for run in track(runs, "measuring runs")]
    )
    facts = [run.facts for run in results]
    bases = {(of.world_seed, of.base_seed) for of in facts}
    samplings = {(of.world_seed, of.base_seed, of.sampling_seed) for of in facts}
    if len(samplings) > len(bases):
        results = [replace(run, several_of_base=True) for run in results]
    mixtures = mixtures_of(facts)
    return Study(name=facts[0].study, arms=grouped_arms(results, mixtures), mixtures=mixtures)
