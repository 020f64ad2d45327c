"""Settings of training in words: algorithms, bonuses, adapters and single values."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from formatlab.show.run_result import RunResult
from formatlab.show.wording import name_text

_ALGORITHMS = {
    "grpo": "GRPO",
    "dr_grpo": "Dr. GRPO",
    "gspo": "GSPO",
    "reinforce": "REINFORCE",
    "ppo": "PPO",
    "rloo": "RLOO",
    "expert_iteration": "expert iteration",
    "sft": "SFT",
    "dpo": "DPO",
}
_PLAIN = "grpo"

_ACRONYMS = {"kl": "KL", "sft": "SFT", "gae": "GAE", "adam": "Adam", "rl": "RL"}


def algorithm_text(name: str) -> str:
    """Return an algorithm in its usual spelling."""
    return _ALGORITHMS.get(name, name_text(name))


def setting_text(name: str, value: Any) -> str:
    """Return a setting and its value in words: `KL coefficient 0.01`, `group size 4`."""
    words = [_ACRONYMS.get(word, word) for word in name.split("_")]
    return f"{' '.join(words)} {_value_text(value)}"


def bonus_text(config: Mapping[str, Any] | None, among: Sequence[Any] = ()) -> str:
    """Return the bonus for exploration as one unit: `bonus ucb_mean over formats`, `no bonus`.

    Args:
        config: as a run stores it; None where there can be none.
        among: other bonuses; its numbers are told only where they tell it from one of these.
    """
    if not config or config.get("bonus") == "none":
        return "no bonus"
    text = f"bonus {config.get('bonus')} over {config.get('over')}s"
    return text + _numbers(config, among, kind=("bonus", "over"))


def lora_text(config: Mapping[str, Any] | None, among: Sequence[Any] = ()) -> str:
    """Return which weights are trained: `LoRA rank 4`, `all weights`."""
    if not config:
        return "all weights"
    return f"LoRA rank {config.get('rank')}" + _numbers(config, among, kind=("rank",))


def trained_sentence(runs: Sequence[RunResult]) -> str:
    """Return what trained all of the runs, as a sentence; nothing for GRPO of all weights.

    What differs between runs is in their labels, and not told here.
    """
    algorithms = {
        tuple(stage["algorithm"] for stage in (*run.config.get("before", []), run.config))
        for run in runs
    }
    # What learns from documents does not explore, and has no such setting.
    exploring = [run for run in runs if not run.from_documents]
    bonuses = {bonus_text(run.config.get("exploration")) for run in exploring}
    adapters = {lora_text(run.config.get("lora")) for run in runs}
    words = [" then ".join(map(algorithm_text, next(iter(algorithms))))] * (len(algorithms) == 1)
    told = [*bonuses] * (len(bonuses) == 1) + [*adapters] * (len(adapters) == 1)
    told = [text for text in told if text not in ("no bonus", "all weights")]
    if not told and (not words or algorithms == {(_PLAIN,)}):
        return ""
    return f"Trained with {', '.join(words + told)}." if words + told else ""


def _numbers(config: Mapping[str, Any], among: Sequence[Any], *, kind: Sequence[str]) -> str:
    alike = [of for of in among if of and all(of.get(key) == config.get(key) for key in kind)]
    keys = [key for key in config if key not in kind]
    differing = [key for key in keys if any(of.get(key) != config[key] for of in alike)]
    return "".join(f" with {setting_text(key, config[key])}" for key in differing)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        text = f"{Decimal(repr(value)):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, list):
        return " and ".join(map(_value_text, value)) or "none"
    return str(value)
