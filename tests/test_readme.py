"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest

import formatlab
from formatlab.cli.main import VERBS
from formatlab.observe.grader import grade
from formatlab.world.formats import FORMATS

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_format_of_the_readme_is_recognised_and_graded():
    (source,) = [
        block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "class" in block
    ]
    before = dict(FORMATS)
    try:
        exec(source, {})
        seen = grade("IT IS 5!", "5")
        assert (seen.tag.format, seen.correct) == ("shout", True)
        assert grade("The answer is 5.", "5").tag.format == "prose"
    finally:
        FORMATS.clear()
        FORMATS.update(before)


@pytest.mark.parametrize("page", ["README.md", "docs/instruments.md"])
def test_what_is_said_to_come_out_comes_out(page: str):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    lines = re.findall(r"^(formatlab\..*\S)\s+# (.*)$", text, re.M)
    assert len(lines) == 2
    for expression, value in lines:
        assert eval(expression, {"formatlab": formatlab}) == eval(value)


def test_commands_of_the_readme_name_verbs_and_files_that_exist():
    commands = set(re.findall(r"^(?:\.venv/bin/|\$ )formatlab (\w+)", README, re.M))
    assert "run" in commands
    assert commands <= set(VERBS)
    paths = set(re.findall(r"(?:experiments|formatlab)/[\w/]+\.py", README))
    assert "experiments/scale_attractors.py" in paths
    assert [path for path in paths if not (REPOSITORY / path).is_file()] == []
