"""The interval of a median, by simulation and against scipy."""

import numpy as np
import pytest
from scipy.stats import quantile_test

from lstm_attn.analysis import median_interval


@pytest.mark.parametrize("trials", [6, 8, 13, 40])
def test_the_interval_covers_the_median(trials):
    """Simulation of a skewed distribution, 4,000 draws: at least 95 % but for their own spread.
    Catches a rank too far inside."""
    rng = np.random.default_rng(trials)
    intervals = [median_interval(values) for values in rng.exponential(size=(4000, trials))]
    covered = np.mean([low <= np.log(2) <= high for low, high in intervals])
    assert covered > 0.943


@pytest.mark.parametrize("trials", [6, 7, 8, 9, 12, 15, 25, 60])
def test_the_interval_is_scipys(trials):
    """Oracle: the confidence interval of `scipy.stats.quantile_test`. Catches a rank too far out."""
    values = np.random.default_rng(0).normal(size=trials)
    expected = quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    assert median_interval(values) == (expected.low, expected.high)


def test_few_and_infinite_values():
    """By definition the least and the greatest below six. Catches NaN from infinity less itself."""
    assert median_interval(np.array([3.0, np.inf, 1.0])) == (1.0, np.inf)
    assert median_interval(np.array([np.inf] * 7)) == (np.inf, np.inf)
    assert median_interval(np.array([5.0])) == (5.0, 5.0)
