"""Provenance: how runs were made, as rows of words for a card."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from formatlab.show.export.card import (
    markdown_code,
    markdown_text,
    published_command,
    published_value,
)
from formatlab.show.run_result import RunResult, seeds_text
from formatlab.show.settings_wording import algorithm_text, bonus_text, lora_text, setting_text
from formatlab.show.wording import mixture_text, name_text, reward_text

_MOST_KINDS = 4
_PACKAGES = ("torch", "transformers", "trl", "peft")


def is_synthetic(config: Mapping[str, Any]) -> bool:
    """Return whether all of a run's or base's texts come from the controlled world."""
    return bool(config.get("world"))


def provenance(
    runs: Sequence[RunResult], commands: Sequence[Sequence[str]] = ()
) -> list[tuple[str, str]]:
    """Return name and Markdown of everything that says how runs were made.

    What differs between runs is told up to four kinds, and is else in their configurations.

    Args:
        runs: at least one.
        commands: command lines that made them; those of their environments if empty.
    """
    if not commands:
        commands = [str(run.env.get("command", "")).split() for run in runs]
    rows = [
        ("study", _kinds(runs, lambda run: markdown_text(run.config["study"]))),
        ("problems", _kinds(runs, lambda run: problems_text(run.config))),
        ("mixture", _kinds(runs, lambda run: mixture_words(run.config))),
        ("pretraining", _kinds(runs, lambda run: pretraining_text(run.config))),
        ("model", _kinds(runs, _model)),
        ("training", _kinds(runs, training_text)),
        ("reward", _kinds(runs, lambda run: markdown_text(reward_text(run.reward)))),
        ("probe", _kinds(runs, lambda run: _settings(run.config.get("probe")))),
        ("seeds", markdown_text(", ".join(sorted({seeds_text(run) for run in runs})))),
        ("made with", _kinds(runs, lambda run: environment_text(run.env))),
        ("commit", _kinds(runs, lambda run: markdown_code(run.env.get("git_commit") or ""))),
        ("command", _distinct(markdown_code(published_command([*words])) for words in commands)),
    ]
    return [(name, text) for name, text in rows if text]


def problems_text(config: Mapping[str, Any]) -> str:
    """Return where a configuration's problems come from."""
    if "problems" in config:
        names = dict.fromkeys([config["problems"], config.get("probe_problems")])
        texts = [markdown_code(str(published_value(name))) for name in names if name]
        return f"{' for training, '.join(texts)} for the probe" if len(texts) > 1 else texts[0]
    world = {key: value for key, value in config.get("world", {}).items() if key != "mixture"}
    if not world:
        return ""
    return f"written by formatlab's controlled world: {_settings(world)}"


def mixture_words(config: Mapping[str, Any]) -> str:
    """Return the share of each format in the documents, and what some mistranslate."""
    if not config.get("mixture"):
        return ""
    mixture = config.get("world", {}).get("mixture")
    wrong = mixture.get("mistranslates", {}) if isinstance(mixture, Mapping) else {}
    texts = [mixture_text(config["mixture"])]
    texts += [
        f"{name_text(name)} mistranslates the phrases {' and '.join(map(name_text, phrases))}"
        for name, phrases in wrong.items()
        if phrases
    ]
    return markdown_text("; ".join(texts))


def pretraining_text(config: Mapping[str, Any]) -> str:
    """Return the settings of a base's pretraining; nothing where it is not known."""
    of_base = config if config.get("kind") == "base" else config.get("base", {}).get("config", {})
    return _settings(of_base.get("pretraining"))


def training_text(run: RunResult) -> str:
    """Return algorithm, stages before it, bonus, adapter and settings of a run."""
    config = run.config
    stages = [stage["algorithm"] for stage in (*config.get("before", []), config)]
    words = [" then ".join(map(algorithm_text, stages))]
    extras = [bonus_text(config.get("exploration")), lora_text(config.get("lora"))]
    words += [text for text in extras if text not in ("no bonus", "all weights")]
    # Runs of earlier versions have the settings under the algorithm's own name.
    settings = config.get("settings") or config.get(config["algorithm"]) or config.get("trainer")
    return "; ".join(filter(None, [markdown_text(", ".join(words)), _settings(settings)]))


def environment_text(env: Mapping[str, Any]) -> str:
    """Return versions and device of an `env.json`."""
    packages = env.get("packages", {})
    words = [f"formatlab {env.get('formatlab', 'of an unknown version')}"]
    words += [f"Python {env['python']}"] if "python" in env else []
    words += [f"{name} {packages[name]}" for name in _PACKAGES if name in packages]
    words += [f"on {env['device']}"] if "device" in env else []
    return markdown_text(", ".join(words))


def _model(run: RunResult) -> str:
    model = run.config.get("model")
    if not model:
        return ""
    asked = "by its chat template" if run.config.get("chat") else "as plain text"
    return f"{markdown_code(str(published_value(model)))}, asked {asked}"


def _settings(settings: Any) -> str:
    if not isinstance(settings, Mapping):
        return ""
    words = [
        f"{setting_text(name, '')}{json.dumps(value, ensure_ascii=False)}"
        if isinstance(value, Mapping)
        else setting_text(name, value)
        for name, value in published_value(dict(settings)).items()
    ]
    return markdown_text(", ".join(words))


def _kinds(runs: Sequence[RunResult], words: Callable[[RunResult], str]) -> str:
    return _distinct(words(run) for run in runs)


def _distinct(texts: Any) -> str:
    kinds = [text for text in dict.fromkeys(texts) if text]
    if len(kinds) > _MOST_KINDS:
        return f"{len(kinds)} kinds; each run's is in its `config`"
    return "<br>".join(kinds)
