"""The order of the rooms, and what importing them may cost."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "formatlab"
REPOSITORY = PACKAGE.parent
ROOMS = [
    "errors",
    "store",
    "world",
    "observe",
    "models",
    "train",
    "measure",
    "forecast",
    "show",
    "analysis",
    "study",
    "launch",
    "cli",
]
# Results are read from run folders alone, so that they can be read where nothing was trained.
CLOSED = {room: {"world", "observe", "models", "train"} for room in ("measure", "forecast", "show")}
THIRD_PARTY = {
    "store": {"pyarrow", "fsspec", "tenacity"},  # the last two for folders at addresses alone
    "measure": {"numpy", "pyarrow", "sacrebleu", "scipy"},
    "forecast": {"numpy", "pyarrow", "scipy"},
}
HEAVY = {"torch", "trl", "transformers", "matplotlib", "datasets", "peft", "scipy", "pandas"}
LONGEST_FILE = 700
MOST_LINES = {("study", "launch"): 5_000}
"""Lines that rooms may have together: planning and starting runs is not what the lab is for."""


def modules() -> Iterator[Path]:
    return PACKAGE.rglob("*.py")


def room_of(module: str) -> str | None:
    """The room of a dotted module name; None for the package itself and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "formatlab" and len(parts) > 1 else None


def imports(source: str, package: str) -> set[str]:
    """Every module that `source` imports anywhere, as absolute dotted names.

    `from formatlab import store` counts as an import of `formatlab.store`.
    """
    names = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            if base == "formatlab":
                names.update(f"formatlab.{alias.name}" for alias in node.names)
            else:
                names.add(base)
    return names


def allowed(room: str) -> set[str]:
    return set(ROOMS[: ROOMS.index(room) + 1]) - CLOSED.get(room, set())


def by_room() -> Iterator[tuple[str, Path, set[str]]]:
    """Each module that lies in a room: the room, the file, what it imports."""
    for path in modules():
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        room = parts[1]
        if not room.startswith("__"):
            yield (
                room,
                path.relative_to(REPOSITORY),
                imports(path.read_text(), ".".join(parts[:-1])),
            )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import formatlab.store.rollout", {"formatlab.store.rollout"}),
        ("from formatlab import store, errors", {"formatlab.store", "formatlab.errors"}),
        ("def f():\n    from formatlab.train import grpo", {"formatlab.train"}),
        ("from . import winners", {"formatlab.measure"}),
        ("from .shares import share", {"formatlab.measure.shares"}),
        ("from ..store import rollout", {"formatlab.store"}),
        ("from .. import store", {"formatlab.store"}),
        ("import numpy as np", {"numpy"}),
    ],
)
def test_every_form_of_import_is_seen(source: str, found: set[str]) -> None:
    assert imports(source, "formatlab.measure") == found


def test_every_module_lies_in_a_known_room() -> None:
    unknown = sorted(str(path) for room, path, _ in by_room() if room not in ROOMS)
    assert unknown == []


def test_imports_point_one_way() -> None:
    backward = [
        f"{path} imports {name}"
        for room, path, names in by_room()
        for name in sorted(names)
        if (other := room_of(name)) in ROOMS and other not in allowed(room)
    ]
    assert backward == []


def runtime_imports(path: Path) -> set[str]:
    """The package's modules that one imports when it runs, anywhere in it."""
    found = set[str]()
    to_see: list[ast.AST] = [ast.parse(path.read_text())]
    while to_see:
        node = to_see.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        to_see += ast.iter_child_nodes(node)
    return found


def test_no_modules_import_one_another() -> None:
    paths = {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
        for path in modules()
    }
    graph = {name: (runtime_imports(path) & paths.keys()) - {name} for name, path in paths.items()}
    # A package's own module is named by what is imported from it, too: that is no import of it.
    graph = {
        name: {of for of in found if not any(other.startswith(f"{of}.") for other in found)}
        for name, found in graph.items()
    }
    while leaves := {name for name, found in graph.items() if not found & graph.keys()}:
        graph = {name: found for name, found in graph.items() if name not in leaves}
    assert sorted(graph) == []


def test_reading_results_needs_few_packages() -> None:
    foreign = [
        f"{path} imports {name}"
        for room, path, names in by_room()
        if room in THIRD_PARTY
        for name in sorted(names)
        if (top := name.split(".")[0]) not in THIRD_PARTY[room] | {"formatlab"}
        and top not in sys.stdlib_module_names
    ]
    assert foreign == []


@pytest.mark.parametrize("module", ["formatlab", "formatlab.cli.main", "formatlab.cli.doctor"])
def test_importing_stays_cheap(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    assert HEAVY & set(loaded.stdout.split()) == set()


def test_files_stay_short() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines())
        for folder in ("formatlab", "experiments", "benchmarks", "tests")
        for path in (REPOSITORY / folder).rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_rooms_stay_small() -> None:
    for rooms, most in MOST_LINES.items():
        files = [path for room in rooms for path in (PACKAGE / room).rglob("*.py")]
        assert sum(len(path.read_text().splitlines()) for path in files) <= most, rooms
