"""The page that follows a rollout through the code names files that exist and are linked."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "life-of-a-rollout.md").read_text(encoding="utf-8")
FILES = re.findall(r"^\| `(formatlab/\S+\.py)`", PAGE, re.M)


def imported(file: Path) -> set[Path]:
    """The files that a file imports from, anywhere in it, also through a package's `__init__`."""
    found = set[Path]()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        place = REPOSITORY / node.module.replace(".", "/")
        found |= {place.with_suffix(".py"), *(place / f"{name.name}.py" for name in node.names)}
        package = place / "__init__.py"
        if package.is_file() and package != file:
            found |= imported(package)
    return found


def test_the_files_exist() -> None:
    assert len(FILES) > 15
    assert [file for file in FILES if not (REPOSITORY / file).is_file()] == []


def test_every_file_is_linked_to_one_above_it() -> None:
    paths = [REPOSITORY / file for file in FILES]
    imports = {path: imported(path) for path in paths}
    apart = [
        FILES[place]
        for place, path in enumerate(paths)
        if place and not any(path in imports[of] or of in imports[path] for of in paths[:place])
    ]
    assert apart == []
