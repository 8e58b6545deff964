"""Intervals of means, rates and medians: coverage by simulation, closed forms, ranks by hand."""

import numpy as np
import pytest
from scipy import stats

from lstm_attn.analysis import (
    mean_interval,
    median_interval,
    score_interval,
    share_interval,
    wilson_interval,
)

DRAWS = 4000


@pytest.mark.parametrize("count", [4, 12])
def test_students_interval_covers_the_mean_of_normal_values(count):
    """Oracle: simulation, 93 to 97 % of draws. Catches the normal quantile for Student's, which
    covers 87 % with four values, and a deviation divided by n."""
    values = np.random.default_rng(count).normal(3, 2, (DRAWS, count))
    covered = [low <= 3 <= high for _, low, high in map(mean_interval, values)]
    assert 0.93 < np.mean(covered) < 0.97


def test_students_interval_is_scipys():
    """Oracle: scipy.stats.ttest_1samp. Catches another level or number of degrees of freedom."""
    values = np.array([0.3, 0.9, 0.1, 0.45])
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((values.mean(), theirs.low, theirs.high))


def test_a_mean_that_has_no_interval():
    """Catches a deviation of one value, and infinity in a mean."""
    assert mean_interval(np.array([2.0]))[0] == 2
    assert np.isnan(mean_interval(np.array([2.0]))[1:]).all()
    assert np.isnan(mean_interval(np.array([1, np.inf]))).all()


@pytest.mark.parametrize("trials", [1, 2, 4, 6, 10, 60])
def test_score_interval_of_ones_and_zeros_is_scipys(trials):
    """Oracle: `scipy.stats.binomtest`, bit for bit. Catches another level, an interval that vanishes
    where all are one, and ends outside [0, 1]."""
    for ones in range(trials + 1):
        theirs = stats.binomtest(ones, trials).proportion_ci(0.95, method="wilson")
        assert wilson_interval(ones, trials) == (theirs.low, theirs.high)
        assert score_interval(ones / trials, trials) == (ones / trials, theirs.low, theirs.high)


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_share_interval_covers_the_share(spread):
    """Oracle: simulation of six trials of 200 draws, whose own shares vary by `spread` about .5. 93
    to 97 % of intervals cover it if trials vary, no fewer if not. Catches a normal quantile."""
    rng = np.random.default_rng(1)
    rates = rng.normal(0.5, spread, (DRAWS, 6))
    intervals = [share_interval(row, 200) for row in rng.binomial(200, rates) / 200]
    covered = np.mean([low <= 0.5 <= high for _, low, high in intervals])
    assert 0.93 < covered < (0.97 if spread else 1)


def test_shares_that_agree_leave_the_draws_to_chance():
    """Oracle: Wilson's interval of all draws. Catches an interval of no width, and ends outside [0,
    1]."""
    assert share_interval(np.ones(4), 50) == pytest.approx((1, wilson_interval(200, 200)[0], 1))
    assert share_interval(np.array([0.3]), 50)[1:] == pytest.approx(wilson_interval(15, 50))
    assert share_interval(np.array([1, 1, 1, 0.1]), 50)[2] == 1
    assert share_interval(np.array([0, 0, 0, 0.9]), 50)[1] == 0


@pytest.mark.parametrize(
    ("trials", "low", "confidence"),
    [(1, 0, 0), (4, 0, 1 - 2 / 16), (6, 0, 1 - 2 / 64), (9, 1, 1 - 20 / 512), (15, 3, 0.9648)],
)
def test_ranks_of_the_median_are_those_of_the_sign_test(trials, low, confidence):
    """Oracle: binomial sums by hand, and for 15 a printed table. Catches a rank off by one."""
    found = median_interval(np.random.default_rng(0).permutation(trials))
    assert found.low == low
    assert found.high == trials - 1 - low
    assert found.median == (trials - 1) / 2
    assert found.trials == trials
    np.testing.assert_allclose(found.confidence, confidence, atol=1e-4)


@pytest.mark.parametrize("trials", [4, 6, 12, 25])
def test_the_medians_interval_covers_as_often_as_it_says(trials):
    """Oracle: simulation, 4,000 draws of a skewed distribution; coverage is what it says, within
    three standard errors. Catches an interval for the mean, and a one-sided confidence."""
    draws = np.random.default_rng(trials).exponential(size=(4000, trials))
    found = [median_interval(draw) for draw in draws]
    covered = np.mean([low <= np.log(2) <= high for _, low, high, *_ in found])
    expected = found[0].confidence
    assert abs(covered - expected) < 3 * np.sqrt(expected * (1 - expected) / 4000)


@pytest.mark.parametrize("trials", [6, 7, 8, 9, 12, 15, 25, 60])
def test_the_medians_interval_is_scipys(trials):
    """Oracle: the interval of `scipy.stats.quantile_test`. Catches a rank too far outside."""
    values = np.random.default_rng(0).normal(size=trials)
    expected = stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    found = median_interval(values)
    assert (found.low, found.high) == (expected.low, expected.high)


def test_infinite_values_have_their_place():
    """By definition. Catches NaN from infinity minus infinity."""
    assert median_interval(np.array([3.0, np.inf, 1.0]))[:3] == (3.0, 1.0, np.inf)
    assert median_interval(np.array([np.inf] * 7))[:3] == (np.inf, np.inf, np.inf)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [[1.0]]])
def test_what_has_no_median_is_refused(values):
    """Catches a NaN in a file of results."""
    with pytest.raises(ValueError, match=r"^median_interval: expected values \[R\] without NaN"):
        median_interval(np.array(values))
