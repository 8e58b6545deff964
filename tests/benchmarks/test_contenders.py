"""A contender that computes something else is reported by name."""

import numpy as np
import pytest

from benchmarks.contenders import TOLERANCE, Mismatch, check_same

OURS = {"kernel": np.array([1.0, -4.0]), "bias": np.array([0.5])}


def test_the_difference_is_relative_to_the_largest_entry():
    """Oracle: |1.004 - 1| / 4. Catches a difference relative to each entry, which is meaningless
    near zero, and an absolute one."""
    theirs = {"kernel": np.array([1.004, -4.0])}
    assert check_same("torch", OURS, theirs) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"kernel": np.array([-4.0, 1.0])}, "^torch: kernel differs from ours by 1.2 of"),
        ({"kernel": OURS["kernel"], "bias": np.array([np.nan])}, "^torch: bias differs"),
        ({"kernel": 1 + 1.1 * TOLERANCE * np.ones(2)}, "^torch: kernel differs"),
        ({"kernel": np.zeros(3)}, r"^torch: kernel expected shape \(2,\), got \(3,\)"),
        ({"weights": np.zeros(2)}, "^torch: expected values of kernel, bias, got"),
    ],
)
def test_a_mismatch_names_contender_and_array(theirs, message):
    """Catches NaN that passes, shapes that broadcast, and an empty comparison that passes."""
    with pytest.raises(Mismatch, match=message):
        check_same("torch", OURS, theirs)
