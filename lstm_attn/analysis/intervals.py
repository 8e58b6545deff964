"""95 % intervals of rates, means and medians over trials."""

import functools
from typing import NamedTuple

import numpy as np
from scipy import stats

from lstm_attn.errors import UsageError, check_whole

LEVEL = 0.95  # of every interval


class Interval(NamedTuple):
    """A mean and the ends of its 95 % interval; NaN where there is none."""

    mean: float
    low: float
    high: float


def mean_interval(values: np.ndarray) -> Interval:
    """Student's interval of the mean of n values [n], s their sample standard deviation:

        mean +- t_{n-1} s / sqrt(n)

    Exact for normal values; for losses of blocks of a text, not for shares of trials, which are
    bimodal. One value has no interval, a value that is not finite no mean.

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


WILSON_FROM = 16  # trials; with fewer, Wilson's interval covers some rates only 83 % of the time


@functools.lru_cache(maxsize=None, typed=True)
def rate_interval(successes: int, trials: int) -> Interval:
    """The rate p = successes / trials over n independent trials, and its 95 % interval.

    From 16 trials on it is the score interval, z = 1.96:

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    With fewer it is the exact interval: from the rate whose chance of so many successes or more is
    2.5 %, to the rate whose chance of so many or fewer is 2.5 %. The exact interval covers each
    rate at least 95 % of the time, the score interval 95 % on average over rates.

    Raises:
      UsageError: no trials, or successes that are not from 0 to trials.

    Source: Wilson 1927; Clopper & Pearson 1934; both by `scipy.stats.binomtest`.
    """
    trials = check_whole("rate_interval: trials", trials)
    successes = check_whole("rate_interval: successes", successes, 0)
    if successes > trials:
        raise UsageError(f"rate_interval: expected at most {trials} successes, got {successes}")
    method = "wilson" if trials >= WILSON_FROM else "exact"
    ends = stats.binomtest(successes, trials).proportion_ci(LEVEL, method=method)
    return Interval(successes / trials, float(ends.low), float(ends.high))


def bounded_mean_interval(
    values: np.ndarray, lowest: float, highest: float, *, draws: int = 20_000
) -> Interval:
    """The mean of n values [n] that can't leave [lowest, highest], with a 95 % interval.

        high = the 97.5 % quantile of  w_0 highest + w_1 x_1 + ... + w_n x_n
        low  = the  2.5 % quantile of  w_0 lowest  + w_1 x_1 + ... + w_n x_n
        w ~ Dirichlet(1, ..., 1)

    The extra value of weight w_0 is what n values may have missed, such as a trial that never
    remembers. For values that are lowest or highest only, the interval is Clopper and Pearson's. So
    it has a width where all values agree, and it covers the mean of bimodal values, which Student's
    interval and the bootstrap do not (docs/statistics.md). That it covers at least 95 % for all
    bounded values is a conjecture that no example is known to break.

    Args:
      draws: of w, always the same ones, so that equal values have equal intervals.

    Raises:
      UsageError: no values, or a value that is not within the bounds.

    Source: Gaffke 2005 (Mathematical Methods of Statistics 14:451); Phan, Thomas & Learned-Miller
    2021 (arXiv 2106.03163).
    """
    values = np.asarray(values, float)
    within = (lowest <= values) & (values <= highest)
    if values.ndim != 1 or not values.size or not within.all():
        raise UsageError(
            f"bounded_mean_interval: expected values [n] from {lowest} to {highest}, got {values}"
        )
    weights = np.random.default_rng(0).dirichlet(np.ones(values.size + 1), size=draws)
    of_values = weights[:, 1:] @ values
    tail = (1 - LEVEL) / 2
    low = np.quantile(of_values + weights[:, 0] * lowest, tail)
    high = np.quantile(of_values + weights[:, 0] * highest, 1 - tail)
    # Rounding may leave an end a little outside the bounds.
    return Interval(float(values.mean()), max(float(low), lowest), min(float(high), highest))


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
