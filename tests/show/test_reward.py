"""Any reward but correctness is named everywhere, and without signal nothing collapses."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from small_runs import run_factory

from formatlab.show.figures.layout import titled
from formatlab.show.figures.training_signals import signal_rows
from formatlab.show.figures.winner_by_scale import winner_by_scale
from formatlab.show.report.report import FIGURES, write_report
from formatlab.show.run_facts import RunReward, reward_of
from formatlab.show.settings_wording import with_reward
from formatlab.show.study import Study, measured_study
from formatlab.show.tables.attractors import attractor_lines, attractor_rows
from formatlab.show.tables.collapse import collapse_rows, collapse_table
from formatlab.show.tables.drift import drift_rows, drift_table
from formatlab.show.tables.results import markdown, print_study, result_rows, study_table
from formatlab.show.tables.table import csv_text
from formatlab.store import RunFolder
from formatlab.store.rollout_file import rollout_files, write_rollout_file
from formatlab.train.reward import Reward

DRAWINGS = [figure.draw for figure in FIGURES]
ROWS = (
    *(figure.rows for figure in FIGURES),
    *(result_rows, attractor_rows, collapse_rows, drift_rows),
)
NOISY = "correctness, program false positives 20%"
FLEXIBLE = "flexible correctness"
STEADY = {"program": 0.2, "prose": 0.8}


def end_as_it_began(run: RunFolder) -> None:
    """Give the last probe the very tags of the base: not even noise has moved them."""
    final = run.rollouts("probe", epoch=2.0)
    tags = run.rollouts("probe", epoch=0.0)["tag"]
    *_, last = rollout_files(run.path / "rollouts" / "split=probe")
    write_rollout_file(last.path, final.set_column(final.schema.names.index("tag"), "tag", tags))


def arm_of(make_run, reward: str, *, seeds: int = 2, **options) -> list:
    config = {"reward": reward, **options.pop("config", {})}
    return [make_run(seed=seed, config=config, **options) for seed in range(seeds)]


@pytest.fixture(scope="module", params=["random", "none", "inverted", NOISY, FLEXIBLE])
def named(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Study]:
    """A reward, and a study of one arm that has it alone."""
    make_run = run_factory(tmp_path_factory.mktemp("named"))
    return request.param, measured_study(arm_of(make_run, request.param))


@pytest.mark.parametrize(
    ("reward", "text"),
    [
        ("random", "random reward"),
        ("none", "no reward"),
        ("inverted", "inverted reward"),
        ("flexible correctness", "flexible correctness reward"),
        ("flexible inverted", "flexible inverted reward"),
        (NOISY, "correctness reward with program false positives 20%"),
        (
            f"{NOISY}, prose false negatives 5%",
            "correctness reward with program false positives 20% and prose false negatives 5%",
        ),
    ],
)
def test_rewards_have_words_without_a_comma(reward: str, text: str) -> None:
    read = reward_of({"reward": reward})
    assert (read.name, read.text) == (reward, text)
    assert with_reward("", read) == text
    assert with_reward("ppo", read) == f"ppo, {text}"
    for known in (text, reward, f"{reward} reward", f"reward {reward}"):
        assert with_reward(f"ppo, {known}, lora", read) == f"ppo, {text}, lora"


def test_a_title_names_the_only_reward() -> None:
    correctness, random = RunReward(), RunReward(kind="random")
    assert titled("Title", [correctness]) == "Title"
    assert titled("Title", [random]) == "Title (random reward)"
    assert titled("Title", [correctness, random]) == "Title"


@pytest.mark.parametrize("config", [{}, {"reward": None}, {"reward": "correctness"}])
def test_correctness_is_the_default(config: dict) -> None:
    assert reward_of(config).is_correctness and reward_of(config).has_signal


@pytest.mark.parametrize(
    "reward",
    [
        Reward(kind="random"),
        Reward(reading="flexible", false_positives={"prose": 0.2}),
        Reward(kind="random", reading="flexible"),
        Reward(false_positives={"prose": 0.2, "latex": 0.0}, false_negatives={"json": 0.125}),
    ],
)
def test_stored_settings_give_the_name_that_is_stored_beside_them(reward: Reward) -> None:
    read = reward_of({"reward": reward.name, "reward_settings": reward.config})
    assert read == reward_of({"reward": reward.name})
    assert read.name == reward.name


def test_a_recorded_trainer_may_have_several_reward_functions() -> None:
    read = reward_of({"reward": ["length", "right\x00answer"]})
    assert (read.name, read.has_signal, read.is_correctness) == (
        "length + right␀answer",
        True,
        False,
    )


def test_the_label_of_a_single_arm_names_it(named: tuple[str, Study]) -> None:
    reward, study = named
    (arm,) = study.arms
    assert arm.label == f"0.15M, {arm.reward.text}"
    assert arm.reward.name == reward


@pytest.mark.parametrize("draw", DRAWINGS)
def test_every_figure_names_it(named: tuple[str, Study], draw: Callable[[Study], Figure]) -> None:
    _, study = named
    figure = draw(study)
    assert study.rewards[0].text in " ".join(figure.texts[0].get_text().split())


@pytest.mark.parametrize("draw", DRAWINGS)
def test_every_figure_of_several_rewards_names_each_arm(all_text, make_run, draw) -> None:
    rewards = ("correctness", "random", "none", "inverted", NOISY, FLEXIBLE)
    study = measured_study([run for reward in rewards for run in arm_of(make_run, reward)])
    figure = draw(study)
    texts = [all_text(figure), *(t.get_text() for of in figure.legends for t in of.get_texts())]
    shown = " ".join(" ".join(texts).split())
    for reward in study.rewards:
        assert reward.text in shown


@pytest.mark.parametrize("rows", ROWS)
def test_every_csv_has_its_column(named: tuple[str, Study], rows) -> None:
    reward, study = named
    read = list(csv.DictReader(io.StringIO(csv_text(rows(study)))))
    assert read and {row["reward"] for row in read} == {reward}


def test_every_text_names_it(named: tuple[str, Study], tmp_path: Path) -> None:
    _, study = named
    text = study.rewards[0].text
    for table in (study_table(study), collapse_table(study), drift_table(study)):
        assert all(text in row[0] for row in table.rows if row[0])
    assert all(text in line for line in attractor_lines(study))
    output = io.StringIO()
    print_study(study, output)
    for shown in (output.getvalue(), markdown(study)):
        assert f"Trained with {text}." in shown


def test_the_head_of_the_report_names_it(make_run, tmp_path: Path) -> None:
    page = write_report(tmp_path / "study", arm_of(make_run, "random")).read_text()
    head = page[page.index("<header>") : page.index("</header>")]
    assert "Trained with random reward." in head
    assert "drift, not collapse" in head


@pytest.mark.parametrize("rows", ROWS[:6])
def test_correctness_alone_is_not_named(grid, rows) -> None:
    study = measured_study(grid)
    if rows is not signal_rows:  # all arms of any study have it there
        assert not {"reward", "drift_step", "drifted_to"} & rows(study)[0].keys()
    assert "correctness" not in " ".join([*attractor_lines(study), *study.settings])


@pytest.mark.parametrize("reward", ["random", "none"])
def test_without_signal_nothing_collapses_or_wins(all_text, make_run, reward: str) -> None:
    study = measured_study(arm_of(make_run, reward))
    steps = [row[-1] for row in study_table(study).rows if row[-1]]
    assert steps and all(step.startswith("drift, step ") for step in steps)
    (line,) = attractor_lines(study)
    assert "drifts to program, which leads in 2 of 2 seeds" in line
    assert "moved beyond chance in 2 of 2 seeds" in line
    for row in result_rows(study):
        assert row["collapse_step"] is None and row["drift_step"] is not None
    (row,) = collapse_rows(study)
    assert (row["collapsed"], row["drifted"]) == (None, 2)
    assert collapse_table(study).rows[0][2] == "drift: 2 of 2"
    for row in attractor_rows(study):
        assert row["attractor"] is None and row["wins"] is None
        assert row["drifted_to"] == "program"
    text = all_text(winner_by_scale(study))
    assert "drifts to:\nprogram (2 of 2)" in text and "attractor:" not in text
    output = io.StringIO()
    print_study(study, output)
    for shown in ("wins in", "collapsed"):
        assert shown not in output.getvalue()


def test_what_stays_is_said_to_stay(all_text, make_run) -> None:
    runs = arm_of(make_run, "none", start=STEADY, end=STEADY, probe_epochs=(0.0, 2.0))
    for run in runs:
        end_as_it_began(run)
    (line,) = attractor_lines(measured_study(runs))
    assert "unchanged, prose leads in 2 of 2 seeds" in line
    assert "moved beyond chance in 0 of 2 seeds" in line
    assert "unchanged:\nprose (2 of 2)" in all_text(winner_by_scale(measured_study(runs)))


def test_an_inverted_reward_may_collapse(make_run) -> None:
    study = measured_study(arm_of(make_run, "inverted"))
    assert any(row[-1].startswith("step ") for row in study_table(study).rows)
    (line,) = attractor_lines(study)
    assert line.startswith("0.15M, inverted reward: program wins in 2 of 2 seeds")
    (row,) = collapse_rows(study)
    assert (row["collapsed"], row["drifted"]) == (2, None)
