"""An interval of order statistics: its ranks by hand, its coverage by simulation."""

import numpy as np
import pytest
from scipy.stats import quantile_test

from lstm_attn.analysis import median_interval


@pytest.mark.parametrize(
    ("trials", "low", "confidence"),
    [(1, 0, 0), (4, 0, 1 - 2 / 16), (6, 0, 1 - 2 / 64), (9, 1, 1 - 20 / 512), (15, 3, 0.9648)],
)
def test_ranks_are_those_of_the_sign_test(trials, low, confidence):
    """Oracle: binomial sums by hand, and for 15 a printed table. Catches a rank off by one."""
    found = median_interval(np.random.default_rng(0).permutation(trials))
    assert found.low == low
    assert found.high == trials - 1 - low
    assert found.median == (trials - 1) / 2
    assert found.trials == trials
    np.testing.assert_allclose(found.confidence, confidence, atol=1e-4)


@pytest.mark.parametrize("trials", [4, 6, 12, 25])
def test_it_covers_as_often_as_it_says(trials):
    """By simulation, 4,000 draws of a skew distribution: what it says, within three standard
    errors. Catches an interval for the mean, and a confidence of one side."""
    draws = np.random.default_rng(trials).exponential(size=(4000, trials))
    found = [median_interval(draw) for draw in draws]
    covered = np.mean([low <= np.log(2) <= high for _, low, high, *_ in found])
    expected = found[0].confidence
    assert abs(covered - expected) < 3 * np.sqrt(expected * (1 - expected) / 4000)


@pytest.mark.parametrize("trials", [6, 7, 8, 9, 12, 15, 25, 60])
def test_the_interval_is_scipys(trials):
    """Oracle: the confidence interval of `scipy.stats.quantile_test`. Catches a rank too far out."""
    values = np.random.default_rng(0).normal(size=trials)
    expected = quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    found = median_interval(values)
    assert (found.low, found.high) == (expected.low, expected.high)


def test_infinite_values_have_their_place():
    """By definition. Catches NaN from infinity less itself."""
    assert median_interval(np.array([3.0, np.inf, 1.0]))[:3] == (3.0, 1.0, np.inf)
    assert median_interval(np.array([np.inf] * 7))[:3] == (np.inf, np.inf, np.inf)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [[1.0]]])
def test_what_has_no_median_is_refused(values):
    """Catches a NaN in a file of results."""
    with pytest.raises(ValueError, match=r"^median_interval: expected values \[R\] without NaN"):
        median_interval(np.array(values))
