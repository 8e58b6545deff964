"""Tables of cases in which every two values of two parameters meet, in a few of all products."""

from collections.abc import Iterable

import pytest
from allpairspy import AllPairs


def in_pairs(*fast: tuple, **values: Iterable) -> pytest.MarkDecorator:
    """A parametrize of the named parameters: the cases of `fast`, then so many that are `full` that
    each value of a parameter meets each of every other one."""
    names, columns = tuple(values), [list(column) for column in values.values()]
    assert all(one in column for case in fast for one, column in zip(case, columns, strict=True))
    more = AllPairs(columns, previously_tested=[list(case) for case in fast])
    full = [pytest.param(*case, marks=pytest.mark.full) for case in more]
    return pytest.mark.parametrize(names, [*fast, *full])
