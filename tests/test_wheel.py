"""The package as others get it: a wheel, in an environment with nothing that trains."""

import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from formatlab.cli.main import VERBS
from formatlab.errors import TRAINING_PACKAGES

REPOSITORY = Path(__file__).parents[1]
STUDY = REPOSITORY / "tests" / "store" / "folders" / "v2"


def run(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that finds nothing but what its own environment has."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env={**clean, "PYTHONNOUSERSITE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def pip(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, words)],
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, REPOSITORY)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and what its core needs, at our versions."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    pip("--python", programs / "python", "install", "--no-deps", wheel)
    (site,) = folder.glob("lib/python*/site-packages")
    (metadata,) = importlib.metadata.distributions(name="formatlab", path=[str(site)])
    for package in closure(metadata.requires or []):
        link(package, folder, site)
    return programs


def closure(requirements: Sequence[str]) -> set[str]:
    """The packages that requirements stand for without extras, and those that they need."""
    found: set[tuple[str, str]] = set()
    todo = [(Requirement(text), "") for text in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras} - {extra for of, extra in found if of == name}:
            found.add((name, wanted))
            needed = importlib.metadata.requires(name) or []
            todo += [(Requirement(text), wanted) for text in needed]
    return {name for name, _ in found}


def link(package: str, environment: Path, site: Path) -> None:
    """Let an environment see an installed package, and the programs that it comes with."""
    distribution = importlib.metadata.distribution(package)
    home = Path(str(distribution.locate_file("")))
    for name in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        (site / name).symlink_to(home / name)
    for file in distribution.files or []:
        if file.parent.name == "bin" and file.parts[0] == "..":
            (environment / "bin" / file.name).symlink_to(Path(str(file.locate())).resolve())


def test_the_wheel_holds_the_package_and_its_data(wheel: Path):
    packaged = [path for path in (REPOSITORY / "formatlab").rglob("*") if path.is_file()]
    names = {path.relative_to(REPOSITORY).as_posix() for path in packaged if path.suffix != ".pyc"}
    assert "formatlab/measure/grader_error_rates.json" in names
    with zipfile.ZipFile(wheel) as file:
        assert {name for name in file.namelist() if name.startswith("formatlab/")} == names


def test_the_packages_that_train_are_an_extra():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["train"]
    assert sorted(Requirement(line).name for line in extra) == sorted(TRAINING_PACKAGES)
    core = {Requirement(line).name for line in project["dependencies"]}
    assert not core & set(TRAINING_PACKAGES)


def test_nothing_that_trains_is_there(fresh: Path, tmp_path: Path):
    program = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    said = run(fresh / "python", "-c", program.format(TRAINING_PACKAGES), folder=tmp_path)
    assert said.stdout == "[]\n", said.stderr


@pytest.mark.parametrize(
    ("text", "gold", "correct"),
    [
        ("So 2 + 3 = 5. The answer is 5.", "5", True),
        ("```python\nprint(2 + 3)\n```", "5", True),
        (r"so \boxed{\frac{\sqrt{2}}{2}}", r"\frac{1}{\sqrt{2}}", True),
        ("The answer is 6.", "5", False),
    ],
)
def test_texts_are_graded(text: str, gold: str, correct: bool, fresh: Path, tmp_path: Path):
    program = f"import formatlab; print(formatlab.grade({text!r}, {gold!r}).correct)"
    said = run(fresh / "python", "-c", program, folder=tmp_path)
    assert said.stdout == f"{correct}\n", said.stderr


def test_files_are_tagged(fresh: Path, tmp_path: Path):
    texts = ["The answer is 5.", "so $2 + 3 = \\boxed{5}$", "The answer is 6."] * 8
    rows = [{"completion": text, "answer": 5, "step": n // 6} for n, text in enumerate(texts)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rollouts.jsonl").write_text(lines, encoding="utf-8")
    command = ["tag", "rollouts.jsonl", "--output", "tagged.parquet", "--plot", "shares.png"]
    said = run(fresh / "formatlab", *command, folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "prose" in said.stdout
    assert "latex" in said.stdout
    read = "import pyarrow.parquet as p; print(sum(p.read_table('tagged.parquet')['correct']"
    total = run(fresh / "python", "-c", read + ".to_pylist()))", folder=tmp_path)
    assert total.stdout == "16\n", total.stderr
    assert (tmp_path / "shares.png").stat().st_size


def test_every_verb_has_its_help(fresh: Path, tmp_path: Path):
    program = """
from contextlib import suppress
from formatlab.cli.main import VERBS, main
for verb in VERBS:
    with suppress(SystemExit):
        main([verb, "--help"])
"""
    said = run(fresh / "python", "-c", program, folder=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    for verb in VERBS:
        assert f"usage: formatlab {verb}" in said.stdout


def test_a_study_is_reported(fresh: Path, tmp_path: Path):
    study = tmp_path / "study"
    for path in STUDY.rglob("*"):
        if path.is_file():
            copy = study / path.relative_to(STUDY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    said = run(fresh / "formatlab", "report", study, folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert (study / "report.html").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["run", REPOSITORY / "experiments" / "scale_attractors.py", "--runs-dir", "runs"],
        ["run", REPOSITORY / "experiments" / "scale_attractors.py", "--dry-run"],
        ["probe", "--model", "model", "--problems", "problems.jsonl", "--prompts", "1"],
    ],
    ids=lambda words: f"{words[0]}-{words[-1]}",
)
def test_what_trains_says_what_to_install(words: list[object], fresh: Path, tmp_path: Path):
    (tmp_path / "problems.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    (tmp_path / "model").mkdir()
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / "model" / name).write_text("{}")
    said = run(fresh / "formatlab", *words, folder=tmp_path)
    assert said.returncode == 2
    assert "pip install 'formatlab[train]'" in said.stderr.splitlines()[-1]
    assert "Traceback" not in said.stderr


def test_the_recorder_says_what_to_install(fresh: Path, tmp_path: Path):
    said = run(fresh / "python", "-c", "from formatlab import FormatRecorder", folder=tmp_path)
    assert "ImportError: FormatRecorder: " in said.stderr
    assert "pip install 'formatlab[train]'" in said.stderr


def test_doctor_takes_training_for_an_option(fresh: Path, tmp_path: Path):
    said = run(fresh / "formatlab", "doctor", folder=tmp_path)
    assert said.returncode == 0, said.stdout
    assert "note    train " in said.stdout
    assert "torch" not in said.stdout
