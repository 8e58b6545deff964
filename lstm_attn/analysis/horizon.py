"""Memory horizon: the longest T that at least half of the trials solve within a budget.

Functions of numbers alone: the caller tries the lengths. The horizon is an interval between lengths
that were tried, never a point.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstm_attn.analysis.intervals import rate_interval
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.history import History


class Budget(NamedTuple):
    """The most that solving may take: optimiser steps of each trial, and wall seconds of the cell.

    Seconds are those of `History.seconds`: of all trials together, compilation included.
    """

    steps: int
    seconds: float = math.inf


class Probe(NamedTuple):
    """What a history says about one length under a budget.

    verdict: whether at least half of the trials solve; None while that is open.
    solved, still_open, trials: how many have solved, how many others still can, and R.
    steps, seconds: at the evaluation by which half had solved; None if there is none.
    """

    verdict: bool | None
    solved: int
    still_open: int
    trials: int
    steps: int | None
    seconds: float | None

    @property
    def rate_interval(self) -> tuple[float, float]:
        """95 % limits of the solve rate, over all ways in which the open trials could end.

        From the lower limit if none of them solves to the upper limit if all do, so it contains the
        interval of the finished probe.
        """
        _, low, _ = rate_interval(self.solved, self.trials)
        _, _, high = rate_interval(self.solved + self.still_open, self.trials)
        return low, high


class Interval(NamedTuple):
    """The interval of the horizon: solved <= horizon < unsolved.

    solved: the longest T seen solved; None if none was: the horizon is below the shortest tried.
    unsolved: the shortest longer T seen unsolved; None if none was: it is `solved` or more.
    exceptions: lengths below `solved` seen unsolved. There are none if a longer T is never easier.
    """

    solved: int | None
    unsolved: int | None
    exceptions: tuple[int, ...] = ()


def judge(history: History, budget: Budget) -> Probe:
    """What the evaluations so far say about a length; the verdict is None while it is open.

        solved      if 2 (trials solved within the budget) >= R
        not solved  if 2 (trials solved or still able to) < R, or the budget is used up

    A trial has solved at the first evaluation within the budget that meets the criterion; it can no
    longer solve once it has diverged. Neither is reversed later, so an early verdict is that of the
    whole history. The resolution of budgets is the distance between evaluations.
    """
    within = (history.steps <= budget.steps) & (history.seconds <= budget.seconds)
    met = history.solved[within]
    has_solved = met.any(axis=0)
    used_up = history.steps[-1] >= budget.steps or history.seconds[-1] >= budget.seconds
    unable = ~has_solved & (history.diverged[within].any(axis=0) | used_up)
    trials, solved = has_solved.size, int(has_solved.sum())
    still_open = trials - solved - int(unable.sum())
    half = math.ceil(trials / 2)
    if solved >= half:
        first = np.sort(met.argmax(axis=0)[has_solved])[half - 1]
        steps, seconds = int(history.steps[first]), float(history.seconds[first])
        return Probe(True, solved, still_open, trials, steps, seconds)
    verdict = None if solved + still_open >= half else False
    return Probe(verdict, solved, still_open, trials, None, None)


def geometric_lengths(shortest: int, longest: int, per_doubling: int) -> tuple[int, ...]:
    """The lengths to search: round(shortest 2^(k / per_doubling)), k = 0, 1, ..., and `longest`.

    Neighbours, and so the ends of a horizon's interval, are a factor of 2^(1 / per_doubling) apart
    before rounding.
    """
    check_whole("shortest", shortest)
    check_whole("longest", longest, shortest)
    check_whole("per_doubling", per_doubling)
    count = math.floor(per_doubling * math.log2(longest / shortest)) + 1
    lengths = {round(shortest * 2 ** (k / per_doubling)) for k in range(count)}
    return tuple(sorted(length for length in lengths | {longest} if length <= longest))


def interval(verdicts: Mapping[int, bool]) -> Interval:
    """The interval of the horizon, from verdicts: length -> whether it was solved."""
    solved = max((length for length, good in verdicts.items() if good), default=None)
    unsolved = sorted(length for length, good in verdicts.items() if not good)
    beyond = [length for length in unsolved if solved is None or length > solved]
    exceptions = unsolved[: len(unsolved) - len(beyond)]
    return Interval(solved, min(beyond, default=None), tuple(exceptions))


def next_length(lengths: Sequence[int], verdicts: Mapping[int, bool], stride: int) -> int | None:
    """The length to try next; None once the interval is between neighbours, or open at an end.

    Goes up from the shortest, `stride` lengths at a time, to the first that is not solved; then
    bisects what lies between. Short lengths cost little, so this costs less than bisection from the
    start, which tries lengths far beyond the horizon, and it fills `against_budget`.

    The search assumes that a longer T is never easier. If that fails, it still ends between a
    length seen solved and the next one seen unsolved, and misses longer ones that would be solved.

    Args:
      lengths: rising.
      verdicts: of the lengths tried so far, including any that this search did not ask for.

    Source: the unbounded search of Bentley & Yao 1976, with a fixed stride.
    """
    unknown = sorted(set(verdicts) - set(lengths))
    if unknown:
        raise UsageError(f"verdicts: expected lengths out of {tuple(lengths)}, got {unknown[0]}")
    seen = interval(verdicts)
    low = -1 if seen.solved is None else lengths.index(seen.solved)
    last = len(lengths) - 1
    if seen.unsolved is None:
        if low == last:
            return None
        return lengths[0 if low < 0 else min(low + stride, last)]
    high = lengths.index(seen.unsolved)
    return None if high - low == 1 else lengths[(low + high) // 2]


def search(
    lengths: Sequence[int], solves: Callable[[int], bool], *, stride: int = 1
) -> dict[int, bool]:
    """Tries lengths as `next_length` says; returns the verdicts in the order of trying."""
    verdicts: dict[int, bool] = {}
    while (length := next_length(lengths, verdicts, stride)) is not None:
        verdicts[length] = solves(length)
    return verdicts


def against_budget(costs: Mapping[int, float | None]) -> list[tuple[float, Interval]]:
    """The horizon under every smaller budget, from the costs of the lengths tried.

        interval under b = interval of {T: cost(T) <= b}

    Under small budgets the interval is wide if few short lengths were tried. A trial cut at b had
    its learning rate planned for the whole budget, unless the rate is constant.

    Args:
      costs: length -> steps (or seconds) until half of its trials had solved, as `judge` gives
        them; None where half did not within the whole budget.

    Returns:
      (budget, interval) in rising order: each interval holds from its budget up to the next one's,
      the last up to the whole budget. The first is at 0.
    """
    budgets = sorted({0.0, *(float(cost) for cost in costs.values() if cost is not None)})
    return [
        (budget, interval({T: cost is not None and cost <= budget for T, cost in costs.items()}))
        for budget in budgets
    ]
