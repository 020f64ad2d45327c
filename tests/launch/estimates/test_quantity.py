import pytest

from formatlab.launch.estimates.quantity import number_words, size_words, time_words

MB = 2**20


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0.2 s"),
        (54.6, "55 s"),
        (89, "89 s"),
        (120, "2 min"),
        (3000, "50 min"),
        (9000, "2.5 h"),
        (86_400 * 4, "4 days"),
    ],
)
def test_times_are_told_in_a_fitting_unit(seconds: float, words: str):
    assert time_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(1, "1 KiB"), (300 * 1024, "300 KiB"), (3 * MB, "3 MiB"), (5 * 2**30, "5 GiB")],
)
def test_sizes_are_told_in_a_fitting_unit(size: int, words: str):
    assert size_words(size) == words


def test_counts_have_their_plural():
    assert [number_words(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
