"""Configurations: the hash that names a folder, and the differences of two in words."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_ABSENT = object()


def config_hash(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of the configuration's canonical JSON."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def config_differences(
    there: Mapping[str, Any], here: Mapping[str, Any], parents: str = ""
) -> list[str]:
    """Give both values of every key in which two configurations differ, in words."""
    found: list[str] = []
    for key in sorted(there.keys() | here.keys()):
        old, new = there.get(key, _ABSENT), here.get(key, _ABSENT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += config_differences(old, new, f"{parents}{key}.")
        elif old != new:
            found.append(f"{parents}{key} is {_shown(old)} there and {_shown(new)} here")
    return found


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
