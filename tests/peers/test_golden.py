"""The golden files are what the installed libraries give."""

import numpy as np
import pytest

from tests import golden, oracles
from tests.golden import make

# The longest way through a case: nine steps of a Transformer layer (a norm, three products, the
# logits, the weights, three more products) or eight time steps in two layers of a recurrence, each
# a sum of at most eight terms; its terms' absolute values sum to at most three times the largest
# number of the file. Another processor sums in another order.
STEPS, TERMS, CANCELLED = 9, 8, 3


@pytest.mark.parametrize("name", make.FILES)
def test_the_libraries_reproduce_the_committed_file(name):
    """Oracle: the libraries themselves. Catches a file edited by hand, made by other code than the
    script's, or a change in a library that is more than another order of sums."""
    committed = golden.flatten(golden.load(name))
    made = make.make(name)
    assert sorted(made) == sorted(committed)
    for key, array in made.items():
        if array.dtype.kind in "US":
            assert array == committed[key]
        else:
            largest = CANCELLED * max(1, np.abs(committed[key]).max())
            bound = oracles.rounding_bound("float32", TERMS, magnitude=largest, steps=STEPS)
            np.testing.assert_allclose(array, committed[key], rtol=0, atol=bound, err_msg=key)


def test_no_file_is_without_its_script():
    """Catches a golden file that nothing makes."""
    assert {path.stem for path in golden.FOLDER.glob("*.npz")} == set(make.FILES)
