"""A user's own formats, as patterns or classes, and what is said of those that do not work."""

import errno
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
import regex

from formatlab.errors import InputError
from formatlab.observe import own_formats as own_formats_module
from formatlab.observe.own_formats import own_formats
from formatlab.observe.tagger import tag

FINAL = r"""
[final]
recognise = '<final>'
answer = '<final>(?P<answer>.*?)</final>'
"""

SHOUT = """
from formatlab.world.formats import Format, Page, Reading

class Loud(Format):
    def recognise(self, page: Page) -> bool:
        return page.text.isupper()

class Shout(Loud):
    name = "shout"

    def read(self, page: Page):
        words = page.text.split()
        return Reading(content=words[-1].strip("!")) if words else "no answer"
"""


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("text", "answer", "missing"),
    [
        ("so <final> 1 </final> or <final>\n2\n</final>", "2", None),
        ("so <final>1", None, "malformed"),
        ("so <final> </final>", None, "no answer"),
    ],
)
def test_patterns_recognise_and_read(
    text: str, answer: str | None, missing: str | None, tmp_path: Path
):
    formats = own_formats(written(tmp_path, "f.toml", FINAL))
    seen = tag(text, formats=formats)
    assert (seen.format, seen.missing) == ("final", missing)
    if answer is not None:
        assert seen.reading is not None
        assert (seen.reading.content, seen.reading.code) == (answer, False)


def test_code_is_marked_as_such_and_the_order_is_the_file_s(tmp_path: Path):
    more = FINAL + "code = true\n[other]\nrecognise = 'final'\nanswer = '(?P<answer>f)'\n"
    first, second = own_formats(written(tmp_path, "f.toml", more))
    assert (first.name, second.name) == ("final", "other")
    reading = tag("<final>1 + 1</final>", formats=[first, second]).reading
    assert reading is not None
    assert reading.code


def test_a_pattern_that_never_ends_is_stopped(tmp_path: Path):
    slow = "[slow]\nrecognise = '(a|aa)+$'\nanswer = '(?P<answer>a)'\n"
    formats = own_formats(written(tmp_path, "f.toml", slow))
    seen = tag("a" * 60 + "b", formats=formats)
    assert (seen.format, seen.missing) == ("none", "time")


def test_other_threads_use_up_no_time_of_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = "(a|aa)+$"
    text, taken = "b", 0.0
    while taken < 0.05:
        text, start = "a" + text, time.thread_time()
        regex.search(pattern, text)
        taken = time.thread_time() - start
    monkeypatch.setattr(own_formats_module, "SECONDS", 4 * taken)
    slow = f"[slow]\nrecognise = '{pattern}'\nanswer = '(?P<answer>a)'\n"
    formats = own_formats(written(tmp_path, "f.toml", slow))
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            hashlib.sha256(bytes(10**6)).digest()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert [tag(text, formats=formats).missing for _ in range(5)] == ["no answer"] * 5
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_classes_of_a_python_file(tmp_path: Path):
    source = SHOUT.replace("class Loud(Format)", "class Loud")
    source = source.replace("class Shout(Loud)", "class Shout(Loud, Format)")
    (shout,) = own_formats(written(tmp_path, "f.py", source))
    assert tag("IT IS 5!", formats=[shout]).format == "shout"
    assert tag("The answer is 5.", formats=[shout]).format == "prose"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.txt", "", "neither a .toml nor a .py"),
        ("f.toml", "", "holds no format"),
        ("f.toml", "[x", "not TOML"),
        ("f.toml", "x = 1", "stands outside a table"),
        ("f.toml", "[x]\nrecognize = 'a'", "unknown key 'recognize'"),
        ("f.toml", "[x]\nrecognise = 'a'", "answer is missing"),
        ("f.toml", FINAL + "code = 1", "code should be true or false"),
        ("f.toml", "[x]\nrecognise = 1\nanswer = 'a'", "recognise should be text"),
        ("f.toml", FINAL.replace("P<answer>", "P<other>"), "no group"),
        ("f.toml", FINAL.replace("'<final>'", "'(a'"), r"\[final\]: recognise: .* at position 2"),
        ("f.toml", FINAL.replace("[final]", "[prose]"), "'prose' is a label of the built-in"),
        ("f.toml", FINAL.replace("[final]", "[none]"), "'none' is a label of the built-in"),
        ("f.toml", FINAL.replace("[final]", "['a b']"), "is no label"),
        ("f.py", "x = 1", "holds no format"),
        ("f.py", "x = (", "line 1: SyntaxError"),
        ("f.py", "\nimport no_such_module", "line 2: ModuleNotFoundError"),
        ("f.py", SHOUT, "class Loud lacks read"),
        ("f.py", SHOUT.replace("class Loud(Format)", "class Loud"), "holds no format"),
    ],
)
def test_mistakes_are_named(name: str, content: str, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        own_formats(written(tmp_path, name, content))


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="there is no file"):
        own_formats(tmp_path / "gone.toml")


@pytest.mark.parametrize("name", ["f.toml", "f.py"])
def test_a_file_that_may_not_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = written(tmp_path, name, FINAL)

    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read all files
    with pytest.raises(InputError, match=f"cannot read {path}: Permission denied$"):
        own_formats(path)
