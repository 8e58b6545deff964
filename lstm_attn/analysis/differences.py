"""Differences between two cells, of rates and of steps, and whether they are within noise.

A difference is within noise if its 95 % interval contains zero. Of twenty comparisons of equal
cells about one is beyond noise by chance. So a sentence needs an exact test over the same seeds,
adjusted for the number of comparisons: see `analysis.paired_tests`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_attn.analysis.intervals import LEVEL, confidence, or_null, rate_interval, sign_test_rank
from lstm_attn.analysis.paired_tests import same_seeds
from lstm_attn.analysis.solving import remember_rate

Record = Mapping[str, Any]  # of results.json


class Difference(NamedTuple):
    """Second minus first, with its 95 % interval.

    low, high: infinite where the pairs are too few for an interval.
    """

    value: float
    low: float
    high: float

    @property
    def within_noise(self) -> bool:
        """Whether the interval contains zero."""
        return self.low <= 0 <= self.high


def rate_difference(remember: Sequence[int], trials: Sequence[int]) -> Difference:
    """The difference of two rates, of independent trials.

    With p the rates and (l, u) their `rate_interval`s, the interval of p2 - p1 goes from

        p2 - p1 - sqrt((p2 - l2)^2 + (u1 - p1)^2)  to  p2 - p1 + sqrt((u2 - p2)^2 + (p1 - l1)^2)

    Args:
      remember, trials: counts of the first and of the second.

    Source: Newcombe 1998a (Statistics in Medicine 17:873), method 10, which has Wilson's intervals
    for any number of trials; below 16 we take the exact ones, which cover more often.
    """
    return _square_and_add(remember, trials, correlation=0.0)


def paired_rate_difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """The difference of two rates over the same R seeds.

    As `rate_difference`, but the sum of squares has a term for their correlation:

        a^2 - 2 phi a b + b^2,  phi = (AD - BC) / sqrt((A + B)(C + D)(A + C)(B + D))

    Of the R seeds, both remember A, the first alone B, the second alone C, and none D.
    If AD > BC, the numerator is max(AD - BC - R/2, 0); if a factor is 0, phi is 0.

    Args:
      first, second: bool [R], whether each seed's trial remembers.

    Raises:
      UsageError: shapes that are not [R] both.

    Source: Newcombe 1998b (Statistics in Medicine 17:2635), method 10.
    """
    first, second = same_seeds("paired_rate_difference", first, second, bool)
    both, first_alone = int((first & second).sum()), int((first & ~second).sum())
    second_alone, none = int((~first & second).sum()), int((~first & ~second).sum())
    count = len(first)
    remember = (both + first_alone, both + second_alone)
    numerator: float = both * none - first_alone * second_alone
    if numerator > 0:
        numerator = max(numerator - count / 2, 0)
    squared = math.prod(number * (count - number) for number in remember)
    correlation = numerator / math.sqrt(squared) if squared else 0.0
    return _square_and_add(remember, (count, count), correlation)


def paired_median_difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """The median of the differences over the same R seeds, with a distribution-free interval.

    The interval is that of the sign test, between order statistics of the differences x: from
    x_(d) to x_(R + 1 - d) it covers the median with probability 1 - 2 P(Bin(R, 1/2) < d). Both ends
    are interpolated between the last d that covers 95 % and the next. With fewer than six pairs no
    d covers 95 %, and the interval is unbounded.

    Args:
      first, second: [R], finite.

    Raises:
      UsageError: shapes that are not [R] both.

    Source: Hettmansperger & Sheather 1986.
    """
    first, second = same_seeds("paired_median_difference", first, second, float)
    ordered = np.sort(second - first)
    count, median = len(ordered), float(np.median(ordered))
    rank = sign_test_rank(count)
    if not rank:
        return Difference(median, -math.inf, math.inf)
    inward = _inward(rank, count)
    low = (1 - inward) * ordered[rank - 1] + inward * ordered[rank]
    high = (1 - inward) * ordered[count - rank] + inward * ordered[count - rank - 1]
    return Difference(median, float(low), float(high))


def _inward(rank: int, count: int) -> float:
    """How far the ends lie between the order statistics of this rank and the next, 0 to 1."""
    covered, too_little = confidence(rank, count), confidence(rank + 1, count)
    excess = (covered - LEVEL) / (covered - too_little)
    return (count - rank) * excess / (rank + (count - 2 * rank) * excess)


def compare_records(first: Record, second: Record, budget: int) -> dict[str, Any]:
    """The differences between two records of results.json, as JSON values.

    Trials are paired by seed, or by seed and learning rate if a record has several rates, provided
    that both records have the same ones. If not, rates are compared as those of independent trials,
    and steps are not compared. Steps are those spent: until the pass, or the whole budget.

    Args:
      budget: the steps within which a pass counts.

    Returns:
      first and second: how many trials remember within the budget, and the rate with its
        interval. paired: whether trials are paired. remember_rate and steps: each a value, low,
        high (null for no bound) and within_noise; steps is null if unpaired.
    """
    trials = [ends_of_trials(record, budget) for record in (first, second)]
    remember = [np.isfinite(list(ends.values())) for ends in trials]
    sides = {
        side: remember_rate(int(ones.sum()), len(ones)) | {"trials": len(ones)}
        for side, ones in zip(("first", "second"), remember, strict=True)
    }
    if trials[0].keys() != trials[1].keys():
        rates = rate_difference([int(s.sum()) for s in remember], [len(s) for s in remember])
        return {**sides, "paired": False, "remember_rate": _json(rates), "steps": None}
    ends = [np.array([of_record[key] for key in trials[0]]) for of_record in trials]
    spent = [np.where(np.isfinite(one), one, budget) for one in ends]
    return {
        **sides,
        "paired": True,
        "remember_rate": _json(paired_rate_difference(*map(np.isfinite, ends))),
        "steps": _json(paired_median_difference(*spent)),
    }


def ends_of_trials(record: Record, budget: int) -> dict[tuple[int, float | None], float]:
    """(seed, learning rate) of each trial -> the steps after which it remembers, NaN where that is
    not within the budget. A rate that all trials share is None."""
    trials = record["per_trial"]
    several = len({trial["learning_rate"] for trial in trials}) > 1
    ends = {}
    for trial in trials:
        end = trial["steps_to_remember"]
        key = trial["seed"], trial["learning_rate"] if several else None
        ends[key] = float(end) if end is not None and end <= budget else math.nan
    return ends


def _square_and_add(
    remember: Sequence[int], trials: Sequence[int], correlation: float
) -> Difference:
    intervals = [rate_interval(*counts) for counts in zip(remember, trials, strict=True)]
    below = [rate - low for rate, low, _ in intervals]
    above = [high - rate for rate, _, high in intervals]

    def joined(one: float, other: float) -> float:
        # Rounding may make an exact zero negative.
        return math.sqrt(max(one**2 - 2 * correlation * one * other + other**2, 0))

    value = intervals[1].mean - intervals[0].mean
    return Difference(value, value - joined(below[1], above[0]), value + joined(above[1], below[0]))


def _json(difference: Difference) -> dict[str, Any]:
    return {
        "value": difference.value,
        "low": or_null(difference.low),
        "high": or_null(difference.high),
        "within_noise": difference.within_noise,
    }
