"""Intervals of means: coverage by simulation, and closed forms."""

import numpy as np
import pytest
from scipy import stats

from lstm_attn.analysis import mean_interval, share_interval, wilson_interval

DRAWS = 4000


@pytest.mark.parametrize("count", [4, 12])
def test_students_interval_covers_the_mean_of_normal_values(count):
    """Oracle: simulation, 93 to 97 % of draws. Catches the normal quantile for Student's (87 % of
    four), and a deviation over n."""
    values = np.random.default_rng(count).normal(3, 2, (DRAWS, count))
    covered = [low <= 3 <= high for _, low, high in map(mean_interval, values)]
    assert 0.93 < np.mean(covered) < 0.97


def test_students_interval_is_scipys():
    """Oracle: scipy.stats.ttest_1samp."""
    values = np.array([0.3, 0.9, 0.1, 0.45])
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((values.mean(), theirs.low, theirs.high))


def test_a_mean_that_has_no_interval():
    """Catches a deviation of one value, and infinity in a mean."""
    assert mean_interval(np.array([2.0]))[0] == 2
    assert np.isnan(mean_interval(np.array([2.0]))[1:]).all()
    assert np.isnan(mean_interval(np.array([1, np.inf]))).all()


@pytest.mark.parametrize(("ones", "count"), [(0, 4), (4, 4), (7, 10)])
def test_score_interval_of_ones_and_zeros_is_wilsons(ones, count):
    """Oracle: `wilson_interval`, by scipy. Catches another level, and an interval that vanishes
    where all shares are one."""
    mean, low, high = share_interval(np.arange(count) < ones)
    assert mean == ones / count
    assert (low, high) == pytest.approx(wilson_interval(ones, count), abs=1e-12)


def test_score_interval_covers_shares():
    """Oracle: simulation. Of counts of ten answers, averaged over rates since a score interval
    oscillates, at least 95 %: shares vary less than ones and zeros, of which it covers 93 to 97."""
    rng = np.random.default_rng(0)
    coins, counts = [], []
    for rate in np.linspace(0.05, 0.95, 19):
        for group, out in ((1, coins), (10, counts)):
            shares = rng.binomial(group, rate, (300, 12)) / group
            out += [low <= rate <= high for _, low, high in map(share_interval, shares)]
    assert 0.93 < np.mean(coins) < 0.97
    assert np.mean(counts) > 0.95
