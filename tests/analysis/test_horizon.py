"""The fitted horizon: a general optimiser, symmetry, separation, bounds; lengths to try; budgets.

Coverage is in test_coverage.py.
"""

import numpy as np
import pytest
from scipy import optimize, special

from lstm_attn.analysis import fit_against_budget, fit_horizon, next_lengths
from lstm_attn.analysis.horizon import RIDGE, _logistic
from lstm_attn.errors import UsageError

LENGTHS = np.array([10, 20, 28, 40, 57, 80, 160])


def trials(outcomes, lengths=LENGTHS):
    """The arguments of a fit, from outcomes [seeds, lengths]."""
    outcomes = np.asarray(outcomes, bool)
    seeds = np.arange(len(outcomes))
    grid = np.broadcast_to(lengths, outcomes.shape)
    return grid.ravel(), outcomes.ravel(), np.repeat(seeds, len(lengths))


def up_to(*longest, lengths=LENGTHS):
    """Outcomes of one seed for each number: it remembers up to that length."""
    return np.array([lengths <= each for each in longest])


def drawn(rng, seeds, t50=40.0, slope=3.0):
    chance = special.expit(slope * (np.log2(t50) - np.log2(LENGTHS)))
    return rng.random((seeds, len(LENGTHS))) < chance


@pytest.mark.parametrize("seed", range(8))
def test_the_fit_is_the_optimum(seed):
    """Oracle: scipy's BFGS on the penalised likelihood, also where outcomes are separated or rise
    with T. Catches a Newton step of the wrong sign, a ridge that shrinks the level too, and a step
    that overshoots."""
    rng = np.random.default_rng(seed)
    outcomes = drawn(rng, 3, slope=(3, 0.3, 50)[seed % 3], t50=rng.uniform(15, 120))
    x = np.log2(LENGTHS)

    def loss(parameters):
        log_t50_times_slope, slope = parameters
        signs = np.where(outcomes, 1, -1)
        odds = log_t50_times_slope - slope * x
        return np.logaddexp(0, -signs * odds).sum() + RIDGE * slope**2 / 2

    best = min(
        (optimize.minimize(loss, start, tol=1e-10) for start in ((0, 0.1), (20, 4), (50, 10))),
        key=lambda found: found.fun,
    ).x
    fit = fit_horizon(*trials(outcomes))
    if best[1] > 1e-3:
        expected = np.clip(2 ** (best[0] / best[1]), 10, 160)
        assert (fit.t50, fit.slope) == pytest.approx((expected, best[1]), rel=1e-3)
    else:
        assert fit.slope == 0
        assert fit.bounded == ("above" if outcomes.mean() > 0.5 else "below")


def test_many_fits_at_once_are_each_their_own():
    """Identity: a batch of fits and each alone. Catches a step that stops when the first fit of the
    batch has converged."""
    rng = np.random.default_rng(0)
    successes = np.stack([drawn(rng, 6, t50=t50).sum(axis=0) for t50 in (12, 40, 100, 900, 1)])
    counts, x = np.full(successes.shape, 6.0), np.log2(LENGTHS)
    together = np.array(_logistic(successes, counts, x, RIDGE))
    alone = [_logistic(*one, x, RIDGE) for one in zip(successes, counts, strict=True)]
    np.testing.assert_allclose(together, np.array(alone).T, rtol=1e-6)


def test_separated_lengths_leave_t50_between_them():
    """Oracle: by hand. All of eight seeds remember to 40 and none at 57. Catches a slope without an
    end, and an interval of no width."""
    fit = fit_horizon(*trials(up_to(*[40] * 8)))
    assert 40 < fit.t50 < 57
    assert (fit.low, fit.high, fit.bounded) == (40, 57, "inside")
    assert 3 < fit.slope < 20


def test_a_t50_outside_the_lengths_is_a_bound():
    """Oracle: by hand. Catches a number that no length supports."""
    above = fit_horizon(*trials(up_to(*[160] * 5, 80)))
    assert (above.t50, above.high, above.bounded) == (160, np.inf, "above")
    assert above.low <= 160
    below = fit_horizon(*trials(up_to(*[0] * 5, 20)))
    assert (below.t50, below.low, below.bounded) == (10, 0, "below")
    for outcomes, bounded in ((up_to(999, 999), "above"), (up_to(0, 0), "below")):
        assert fit_horizon(*trials(outcomes))[4] == bounded
    assert fit_horizon(*trials(up_to(999, 999)))[:3] == (160, 160, np.inf)
    assert fit_horizon(*trials(up_to(0, 0)))[:3] == (10, 0, 10)


def test_a_rise_with_length_is_no_horizon():
    """Oracle: by hand. Longer lengths are remembered, shorter ones are not. Catches a negative slope
    whose crossing is taken for T50."""
    fit = fit_horizon(*trials(~up_to(*[20] * 6)))
    assert (fit.slope, fit.bounded) == (0, "above")
    assert fit_horizon(*trials(~up_to(*[80] * 6)))[4] == "below"


def test_units_of_length_do_not_matter():
    """Identity: lengths times 7 and the order of trials. Catches a ridge on the level, which pulls
    T50 towards the middle of the lengths, and seeds taken by place."""
    grid, outcomes, seeds = trials(drawn(np.random.default_rng(3), 9))
    fit = fit_horizon(grid, outcomes, seeds)
    longer = fit_horizon(7 * grid, outcomes, seeds)
    assert longer[:2] == pytest.approx((7 * fit.t50, 7 * fit.low))
    assert longer.slope == pytest.approx(fit.slope)
    mixed = np.random.default_rng(0).permutation(len(grid))
    again = fit_horizon(grid[mixed], outcomes[mixed], seeds[mixed])
    assert again[:4] == pytest.approx(fit[:4])


