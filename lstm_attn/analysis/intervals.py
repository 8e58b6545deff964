"""The mean of a few values, with a 95 % interval."""

import functools
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.stats import binom

from lstm_attn.errors import UsageError

LEVEL = 0.95  # of every interval


class Interval(NamedTuple):
    """A mean and the ends of its 95 % interval; NaN where there is none."""

    mean: float
    low: float
    high: float


def mean_interval(values: np.ndarray) -> Interval:
    """Student's interval of the mean of n values [n], s their sample standard deviation:

        mean +- t_{n-1} s / sqrt(n)

    Exact for normal values. One value has no interval, a value that is not finite no mean.

    Source: Student 1908; the quantile by scipy.
    """
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        return Interval(np.nan, np.nan, np.nan)
    mean, count = float(values.mean()), len(values)
    if count == 1:
        return Interval(mean, np.nan, np.nan)
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, count - 1))
    half = quantile * float(values.std(ddof=1)) / float(np.sqrt(count))
    return Interval(mean, mean - half, mean + half)


def score_interval(mean: float, count: int) -> Interval:
    """The score interval of a mean p of n numbers in [0, 1], z = 1.96:

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    `wilson_interval` where each of them is 0 or 1. Their variance is at most p (1 - p), so others
    are covered more often. Unlike Student's, it does not vanish where all are 1.

    Source: Wilson 1927; for other numbers than 0 and 1, ours.
    """
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    centre = mean + z**2 / (2 * count)
    half = z * float(np.sqrt(max(mean * (1 - mean), 0) / count + z**2 / (4 * count**2)))
    low, high = (centre - half) / (1 + z**2 / count), (centre + half) / (1 + z**2 / count)
    # Rounding would leave an end a little past a mean of 0 or 1.
    return Interval(mean, max(0.0, min(low, mean)), min(1.0, max(high, mean)))


def share_interval(shares: np.ndarray, count: int) -> Interval:
    """`mean_interval` of what share of `count` draws is right in each of n trials [n].

    It ends at 0 and 1, and is never narrower than the `score_interval` of all n * count draws:
    where all trials agree, as where all are always right, the draws are what is left to chance.
    """
    values = np.asarray(shares, float)
    mean, low, high = mean_interval(values)
    _, least, greatest = score_interval(float(values.mean()), values.size * count)
    if values.size == 1:
        return Interval(mean, least, greatest)
    return Interval(mean, max(0.0, min(low, least)), min(1.0, max(high, greatest)))


class Median(NamedTuple):
    """median: of the trials. low, high: its interval. confidence: how often such an interval holds
    the median of all trials that could be. trials: how many there were."""

    median: float
    low: float
    high: float
    confidence: float
    trials: int


def median_interval(values: np.ndarray) -> Median:
    """The median of values [R], and the narrowest interval of order statistics x_(k) to x_(R+1-k)
    that holds the true median at least 95 % of the time; if there is none, all of their range.

        P(x_(k) <= median <= x_(R+1-k)) >= 1 - 2 P(Binomial(R, 1/2) < k)

    The range of R trials has a confidence of 1 - 2^(1-R): 88 % for four, 97 % for six.

    Infinite values, such as steps that were never enough, may be among them.

    Raises:
      UsageError: no values, or a NaN among them.

    Source: the sign test's interval, Thompson 1936; David & Nagaraja 2003, section 7.1.
    """
    values = np.sort(np.asarray(values, np.float64))
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise UsageError(f"median_interval: expected values [R] without NaN, got {values}")
    trials = len(values)
    rank = sign_test_rank(trials) or 1
    return Median(
        float(np.median(values)),
        float(values[rank - 1]),
        float(values[trials - rank]),
        float(max(confidence(rank, trials), 0.0)),
        trials,
    )


@functools.cache
def sign_test_rank(trials: int) -> int:
    """The last rank k of which x_(k) to x_(R+1-k) hold the median at LEVEL; 0 where none does."""
    ranks = range(1, trials // 2 + 1)
    return max((rank for rank in ranks if confidence(rank, trials) >= LEVEL), default=0)


def confidence(rank: int, trials: int) -> float:
    """How often x_(rank) to x_(R+1-rank) of R trials hold the median, as in `median_interval`."""
    return float(1 - 2 * binom.cdf(rank - 1, trials, 0.5))


def or_null(value: float | np.floating) -> float | None:
    """The number; null where it is infinite or NaN, for which JSON has no word."""
    return float(value) if np.isfinite(value) else None


def as_json(interval: Interval) -> dict[str, float | None]:
    """The interval's mean and its two ends, each as `or_null` gives it."""
    return {name: or_null(value) for name, value in interval._asdict().items()}
