"""Intervals that assume nothing of how trials are spread."""

import numpy as np
from scipy.stats import binom

CONFIDENCE = 0.95


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """An interval of the median of what R values are drawn from, by their order.

        [value_(k+1), value_(R-k)],   the largest k with P(Binomial(R, 1/2) <= k) <= 2.5 %

    It covers the median in at least 95 % of draws, whatever their distribution; infinite values may
    be among them. Of fewer than six values none does: it is then the least and the greatest, which
    cover in 1 - 2^(1 - R) of draws.

    Args:
      values: [R], at least one, without NaN.

    Source: Thompson 1936; David & Nagaraja 2003, Order Statistics, section 7.1.
    """
    ordered = np.sort(values)
    k = 0
    while binom.cdf(k, len(ordered), 0.5) <= (1 - CONFIDENCE) / 2:
        k += 1
    k = max(k - 1, 0)
    return float(ordered[k]), float(ordered[-1 - k])
