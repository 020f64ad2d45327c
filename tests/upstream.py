"""The source of the libraries' private parts, which fails with a sentence where one is gone."""

import inspect
from collections.abc import Sequence
from typing import Any

import pytest


def source_of(owner: Any, name: str) -> str:
    """The source of a method."""
    return inspect.getsource(_found(owner, name))


def parameters_of(owner: Any, name: str) -> list[str]:
    """The names of a method's parameters."""
    return list(inspect.signature(_found(owner, name)).parameters)


def in_order(source: str, texts: Sequence[str], where: str) -> bool:
    """Whether the texts stand in a source in this order."""
    for text in texts:
        if text not in source:
            pytest.fail(f"{where} no longer has `{text}`", pytrace=False)
    places = [source.index(text) for text in texts]
    return places == sorted(places)


def _found(owner: Any, name: str) -> Any:
    method = getattr(owner, name, None)
    if method is None:
        pytest.fail(f"{owner.__name__}.{name} is gone, which formatlab overrides or rests on")
    return method
