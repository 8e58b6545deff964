"""Medians and quartiles."""

import numpy as np
import pytest

from benchmarks.spread import spread


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 25])
def test_median_and_quartiles_are_those_of_numpy(count):
    """Oracle: numpy.quantile, linear. Catches quartiles exchanged, or of the exclusive method."""
    samples = np.random.default_rng(count).exponential(size=count)
    median, lower, upper = np.quantile(samples, [0.5, 0.25, 0.75])
    assert spread(samples.tolist()) == pytest.approx((median, lower, upper))
