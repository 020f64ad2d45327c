"""What the README shows works as it stands there."""

import re
from pathlib import Path

from formatlab.cli.main import VERBS
from formatlab.observe.grader import grade
from formatlab.world.formats import FORMATS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


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


def test_commands_of_the_readme_name_verbs_and_files_that_exist():
    commands = re.findall(r"formatlab (\w+)[^\n]*", README)
    assert set(commands) & set(VERBS)
    for path in re.findall(r"experiments/\w+\.py", README):
        assert (Path(__file__).parents[1] / path).is_file()