def test_seeds_are_resampled_with_all_their_lengths():
    """Oracle: the same outcomes of 16 seeds, once as they are, half good and half bad, and once
    shuffled among the seeds of a length. Catches trials resampled alone, which gives both the same
    interval."""
    together = up_to(*[20] * 8, *[80] * 8)
    rng = np.random.default_rng(0)
    apart = rng.permuted(together, axis=0)
    one, other = fit_horizon(*trials(together)), fit_horizon(*trials(apart))
    assert one.t50 == pytest.approx(other.t50)
    assert np.log(one.high / one.low) > 1.3 * np.log(other.high / other.low)


def test_what_can_not_be_fitted_is_one_line():
    """Catches a fit of one length, and numpy's broadcasting."""
    with pytest.raises(UsageError, match="two lengths and two seeds at least, got 1 and 4"):
        fit_horizon(np.full(4, 10), np.ones(4, bool), np.arange(4))
    with pytest.raises(UsageError, match="two lengths and two seeds at least, got 4 and 1"):
        fit_horizon(np.arange(1, 5), np.ones(4, bool), np.zeros(4))
    with pytest.raises(UsageError, match=r"got shapes \(4,\), \(1,\) and \(4,\)"):
        fit_horizon(np.arange(1, 5), np.ones(1, bool), np.zeros(4))
    with pytest.raises(UsageError, match="expected positive lengths"):
        fit_horizon(np.arange(4), np.ones(4, bool), np.zeros(4))


def test_the_range_grows_until_t50_is_inside():
    """Oracle: by hand. Catches a range that grows on the wrong side or beyond its limit."""
    above, below = fit_horizon(*trials(up_to(999, 999))), fit_horizon(*trials(up_to(0, 0)))
    assert next_lengths(above, 2, 1000) == (320,)
    assert next_lengths(above, 2, 200) == (200,)
    assert next_lengths(above, 2, 160) == ()
    assert next_lengths(below, 2, 1000) == (5,)
    assert next_lengths(below, 8, 1000) == (8,)
    assert next_lengths(below, 10, 1000) == ()


def test_lengths_near_t50_are_a_factor_of_sqrt_2_apart():
    """Oracle: by hand, doublings from 10 with T50 between 40 and 80: the gap of T50 and its two
    neighbours are halved, 10 to 20 and 160 to 320 are not. Catches a scan of the whole range."""
    doublings = np.array([10, 20, 40, 80, 160, 320])
    fit = fit_horizon(*trials(up_to(*[40] * 4, lengths=doublings), doublings))
    assert next_lengths(fit, 2, 1000) == (28, 57, 113)
    fine = np.array([10, 20, 28, 40, 57, 80, 113, 160, 320])
    fit = fit_horizon(*trials(up_to(*[40] * 4, lengths=fine), fine))
    assert next_lengths(fit, 2, 1000) == ()


@pytest.mark.parametrize("t50", [3, 11, 47, 300, 900, 5000])
def test_the_search_for_t50_ends_next_to_it(t50):
    """Oracle: a trainer whose seeds remember up to a known length. Catches a search that never ends,
    asks for a length twice, or ends with wide gaps around T50."""
    lengths = [10, 20, 40]
    for _ in range(20):
        tried = np.array(sorted(lengths))
        fit = fit_horizon(*trials(up_to(*[t50] * 4, lengths=tried), tried), resamples=20)
        more = next_lengths(fit, 2, 1000)
        if not more:
            break
        assert not set(more) & set(lengths)
        lengths += more
    assert not more
    if t50 > 1000:
        assert (fit.bounded, fit.t50) == ("above", 1000)
    else:
        assert fit.low <= t50 <= fit.high
        assert fit.high <= fit.low * 2**0.5 + 1


def test_a_power_law_of_the_budget_is_seen():
    """Oracle: the law itself, T50 = 5 (budget / 1,000)^(1/2), seeds that differ little; bounds at
    small and large budgets are left out. Catches the reciprocal slope, natural logs in one place
    only, and a bound that bends the line."""
    lengths = np.round(10 * 2 ** np.arange(0, 5.01, 0.25))
    budgets = 1000 * 4.0 ** np.arange(8)
    spread = np.exp(np.random.default_rng(0).normal(0, 0.05, 8))
    fits = [
        fit_horizon(*trials(up_to(*(5 * (b / 1000) ** 0.5 * spread), lengths=lengths), lengths))
        for b in budgets
    ]
    assert {fits[0].bounded, fits[-1].bounded} == {"below", "above"}
    mixed = np.random.default_rng(1).permutation(8)
    line = fit_against_budget(budgets[mixed], [fits[n] for n in mixed])
    assert line.slope == pytest.approx(0.5, abs=0.03)
    assert line.low < 0.5 < line.high
    assert 2 ** (line.intercept + line.slope * np.log2(16_000)) == pytest.approx(20, rel=0.1)


def test_too_few_horizons_for_a_line_are_one_line():
    """Catches a line through two points, which has no interval."""
    inside, above = fit_horizon(*trials(up_to(40, 40))), fit_horizon(*trials(up_to(999, 999)))
    with pytest.raises(UsageError, match="three budgets whose T50 is inside, got 2"):
        fit_against_budget([1, 2, 4], [inside, inside, above])
    with pytest.raises(UsageError, match="one a fit, got 2 budgets and 1 fits"):
        fit_against_budget([1, 2], [inside])
    other = fit_horizon(*trials(up_to(40, 40, 40)))
    with pytest.raises(UsageError, match="over the same seeds"):
        fit_against_budget([1, 2, 4], [inside, inside, other])
