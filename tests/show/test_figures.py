"""The figures: what they draw, and that nothing in a study stops them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from small_runs import run_factory

from formatlab.show.figures.accuracy_by_scale import accuracy_by_scale, accuracy_rows
from formatlab.show.figures.layout import save_figure
from formatlab.show.figures.share_over_training import share_over_training, share_rows
from formatlab.show.figures.winner_by_scale import winner_by_scale, winner_rows
from formatlab.show.palette import format_style
from formatlab.show.report.report import FIGURES
from formatlab.show.study import Study, measured_study

PROBED = (share_over_training, winner_by_scale, accuracy_by_scale)
DRAWINGS = [figure.draw for figure in FIGURES]


def test_share_rows_hold_each_step_and_probe(grid) -> None:
    study = measured_study(grid)
    rows = share_rows(study)
    assert len(rows) == 4 * (8 + 4) * 2
    train = [row for row in rows if row["split"] == "train"]
    assert {row["rollouts"] for row in train} == {32}
    assert all(row["share_low"] is None for row in train)
    probe = [row for row in rows if row["split"] == "probe"]
    assert all(row["share_low"] <= row["share"] <= row["share_high"] for row in probe)


def test_share_lines_are_the_mean_over_seeds(grid) -> None:
    study = measured_study(grid)
    panel = share_over_training(study).axes[0]
    colour = format_style("program").colour
    drawn = [line for line in panel.lines if line.get_color() == colour]
    thick = max(drawn, key=lambda line: line.get_linewidth())
    rows = [r for r in share_rows(study) if r["arm"] == "0.15M" and r["tag"] == "program"]
    at_last = [r["share"] for r in rows if r["split"] == "train" and r["step"] == 7]
    assert len(at_last) == 2
    assert list(thick.get_ydata())[-1] == pytest.approx(sum(at_last) / 2)  # pyright: ignore


def test_epochs_are_marked_where_they_end(grid) -> None:
    panel = share_over_training(measured_study(grid)).axes[0]
    (above,) = panel.child_axes
    assert above.get_xticks().tolist() == [0, 4, 8]
    assert [label.get_text() for label in above.get_xticklabels()] == ["0", "1", "2"]


def test_winner_cells_say_who_won_by_how_much(all_text, grid, make_run) -> None:
    undecided = make_run(seed=5, end={"program": 0.5, "prose": 0.5}, start={"program": 0.5})
    undertrained = make_run(seed=6, undertrained=True)
    study = measured_study([*grid, undecided, undertrained])
    text = all_text(winner_by_scale(study))
    rows = winner_rows(study)
    assert [row["winner"] for row in rows[:2]] == ["program", "program"]
    for row in rows[:2]:
        assert f"program\n{100 * row['share']:.0f}%" in text
    assert "no run" in text
    assert "attractor:\nprose (2 of 2)" in text


def test_accuracy_leaves_out_small_numbers_but_the_table_has_them(make_run) -> None:
    study = measured_study([make_run(end={"program": 1.0})])
    rows = accuracy_rows(study)
    assert {(row["moment"], row["tag"]) for row in rows} >= {("at the base", "prose")}
    base, last = accuracy_by_scale(study).axes
    colour = format_style("prose").colour

    def points(panel) -> int:
        lines = [line for line in panel.lines if line.get_color() == colour]
        return sum(len(line.get_xdata()) for line in lines if line.get_marker() == "^")

    assert points(base) == 1
    assert points(last) == 0


@pytest.mark.parametrize("draw", PROBED)
def test_captions_state_n_seeds_and_intervals(
    all_text, grid, draw: Callable[[Study], Figure]
) -> None:
    text = " ".join(all_text(draw(measured_study(grid))).split())
    assert "24 prompts x 8 samples" in text
    assert "95% cluster-bootstrap interval" in text
    assert "seed" in text


@pytest.fixture(
    scope="module",
    params=[
        {"probe_epochs": (), "train": False, "done": False},
        {"probe_epochs": ()},
        {"probe_epochs": (0.0,), "train": False, "done": False},
        {"probe_epochs": (0.0, 0.125)},
        {"probe_epochs": (1.0,), "epochs": 1},
        {"probe_prompts": 1},
        {"undertrained": True},
        {"scale": "owner/$\\frac{<b>\x00 a rather long name of a model", "mixture": {}},
        {"start": {"$x_{": 1.0}, "end": {"none": 1.0}},
    ],
)
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of a run with missing pieces or odd names."""
    return measured_study([run_factory(tmp_path_factory.mktemp("odd"))(**request.param)])


@pytest.mark.parametrize("draw", DRAWINGS)
def test_runs_with_missing_pieces_and_odd_names_are_drawn(
    odd: Study, tmp_path: Path, draw: Callable[[Study], Figure]
) -> None:
    figure = draw(odd)
    for kind, mark in (("png", b"\x89PNG"), ("svg", b"<svg")):
        save_figure(figure, tmp_path / f"figure.{kind}")
        assert mark in (tmp_path / f"figure.{kind}").read_bytes()


