"""The golden files hold what the installed libraries compute."""

import pytest

from tests import golden
from tests.golden import make


@pytest.mark.parametrize("name", make.FILES)
def test_the_libraries_reproduce_the_committed_file(name):
    """Oracle: the libraries themselves. Catches a file edited by hand or made by other code, and a
    change in a library beyond another order of sums."""
    committed = golden.flatten(golden.load(name))
    made = make.make(name)
    assert sorted(made) == sorted(committed)
    for key, array in made.items():
        if array.dtype.kind in "US":
            assert array == committed[key]
        else:
            golden.assert_close(array, committed[key], key)


def test_no_file_is_without_its_script():
    """Catches a golden file that nothing makes."""
    assert {path.stem for path in golden.FOLDER.glob("*.npz")} == set(make.FILES)
