"""Intervals of means: coverage by simulation, and closed forms."""

import numpy as np
import pytest
from scipy import stats

from lstm_attn.analysis import mean_interval, score_interval, share_interval, wilson_interval

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
    where all are one."""
    mean, low, high = score_interval(ones / count, count)
    assert mean == ones / count
    assert (low, high) == pytest.approx(wilson_interval(ones, count), abs=1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_share_interval_covers_the_share(spread):
    """Oracle: simulation of six trials of 200 draws, whose own shares vary by `spread` about .5.
    93 to 97 % of intervals cover it where trials vary; where they do not, no fewer."""
    rng = np.random.default_rng(1)
    rates = rng.normal(0.5, spread, (DRAWS, 6))
    intervals = [share_interval(row, 200) for row in rng.binomial(200, rates) / 200]
    covered = np.mean([low <= 0.5 <= high for _, low, high in intervals])
    assert 0.93 < covered < (0.97 if spread else 1)


def test_shares_that_agree_leave_the_draws_to_chance():
    """Oracle: Wilson's interval of all draws. Catches an interval of no width, and ends outside
    [0, 1]."""
    assert share_interval(np.ones(4), 50) == pytest.approx((1, wilson_interval(200, 200)[0], 1))
    assert share_interval(np.array([0.3]), 50)[1:] == pytest.approx(wilson_interval(15, 50))
    assert share_interval(np.array([1, 1, 1, 0.1]), 50)[2] == 1
    assert share_interval(np.array([0, 0, 0, 0.9]), 50)[1] == 0
