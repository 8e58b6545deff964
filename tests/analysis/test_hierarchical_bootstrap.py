"""The bootstrap over seeds and blocks: its limits are Student's intervals; coverage is simulated in
tests/analysis/test_coverage.py."""

import numpy as np
import pytest
from scipy import stats

from lstm_attn.analysis import hierarchical_bootstrap, mean_interval
from lstm_attn.errors import UsageError

RNG = np.random.default_rng(3)
SEEDS, BLOCKS = RNG.normal(0, 0.02, (6, 1)), RNG.normal(0, 0.2, 20)


def width(interval):
    return interval.high - interval.low


def test_without_differences_of_seeds_it_is_students_over_blocks():
    """Oracle: the width of Student's interval, which is exact there. Catches blocks that are drawn
    for each seed anew, which is sqrt(R) too narrow, and no widening by t."""
    found = hierarchical_bootstrap(np.zeros((6, 1)) + BLOCKS)
    assert found.mean == pytest.approx(BLOCKS.mean())
    assert width(found) == pytest.approx(width(mean_interval(BLOCKS)), rel=0.03)


def test_without_differences_of_blocks_it_is_students_over_seeds():
    """As above. Catches seeds drawn for each block anew, t of the number of blocks, and a variance
    that is (R - 1) / R of what it is."""
    found = hierarchical_bootstrap(SEEDS + np.zeros(20))
    assert width(found) == pytest.approx(width(mean_interval(SEEDS[:, 0])), rel=0.03)


def test_both_add_as_variances_do():
    """Closed form: the variances add, and the degrees of freedom are more than those of the seeds.
    Catches one of the two left out, and t of the seeds for what blocks decide."""
    values = np.zeros((6, 1)) + 0.3 * BLOCKS
    both, blocks, seeds = (
        width(hierarchical_bootstrap(one)) for one in (SEEDS + values, values, SEEDS + np.zeros(20))
    )
    assert max(blocks, seeds) < both < 0.97 * np.hypot(blocks, seeds)


def test_what_is_hard_for_both_models_cancels_out():
    """Identity: a text that is harder by any amount, for both, changes nothing. Catches blocks drawn
    for each model by itself, and a wrong sign."""
    first, second = RNG.normal(1, 0.02, (2, 5, 20))
    plain = hierarchical_bootstrap(second, first)
    assert plain.mean == pytest.approx(second.mean() - first.mean())
    assert hierarchical_bootstrap(second + 9 * BLOCKS, first + 9 * BLOCKS) == pytest.approx(plain)
    turned = hierarchical_bootstrap(first, second)
    assert turned.mean == pytest.approx(-plain.mean)
    assert (turned.low, turned.high) == pytest.approx((-plain.high, -plain.low), abs=2e-3)


def test_seeds_of_two_models_are_drawn_independently():
    """Closed form: twice the variance, and t of 5 + 5 degrees of freedom. Catches one draw for both,
    with which a model that is equal seed by seed has no width, and t of one model."""
    one = SEEDS + np.zeros(20)
    apart, alone = width(hierarchical_bootstrap(one, one)), width(hierarchical_bootstrap(one))
    t_10, t_5 = stats.t.ppf(0.975, (10, 5))
    assert apart == pytest.approx(np.sqrt(2) * t_10 / t_5 * alone, rel=0.04)


def test_models_may_have_other_numbers_of_seeds():
    """By hand: 3 - 1. Catches seeds that are paired."""
    found = hierarchical_bootstrap(np.full((3, 4), 3.0), np.full((2, 4), 1.0))
    assert found == pytest.approx((2, 2, 2))


def test_what_has_no_interval():
    """By the definition. Catches an interval over blocks alone for one seed, a division by zero, and
    a mean of what diverged."""
    for shape in ((1, 20), (5, 1)):
        mean, low, high = hierarchical_bootstrap(np.ones(shape))
        assert mean == 1
        assert np.isnan([low, high]).all()
    lost = np.ones((5, 20))
    lost[2, 3] = np.nan
    assert np.isnan(hierarchical_bootstrap(np.ones((5, 20)), lost)).all()
    for wrong in ((np.ones(5),), (np.ones((5, 20)), np.ones((5, 19))), (np.ones((0, 4)),)):
        with pytest.raises(UsageError, match=r"expected values \[R, B\] of the same blocks"):
            hierarchical_bootstrap(*wrong)
