"""Memory horizon: the longest T that at least half of the trials solve within a budget.

Numbers alone: how a length is tried is the caller's. The horizon comes as an interval between
lengths that were tried, never as a point.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstm_attn.analysis.intervals import wilson_interval
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.history import History


class Budget(NamedTuple):
    """What solving may take: optimiser steps of each trial, and wall seconds of their cell.

    Seconds are those of `History.seconds`: all trials together, with the wait for compilation.
    """

    steps: int
    seconds: float = math.inf


class Probe(NamedTuple):
    """What a history says of one length under a budget.

    verdict: whether at least half of the trials solve; None while that is open.
    solved, still_open, trials: how many have solved, how many of the others may yet, and R.
    steps, seconds: at the evaluation by which half had solved; None where none was.
    """

    verdict: bool | None
    solved: int
    still_open: int
    trials: int
    steps: int | None
    seconds: float | None

    @property
    def rate_interval(self) -> tuple[float, float]:
        """95 % Wilson limits of the solve rate, however the open trials would have ended.

        The lower limit if none of them solved, the upper one if all did: it holds the interval of
        the probe that goes on to its end.
        """
        low, _ = wilson_interval(self.solved, self.trials)
        _, high = wilson_interval(self.solved + self.still_open, self.trials)
        return low, high


class Interval(NamedTuple):
    """Where the horizon lies: solved <= horizon < unsolved.

    solved: the longest T seen solved; None if none was: the horizon is below the shortest tried.
    unsolved: the shortest T beyond it seen unsolved; None if none was: it is at least `solved`.
    exceptions: lengths below `solved` seen unsolved. There are none where a longer T is never
      easier; where there are, the interval is still that of the longest T seen solved.
    """

    solved: int | None
    unsolved: int | None
    exceptions: tuple[int, ...] = ()


def judge(history: History, budget: Budget) -> Probe:
    """What the evaluations so far say of a length; the verdict is None while it may go either way.

        solved      if 2 (trials solved within the budget) >= R
        not solved  if 2 (trials solved or still able to) < R, or the budget is used up

    A trial has solved at the first evaluation, within the budget, that meets the criterion, and can
    no longer once it has diverged. As neither is taken back, a verdict reached early is that of the
    whole history. Budgets are told apart no finer than evaluations lie.
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
    """The lengths to search among: round(shortest 2^(k / per_doubling)) for k = 0, 1, ... and last
    `longest`. The resolution: an interval between neighbours has ends a factor of
    2^(1 / per_doubling) apart, but for rounding."""
    check_whole("shortest", shortest)
    check_whole("longest", longest, shortest)
    check_whole("per_doubling", per_doubling)
    count = math.floor(per_doubling * math.log2(longest / shortest)) + 1
    lengths = {round(shortest * 2 ** (k / per_doubling)) for k in range(count)}
    return tuple(sorted(length for length in lengths | {longest} if length <= longest))


def interval(verdicts: Mapping[int, bool]) -> Interval:
    """What verdicts, length -> whether it was solved, say of the horizon."""
    solved = max((length for length, good in verdicts.items() if good), default=None)
    unsolved = sorted(length for length, good in verdicts.items() if not good)
    beyond = [length for length in unsolved if solved is None or length > solved]
    exceptions = unsolved[: len(unsolved) - len(beyond)]
    return Interval(solved, min(beyond, default=None), tuple(exceptions))


def next_length(lengths: Sequence[int], verdicts: Mapping[int, bool], stride: int) -> int | None:
    """The length to try next; None once the interval is between neighbours, or open at an end.

    From the shortest on, `stride` lengths at a time, to the first that is not solved; then the
    middle of what lies between. Short lengths cost little, so this costs less than bisection from
    the start, which tries lengths far beyond the horizon, and it fills `against_budget`.

    That a longer T is never easier is assumed. Where that fails, the search still ends between a
    length seen solved and the next one seen unsolved, but what would have been solved beyond it
    goes unseen.

    Args:
      lengths: rising.
      verdicts: of the lengths tried so far; it may hold more than this search has asked for.

    Source: the unbounded search of Bentley & Yao 1976, with a fixed stride.
    """
    unknown = sorted(set(verdicts) - set(lengths))
    if unknown:
        raise UsageError(f"verdicts: expected lengths out of {tuple(lengths)}, got {unknown[0]}")
    found = interval(verdicts)
    low = -1 if found.solved is None else lengths.index(found.solved)
    last = len(lengths) - 1
    if found.unsolved is None:
        if low == last:
            return None
        return lengths[0 if low < 0 else min(low + stride, last)]
    high = lengths.index(found.unsolved)
    return None if high - low == 1 else lengths[(low + high) // 2]


def search(
    lengths: Sequence[int], solves: Callable[[int], bool], *, stride: int = 1
) -> dict[int, bool]:
    """Tries lengths as `next_length` says; the verdicts, in the order in which they came."""
    verdicts: dict[int, bool] = {}
    while (length := next_length(lengths, verdicts, stride)) is not None:
        verdicts[length] = solves(length)
    return verdicts


def against_budget(costs: Mapping[int, float | None]) -> list[tuple[float, Interval]]:
    """The horizon under every smaller budget, from what is known of the lengths tried.

        interval under b = interval of {T: cost(T) <= b}

    Under small budgets it is wide where few short lengths were tried. A trial that is cut at b had
    its learning rate planned for the whole budget, unless that is constant.

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
