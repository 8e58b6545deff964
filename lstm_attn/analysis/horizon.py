"""Memory horizon as a number: the T50 that half of the trials remember, fitted over all lengths."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import special, stats

from lstm_attn.analysis.intervals import LEVEL, or_null
from lstm_attn.errors import UsageError, check_whole

# Penalty on the slope; it only has to keep a slope finite. By simulation with 4 to 16 seeds,
# weights from 1e-6 to .1 have the same error of T50 within 3 %, and 1 has up to 15 % more.
RIDGE = 0.05
RESAMPLES = 2_000
NEWTON_STEPS = 100
LONGEST_STEP = 2.0  # of Newton's method: a longer one may overshoot where trials are separated
CONVERGED = 1e-6
LARGEST = 1000.0  # a log2 that float64 can raise


class HorizonFit(NamedTuple):
    """The T50 of a model within a budget, with its 95 % interval.

    t50: inside the range of the lengths tried; its end, if T50 is a bound.
    low, high: 0 and infinite where the interval leaves the range of lengths.
    slope: how much the log odds of remembering fall when T doubles.
    bounded: "inside"; "above" if T50 is longer than every length tried, "below" if it is shorter.
    lengths: the lengths tried, rising.
    seeds: how many seeds.
    resampled: [RESAMPLES], T50 of each resample of the seeds; 0 or infinite for a bound.
    """

    t50: float
    low: float
    high: float
    slope: float
    bounded: Literal["inside", "above", "below"]
    lengths: tuple[float, ...]
    seeds: int
    resampled: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """T50, its interval, the slope and whether it is a bound; null for an infinite end."""
        return {
            "t50": self.t50,
            "low": self.low,
            "high": or_null(self.high),
            "slope": self.slope,
            "bounded": self.bounded,
        }


def fit_horizon(
    lengths: np.ndarray,
    remembers: np.ndarray,
    seeds: np.ndarray,
    *,
    ridge: float = RIDGE,
    resamples: int = RESAMPLES,
) -> HorizonFit:
    """Fits a falling logistic curve of log T to all n trials of all lengths.

        P(remembers) = sigmoid(slope (log2 T50 - log2 T)),  slope >= 0
        maximises  sum of log P(outcome) - ridge slope^2 / 2

    The ridge gives an answer where lengths separate the outcomes: T50 is then between the longest
    length remembered and the shortest forgotten. A slope that would be negative is 0: T50 is above
    all lengths if more than half of the trials remember, else below.

    The interval resamples the seeds, each with all its lengths, and takes expanded percentiles of
    T50: those of the normal distribution at sqrt(n / (n - 1)) times Student's quantile of n seeds.
    It reaches at least to the lengths tried on both sides of T50: where outcomes are separated, all
    resamples agree, and only the distance between lengths limits what is known.

    Args:
      lengths: [n], T of each trial.
      remembers: bool [n].
      seeds: [n], of each trial; what is resampled. A seed may lack some lengths.
      ridge: the weight of the penalty, for lengths in doublings.
      resamples: of the seeds; always the same ones, so that fits of the same seeds are paired.

    Raises:
      UsageError: shapes that are not [n] all, a length that is not positive, one length alone, or
        one seed alone.

    Source: the ridge is that of Le Cessie & Van Houwelingen 1992, the expanded percentiles are
    those of Hesterberg 2015 (The American Statistician 69:371); the reach to the lengths tried is
    ours.
    """
    lengths, seeds = np.asarray(lengths, float), np.asarray(seeds)
    remembers = np.asarray(remembers, bool)
    if lengths.ndim != 1 or not lengths.shape == remembers.shape == seeds.shape:
        raise UsageError(
            "fit_horizon: expected lengths, remembers and seeds [n], "
            f"got shapes {lengths.shape}, {remembers.shape} and {seeds.shape}"
        )
    if not ((lengths > 0) & np.isfinite(lengths)).all():
        raise UsageError("fit_horizon: expected positive lengths")
    tried, of_length = np.unique(lengths, return_inverse=True)
    names, of_seed = np.unique(seeds, return_inverse=True)
    if len(tried) < 2 or len(names) < 2:
        raise UsageError(
            f"fit_horizon: expected two lengths and two seeds at least, "
            f"got {len(tried)} and {len(names)}"
        )
    trials, successes = np.zeros((2, len(names), len(tried)))
    np.add.at(trials, (of_seed, of_length), 1)
    np.add.at(successes, (of_seed, of_length), remembers)

    log_t50, slope = _logistic(successes.sum(axis=0), trials.sum(axis=0), np.log2(tried), ridge)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
    resampled, _ = _logistic(weights @ successes, weights @ trials, np.log2(tried), ridge)
    low, high = np.quantile(resampled, _expanded(len(names)), method="inverted_cdf")

    t50, low, high, resampled = (
        np.exp2(np.clip(logs, -LARGEST, LARGEST)) for logs in (log_t50, low, high, resampled)
    )
    shorter, longer = tried[tried <= t50], tried[tried >= t50]
    low = min(low, shorter[-1]) if len(shorter) else 0.0
    high = max(high, longer[0]) if len(longer) else math.inf
    bounded: Literal["inside", "above", "below"] = (
        "below" if not len(shorter) else "inside" if len(longer) else "above"
    )
    return HorizonFit(
        t50=float(np.clip(t50, tried[0], tried[-1])),
        low=float(_or_bound(low, tried)),
        high=float(_or_bound(high, tried)),
        slope=float(slope),
        bounded=bounded,
        lengths=tuple(tried.tolist()),
        seeds=len(names),
        resampled=_or_bound(resampled, tried),
    )


def _or_bound(t50: np.ndarray | float, tried: np.ndarray) -> np.ndarray:
    """T50, or 0 where it is shorter than every length tried and infinity where it is longer."""
    return np.where(t50 < tried[0], 0.0, np.where(t50 > tried[-1], np.inf, t50))


def _expanded(seeds: int) -> tuple[float, float]:
    """The shares of the resamples that the ends of the interval leave below them."""
    quantile = stats.t.ppf((1 + LEVEL) / 2, seeds - 1)
    above = float(stats.norm.cdf(math.sqrt(seeds / (seeds - 1)) * quantile))
    return 1 - above, above


def _logistic(
    successes: np.ndarray, trials: np.ndarray, position: np.ndarray, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method for any number of fits at once.

    Args:
      successes, trials: [..., L], by length.
      position: [L], log2 of the lengths.

    Returns:
      log2 T50, infinite of either sign where no length is near it; and the slope. Both [...].
    """
    centre = position.mean()
    x = position - centre
    total, right = trials.sum(-1), successes.sum(-1)
    share = np.clip(right / total, 1e-3, 1 - 1e-3)
    level, slope = special.logit(share), np.zeros_like(share)
    mixed = (right > 0) & (right < total)
    for _ in range(NEWTON_STEPS):
        chance = special.expit(level[..., None] - slope[..., None] * x)
        residual, weight = successes - trials * chance, trials * chance * (1 - chance)
        up, down = residual.sum(-1), -(residual * x).sum(-1) - ridge * slope
        a, b, c = weight.sum(-1), -(weight * x).sum(-1), (weight * x * x).sum(-1) + ridge
        determinant = np.maximum(a * c - b * b, np.finfo(float).tiny)
        steps = np.stack([(c * up - b * down), (a * down - b * up)]) / determinant
        longest = np.where(mixed, np.abs(steps).max(axis=0), 0)
        steps = steps * np.minimum(1, LONGEST_STEP / np.maximum(longest, CONVERGED))
        level, slope = level + mixed * steps[0], slope + mixed * steps[1]
        if (longest < CONVERGED).all():
            break
    falling = mixed & (slope > CONVERGED)
    one_sided = np.where(right > total / 2, np.inf, -np.inf)
    log_t50 = np.where(falling, level / np.where(falling, slope, 1) + centre, one_sided)
    return log_t50, np.where(falling, slope, 0)


