"""Variants: runs of one scale and setting whose configurations differ in more than the seed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from formatlab.show.wording import name_text

# What may differ between seeds at any depth, and the run's own name at the top.
_SEED_KEYS = ("seed", "sha256")
_NAME_KEY = "name"
_MOST_NAMED = 2


def variant_labels(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a label for each configuration, equal where they differ in nothing but seeds.

    A label names what differs, as `learning_rate 0.0001`; if more than two values differ, it names
    two of them and a number. Configurations that all agree have empty labels.
    """
    flat = [_flat(config) for config in configs]
    keys = sorted({key for one in flat for key in one})
    differing = [key for key in keys if len({one.get(key) for one in flat}) > 1]
    values = [tuple(one.get(key) for key in differing) for one in flat]
    kinds = sorted(set(values), key=str)
    labels = []
    for of_config in values:
        named = [
            name_text(f"{key.rsplit('.', 1)[-1]} {value if value is not None else 'absent'}", 32)
            for key, value in list(zip(differing, of_config, strict=True))[:_MOST_NAMED]
        ]
        if len(differing) > _MOST_NAMED:
            named.append(f"variant {kinds.index(of_config) + 1}")
        labels.append(", ".join(named))
    return labels


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
