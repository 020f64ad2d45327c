"""Errors meant for people: what was wrong, where, and what to do about it."""

from importlib.util import find_spec

TRAINING_PACKAGES = (
    "accelerate",
    "datasets",
    "peft",
    "safetensors",
    "torch",
    "transformers",
    "trl",
)
"""The packages of the extra `train`, by the names that they are imported by."""

_EXTRAS = {
    **dict.fromkeys(TRAINING_PACKAGES, ("train", "models are trained and sampled with it")),
    **dict.fromkeys(("pandas", "sacrebleu"), ("measure", "measures need it")),
    "sentence_transformers": ("embed", "texts are embedded with it"),
}
"""Packages beside the core -> the extra that installs each, and what it does."""


class FormatlabError(Exception):
    """A problem that the command line prints as one message, without a traceback."""

    exit_status: int = 1


class InputError(FormatlabError):
    """What the user gave cannot be used: a value, a file, a name."""

    exit_status = 2


class RunError(FormatlabError):
    """The input was fine and the work could still not be done."""

    exit_status = 1


def check_training_packages() -> None:
    """Check that what trains and samples models is installed, without importing it.

    Raises:
        InputError: a package of the extra `train` is missing.
    """
    for name in TRAINING_PACKAGES:
        if find_spec(name) is None:
            raise InputError(missing_package(name))


def missing_package(name: str | None) -> str:
    """What to do about a module that is not there; empty if no extra of the lab brings it."""
    package = (name or "").partition(".")[0]
    if package not in _EXTRAS:
        return ""
    extra, use = _EXTRAS[package]
    return (
        f"{package} is not installed, and {use}: "
        f"pip install 'formatlab[{extra}]', or '.[{extra}]' in a clone"
    )