def next_lengths(fit: HorizonFit, shortest: int, longest: int) -> tuple[int, ...]:
    """The lengths to try next, rising; none if the fit has what it needs.

    If T50 is outside the range, the range grows by a doubling on that side. If it is inside, the
    gap between lengths tried that holds T50 and the gaps next to it are halved until neighbours are
    at most a factor of sqrt(2) apart.

    Args:
      shortest, longest: no length beyond them is asked for; a horizon beyond them stays a bound.

    Raises:
      UsageError: limits that are no whole numbers, or not in order.
    """
    shortest = check_whole("next_lengths: shortest", shortest)
    longest = check_whole("next_lengths: longest", longest, shortest)
    first, last = fit.lengths[0], fit.lengths[-1]
    if fit.bounded == "above":
        wanted = {min(round(2 * last), longest)} if last < longest else set()
    elif fit.bounded == "below":
        wanted = {max(round(first / 2), shortest)} if first > shortest else set()
    else:
        below = sum(length < fit.t50 for length in fit.lengths)
        near = fit.lengths[max(below - 2, 0) : below + 2]
        # Rounding to whole lengths may leave a gap a little wider than sqrt(2).
        wanted = {
            round(math.sqrt(low * high))
            for low, high in itertools.pairwise(near)
            if high > low * math.sqrt(2) + 1
        }
    return tuple(sorted(length for length in wanted if length not in fit.lengths))


