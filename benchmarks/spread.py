"""Samples of a time, and what is said of them: the median and the quartiles."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of some samples and their quartiles, by linear interpolation."""

    median: float
    lower_quartile: float
    upper_quartile: float


def spread(samples: Sequence[float]) -> Spread:
    """Of at least one sample; of a single one, itself three times."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0])
    lower, median, upper = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(median, lower, upper)
