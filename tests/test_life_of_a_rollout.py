"""The page that follows a rollout through the code names files that exist and are linked."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "life-of-a-rollout.md").read_text(encoding="utf-8")
HOPS = re.findall(r"^\| `(formatlab/\S+\.py)` \| `(\w+)`", PAGE, re.M)


def defined(tree: ast.Module) -> set[str]:
    """The functions and classes of a file."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def imported(tree: ast.Module) -> set[tuple[str, str]]:
    """Module and name of what a file imports, anywhere in it."""
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {(node.module or "", of.name) for node in froms for of in node.names}


def attributes(tree: ast.Module) -> set[str]:
    """What a file uses of modules and objects, as `work` of `worker.work`."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_file_is_linked_to_one_above_it_by_the_name_beside_it() -> None:
    trees = {file: ast.parse((REPOSITORY / file).read_text(encoding="utf-8")) for file, _ in HOPS}

    def gives(source: str, name: str, user: str) -> bool:
        """Whether a file defines the name, and another imports it from there or its package."""
        package, _, module = source.removesuffix(".py").replace("/", ".").rpartition(".")
        taken = imported(trees[user])
        whole = (package, module) in taken and name in attributes(trees[user])
        return name in defined(trees[source]) and (
            whole or (package, name) in taken or (f"{package}.{module}", name) in taken
        )

    assert len(HOPS) > 15 and len(HOPS) == PAGE.count("\n| `")
    first, _ = HOPS[0]
    assert HOPS[0][1] in defined(trees[first])
    apart = [
        file
        for place, (file, name) in enumerate(HOPS)
        if place
        and not any(gives(file, name, of) or gives(of, name, file) for of, _ in HOPS[:place])
    ]
    assert apart == []
