"""The native attention's values and gradients against the equation in float64."""

import numpy as np
import pytest

from lstm_attn import native
from tests.native import attention_cases as cases

# B, T, N, M, S, K; left and right of the positions; lengths; threads. Sizes around the vectors of
# 16, 8 and 4 lanes, blocks of 64 and 24 queries, chunks of 60 keys and tiles of 1 to 12 rows.
TABLE = [
    ((1, 1, 1, 1, 1, 1), None, None, False, 1),
    ((2, 7, 4, 2, 9, 5), None, None, True, 1),
    ((3, 50, 2, 2, 50, 13), None, 0, False, 1),
    ((2, 130, 3, 1, 97, 20), None, 0, True, 2),
    ((2, 65, 6, 2, 301, 64), 70, 0, True, 3),  # a window that leaves out chunks at the left
    ((1, 40, 1, 1, 33, 70), None, None, False, 1),  # more features than 4 vectors
    ((1, 513, 2, 1, 515, 32), 20, 3, True, 5),  # more threads than heads: parts of a head
    ((2, 90, 2, 1, 40, 33), None, 2, False, 1),  # queries beyond the keys
    ((1, 200, 2, 2, 61, 17), 0, 0, True, 2),
    ((3, 15, 5, 5, 128, 48), 5, None, False, 1),
    ((1, 520, 5, 5, 510, 52), None, 0, False, 2),  # rows so far apart that they are packed
]


@pytest.mark.full_but(
    "(2, 7, 4, 2, 9, 5)-None-None-True-1",
    "(3, 50, 2, 2, 50, 13)-None-0-False-1",
    "(2, 65, 6, 2, 301, 64)-70-0-True-3",
    "(1, 40, 1, 1, 33, 70)-None-None-False-1",
    "(1, 513, 2, 1, 515, 32)-20-3-True-5",
    "(1, 520, 5, 5, 510, 52)-None-0-False-2",
)
@pytest.mark.parametrize(("sizes", "left", "right", "with_lengths", "asked"), TABLE, ids=str)
def test_values_and_gradients_match_the_equation_in_float64(
    sizes, left, right, with_lengths, asked, threads
):
    """Oracle: the equation and its gradient in float64 numpy. Catches a tile left out or counted
    twice, a head that reads another's keys, a gradient without its scale, a part that is not summed,
    and padding that is read: it holds NaN."""
    threads(asked)
    case = cases.draw(sizes, left, right, with_lengths)
    wanted = cases.expected(case)
    cases.assert_near(
        case, cases.both(cases.filled(case, np.nan) if with_lengths else case), wanted
    )


def test_padding_of_any_value_changes_no_bit():
    """Oracle: zeros there instead. Catches inf and 1e30 that are read and multiplied with zero."""
    case = cases.draw((3, 70, 4, 2, 80, 13), None, 4, with_lengths=True)
    wanted = cases.both(cases.filled(case, 0))
    for value in (np.inf, -1e30, np.nan):
        cases.assert_same_bits(cases.both(cases.filled(case, value)), wanted)


def test_without_anything_to_attend_to_there_are_zeros():
    """Oracle: a sum over nothing. Catches a division by zero, and a row that is not written."""
    case = cases.draw((2, 21, 2, 1, 30, 6), left=3, right=None)
    lengths = np.array([[21, 0], [5, 4]], np.int32)
    outputs, d_query, d_key, d_value = cases.both(case._replace(lengths=lengths))
    for array in (outputs[0], outputs[1, 5:], d_query[0], d_query[1, 5:], d_key[0], d_key[1, 4:]):
        np.testing.assert_array_equal(array, np.zeros_like(array))
    np.testing.assert_array_equal(d_value[0], np.zeros_like(d_value[0]))
    assert np.abs(outputs[1, :5]).min() > 0


def test_without_saving_the_outputs_are_the_same():
    """Oracle: the run that saves, bit for bit. Catches a shortcut that changes the rest."""
    case = cases.draw((2, 33, 2, 2, 70, 9), None, 0)
    unsaved, nothing = native.attention_forward(*case.arrays, None, case.spec, save=False)
    assert nothing is None
    np.testing.assert_array_equal(unsaved, cases.both(case)[0])
