"""Values as they are published: without the folders of the machine on which they came to be."""

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


def published_value(value: Any) -> Any:
    """Return JSON values in which every text that is an absolute path is cut to its last part.

    Where somebody keeps a file is nobody else's business, and of no use to them.
    """
    if isinstance(value, str):
        return _last_part(value)
    if isinstance(value, dict):
        return {key: published_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [published_value(item) for item in value]
    return value


def published_command(words: list[str]) -> str:
    """Return the words of a command line as one line, as `published_value` gives each."""
    return " ".join(_option(word) for word in words)


def _option(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name}={_last_part(value)}" if equals else _last_part(word)


def _last_part(text: str) -> str:
    if "\n" in text:
        return text
    if text.startswith(("/", "~/")):
        return PurePosixPath(text).name or text
    windows = PureWindowsPath(text)
    return windows.name if windows.drive and windows.root else text
