"""The study as figures and tables see it: its runs, in arms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from formatlab.errors import InputError
from formatlab.show.arm import Arm, Mixture, grouped_arms, mixtures_of, told_rewards
from formatlab.show.palette import format_order
from formatlab.show.run_result import RunResult, measured_run, with_distance_from_base
from formatlab.show.wording import CORRECTNESS, mixture_text, name_text
from formatlab.store import RunFolder


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
    def rewards(self) -> list[str]:
        """The names of the rewards, each once, in the order of the arms."""
        return told_rewards(self.runs)

    @property
    def only_correctness(self) -> bool:
        """Whether every run is rewarded for correctness, which need not be said."""
        return self.rewards == [CORRECTNESS]

    @property
    def any_without_signal(self) -> bool:
        """Whether an arm's reward carries no signal, so that it can drift but not collapse."""
        return any(not arm.has_signal for arm in self.arms)

    @cached_property
    def tags(self) -> list[str]:
        """All tags that occur, in the order of the palette."""
        return format_order(
            {row["tag"] for run in self.runs for row in run.training}
            | {of["tag"] for run in self.runs for row in run.winners for of in row["formats"]}
        )

    @property
    def mixtures_text(self) -> str:
        """What the mixtures are, if there are several; else nothing."""
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
        return any(run.config.get("before") for run in self.runs)

    @property
    def start_name(self) -> str:
        """What the runs started from, in one word."""
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


def measured_study(runs: Sequence[RunFolder]) -> Study:
    """Read and measure the runs of a study.

    Raises:
        InputError: no runs, or the same run twice.
    """
    if not runs:
        raise InputError(
            "There are no runs to show. Give a runs folder in which a study has been run."
        )
    results = with_distance_from_base(runs, [measured_run(run) for run in runs])
    bases = {(run.world_seed, run.base_seed) for run in results}
    samplings = {(run.world_seed, run.base_seed, run.config["seed"]) for run in results}
    if len(samplings) > len(bases):
        results = [replace(run, several_of_base=True) for run in results]
    mixtures = mixtures_of(results)
    return Study(
        name=results[0].config["study"], arms=grouped_arms(results, mixtures), mixtures=mixtures
    )
