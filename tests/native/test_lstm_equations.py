"""The native LSTM's values and gradients against a plain scan in float64."""

import numpy as np
import pytest

from lstm_attn import native
from tests.native import cases

# B, T, D, H; flags; reverse; threads. Sizes around the vectors of 16, 8 and 4 lanes and the tiles
# of 6 and 3 rows; enough work for threads where they are asked for.
TABLE = [
    ((1, 1, 1, 1), False, False, 1),
    ((2, 5, 3, 5), True, False, 1),
    ((13, 6, 7, 33), True, True, 1),
    ((32, 12, 10, 64), False, True, 1),
    ((150, 3, 2, 20), True, False, 1),  # more rows than a block of weight gradients
    ((7, 40, 6, 40), True, False, 2),  # rows split between threads
    ((3, 60, 17, 48), True, True, 5),  # more threads than rows
    ((1, 120, 3, 70), True, False, 2),  # one row: units split
    ((5, 8, 20, 260), True, True, 3),  # parameters beyond the cache: units split, unevenly
    ((16, 4, 130, 256), False, False, 2),
]


@pytest.mark.full_but(
    "(2, 5, 3, 5)-True-False-1", "(13, 6, 7, 33)-True-True-1", "(5, 8, 20, 260)-True-True-3"
)
@pytest.mark.parametrize(("sizes", "flagged", "reverse", "asked"), TABLE, ids=str)
def test_values_and_gradients_match_a_scan_in_float64(sizes, flagged, reverse, asked, threads):
    """Oracle: jax.vjp of a scan of ops.lstm_step in float64. Catches a gate, a row, a unit or a
    step in the wrong place, and a sum that a thread lost."""
    threads(asked)
    case = cases.draw(*sizes, flagged=flagged)
    cases.assert_near(cases.both(case, reverse), cases.expected(case, reverse))


@pytest.mark.parametrize("sizes", [(0, 4, 3, 5), (3, 0, 4, 5)], ids=["no rows", "no steps"])
def test_empty_axes(sizes):
    """Oracle: the state and its gradient pass unchanged; gradients of parameters are zero. Catches
    memory that was never written."""
    case = cases.draw(*sizes)
    hs, h_last, c_last, *gradients = cases.both(case)
    assert hs.shape == (sizes[1], sizes[0], sizes[3])
    np.testing.assert_array_equal(h_last, case.arguments[4])
    np.testing.assert_array_equal(c_last, case.arguments[5])
    for gradient in gradients[:4]:
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))
    np.testing.assert_array_equal(gradients[4], case.gradients[1])
    np.testing.assert_array_equal(gradients[5], case.gradients[2])


def test_without_saving_and_without_the_gradient_of_x():
    """Oracle: the run that does both, bit for bit. Catches a shortcut that changes the rest."""
    case = cases.draw(5, 9, 4, 20, flagged=True)
    *values, residuals = cases.forward(case)
    *unsaved, nothing = native.lstm_forward(*case.arguments, case.flags, reverse=False, save=False)
    assert nothing is None
    cases.assert_same_bits([*unsaved] + [0] * 6, [*values] + [0] * 6)
    full = cases.backward(case, residuals)
    part = cases.backward(case, residuals, need_dx=False)
    assert part[3] is None
    for name, ours, theirs in zip(cases.NAMES[3:], part, full, strict=True):
        if name != "x":
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_numbers_in_the_padding_reach_nothing():
    """Oracle: zeros there instead, bit for bit. Catches NaN times zero in a sum."""
    case = cases.draw(6, 11, 3, 20, flagged=True)
    padding = (case.flags & cases.PADDING > 0)[..., None]
    *front, x, h0, c0 = case.arguments
    d_hs, *d_state = case.gradients

    def filled(value):
        arguments = (*front, np.where(padding, np.float32(value), x), h0, c0)
        gradients = (np.where(padding, np.float32(value), d_hs), *d_state)
        return cases.both(cases.Case(arguments, case.flags, gradients))

    cases.assert_same_bits(filled(np.nan), filled(0))
