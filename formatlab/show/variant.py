"""Variants: runs of one scale and setting whose configurations differ in more than the seed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from formatlab.show.settings_wording import bonus_text, lora_text, setting_text
from formatlab.show.wording import name_text

# What may differ between seeds at any depth, and the run's own name at the top.
_SEED_KEYS = (
    "seed",
    "sha256",
    "start_sha256",
    "token_shares",
    "held_out_loss",
    "undertrained",
)
_NAME_KEY = "name"
_MOST_NAMED = 3
_WIDTH = 48


def variant_labels(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a label for each configuration, equal where they differ in nothing but seeds.

    A label names what differs in words, as `learning rate 0.0001`; if more than three values
    differ, it names three of them, and a number where these do not tell all apart. Configurations
    that all agree have empty labels.
    """
    flat = [_flat(_with_units(config, configs)) for config in configs]
    keys = sorted({key for one in flat for key in one}, key=_rank)
    differing: dict[tuple[str, ...], str] = {}
    for key in keys:
        column = tuple(one.get(key, "") for one in flat)
        # What a base repeats of its run, or a corpus of its world, is told once.
        if len(set(column)) > 1:
            differing.setdefault((_last(key), *column), key)
    named = list(differing.values())
    labels = [
        ", ".join(name_text(_words(key, one.get(key)), _WIDTH) for key in named[:_MOST_NAMED])
        for one in flat
    ]
    values = [tuple(one.get(key, "") for key in named) for one in flat]
    kinds = sorted(set(values))
    if len(set(labels)) == len(kinds):
        return labels
    return [
        f"{label}, variant {kinds.index(of_config) + 1}"
        for label, of_config in zip(labels, values, strict=True)
    ]


def _with_units(config: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a configuration in which what is told as one is one value, in words."""
    units = dict(config)
    for key, text in (("exploration", bonus_text), ("lora", lora_text)):
        kinds = [other.get(key) for other in configs]
        if any(key in other for other in configs):
            units[key] = [text(config.get(key), kinds)]
    return units


def _words(key: str, value: str | None) -> str:
    if key in ("exploration", "lora") and value is not None:
        (unit,) = json.loads(value)
        return unit
    *parents, name = key.split(".")
    whose = "probe " if parents[:1] == ["probe"] else ""
    return whose + (f"{name} unset" if value is None else setting_text(name, json.loads(value)))


def _last(key: str) -> str:
    return key.rsplit(".", 1)[-1] if not key.startswith("probe.") else key


def _rank(key: str) -> tuple[int, str]:
    """Settings of the run first, what its base and world are last."""
    places = ("settings.", "grpo.", "exploration", "lora", "reward_settings.")
    last = ("world.", "base.")
    ranks = {start: i for i, start in enumerate(places)} | dict.fromkeys(last, 9)
    return next((rank for start, rank in ranks.items() if key.startswith(start)), 8), key


def _flat(config: Mapping[str, Any], parents: str = "") -> dict[str, str]:
    """Return dotted key -> JSON of the value, without what a seed changes."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if key in _SEED_KEYS or (key == _NAME_KEY and not parents):
            continue
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, Mapping):
            found |= _flat(value, f"{parents}{key}.")
        else:
            found[f"{parents}{key}"] = json.dumps(value, ensure_ascii=False)
    return found
