"""What an experiment's file defines, a format or an algorithm: told from others by its source.

Nobody raises a version of such a class, so the digest of its source is part of the configuration of
every base and run that it decides.
"""

import ast
import hashlib
import inspect
import sys
from functools import cache

from formatlab.errors import InputError
from formatlab.world.formats import FORMATS

_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BINDINGS = (*_DEFINITIONS, ast.Assign, ast.AnnAssign)
"""Statements that set names, attributes or items and do nothing else."""
_PLACES = (ast.Attribute, ast.Subscript)


def added_formats() -> dict[str, str]:
    """SHA-256 of the source of each format that does not come with the package, by its name.

    Everything in the defining file counts that the format's class names, or that has to do with the
    class, directly or through something else of the file; comments, layout, PRESETS and what the
    file imports do not.

    Raises:
        InputError: the source cannot be read.
    """
    return {
        name: source_digest(type(form), what=f"format {name!r}", table="FORMATS")
        for name, form in FORMATS.items()
        if is_added(type(form))
    }


def is_added(kind: type) -> bool:
    """Whether a class does not come with the package."""
    return kind.__module__.partition(".")[0] != "formatlab"


@cache
def source_digest(kind: type, *, what: str, table: str | None = None) -> str:
    """SHA-256 of the source of a class and of everything in its file that it names.

    Args:
        kind: the class.
        what: what to call it in an error.
        table: name of the dictionary that instances of it are added to; whatever uses the class or
            the table then counts as well.

    Raises:
        InputError: the source cannot be read.
    """
    try:
        tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    except (KeyError, TypeError, OSError, SyntaxError) as error:
        raise InputError(
            f"{what}: the source of {kind.__qualname__}, which tells runs of it from "
            "others, cannot be read; define it in a file"
        ) from error
    name = kind.__qualname__.split(".")[0]
    found = "\n".join(ast.unparse(node) for node in _parts(tree, name, table))
    return hashlib.sha256(found.encode()).hexdigest()


def _parts(tree: ast.Module, name: str, table: str | None) -> list[ast.stmt]:
    """What makes a class of a file: the class, what adds it to a table, and what they name.

    Where there is a table, whatever uses class or table is a part. What sets, or does something to,
    a name that a part uses is one too. In doubt a part too many is taken: what is redone is not
    wrong.
    """
    statements = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    statements = [node for node in statements if "PRESETS" not in _bound(node)]
    parts: set[ast.stmt] = set()
    users = {name, table} if table else set()
    wanted = {name} | users
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
    names |= {_owner(n) for n in inside if isinstance(n, _PLACES) and isinstance(n.ctx, ast.Store)}
    return names | {n.name for n in inside if isinstance(n, _DEFINITIONS)}


def _owner(place: ast.Attribute | ast.Subscript) -> str:
    """The name whose attribute or item a place is; empty where it is that of another expression."""
    value: ast.expr = place
    while isinstance(value, _PLACES):
        value = value.value
    return value.id if isinstance(value, ast.Name) else ""


def _used(node: ast.stmt) -> set[str]:
    """The names that a statement makes use of."""
    inside = ast.walk(node)
    return {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
