"""Solve rate, steps to solve and final loss of a grid cell, and of its learning rates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_attn.analysis.intervals import median_interval, or_null, rate_interval
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
