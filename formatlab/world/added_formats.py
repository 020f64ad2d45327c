"""Added formats: those that an experiment's file defines.

They have no version that somebody would raise, so the digest of their source is part of the
configuration of every base and run.
"""

import ast
import hashlib
import inspect
import sys
from functools import cache

from formatlab.errors import InputError
from formatlab.world.formats import FORMATS, Format

_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BINDINGS = (*_DEFINITIONS, ast.Assign, ast.AnnAssign)
"""Statements that set names and, but for items and attributes, do nothing else."""


def added_formats() -> dict[str, str]:
    """SHA-256 of the source of each format that does not come with the package, by its name.

    Everything in the defining file counts that the format's class names, or that has to do with the
    class, directly or through something else of the file; comments, layout, PRESETS and what the
    file imports do not.

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
    """What makes a format of a file: its class, what adds it to FORMATS, and what they name.

    Whatever uses class or FORMATS belongs to it, and so does what sets, or does something to, a
    name that a part uses. In doubt a part too many is taken: what is redone is not wrong.
    """
    statements = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    statements = [node for node in statements if "PRESETS" not in _bound(node)]
    parts: set[ast.stmt] = set()
    users, wanted = {name, "FORMATS"}, {name, "FORMATS"}
    while True:
        new = {
            node
            for node in statements
            if node not in parts
            and (
                users & _used(node)
                or wanted & _bound(node)
                or (wanted & _used(node) and not isinstance(node, _BINDINGS))
            )
        }
        if not new:
            return [node for node in statements if node in parts]
        for node in new:
            if users & _used(node):
                users |= _bound(node)
            wanted |= _used(node) | _bound(node)
        parts |= new


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement of a file gives a meaning to."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    inside = list(ast.walk(node))
    names = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names | {n.name for n in inside if isinstance(n, _DEFINITIONS)}


def _used(node: ast.stmt) -> set[str]:
    """The names that a statement makes use of."""
    inside = ast.walk(node)
    return {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
