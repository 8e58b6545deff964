"""Differences between two cells, of rates and of steps, and whether they are within noise.

A difference is within noise if its 95 % interval contains zero. Of twenty comparisons of equal
cells about one is beyond noise by chance. So a sentence needs an exact test over the same seeds,
adjusted for the number of comparisons: see `verdict`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from lstm_attn.analysis.intervals import LEVEL, confidence, or_null, rate_interval, sign_test_rank
from lstm_attn.analysis.solving import remember_rate
from lstm_attn.errors import UsageError

Record = Mapping[str, Any]  # of results.json
FEWEST_PAIRS = 12  # of a verdict in words
SIGNIFICANT = 0.05  # below it, an adjusted p allows a verdict


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
    first, second = _pairs("paired_rate_difference", first, second, bool)
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
    first, second = _pairs("paired_median_difference", first, second, float)
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


class PairedTest(NamedTuple):
    """An exact test of two models over the same seeds.

    first, second: of how many seeds each is the better one; the others are ties.
    pairs: R, ties included.
    p: two-sided.
    """

    first: int
    second: int
    pairs: int
    p: float


def paired_rate_test(first: np.ndarray, second: np.ndarray) -> PairedTest:
    """McNemar's exact test: does one model remember on more of the same R seeds?

        p = P(|X - n/2| >= |B - n/2|),  X ~ Binomial(n, 1/2),  n = B + C

    B seeds are remembered by the first alone, C by the second alone. The other seeds say nothing
    about which is better.

    Args:
      first, second: bool [R], whether each seed's trial remembers.

    Raises:
      UsageError: shapes that are not [R] both.

    Source: McNemar 1947; the exact form by `scipy.stats.binomtest`.
    """
    first, second = _pairs("paired_rate_test", first, second, bool)
    return _exact(first & ~second, second & ~first)


def paired_sign_test(first: np.ndarray, second: np.ndarray) -> PairedTest:
    """The exact sign test: does one model need fewer steps on more of the same R seeds?

    As `paired_rate_test`, B seeds need fewer steps with the first, C with the second. A trial that
    never remembers is worse than any that does, and as good as another that never does.

    Args:
      first, second: [R], steps or seconds to the event; NaN or infinite for never.

    Raises:
      UsageError: shapes that are not [R] both.

    Source: Arbuthnot 1710; the exact form by `scipy.stats.binomtest`.
    """
    pair = _pairs("paired_sign_test", first, second, float)
    first, second = (np.nan_to_num(ends, nan=np.inf, posinf=np.inf) for ends in pair)
    return _exact(first < second, second < first)


def _exact(first: np.ndarray, second: np.ndarray) -> PairedTest:
    ahead, behind = int(first.sum()), int(second.sum())
    p = float(stats.binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
    return PairedTest(ahead, behind, len(first), p)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The p values of all m tests of a table, adjusted for their number, in the order given:

        adjusted p_(k) = min(1, max over j <= k of (m + 1 - j) p_(j)),  p_(1) <= ... <= p_(m)

    If those below .05 are called differences, the chance of one false call or more is at most 5 %,
    whatever the tests have in common.

    Raises:
      UsageError: a value that is not from 0 to 1.

    Source: Holm 1979.
    """
    values = np.asarray(p_values, float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise UsageError(f"holm: expected p values [m] from 0 to 1, got {values}")
    order = np.argsort(values)
    steps = np.maximum.accumulate(np.arange(len(values), 0, -1) * values[order])
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


# What two models are tested for: the predicates of `verdict`.
ON_MORE_SEEDS, FEWER_STEPS = "remembers on more seeds than", "needs fewer steps than"


def verdict(first: str, second: str, what: str, test: PairedTest, adjusted: float) -> str | None:
    """A sentence that says which model is better; None unless the test allows it.

    It does with at least 12 pairs and an adjusted p below .05.

    Args:
      first, second: the models' names.
      what: the predicate between them: "remembers on more seeds than", "needs fewer steps than".
      adjusted: p after `holm` over the table that the sentence is about.
    """
    if test.pairs < FEWEST_PAIRS or not adjusted < SIGNIFICANT or test.first == test.second:
        return None
    better, worse = (first, second) if test.first > test.second else (second, first)
    more, fewer = max(test.first, test.second), min(test.first, test.second)
    return (
        f"{better} {what} {worse}: {more} to {fewer} of {test.pairs} pairs "
        f"(p = {adjusted:.3g} after Holm)"
    )


def table_of_tests(tests: Sequence[tuple[str, str, str, PairedTest]]) -> list[dict[str, Any]]:
    """The tests of one table as JSON values: p after `holm` over all of them, and the sentence that
    each allows, if any.

    Args:
      tests: (first, second, what, test) each, as `verdict` takes them.
    """
    adjusted = holm([test.p for *_, test in tests])
    return [
        {
            "first": first,
            "second": second,
            "what": what,
            "first_ahead": test.first,
            "second_ahead": test.second,
            "pairs": test.pairs,
            "p": float(p),
            "verdict": verdict(first, second, what, test, float(p)),
        }
        for (first, second, what, test), p in zip(tests, adjusted, strict=True)
    ]


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
    trials = [_trials(record) for record in (first, second)]
    remember = [_remembers(ends.values(), budget) for ends in trials]
    sides = {
        side: remember_rate(int(ones.sum()), len(ones)) | {"trials": len(ones)}
        for side, ones in zip(("first", "second"), remember, strict=True)
    }
    if trials[0].keys() != trials[1].keys():
        rates = rate_difference([int(s.sum()) for s in remember], [len(s) for s in remember])
        return {**sides, "paired": False, "remember_rate": _json(rates), "steps": None}
    ends = [[of_record[key] for key in trials[0]] for of_record in trials]
    remember = [_remembers(one, budget) for one in ends]
    spent = [
        np.where(ones, np.array(one, float), budget)
        for ones, one in zip(remember, ends, strict=True)
    ]
    return {
        **sides,
        "paired": True,
        "remember_rate": _json(paired_rate_difference(*remember)),
        "steps": _json(paired_median_difference(*spent)),
    }


def _remembers(ends: Iterable[float | None], budget: int) -> np.ndarray:
    return np.array([end is not None and end <= budget for end in ends])


def _trials(record: Record) -> dict[Any, float | None]:
    """(seed, learning rate) of each trial -> steps to remember; a rate that all share is None."""
    trials = record["per_trial"]
    several = len({trial["learning_rate"] for trial in trials}) > 1
    return {
        (trial["seed"], trial["learning_rate"] if several else None): trial["steps_to_remember"]
        for trial in trials
    }


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


def _pairs(
    name: str, first: Sequence | np.ndarray, second: Sequence | np.ndarray, dtype: type
) -> tuple[np.ndarray, np.ndarray]:
    pair: tuple[np.ndarray, np.ndarray] = np.asarray(first, dtype), np.asarray(second, dtype)
    if pair[0].ndim != 1 or pair[0].shape != pair[1].shape or not pair[0].size:
        raise UsageError(
            f"{name}: expected two arrays [R] of the same seeds, R >= 1, "
            f"got shapes {pair[0].shape} and {pair[1].shape}"
        )
    return pair


def _json(difference: Difference) -> dict[str, Any]:
    return {
        "value": difference.value,
        "low": or_null(difference.low),
        "high": or_null(difference.high),
        "within_noise": difference.within_noise,
    }
