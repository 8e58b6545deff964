"""Whether two contenders computed the same values."""

from collections.abc import Mapping

import numpy as np

# Of the largest magnitude: float32 sums of up to a million terms in different orders, while an
# exchanged gate or a missing bias gives differences of the order of one.
TOLERANCE = 2e-3


class Mismatch(Exception):
    """A contender that computes something else."""


def check_same(
    name: str, expected: Mapping[str, np.ndarray], computed: Mapping[str, np.ndarray]
) -> float:
    """The largest difference over all arrays that both have, each relative to its largest entry.

    Arrays that only one has are left out, since not every library keeps two biases of a gate.

    Raises:
      Mismatch: no array in common, shapes that differ, or a difference above TOLERANCE, naming the
        contender and the array.
    """
    shared = [key for key in expected if key in computed]
    if not shared:
        raise Mismatch(f"{name}: expected values of {', '.join(expected)}, got {list(computed)}")
    largest = 0.0
    for key in shared:
        ours, theirs = (np.asarray(values[key], np.float64) for values in (expected, computed))
        if ours.shape != theirs.shape:
            raise Mismatch(f"{name}: {key} expected shape {ours.shape}, got {theirs.shape}")
        scale = np.max(np.abs(ours), initial=np.finfo(np.float32).tiny)
        difference = np.max(np.abs(ours - theirs), initial=0.0) / scale
        if not difference <= TOLERANCE:  # NaN too
            raise Mismatch(
                f"{name}: {key} differs from ours by {difference:.2g} of its largest entry, "
                f"expected at most {TOLERANCE}"
            )
        largest = max(largest, float(difference))
    return largest
