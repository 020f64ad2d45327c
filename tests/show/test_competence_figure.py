"""The figure of scale and competence, from made-up rows."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from formatlab.show.figures.competence import competence_figure

SCALES = {"0.27M": 270_000, "0.04M": 40_000, "12M": 12_000_000}
RUNS = [
    {
        "scale": scale,
        "parameters": parameters,
        "gap": 0.1 * place - 0.2,
        "end_share": place / 3,
        "pretraining": f"{scale} {seed}",
    }
    for place, (scale, parameters) in enumerate(SCALES.items())
    for seed in range(4)
]
PREDICTORS = {
    "scale": ["log parameters"],
    "competence": ["accuracy gap", "worked share"],
    "both": ["log parameters", "accuracy gap", "worked share"],
    "both by format": ["log parameters", "accuracy prose"],
}


def coefficients(low: float | None = -0.5) -> list[dict]:
    return [
        {
            "outcome": outcome,
            "model": model,
            "predictor": name,
            "coefficient": None if name == "worked share" else 1.0,
            "coefficient_low": low,
            "coefficient_high": None if low is None else 2.5,
        }
        for outcome in ("leader is worked", "end share of worked")
        for model, names in PREDICTORS.items()
        for name in names
    ]


def pairs(low: float | None = 0.25) -> list[dict]:
    return [
        {
            "scale": scale,
            "accuracy": accuracy,
            "pairs": 0 if scale == "same" else 8,
            "same_kind": None if scale == "same" else 0.5,
            "same_kind_low": low,
            "same_kind_high": None if low is None else 0.75,
        }
        for scale in ("same", "different")
        for accuracy in ("matched", "different")
    ]


@pytest.fixture(params=[-0.5, None], ids=["intervals", "no intervals"])
def drawn(request: pytest.FixtureRequest) -> Figure:
    low = None if request.param is None else 0.25
    return competence_figure(RUNS, coefficients(request.param), pairs(low), tolerance=0.1)


def test_each_run_is_a_point_by_gap_and_share(drawn: Figure) -> None:
    found = np.vstack([np.asarray(of.get_offsets()) for of in drawn.axes[0].collections])
    wanted = np.array([(100 * row["gap"], row["end_share"]) for row in RUNS])
    assert np.allclose(found[np.lexsort(found.T)], wanted[np.lexsort(wanted.T)])
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels[:3] == ["0.04M", "0.27M", "12M"]  # by size


def test_what_is_not_known_has_no_point(drawn: Figure) -> None:
    agree, of_leader, of_share = (len(panel.containers) for panel in drawn.axes[1:])
    assert agree == 2  # pairs of different scales alone
    assert of_leader == of_share == 4  # two predictors, alone and together


def test_text_stays_on_the_page(drawn: Figure) -> None:
    drawn.draw_without_rendering()
    width, height = drawn.bbox.size
    texts = [label for panel in drawn.axes for label in panel.get_yticklabels()]
    texts += [panel.yaxis.label for panel in drawn.axes] + list(drawn.texts)
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text
