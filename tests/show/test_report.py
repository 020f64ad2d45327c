"""The report: whole, offline, and deaf to what rollouts say."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from formatlab.errors import InputError
from formatlab.show.report.report import write_report
from formatlab.store import RunFolder

HOSTILE = "</pre></details><script>alert('x')</script><img src=x onerror=alert(1)>&amp;{{ 7*7 }}"


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_study_is_reported(grid: list[RunFolder], tmp_path: Path) -> None:
    path = write_report(tmp_path / "study", grid)
    page = Page(path)
    assert page.open == []
    for words in ("program wins in 2 of 2 seeds", "24 prompts x 8 samples", "learning_rate"):
        assert words in page.text
    assert page.tags.count("img") == 5
    files = {str(file.relative_to(path.parent)) for file in path.parent.rglob("*.*")}
    names = ("share_over_training", "winner_by_scale", "accuracy_by_scale", "training_signals")
    names += ("gain_over_training",)
    tables = (*names, "results", "attractors", "grader_errors", "collapse", "drift", "gain")
    assert files == {
        "report.html",
        *(f"figures/{name}.{kind}" for name in names for kind in ("png", "svg")),
        *(f"tables/{name}.csv" for name in tables),
        "tables/results.md",
    }


def test_nothing_is_fetched(grid: list[RunFolder], tmp_path: Path) -> None:
    page = Page(write_report(tmp_path / "study", grid))
    links = [value for name, value in page.attributes if name in ("src", "href", "srcset")]
    assert links and all(re.match(r"#|data:image/svg\+xml;base64,", link) for link in links)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert any("default-src 'none'" in value for _, value in page.attributes)


@pytest.mark.parametrize("place", ["completion", "tag", "scale", "study", "family"])
def test_hostile_text_is_shown_and_does_nothing(make_run, tmp_path: Path, place: str) -> None:
    options: dict = {
        "completion": {"completions": {"program": HOSTILE, "prose": HOSTILE}},
        "tag": {"start": {HOSTILE: 1.0}, "end": {HOSTILE: 1.0}},
        "scale": {"scale": HOSTILE, "done": False},
        "study": {"study": HOSTILE},
        "family": {"mixture": {HOSTILE: 1.0}},
    }[place]
    path = write_report(tmp_path / "study", [make_run(**options)])
    page = Page(path)
    assert page.open == []
    assert not {"script", "b"} & set(page.tags)
    assert page.tags.count("img") == 5
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "<script" not in path.read_text(encoding="utf-8")
    assert "{{ 7*7 }}" in page.text


def test_hostile_failures_and_prompts_are_escaped(make_run, tmp_path: Path) -> None:
    run = make_run(done=False, probe_epochs=())
    run.mark_failed(HOSTILE)
    page = Page(write_report(tmp_path / "study", [run]))
    assert HOSTILE in page.text
    assert "script" not in page.tags


@pytest.mark.parametrize(
    "options",
    [
        {"probe_epochs": (), "train": False, "done": False},
        {"probe_epochs": (0.0,), "train": False, "done": False},
        {"probe_epochs": (0.0, 0.125), "done": False},
        {"probe_epochs": (0.0, 1.0), "epochs": 1},
        {"probe_epochs": (0.0, 1.0), "train": False},
        {"probe_prompts": 1},
        {"scale": "SmolLM2-135M-Instruct", "parameters": 134_515_008, "mixture": {}},
    ],
)
def test_missing_pieces_do_not_stop_the_report(make_run, tmp_path: Path, options: dict) -> None:
    page = Page(write_report(tmp_path / "study", [make_run(**options)]))
    assert page.open == []
    unfinished = not options.get("done", True)
    assert ("Unfinished" in page.text) == unfinished
    assert ("no training rollouts" in page.text) == (not options.get("train", True))


def test_equal_runs_give_equal_reports(grid: list[RunFolder], tmp_path: Path) -> None:
    one = write_report(tmp_path / "one", grid)
    other = write_report(tmp_path / "other", grid)
    assert one.read_bytes() == other.read_bytes()


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no runs"):
        write_report(tmp_path, [])
