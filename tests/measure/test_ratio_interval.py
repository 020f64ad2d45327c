import numpy as np
import pytest

from formatlab.measure.bootstrap import ratio_intervals


def test_intervals_cover_the_ratio_and_widen_with_clusters():
    generator = np.random.default_rng(0)
    rows = np.full((200, 1), 8.0)
    apart = generator.binomial(8, 0.3, size=(200, 1)).astype(float)
    together = 8.0 * generator.binomial(1, 0.3, size=(200, 1))
    (one,) = ratio_intervals(apart, rows)
    (other,) = ratio_intervals(together, rows)
    assert one is not None
    assert other is not None
    assert one[0] < apart.sum() / rows.sum() < one[1]
    assert other[1] - other[0] > 2 * (one[1] - one[0])


@pytest.mark.parametrize(
    ("numerators", "denominators", "expected"),
    [
        ([[3.0]], [[4.0]], [None]),
        ([[0.0, 2.0]] * 10, [[0.0, 2.0]] * 10, [None, (1.0, 1.0)]),
        ([[0.0, 2.0]] * 9, [[0.0, 2.0]] * 9, [None, None]),
    ],
)
def test_no_interval_of_few_clusters_or_without_rows(
    numerators: list, denominators: list, expected: list
):
    assert ratio_intervals(np.array(numerators), np.array(denominators)) == expected
