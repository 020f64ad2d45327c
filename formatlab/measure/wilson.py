"""Wilson's score interval of a share (Wilson 1927), which is not empty where all or none count."""

import numpy as np

_Z = 1.959963984540054
"""Normal quantile of two-sided 95% intervals."""


def wilson_interval(
    share: np.ndarray | float, total: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the 95% interval of each share.

    Args:
        share: between 0 and 1; (...).
        total: how many independent observations it is of, at least 1; (...) or one for all.

    Returns:
        Lower and upper ends; (...).
    """
    share, total = np.asarray(share, dtype=np.float64), np.asarray(total, dtype=np.float64)
    scale = 1 + _Z**2 / total
    middle = (share + _Z**2 / (2 * total)) / scale
    half = _Z * np.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2)) / scale
    # Both ends stand around the share, whatever the last bit says where it is 0 or 1.
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)
