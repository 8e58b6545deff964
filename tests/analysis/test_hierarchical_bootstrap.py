"""The bootstrap over seeds and blocks: its limits are Student's intervals; coverage is simulated in
tests/analysis/test_coverage.py."""

import numpy as np
import pytest

from lstm_attn.analysis import hierarchical_bootstrap, mean_interval
from lstm_attn.errors import UsageError

RNG = np.random.default_rng(3)
SEEDS, BLOCKS = RNG.normal(0, 0.02, (16, 1)), RNG.normal(0, 0.2, 20)


def width(interval):
    return interval.high - interval.low


def test_without_differences_of_seeds_it_is_students_over_blocks():
    """Oracle: Student's interval, which is exact there, within 5 %. Catches blocks that are drawn for
    each seed anew, which is sqrt(R) too narrow, and no widening by t."""
    values = np.zeros((16, 1)) + BLOCKS
    expected, found = mean_interval(BLOCKS), hierarchical_bootstrap(values)
    assert found == pytest.approx(expected, abs=0.05 * width(expected))


def test_without_differences_of_blocks_it_is_students_over_seeds():
    """As above. Catches seeds drawn for each block anew, and t of the number of blocks."""
    expected = mean_interval(SEEDS[:, 0])
    found = hierarchical_bootstrap(SEEDS + np.zeros(20))
    assert found == pytest.approx(expected, abs=0.05 * width(expected))


def test_both_add_as_variances_do():
    """Closed form: the half widths, without t, add as squares. Catches one of the two left out."""
    values = np.zeros((16, 1)) + 0.3 * BLOCKS
    both, blocks, seeds = (
        width(hierarchical_bootstrap(one)) for one in (SEEDS + values, values, SEEDS + np.zeros(20))
    )
    assert both == pytest.approx(np.hypot(blocks, seeds), rel=0.05)


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
    """Closed form: the variance of a difference is the sum. Catches one draw for both, with which a
    model that is equal seed by seed has no width."""
    one = SEEDS + np.zeros(20)
    apart = width(hierarchical_bootstrap(one, one))
    assert apart == pytest.approx(np.sqrt(2) * width(hierarchical_bootstrap(one)), rel=0.08)


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
