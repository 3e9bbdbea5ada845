"""What an epoch costs, as a sum of parts with weights that are not negative, fitted to known ones.

For what has not been measured: which cell comes next, how long it takes, what a map shows in its
place. Never for a verdict.
"""

from __future__ import annotations

import numpy as np

from harness.statistics.intervals import Floats

MORE = 2  # cells that must be known beyond the number of parts


def fit_weights(parts: Floats, seconds: Floats) -> Floats | None:
    """Return the weight of each part by non-negative least squares, relative errors counting alike.

    Args:
        parts: (n, k), of each known cell: how much there is of each part.
        seconds: (n,), what each took; all above 0.

    Returns:
        (k,), or None where fewer than k + 2 are known.
    """
    from scipy.optimize import nnls

    n, k = parts.shape
    if n < k + MORE:
        return None
    scale = np.maximum(parts.max(axis=0), 1e-300)
    found, _ = nnls(parts / scale / seconds[:, None], np.ones(n))
    return np.asarray(found / scale, np.float64)


def relative_error(parts: Floats, seconds: Floats) -> float | None:
    """Return the median relative error on cells left out of the fit one by one; None: too few.

    Args and shapes are those of `fit_weights`.
    """
    errors = []
    for number in range(len(seconds)):
        others = np.arange(len(seconds)) != number
        weights = fit_weights(parts[others], seconds[others])
        if weights is not None:
            errors.append(abs(float(parts[number] @ weights) / float(seconds[number]) - 1))
    return float(np.median(errors)) if errors else None