class BudgetFit(NamedTuple):
    """T50 = 2^intercept budget^slope, with the 95 % interval of the slope.

    A slope of 1: twice the budget, twice the horizon. 0: more budget does not help.
    """

    slope: float
    low: float
    high: float
    intercept: float


def fit_against_budget(
    budgets: Sequence[float] | np.ndarray, fits: Sequence[HorizonFit]
) -> BudgetFit:
    """Fits a line to log2 T50 against log2 budget, in steps or in seconds, by least squares.

    Only horizons inside their lengths count. The interval refits the line to the T50s of each
    resample of the seeds, since the T50s of all budgets come from the same trials and err together.
    Percentiles are expanded as those of `fit_horizon`. The interval reaches at least to

        slope +- 1.96 sqrt(sum of (x_i g_i)^2 / 12) / sum of x_i^2

    x are the log2 budgets less their mean and g the distances of the lengths tried around each T50,
    in doublings: where outcomes are separated, all resamples agree on a T50 that may be anywhere
    between two lengths.

    Args:
      budgets: [n], each once.
      fits: [n], by `fit_horizon` over the same seeds.

    Raises:
      UsageError: sizes that differ, a budget that is not positive, other seeds, or fewer than three
        horizons that are inside.
    """
    if len(budgets) != len(fits) or not all(budget > 0 for budget in budgets):
        raise UsageError(
            f"fit_against_budget: expected positive budgets, one a fit, got {len(budgets)} budgets "
            f"and {len(fits)} fits"
        )
    if len({(fit.seeds, len(fit.resampled)) for fit in fits}) > 1:
        raise UsageError("fit_against_budget: expected fits over the same seeds and resamples")
    pairs = zip(budgets, fits, strict=True)
    inside = [(budget, fit) for budget, fit in pairs if fit.bounded == "inside"]
    if len({budget for budget, _ in inside}) < 3:
        raise UsageError(
            f"fit_against_budget: expected three budgets whose T50 is inside, got {len(inside)}"
        )
    x = np.log2([budget for budget, _ in inside])
    x, centre = x - x.mean(), x.mean()
    positions = np.log2([fit.t50 for _, fit in inside])
    slope = float(x @ positions / (x @ x))
    resampled = np.stack(
        [np.log2(np.clip(fit.resampled, fit.lengths[0], fit.lengths[-1])) for _, fit in inside]
    )
    low, high = np.quantile(x @ resampled / (x @ x), _expanded(inside[0][1].seeds))
    variances = np.square([_gap(fit) for _, fit in inside]) / 12  # of a uniform place in each gap
    reach = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(x**2 @ variances) / (x @ x)
    low, high = min(low, slope - reach), max(high, slope + reach)
    intercept = float(positions.mean() - slope * centre)
    return BudgetFit(slope, float(low), float(high), intercept)


def _gap(fit: HorizonFit) -> float:
    """The distance of the lengths tried around T50, in doublings."""
    longer = max(sum(length < fit.t50 for length in fit.lengths), 1)
    return math.log2(fit.lengths[longer] / fit.lengths[longer - 1])
