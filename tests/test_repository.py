"""What may not be in the repository: traces of one machine, and where packages come from."""

import gzip
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:home|root|opt|mnt|work|farm|tmp|Users)/[A-Za-z]")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|download\.pytorch\.org|anaconda\.org"
    r"|https?://\S*(?:/simple\b|/packages/|\.whl\b|\.tgz\b)"
)
LOCK_FILE = re.compile(r"(?:\.lock|[.-]lock\.(?:json|ya?ml|toml|txt)|pylock.*\.toml)$")
PIN = re.compile(r"[\w.-]+==[\w.!]+")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The files that git keeps or would be given, as absolute paths."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout, so nothing tells its files from what lies beside them")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def lines_matching(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        content = path.read_bytes()
        if b"\0" in content or path.suffix == ".svg":  # a binary file, or drawn paths
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}")
    return found


@pytest.mark.parametrize(
    ("pattern", "text", "hit"),
    [
        (MACHINE_PATH, 'open("/' + 'home/ada/data.json")', True),
        (MACHINE_PATH, "--runs-dir /" + "mnt/disk", True),
        (MACHINE_PATH, "formatlab/world/home/town.py", False),
        (MACHINE_PATH, "../shared/work/data", False),
        (REGISTRY, "see https://pypi." + "org/project/trl", True),
        (REGISTRY, "--index-url http://mirror.local" + "/simple", True),
        (REGISTRY, "http://www.apache.org/licenses/LICENSE-2.0", False),
        (LOCK_FILE, "uv.lock", True),
        (LOCK_FILE, "package-lock.json", True),
        (LOCK_FILE, "formatlab/store/block.py", False),
        (PIN, "torch==2.13.0", True),
        (PIN, "torch @ file:///wheels/torch.whl", False),
    ],
)
def test_patterns_tell_what_they_should(pattern: re.Pattern[str], text: str, hit: bool) -> None:
    assert bool(pattern.search(text)) == hit


def test_no_path_of_one_machine(tracked: list[Path]) -> None:
    assert lines_matching(MACHINE_PATH, tracked) == []


def test_no_package_registry_is_named(tracked: list[Path]) -> None:
    assert lines_matching(REGISTRY, tracked) == []


def test_no_lock_file(tracked: list[Path]) -> None:
    assert [path.name for path in tracked if LOCK_FILE.search(path.name)] == []


def test_constraints_are_versions_and_nothing_else() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert [line for line in pins if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize("content", [gzip.compress(b"holds the time"), b"plain"])
def test_names_of_tests_hold_no_bytes_addresses_or_folders_of_one_machine(
    content: bytes, request: pytest.FixtureRequest
) -> None:
    assert re.fullmatch(r".*\[content\d?\]", request.node.name)
    names = [item.nodeid for item in request.session.items]
    folders = (str(REPOSITORY), tempfile.gettempdir())
    assert [
        name for name in names if ADDRESS.search(name) or any(folder in name for folder in folders)
    ] == []
