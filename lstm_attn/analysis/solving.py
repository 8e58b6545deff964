"""Solve rate, steps to solve and final loss of a grid cell; by learning rate, and its window."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_attn.analysis.intervals import median_interval, or_null, rate_interval
from lstm_attn.errors import UsageError
from lstm_attn.history import History


def solve_rate(solved: int, trials: int) -> dict[str, float]:
    """How many trials solve, and the rate with its 95 % `rate_interval`, as JSON values."""
    rate, low, high = rate_interval(solved, trials)
    return {
        "trials": trials,
        "solved": solved,
        "solve_rate": rate,
        "solve_rate_low": low,
        "solve_rate_high": high,
    }


def median_steps(ends: Sequence[float]) -> dict[str, float | None]:
    """The median of steps to solve over the trials that solve, as JSON values; null if none does.

    low and high are the ends of its `median_interval`; confidence is how often such an interval
    holds the median, which is less than 95 % if fewer than six trials solve.
    """
    names = ("median_steps_to_solve", "median_steps_low", "median_steps_high", "median_confidence")
    if not len(ends):
        return dict.fromkeys(names)
    return dict(zip(names, median_interval(np.asarray(ends, float))[:4], strict=True))


def summarise(history: History) -> dict[str, Any]:
    """The measured part of a results.json record, as JSON values.

    solved counts the trials that met the task's criterion at some evaluation and did not diverge;
    median_steps_to_solve is the median over those, with its interval (`median_steps`). final_loss
    is the median over trials of the loss at the last evaluation, a diverged trial counting as
    infinite; null where the median is infinite. per_trial has a record for each trial; its
    diverged_by is the step of the first evaluation after the loss became non-finite, null where it
    never did.
    """
    steps_to_solve = history.steps_to_solve
    solved = np.isfinite(steps_to_solve)
    diverged = history.diverged[-1]
    final = history.metrics["loss"][-1]
    final = np.where(diverged | np.isnan(final), np.inf, final)
    diverged_by = history.steps[history.diverged.argmax(axis=0)]
    return {
        **solve_rate(int(solved.sum()), len(solved)),
        **median_steps(steps_to_solve[solved]),
        "final_loss": or_null(np.median(final)),
        "seconds": float(history.seconds[-1]),
        "steps": int(history.steps[-1]),
        "per_trial": [
            {
                "seed": int(history.seeds[trial]),
                "learning_rate": _shortest(history.learning_rates[trial]),
                "steps_to_solve": or_null(steps_to_solve[trial]),
                "final_loss": or_null(final[trial]),
                "diverged_by": int(diverged_by[trial]) if diverged[trial] else None,
            }
            for trial in range(len(solved))
        ],
    }


def _shortest(value: np.floating) -> float:
    """A float32 as the number a person wrote: .003, not .003000000026077032."""
    return float(str(value))


def by_learning_rate(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trials of one record of results.json by learning rate, rising, as JSON values.

    Each rate has its `solve_rate`, `median_steps`, the steps to solve of the trials that solve, and
    how many diverged.
    """
    by_rate = []
    for rate in sorted({trial["learning_rate"] for trial in record["per_trial"]}):
        mine = [trial for trial in record["per_trial"] if trial["learning_rate"] == rate]
        ends = [t["steps_to_solve"] for t in mine if t["steps_to_solve"] is not None]
        by_rate.append(
            {
                "learning_rate": rate,
                **solve_rate(len(ends), len(mine)),
                **median_steps(ends),
                "steps_to_solve": ends,
                "diverged": sum(trial["diverged_by"] is not None for trial in mine),
            }
        )
    return by_rate


class Window(NamedTuple):
    """The learning rates at which a model does about as well as at its best one.

    low, high: its ends.
    decades: log10(high / low), how many factors of ten it is wide.
    open_low, open_high: whether it reaches an edge of the rates tried, so that it may be wider.
    """

    low: float
    high: float
    decades: float
    open_low: bool
    open_high: bool


def learning_rate_window(
    rates: np.ndarray, forgotten: np.ndarray, *, factor: float = 2.0
) -> Window:
    """The contiguous range of learning rates around the best one with

        share forgotten <= factor x share forgotten at the best rate

    Between two rates tried, log forgotten is taken as linear in log rate; the window ends where the
    line crosses the limit. It does not go beyond a rate whose trials diverged.

    Args:
      rates: [n], in any order, each once.
      forgotten: [n], loss / baseline at the end of training, the median over seeds; infinite or NaN
        where the median trial diverged.
      factor: how much worse than the best is still inside.

    Raises:
      UsageError: shapes that are not [n] both, a rate that is not positive or given twice, a
        negative share, or no finite share.

    Source: the question is that of arXiv 2508.19029; the definition is ours.
    """
    rates, forgotten = np.asarray(rates, float), np.asarray(forgotten, float)
    if rates.ndim != 1 or rates.shape != forgotten.shape:
        raise UsageError(
            "learning_rate_window: expected rates [n] and forgotten [n], "
            f"got shapes {rates.shape} and {forgotten.shape}"
        )
    if not (rates > 0).all() or len(set(rates)) < len(rates):
        raise UsageError(f"learning_rate_window: expected positive rates, each once, got {rates}")
    if (forgotten < 0).any() or not np.isfinite(forgotten).any():
        raise UsageError(
            f"learning_rate_window: expected shares of at least 0, one finite, got {forgotten}"
        )
    order = np.argsort(rates)
    log_rates = np.log10(rates[order])
    # A share of exactly 0 has no logarithm.
    shares = np.maximum(np.nan_to_num(forgotten[order], nan=np.inf, posinf=np.inf), 1e-300)
    best = int(shares.argmin())
    limit = np.log10(factor * shares[best])

    def end(path: range) -> tuple[float, bool]:
        """Walks from the best rate to one side: the log of the end, and whether it is open."""
        for near, far in itertools.pairwise(path):
            if np.log10(shares[far]) > limit:
                inside = limit - np.log10(shares[near])
                rise = np.log10(shares[far]) - np.log10(shares[near])
                across = float(inside / rise)  # 0 where the far rate diverged
                return float(log_rates[near] + across * (log_rates[far] - log_rates[near])), False
        return float(log_rates[path[-1]]), True

    low, open_low = end(range(best, -1, -1))
    high, open_high = end(range(best, len(rates)))
    return Window(10**low, 10**high, high - low, open_low, open_high)
