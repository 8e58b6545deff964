"""Intervals of means, rates and medians: coverage by simulation, closed forms, ranks by hand."""

import numpy as np
import pytest
from scipy import stats

from lstm_attn.analysis import (
    bounded_mean_interval,
    mean_interval,
    median_interval,
    rate_interval,
)
from lstm_attn.errors import UsageError

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


@pytest.mark.parametrize("trials", [1, 2, 4, 8, 15, 16, 20, 60])
def test_rate_intervals_are_those_of_the_textbook(trials):
    """Oracle: the quantiles of the beta distribution below 16 trials; from 16 on the two roots of
    (p - rate)^2 = z^2 rate (1 - rate) / n. Catches the one interval where the other belongs, another
    level, and ends outside [0, 1]."""
    z = stats.norm.ppf(0.975)
    for ones in range(trials + 1):
        rate, low, high = rate_interval(ones, trials)
        assert rate == ones / trials
        if trials < 16:
            ends = (
                stats.beta.ppf(0.025, ones, trials - ones + 1) if ones else 0,
                stats.beta.ppf(0.975, ones + 1, trials - ones) if ones < trials else 1,
            )
        else:
            squares = [1 + z**2 / trials, -2 * rate - z**2 / trials, rate**2]
            ends = np.sort(np.roots(squares).real)
        assert (low, high) == pytest.approx(tuple(ends), abs=1e-7)
        assert 0 <= low <= rate <= high <= 1


@pytest.mark.parametrize("trials", [4, 8, 15, 16, 20])
def test_rate_intervals_cover(trials):
    """Oracle: the binomial sum, without simulation, at 400 rates. The exact interval covers every
    rate at 95 % or more; Wilson's covers 95 % of the time on average over rates, give or take 1 %.
    Catches Wilson's below 16 trials, whose coverage falls to 83 %."""
    rates = np.linspace(0.0025, 0.9975, 400)
    low, high = np.array([rate_interval(n, trials)[1:] for n in range(trials + 1)]).T[..., None]
    chance = stats.binom.pmf(np.arange(trials + 1)[:, None], trials, rates)
    covered = (chance * ((low <= rates) & (rates <= high))).sum(axis=0)
    if trials < 16:
        assert covered.min() > 0.95
    else:
        assert 0.94 < covered.mean() < 0.96
        assert covered.min() > 0.83


@pytest.mark.parametrize(("successes", "trials"), [(-1, 4), (5, 4), (0, 0), (1.0, 4)])
def test_counts_that_are_none_are_refused(successes, trials):
    """Catches more successes than trials, which would make a rate above 1."""
    with pytest.raises(UsageError, match="^rate_interval: "):
        rate_interval(successes, trials)


@pytest.mark.parametrize("ones", [0, 1, 5, 8])
def test_the_bounded_interval_of_zeros_and_ones_is_exact(ones):
    """Identity: Clopper and Pearson's, within four standard errors of a quantile of 20,000 draws.
    Catches the pseudo-value at the wrong end, and one that is left out."""
    exact = stats.binomtest(ones, 8).proportion_ci(0.95, method="exact")
    _, low, high = bounded_mean_interval(np.repeat([1.0, 0.0], [ones, 8 - ones]), 0, 1)
    error = np.sqrt(0.025 * 0.975 / 20_000)  # of the share of draws beyond the end
    if ones > 0:
        assert abs(stats.beta.cdf(low, ones, 9 - ones) - 0.025) < 4 * error
        assert stats.beta.cdf(exact.low, ones, 9 - ones) == pytest.approx(0.025)
    if ones < 8:
        assert abs(stats.beta.cdf(high, ones + 1, 8 - ones) - 0.975) < 4 * error
    assert (low == 0, high == 1) == (ones == 0, ones == 8)


def test_bounds_move_with_the_values():
    """Identity: an interval in other units. Catches bounds that are 0 and 1 whatever is given."""
    values = np.array([0.1, 0.4, 0.9, 1.0])
    found = np.array(bounded_mean_interval(values, 0, 1))
    moved = np.array(bounded_mean_interval(300 * values + 7, 7, 307))
    np.testing.assert_allclose(moved, 300 * found + 7, rtol=1e-12)
    with pytest.raises(UsageError, match="expected values .* from 0 to 1"):
        bounded_mean_interval(np.array([0.5, 1.5]), 0, 1)


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
