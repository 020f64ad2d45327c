"""Added formats: those that an experiment brings, told from others by their source."""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache

from formatlab.errors import InputError
from formatlab.world.formats import FORMATS, Format


def added_formats() -> dict[str, str]:
    """SHA-256 of the source of each format that does not come with the package, by its name.

    Everything in the defining file counts that the format's class names, directly or through
    something else of the file; comments, layout and what the file imports do not.

    Raises:
        InputError: the source cannot be read.
    """
    return {
        name: _digest(name, type(form))
        for name, form in FORMATS.items()
        if type(form).__module__.partition(".")[0] != "formatlab"
    }


@cache
def _digest(name: str, kind: type[Format]) -> str:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    except (KeyError, TypeError, OSError, SyntaxError) as error:
        raise InputError(
            f"format {name!r}: the source of {kind.__qualname__}, which tells runs of it from "
            "others, cannot be read; define it in a file"
        ) from error
    found = "\n".join(ast.unparse(node) for node in _parts(tree, kind.__qualname__.split(".")[0]))
    return hashlib.sha256(found.encode()).hexdigest()


def _parts(tree: ast.Module, name: str) -> list[ast.stmt]:
    """What makes a format of a file: its class, what adds it to FORMATS, and what they name."""
    bound = {name: node for node in tree.body for name in _bound(node)}
    parts = {node for node in tree.body if not [*_bound(node)] and "FORMATS" in _names(node)}
    names = {name}.union(*map(_names, parts))
    while new := {bound[name] for name in names & bound.keys()} - parts:
        parts |= new
        names = set[str]().union(*map(_names, new))
    return [node for node in tree.body if node in parts]


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a file gives a meaning to, imports apart."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        yield node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    yield from (target.id for target in targets if isinstance(target, ast.Name))


def _names(node: ast.AST) -> set[str]:
    """The names that a statement makes use of."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
