"""Provenance: how runs and bases were made, as rows of a card."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from formatlab.show.export.card import (
    markdown_code,
    markdown_text,
    published_command,
    published_value,
)
from formatlab.show.run_facts import RunFacts
from formatlab.show.run_result import RunResult
from formatlab.show.settings_wording import algorithm_text, bonus_text, lora_text, setting_text
from formatlab.show.wording import mixture_text, name_text

_MOST_KINDS = 4
_PACKAGES = ("torch", "transformers", "trl", "peft")


def provenance(
    runs: Sequence[RunResult], commands: Sequence[Sequence[str]] = ()
) -> list[tuple[str, str]]:
    """Return name and Markdown of each thing that says how runs were made.

    Runs may differ in up to four ways; beyond that the row refers to their configurations.

    Args:
        runs: at least one.
        commands: command lines that made them; if empty, those stored with the runs.
    """
    if not commands:
        commands = [str(run.env.get("command", "")).split() for run in runs]
    rows = [
        ("study", _kinds(runs, lambda run: markdown_text(run.facts.study))),
        ("problems", _kinds(runs, lambda run: problems_text(run.config))),
        (
            "mixture",
            _kinds(runs, lambda run: mixture_words(run.facts.mixture, run.facts.mistranslates)),
        ),
        ("pretraining", _kinds(runs, lambda run: pretraining_text(run.config))),
        ("model", _kinds(runs, _model)),
        ("training", _kinds(runs, training_text)),
        ("reward", _kinds(runs, lambda run: markdown_text(run.facts.reward.text))),
        ("probe", _kinds(runs, lambda run: _settings(run.config.get("probe")))),
        ("seeds", markdown_text(", ".join(sorted({run.facts.seeds_text for run in runs})))),
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


def mixture_words(shares: Mapping[str, float], mistranslates: Mapping[str, Sequence[str]]) -> str:
    """Return the share of each format in the documents, and the phrases that it mistranslates."""
    if not shares:
        return ""
    texts = [mixture_text(shares)]
    texts += [
        f"{name_text(name)} mistranslates the phrases {' and '.join(map(name_text, phrases))}"
        for name, phrases in mistranslates.items()
        if phrases
    ]
    return markdown_text("; ".join(texts))


def pretraining_text(config: Mapping[str, Any]) -> str:
    """Return the settings of a base's pretraining; empty if not known."""
    of_base = config if config.get("kind") == "base" else config.get("base", {}).get("config", {})
    return _settings(of_base.get("pretraining"))


def stages_text(facts: RunFacts) -> str:
    """Return the algorithms of the stages in order, in words."""
    return " then ".join(map(algorithm_text, facts.stages))


def training_text(run: RunResult) -> str:
    """Return algorithm, stages before it, bonus, adapter and settings of a run."""
    config, facts = run.config, run.facts
    words = [stages_text(facts)]
    extras = [bonus_text(facts.exploration), lora_text(facts.lora)]
    words += [text for text in extras if text not in ("no bonus", "all weights")]
    # Runs of earlier versions have the settings under the algorithm's own name.
    settings = config.get("settings") or config.get(facts.algorithm) or config.get("trainer")
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
