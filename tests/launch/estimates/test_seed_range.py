import pytest

from formatlab.launch.estimates.seed_range import seed_range


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (["s3"], "s3"),
        (["s2", "s1"], "s1-s2"),
        ([f"s{seed}" for seed in range(200)], "s0-s199"),
        (["s0", "s7"], "s0, s7"),
        (["s0", "s2", "s4", "s6", "s8"], "5 seeds"),
        (["s0.1", "s0.2", "s0.3"], "s0.1-s0.3"),
        (["s0.1", "s0.2", "s1", "s1.2"], "s0.1-s1.2"),
        (["s0.5", "s0.9"], "s0.5, s0.9"),
        (["s0", "s0.1"], "s0-s0.1"),
        (["s0", "w1s0", "s1", "w1s1"], "s0-w1s1"),
        (["w1s0", "w2s1"], "w1s0, w2s1"),
        (["w1", "w2", "w3"], "w1-w3"),
    ],
)
def test_ranges_leave_none_out(seeds: list[str], words: str):
    assert seed_range(seeds) == words