CHAIN = "sft program+prose+latex, dpo program, expert_iteration"


@pytest.mark.parametrize("draw", DRAWINGS)
def test_text_stays_on_the_page_and_panels_apart(
    grid, make_run, draw: Callable[[Study], Figure]
) -> None:
    """Measured by the renderer: titles, labels and captions inside, panel titles not crossing."""
    long = make_run(scale="owner/A-Model-With-A-Long-Name-7B-Instruct", parameters=7_000_000_000)
    check_layout(draw(measured_study([*grid, long])))


@pytest.mark.parametrize("draw", DRAWINGS)
def test_many_arms_with_many_words_stay_on_the_page(
    make_run, draw: Callable[[Study], Figure]
) -> None:
    rewards = ("random", "correctness, program false positives 20%, prose false negatives 5%")
    arms = [
        {"chain": arm, "reward": reward}
        for arm in ("grpo", "ppo", "sft prose", CHAIN)
        for reward in rewards
    ]
    metrics = [{"step": step, "epoch": step / 4, "reward": 0.5} for step in range(8)]
    probed: dict = {"epochs": 1, "probe_epochs": (0.0, 1.0)}
    runs = [make_run(config=config, metrics=metrics, **probed) for config in arms]
    check_layout(draw(measured_study(runs)))


def check_layout(figure: Figure) -> None:
    figure.draw_without_rendering()
    page = figure.bbox
    titles = [panel.title for panel in figure.axes]
    titles += [panel._left_title for panel in figure.axes]  # pyright: ignore
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    inside = [*figure.texts, *titles, *legends, *(t for of in figure.axes for t in of.texts)]
    for text in inside:
        if text.get_text():
            box = text.get_window_extent()
            assert page.x0 <= box.x0 and box.x1 <= page.x1, text.get_text()
            assert page.y0 <= box.y0 and box.y1 <= page.y1, text.get_text()
    boxes = [text.get_window_extent() for text in titles if text.get_text()]
    boxes += [text.get_window_extent() for text in [*figure.texts, *legends]]
    for index, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[index + 1 :])


def test_equal_studies_give_equal_files(grid, tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        one, other = (tmp_path / f"{name}.{kind}" for name in ("one", "other"))
        for path in (one, other):
            save_figure(share_over_training(measured_study(grid)), path)
        assert one.read_bytes() == other.read_bytes()


NOISY = "correctness, prose false positives 50%, latex false negatives 10%"


@pytest.mark.parametrize("draw", DRAWINGS)
def test_a_long_name_of_the_only_reward_stays_on_the_page(
    make_run, draw: Callable[[Study], Figure]
) -> None:
    check_layout(draw(measured_study([make_run(config={"reward": NOISY})])))


def test_one_start_is_drawn_once(make_run) -> None:
    bonuses = [{"bonus": of, "over": "format"} for of in ("ucb_mean", "batch")]
    runs = [make_run(config={"exploration": of}) for of in ({"bonus": "none"}, *bonuses)]
    titles = [panel.get_title(loc="left") for panel in accuracy_by_scale(measured_study(runs)).axes]
    assert [" ".join(title.split()) for title in titles] == [
        "At the base",
        "bonus batch over formats: at the last epoch",
        "bonus ucb_mean over formats: at the last epoch",
        "no bonus: at the last epoch",
    ]
    other = make_run(start={"program": 0.9, "prose": 0.1}, config={"exploration": None, "a": 1})
    assert len(accuracy_by_scale(measured_study([*runs, other])).axes) == 8


def test_many_settings_fit_a_screen(make_run) -> None:
    runs = [make_run(config={"chain": f"arm {number}"}) for number in range(9)]
    figure = accuracy_by_scale(measured_study(runs))
    assert len(figure.axes) == 10
    assert figure.get_size_inches()[1] < 13


def test_values_stand_on_a_line_with_their_name(make_run) -> None:
    runs = [
        make_run(config={"settings": {"kl_coefficient": kl, "learning_rate": rate}})
        for kl, rate in ((0.0, 1e-4), (0.01, 1e-5))
    ]
    study = measured_study(runs)
    for figure in (winner_by_scale(study), share_over_training(study), accuracy_by_scale(study)):
        texts = [text.get_text() for panel in figure.axes for text in panel.texts]
        texts += [panel.get_title(loc="left") for panel in figure.axes]
        shown = "\n".join(texts)
        assert "rate\u00a00.0001" in shown and "coefficient\u00a00.01" in shown


def test_tags_that_are_not_drawn_are_quoted(all_text, make_run) -> None:
    rare = {"program": 0.997, "none": 0.003}
    run = make_run(start=rare, end=rare, train=False, probe_prompts=256)
    text = " ".join(all_text(share_over_training(measured_study([run]))).split())
    assert 'Never at 2% and not drawn: "none".' in text
