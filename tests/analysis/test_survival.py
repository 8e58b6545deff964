"""Survival curves, restricted means and log-rank tests: textbook data, scipy, simulation.

Coverage is in test_coverage.py. The simulated trials are those of the studies: a trial remembers
with some chance, after a lognormal number of steps rounded up to an evaluation, and else never.
"""

import numpy as np
import pytest
from scipy import stats

from lstm_attn.analysis import log_rank, restricted_mean, survival_curve
from lstm_attn.errors import UsageError

BUDGET = 4000.0
# Gehan's leukaemia trial: weeks of remission with placebo, all observed.
PLACEBO = (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)
NEVER = np.nan


def draw(rng, chance, shape, median=0.3):
    """Ends of trials; NaN where a trial never remembers."""
    steps = np.ceil(np.exp(rng.normal(np.log(median), 0.4, shape)) * 40) * BUDGET / 40
    return np.where((rng.random(shape) < chance) & (steps <= BUDGET), steps, NEVER)


def spent(ends):
    return np.where(np.isnan(ends), BUDGET, ends)


def test_the_curve_is_the_textbooks():
    """Oracle: the placebo arm of Gehan 1965, by hand: S(1) = 19/21, S(8) = 8/21, S(23) = 0. Catches
    a share of those that ended, and a step drawn one end too early."""
    curve = survival_curve(np.array(PLACEBO), 35)
    shares = dict(zip(curve.steps, curve.share, strict=True))
    assert curve.steps[0] == 0
    assert curve.steps[-1] == 35
    for weeks, left in ((0, 21), (1, 19), (2, 17), (5, 12), (8, 8), (22, 1), (23, 0), (35, 0)):
        assert shares[weeks] == pytest.approx(left / 21, abs=1e-12)


def test_trials_without_the_event_are_censored_at_the_budget():
    """Oracle: by hand. Of four trials two end within 100 steps, one at 150 and one never. Catches a
    trial left out, an end beyond the budget that counts, and one at the budget that does not."""
    curve = survival_curve(np.array([30, 150, NEVER, 100.0]), 100)
    np.testing.assert_array_equal(curve.steps, [0, 30, 100])
    np.testing.assert_allclose(curve.share, [1, 0.75, 0.5])
    never = survival_curve(np.full(4, NEVER), 100)
    np.testing.assert_array_equal(never.steps, [0, 100])
    np.testing.assert_array_equal(never.share, [1, 1])
    exact = stats.binomtest(4, 4).proportion_ci(0.95)
    assert (never.low[1], never.high[1]) == pytest.approx((exact.low, 1))


def test_the_restricted_mean_is_the_area_under_the_curve():
    """Identity: the sum of steps times shares, on simulated trials. Catches a mean over the trials
    that end."""
    ends = draw(np.random.default_rng(0), 0.6, 12)
    curve = survival_curve(ends, BUDGET)
    area = (np.diff(curve.steps) * curve.share[:-1]).sum()
    assert restricted_mean(ends, BUDGET).mean == pytest.approx(area)


@pytest.mark.parametrize("seed", range(4))
def test_log_rank_is_scipys_in_large_samples(seed):
    """Oracle: `scipy.stats.logrank`, 200 trials a side, within four standard errors of a share of
    20,000 permutations and 5 % of p for the normal approximation. Catches events or trials at risk
    of one model alone, and a one-sided p."""
    rng = np.random.default_rng(seed)
    sides = draw(rng, 0.7, 200), draw(rng, 0.7, 200, median=0.33)
    censored = [stats.CensoredData.right_censored(spent(ends), np.isnan(ends)) for ends in sides]
    expected = stats.logrank(*censored).pvalue
    error = 4 * np.sqrt(expected * (1 - expected) / 20_000) + 0.05 * expected
    assert abs(log_rank(*sides, BUDGET) - expected) < error


def test_log_rank_sees_a_difference():
    """Oracle: by hand. Four trials that remember against four that never do: 2 of 70 splits are as
    far apart. Catches censored trials left out."""
    p = log_rank(np.array([10, 20, 30, 40.0]), np.full(4, NEVER), 100)
    assert abs(p - 2 / 70) < 4 * np.sqrt(2 / 70 / 20_000)
    assert log_rank(np.full(4, NEVER), np.full(4, NEVER), 100) == 1


@pytest.mark.parametrize("ends", [[], [-1.0], [[1.0]]])
def test_ends_that_are_none_are_one_line(ends):
    """Catches an empty table of trials, and steps before the start."""
    for of in (survival_curve, restricted_mean):
        with pytest.raises(UsageError, match=rf"^{of.__name__}: expected ends \[R\]"):
            of(np.array(ends), 10)
    with pytest.raises(UsageError, match="^log_rank: budget: expected a positive number, got 0"):
        log_rank(np.ones(4), np.ones(4), 0)
