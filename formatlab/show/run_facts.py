"""The facts of a run: what its configuration says, read once into a typed record.

Figures, tables and cards use these fields and never look for a fact in a label. Configurations of
early formatlab versions and of recorded trainers lack some keys; their defaults are decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formatlab.measure import FROM_DOCUMENTS
from formatlab.show.wording import visible_text
from formatlab.store.config import config_hash

_CORRECTNESS = "correctness"
_STRICT, _FLEXIBLE = "strict", "flexible"
_WITHOUT_SIGNAL = ("random", "none")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReward:
    """The reward of a run."""

    kind: str = _CORRECTNESS
    """`correctness`, `random`, `none`, `inverted`, or the functions of a recorded trainer."""
    reading: str = _STRICT
    """How it reads answers: `strict` or `flexible`."""
    errors: tuple[str, ...] = ()
    """Errors of the verifier: `program false positives 20%`."""

    @property
    def name(self) -> str:
        """Reading (unless strict), kind and errors, as the run stores them."""
        return ", ".join([self._kind, *self.errors])

    @property
    def is_correctness(self) -> bool:
        """Whether it is the default, the only reward that figures and tables need not name."""
        return self == RunReward()

    @property
    def has_signal(self) -> bool:
        """Whether it depends on the rollout. Without a signal there is drift and no collapse."""
        return self.kind not in _WITHOUT_SIGNAL

    @property
    def text(self) -> str:
        """In words, without a comma: `no reward`, `random reward`."""
        text = "no reward" if self.kind == "none" else f"{self._kind} reward"
        return f"{text} with {' and '.join(self.errors)}" if self.errors else text

    @property
    def _kind(self) -> str:
        return self.kind if self.reading == _STRICT else f"{self.reading} {self.kind}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunData:
    """The problems of a run that does not take them from a controlled world."""

    name: str
    """Of the data set; empty where it has none."""
    digest: str
    """Different for other problems, of training or of the probe."""


def data_of(config: Mapping[str, Any]) -> RunData | None:
    """Return the data in a configuration; None in a controlled world, or where it is not stored."""
    data = config.get("data")
    if isinstance(data, Mapping):  # of a recorded trainer
        name = (data.get("train") or {}).get("name") or ""
        return RunData(name=_one_line(name), digest=config_hash(data))
    if "problems" not in config:
        return None
    keys = ("problems", "probe_problems", "probe_split", "prompts_sha256")
    digest = config_hash({key: config.get(key) for key in keys})
    return RunData(name=_one_line(config["problems"]), digest=digest)


def reward_of(config: Mapping[str, Any]) -> RunReward:
    """Return the reward in a configuration; correctness where none is stored."""
    settings = config.get("reward_settings")
    if isinstance(settings, Mapping):
        errors = [
            f"{tag} {name.replace('_', ' ')} {100 * rate:.6g}%"
            for name in ("false_positives", "false_negatives")
            for tag, rate in settings.get(name, {}).items()
        ]
        reading = settings.get("reading", _STRICT)
        return RunReward(kind=settings["kind"], reading=reading, errors=tuple(errors))
    stored = config.get("reward") or _CORRECTNESS
    if isinstance(stored, list):  # a recorded trainer may have several
        stored = " + ".join(map(str, stored))
    # Early runs store one name alone: the kind, then the errors of the verifier.
    kind, *errors = _one_line(stored).split(", ")
    plain = kind.removeprefix(f"{_FLEXIBLE} ")
    reading = _STRICT if plain == kind else _FLEXIBLE
    return RunReward(kind=plain, reading=reading, errors=tuple(errors))


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The settings of a run that figures and tables show."""

    study: str
    scale: str
    """Name of the scale, or of the model."""
    parameters: int
    """Total."""
    non_embedding_parameters: int
    mixture: Mapping[str, float]
    """Format -> share of the pretraining documents; empty for a real model."""
    mixture_name: str
    """Empty in early run folders."""
    mistranslates: Mapping[str, Sequence[str]]
    """Format -> phrases that it renders wrongly."""
    stages: tuple[str, ...]
    """Algorithms of the stages in order, that of the run itself last."""
    chain: str
    """The study's own words for the stages; empty in early run folders."""
    reward: RunReward
    exploration: Mapping[str, Any] | None
    """The bonus for exploration; None where the algorithm has none."""
    lora: Mapping[str, Any] | None
    """The adapter; None where all weights are trained."""
    data: RunData | None
    """The problems; None in a controlled world, and where they are not stored."""
    recorded: bool
    """Whether `FormatRecorder` recorded another's trainer, of which not all settings are known."""
    world_seed: int
    """Seed of problems and documents; 0 for real problems."""
    base_seed: int
    """Seed of the base's weights; for a real model the seed of sampling."""
    sampling_seed: int
    """Seed of prompts and samples."""
    after: float
    """Fraction of its pretraining that the base has seen."""
    undertrained: bool | None
    """Whether the base was below its floor of accuracy in every format; None if not stored."""
    accuracy_floor: float
    synthetic: bool
    """Whether all texts come from the controlled world."""

    @property
    def algorithm(self) -> str:
        """Name of the algorithm that trained the run."""
        return self.stages[-1]

    @property
    def after_stages(self) -> bool:
        """Whether other stages came before, so that the run did not start from the base."""
        return len(self.stages) > 1

    @property
    def start_name(self) -> str:
        """The word for the model that the run started from."""
        return "start" if self.after_stages else "base"

    @property
    def from_documents(self) -> bool:
        """Whether the run learned from texts made beforehand, so that nothing can collapse."""
        return self.algorithm in FROM_DOCUMENTS

    @property
    def seeds_text(self) -> str:
        """All seeds: `0`, or `world 1, base 0, sampling 2` where they are not one number."""
        if not self.world_seed and self.base_seed == self.sampling_seed:
            return str(self.sampling_seed)
        return f"world {self.world_seed}, base {self.base_seed}, sampling {self.sampling_seed}"


def run_facts(config: Mapping[str, Any]) -> RunFacts:
    """Read the facts of a run from its configuration, of any version."""
    scale, seed = config["scale"], config["seed"]
    base = config.get("base") or {}
    world = config.get("world")
    world = world if isinstance(world, Mapping) else {}
    mixture = world.get("mixture")
    return RunFacts(
        study=config.get("study", ""),
        scale=scale["name"],
        parameters=scale["parameters"],
        non_embedding_parameters=scale["non_embedding_parameters"],
        mixture=config["mixture"],
        # Not cut to a width: mixtures and chains that differ only in the middle stay different.
        mixture_name=_one_line(config.get("mixture_name", "")),
        mistranslates=mixture.get("mistranslates", {}) if isinstance(mixture, Mapping) else {},
        stages=(*(of["algorithm"] for of in config.get("before", [])), config["algorithm"]),
        chain=_one_line(config.get("chain") or ""),
        reward=reward_of(config),
        exploration=config.get("exploration"),
        lora=config.get("lora"),
        data=data_of(config),
        recorded="trainer" in config,
        world_seed=world.get("seed", 0),
        base_seed=base.get("config", {}).get("seed", seed),
        sampling_seed=seed,
        after=base.get("config", {}).get("after", 1.0),
        undertrained=base.get("undertrained"),
        accuracy_floor=base.get("floor", 0.0),
        synthetic=bool(world),
    )


def _one_line(text: Any) -> str:
    return visible_text(" ".join(str(text).split()))
