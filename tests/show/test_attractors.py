"""What is said of arms without signal is what happened."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from formatlab.measure import UNDECIDED
from formatlab.show.figures.winner_by_scale import winner_by_scale
from formatlab.show.report.report import write_report
from formatlab.show.study import Study, measured_study
from formatlab.show.tables.attractors import attractor_lines, attractor_rows, drift_verdict
from formatlab.show.tables.collapse import collapse_table
from formatlab.show.tables.results import study_table


def study_of(make_run, *, start: str, end: str, gains: bool, moved: int) -> Study:
    """A study of three seeds whose probes are dictated; `moved` of them beyond chance."""
    runs = [make_run(seed=seed, config={"reward": "none"}) for seed in range(3)]
    study = measured_study(runs)
    (arm,) = study.arms

    def row(of: Mapping[str, Any], winner: str, share: float) -> dict:
        formats = [{"tag": tag, "share": share} for tag in ("program", "prose")]
        return {**of, "winner": winner, "formats": formats}

    changed = []
    for number, run in enumerate(arm.runs):
        assert run.drift and run.base and run.final
        floor = 0.0 if number < moved else 1.0
        winners = [row(run.base, start, 0.4), row(run.final, end, 0.5 if gains else 0.3)]
        changed.append(replace(run, winners=winners, drift=replace(run.drift, floor=floor)))
    return replace(study, arms=[replace(arm, runs=changed)])


@pytest.mark.parametrize(
    ("start", "end", "gains", "moved", "verb", "said"),
    [
        ("program", "prose", True, 2, "drifts to", "drifts to prose, which leads"),
        ("prose", "prose", True, 3, "drifts further to", "drifts further to prose, which leads"),
        ("prose", "prose", False, 3, "stays with", "stays with prose, which leads"),
        ("prose", "prose", True, 1, "stays with", "stays with prose, which leads"),
        (UNDECIDED, "prose", True, 1, "ends with", "At the start no format led."),
        ("program", "prose", False, 2, "ends with", "At the start program led."),
        ("prose", "prose", True, 0, "unchanged", "unchanged, prose leads in 3 of 3 seeds"),
        (UNDECIDED, "prose", True, 0, "unchanged", "At the start no format led."),
        (UNDECIDED, UNDECIDED, True, 0, "unchanged", "unchanged; none leads in most seeds"),
        (UNDECIDED, UNDECIDED, True, 1, "stays undecided", "stays undecided; none leads"),
        ("prose", UNDECIDED, True, 1, "ends undecided", "ends undecided; none leads"),
        (UNDECIDED, UNDECIDED, True, 2, "drifts to no one format", "drifts to no one format;"),
    ],
)
def test_the_verdict(
    all_text, make_run, start: str, end: str, gains: bool, moved: int, verb: str, said: str
) -> None:
    study = study_of(make_run, start=start, end=end, gains=gains, moved=moved)
    (arm,) = study.arms
    assert drift_verdict(arm).verb == verb
    (line,) = attractor_lines(study)
    assert said in line
    assert "stays with" not in line or start == end
    drifted = end if verb in ("drifts to", "drifts further to") else None
    assert {row["drifted_to"] for row in attractor_rows(study)} == {drifted}


def heading(study: Study) -> str:
    return study_table(study).headings[-3]


def test_nothing_without_signal_is_headed_winner(all_text, make_run, tmp_path) -> None:
    silent = make_run(config={"reward": "random"})
    study = measured_study([silent])
    assert heading(study) == "leads (drift)"
    assert collapse_table(study).title == "Collapse and drift by arm"
    text = all_text(winner_by_scale(study))
    assert "leads (drift)" in text and "Winner" not in text
    both = [silent, make_run()]
    assert heading(measured_study(both)) == "wins or leads (drift)"
    assert 'class="badge"' in write_report(tmp_path / "study", both).read_text()
    text = all_text(winner_by_scale(measured_study(both)))
    assert text.count("leads (drift)") == 1 and "Winning or leading format" in text


def test_the_words_of_a_plain_study_stay(all_text, grid) -> None:
    study = measured_study(grid)
    assert heading(study) == "winner"
    assert collapse_table(study).title == "Collapse by arm"
    assert "Winner by scale and seed" in all_text(winner_by_scale(study))
