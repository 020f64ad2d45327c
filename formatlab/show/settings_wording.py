"""Settings of training in words: algorithms, rewards, bonuses, adapters and single values."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from formatlab.show.run_facts import RunFacts, RunReward
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
    """Return the bonus for exploration in words: `bonus ucb_mean over formats`, `no bonus`.

    Args:
        config: as a run stores it; None where the algorithm has none.
        among: other bonuses. Its numbers are given only if one of these differs in nothing else.
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


def trained_sentence(runs: Sequence[RunFacts]) -> str:
    """Return what trained all of the runs, as a sentence; empty for GRPO of all weights.

    Settings in which the runs differ are in their labels, and not in the sentence.
    """
    chains = {run.stages for run in runs}
    # Learning from documents explores nothing and has no such setting.
    bonuses = {bonus_text(run.exploration) for run in runs if not run.from_documents}
    adapters = {lora_text(run.lora) for run in runs}
    words = [" then ".join(map(algorithm_text, next(iter(chains))))] * (len(chains) == 1)
    told = [*bonuses] * (len(bonuses) == 1) + [*adapters] * (len(adapters) == 1)
    told = [text for text in told if text not in ("no bonus", "all weights")]
    if not told and (not words or chains == {(_PLAIN,)}):
        return ""
    return f"Trained with {', '.join(words + told)}."


def rewards_sentence(rewards: Sequence[RunReward]) -> str:
    """Return what rewarded the runs, as a sentence; empty if it was correctness alone."""
    if all(reward.is_correctness for reward in rewards):
        return ""
    sentence = f"Trained with {', '.join(reward.text for reward in rewards)}."
    if any(reward.reading == "flexible" for reward in rewards):
        sentence += (
            " The flexible reading also takes the last number that sentences commit to for an "
            "answer; accuracies are of the strict reading."
        )
    without_signal = [reward.text for reward in rewards if not reward.has_signal]
    if without_signal:
        sentence += (
            f" Nothing in {' and '.join(without_signal)} depends on what is written: what moves "
            "there is drift, not collapse."
        )
    return sentence


def with_reward(words: str, reward: RunReward) -> str:
    """Return words that are separated by commas with the reward among them.

    If the words name it already, in full or by its kind alone, the full text takes their place.
    """
    listed = f", {words}, "
    for known in (reward.text, reward.name, f"{reward.name} reward", f"reward {reward.name}"):
        if f", {known}, " in listed:
            return listed.replace(f", {known}, ", f", {reward.text}, ", 1)[2:-2]
    return f"{words}, {reward.text}" if words else reward.text


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
