"""The native attention: accuracy of the exponential, extreme numbers, the same bits at every call."""

import numpy as np
import pytest

from lstm_attn import native
from tests import oracles
from tests.native import attention_cases as cases
from tests.native.test_numbers import activation


def test_the_power_of_two_is_near_float64():
    """Oracle: numpy in float64. Catches a wrong coefficient, and a rounding that is off by one."""
    grid = np.concatenate([np.linspace(-126, 0, 2**20), -np.geomspace(1e-30, 1, 2**14)])
    grid = grid.astype(np.float32)
    wanted = np.exp2(grid.astype(np.float64))
    few_units = oracles.rounding_bound("float32", 0)
    np.testing.assert_allclose(activation("power_of_two", grid), wanted, rtol=few_units, atol=0)


def test_the_power_of_two_ends_in_zero_and_keeps_nan():
    """Oracle: the limits. Catches a hidden key that gets a tiny weight, and NaN made a number."""
    odd = np.array([0x7FC00001, 0xFFC12345], np.uint32).view(np.float32)  # other bits of NaN
    values = np.resize(np.float32([-np.inf, -126.6, -1e30, np.nan, 0, -1, *odd]), 16)
    wanted = [0, 0, 0, np.nan, 1, 0.5, np.nan, np.nan]
    np.testing.assert_array_equal(activation("power_of_two", values)[:8], np.float32(wanted))


@pytest.mark.parametrize("scale", [2.0**-110, 30.0, -(2.0**13), 2.0**32, 0.0])
def test_logits_of_any_size(scale):
    """Oracle: the equation in float64, on queries and keys of small whole numbers, whose products
    have no rounding. Catches a softmax that overflows, equal logits that become different ones, a
    scale below zero whose greatest logit is the least product, and zero times infinity."""
    case = cases.draw((2, 19, 2, 2, 70, 8), None, 0)
    query, key = (np.round(2 * array) for array in case.arrays[:2])
    case = case._replace(arrays=(query, key, case.arrays[2]), spec=case.spec._replace(scale=scale))
    for name, ours, oracle in zip(cases.NAMES, cases.both(case), cases.expected(case), strict=True):
        assert np.isfinite(ours).all(), name
        # Logits that differ do so by at least the scale; e^-scale is below all digits or the
        # exponent's rounding, at most 128 units, counts. Gradients of queries and keys have the
        # scale as a factor, and where the weights are those of ties, sums that cancel.
        magnitude = max(1, abs(scale)) if name in ("query", "key") else 1
        bound = oracles.rounding_bound("float32", 200, magnitude=40 * magnitude)
        np.testing.assert_allclose(ours, oracle, rtol=0, atol=bound, err_msg=name)


def test_nan_in_a_query_stays_in_its_row():
    """Oracle: the other rows' bits without it. Catches lanes that share a maximum or a sum."""
    case = cases.draw((1, 37, 2, 1, 50, 6), None, 0)
    query, key, value = case.arrays
    poisoned = query.copy()
    poisoned[0, 9, 1] = np.nan
    clean, _ = native.attention_forward(*case.arrays, None, case.spec, save=False)
    got, _ = native.attention_forward(poisoned, key, value, None, case.spec, save=False)
    others = np.ones((37, 2), bool)
    others[9, 1] = False
    np.testing.assert_array_equal(np.asarray(got)[0][others], np.asarray(clean)[0][others])
    assert np.isnan(np.asarray(got)[0, 9, 1]).all()


def test_nan_in_a_key_reaches_those_that_see_it():
    """Oracle: the positions. Catches a maximum that swallows NaN."""
    case = cases.draw((1, 37, 1, 1, 37, 6), None, 0)
    query, key, value = case.arrays
    poisoned = key.copy()
    poisoned[0, 30] = np.nan
    got, _ = native.attention_forward(query, poisoned, value, None, case.spec, save=False)
    seen = np.isnan(np.asarray(got)[0, :, 0]).all(-1)
    np.testing.assert_array_equal(seen, np.arange(37) >= 30)


@pytest.mark.parametrize(
    "sizes", [(6, 90, 4, 2, 100, 13), (1, 300, 1, 1, 310, 16)], ids=["heads", "parts"]
)
def test_any_number_of_threads_gives_the_same_bits(sizes, threads):
    """Oracle: one thread. Catches a race, and sums in the order in which threads arrive."""
    case = cases.draw(sizes, None, 0, with_lengths=True, seed=3)
    threads(1)
    alone = cases.both(case)
    for count in (2, 3, 8) * 4:
        threads(count)
        cases.assert_same_bits(cases.both(case), alone)
