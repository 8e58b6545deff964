"""Solve rate, steps to solve and final loss of one grid cell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from lstm_attn.analysis.intervals import LEVEL, median_interval, or_null
from lstm_attn.history import History


def wilson_interval(solved: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a rate, with p = solved / trials, n = trials, z = 1.96:

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Source: Wilson 1927; computed by scipy.
    """
    interval = binomtest(solved, trials).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def solve_rate(solved: int, trials: int) -> dict[str, float]:
    """How many of how many trials solve, and the rate with its Wilson interval, as JSON values."""
    low, high = wilson_interval(solved, trials)
    return {
        "trials": trials,
        "solved": solved,
        "solve_rate": solved / trials,
        "solve_rate_low": low,
        "solve_rate_high": high,
    }


def median_steps(ends: Sequence[float]) -> dict[str, float | None]:
    """The median of steps to solve, over the trials that solve, as JSON values: null for none.

    low and high are the ends of its `median_interval`, confidence is how often such an interval
    holds the median: less than 95 % where fewer than six trials solve.
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
    infinite, and null where the median itself is. per_trial tells the trials apart; its
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
