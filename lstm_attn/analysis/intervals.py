"""95 % intervals of means, rates and medians over trials."""

import functools
from typing import NamedTuple

import numpy as np
from scipy import stats

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
    """The score interval of the mean p of n numbers in [0, 1], z = 1.96:

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Their variance is at most p (1 - p), that of zeros and ones; so numbers in between are covered
    more often than 95 %. Unlike Student's interval, it does not vanish where all are 1.

    Source: Wilson 1927, for zeros and ones; for other numbers, ours.
    """
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    scale = 2 * (count + z**2)
    centre = (2 * count * mean + z**2) / scale
    half = z / scale * float(np.sqrt(4 * count * mean * (1 - mean) + z**2))
    # Rounding would leave an end a little past a mean of 0 or 1.
    low = 0.0 if mean == 0 else min(centre - half, mean)
    high = 1.0 if mean == 1 else max(centre + half, mean)
    return Interval(mean, low, high)


def wilson_interval(solved: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a solve rate: `score_interval` of solved / trials."""
    _, low, high = score_interval(solved / trials, trials)
    return low, high


def share_interval(shares: np.ndarray, count: int) -> Interval:
    """`mean_interval` over n trials [n], each the share of its `count` draws that is right.

    It stays within 0 and 1, and is never narrower than the `score_interval` of all n * count draws:
    where all trials agree, sampling the draws is the only source of error.
    """
    values = np.asarray(shares, float)
    mean, low, high = mean_interval(values)
    _, least, greatest = score_interval(float(values.mean()), values.size * count)
    if values.size == 1:
        return Interval(mean, least, greatest)
    return Interval(mean, max(0.0, min(low, least)), min(1.0, max(high, greatest)))


class Median(NamedTuple):
    """The median of R trials.

    low, high: its interval.
    confidence: how often such an interval holds the median of all possible trials.
    trials: R.
    """

    median: float
    low: float
    high: float
    confidence: float
    trials: int


def median_interval(values: np.ndarray) -> Median:
    """The median of values [R], and the narrowest interval of order statistics x_(k) to x_(R+1-k)
    that holds the true median at least 95 % of the time; their range, if no such interval does.

        P(x_(k) <= median <= x_(R+1-k)) >= 1 - 2 P(Binomial(R, 1/2) < k)

    The range of R trials has a confidence of 1 - 2^(1-R): 88 % for four, 97 % for six.

    Values may be infinite, such as the steps of a trial that never solves.

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
    """The greatest rank k for which x_(k) to x_(R+1-k) hold the median at LEVEL; 0 if none does."""
    ranks = range(1, trials // 2 + 1)
    return max((rank for rank in ranks if confidence(rank, trials) >= LEVEL), default=0)


def confidence(rank: int, trials: int) -> float:
    """How often x_(rank) to x_(R+1-rank) of R trials hold the median, as in `median_interval`."""
    return float(1 - 2 * stats.binom.cdf(rank - 1, trials, 0.5))


def or_null(value: float | np.floating) -> float | None:
    """The number; None, which is null in JSON, where it is infinite or NaN."""
    return float(value) if np.isfinite(value) else None


def as_json(interval: Interval) -> dict[str, float | None]:
    """The mean and the two ends of the interval, by name, each as `or_null` gives it."""
    return {name: or_null(value) for name, value in interval._asdict().items()}
