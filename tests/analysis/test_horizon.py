"""The memory horizon on trainers whose true horizon is known, and against brute force."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_attn.analysis import summarise
from lstm_attn.analysis.horizon import (
    Budget,
    Interval,
    against_budget,
    geometric_lengths,
    interval,
    judge,
    next_length,
    search,
)
from lstm_attn.errors import UsageError
from lstm_attn.history import History

EVERY = 10
SECONDS_A_STEP = 0.25
MANY = 150  # examples: nothing is compiled here


def history(solves_at, diverges_at, steps, *, stops=True):
    """Trials whose step of solving (or of diverging) is given; inf for never."""
    evaluations = np.arange(EVERY, steps + 1, EVERY)[:, None]
    solves_at, diverges_at = np.asarray(solves_at, float), np.asarray(diverges_at, float)
    if stops:  # as in training: a solved trial has ended and diverges no more
        diverges_at = np.where(solves_at <= diverges_at, np.inf, diverges_at)
    diverged = evaluations >= diverges_at
    solved = (evaluations >= solves_at) & ~diverged
    trials = len(solves_at)
    return History(
        steps=evaluations[:, 0],
        seconds=3.0 + SECONDS_A_STEP * evaluations[:, 0],
        metrics={"loss": np.where(solved, 0.001, 0.1).astype(np.float32)},
        remembers=solved,
        solved=solved,
        diverged=diverged,
        seeds=np.arange(trials),
        learning_rates=np.full(trials, 0.01, np.float32),
    )


def first(whole, evaluations):
    """The history as it stood after so many evaluations."""
    return dataclasses.replace(
        whole,
        steps=whole.steps[:evaluations],
        seconds=whole.seconds[:evaluations],
        metrics={name: values[:evaluations] for name, values in whole.metrics.items()},
        solved=whole.solved[:evaluations],
        diverged=whole.diverged[:evaluations],
    )


# Steps that are multiples of 10 and some that are not, and never.
moments = st.lists(
    st.one_of(st.integers(1, 120).map(float), st.just(math.inf)), min_size=1, max_size=7
)


@settings(max_examples=MANY)
@given(solves_at=moments, data=st.data())
def test_a_verdict_is_the_count_over_the_whole_budget(solves_at, data):
    """Oracle: trials counted one by one in plain Python. Catches a verdict that asks for more than
    half, and a wrong count of trials that solve too late, or that diverge after they solved."""
    trials = len(solves_at)
    diverges_at = data.draw(st.lists(st.sampled_from([25.0, 60.0, math.inf]), min_size=trials,
                                     max_size=trials))  # fmt: skip
    stops = data.draw(st.booleans())
    budget = Budget(data.draw(st.integers(1, 10)) * EVERY, data.draw(st.floats(4, 40)))
    ends = []
    for solves, diverges in zip(solves_at, diverges_at, strict=True):
        at = math.ceil(solves / EVERY) * EVERY if solves < math.inf else math.inf
        within = at <= budget.steps and 3 + SECONDS_A_STEP * at <= budget.seconds
        comes_first = solves <= diverges if stops else at < diverges
        ends.append(at if within and comes_first else math.inf)
    probe = judge(history(solves_at, diverges_at, 100, stops=stops), budget)
    count = sum(end < math.inf for end in ends)
    assert probe.verdict == (count >= trials / 2)
    assert (probe.solved, probe.trials) == (count, trials)
    assert probe.still_open == 0 or probe.verdict
    # The step by which half have solved, counted trial by trial.
    by = next((end for end in sorted(ends) if 2 * sum(e <= end for e in ends) >= trials), math.inf)
    assert probe.steps == (by if by < math.inf else None)
    assert probe.seconds == (3 + SECONDS_A_STEP * by if by < math.inf else None)


@settings(max_examples=MANY)
@given(solves_at=moments, data=st.data())
def test_an_early_verdict_never_differs_from_the_full_count(solves_at, data):
    """Oracle: the count over the whole history, and its interval. The history is cut after every
    evaluation. Catches a verdict that comes too early, too late or is taken back, and a rate
    interval that misses a possible end of an open trial."""
    trials = len(solves_at)
    diverges_at = data.draw(st.lists(st.sampled_from([25.0, 60.0, math.inf]), min_size=trials,
                                     max_size=trials))  # fmt: skip
    whole = history(solves_at, diverges_at, 100)
    budget = Budget(100, data.draw(st.sampled_from([math.inf, 19.0])))
    full = judge(whole, budget)
    for evaluations in range(1, len(whole.steps) + 1):
        part = first(whole, evaluations)
        early = judge(part, budget)
        cut = part.solved[part.seconds <= budget.seconds].any(axis=0)
        gone = part.diverged[-1]
        used_up = part.steps[-1] >= 100 or part.seconds[-1] >= budget.seconds
        could_fail = 2 * cut.sum() < trials
        could_solve = not used_up and 2 * (trials - (gone & ~cut).sum()) >= trials
        assert (early.verdict is None) == (could_fail and could_solve)
        if early.verdict is not None:
            assert early.verdict == full.verdict
            assert (early.steps, early.seconds) == (full.steps, full.seconds)
        low, high = early.rate_interval
        assert low <= full.rate_interval[0]
        assert full.rate_interval[1] <= high
    record = summarise(whole)
    if budget.seconds == math.inf and full.still_open == 0:
        assert full.rate_interval == (record["solve_rate_low"], record["solve_rate_high"])


@settings(max_examples=MANY)
@given(
    shortest=st.integers(1, 20),
    factor=st.floats(1, 70),
    per_doubling=st.integers(1, 8),
    horizon=st.floats(0.5, 2000),
)
def test_the_search_finds_the_horizon_of_a_trainer_that_has_one(
    shortest, factor, per_doubling, horizon
):
    """Oracle: the trainer's own threshold. Catches an interval that misses it or is wider than the
    scale, a bound where there is none, a length tried twice, and a linear walk for a bisection."""
    lengths = geometric_lengths(shortest, int(shortest * factor), per_doubling)
    tried = []

    def solves(length):
        tried.append(length)
        return length <= horizon

    verdicts = search(lengths, solves, stride=per_doubling)
    assert tried == list(verdicts)
    assert len(set(tried)) == len(tried)
    found = interval(verdicts)
    below = [length for length in lengths if length <= horizon]
    beyond = [length for length in lengths if length > horizon]
    assert found == Interval(max(below, default=None), min(beyond, default=None))
    strides = math.ceil(len(lengths) / per_doubling) + 1
    assert len(tried) <= strides + math.ceil(math.log2(per_doubling)) + 1
    # No length far beyond the horizon is tried: those cost most.
    assert all(length <= max(2.2 * horizon + 2, lengths[0]) for length in tried)


@settings(max_examples=MANY)
@given(good=st.lists(st.booleans(), min_size=1, max_size=12), stride=st.integers(1, 4))
def test_the_search_ends_next_to_an_unsolved_length_even_if_a_longer_one_is_easier(good, stride):
    """Oracle: the definition, a solved length whose next one is unsolved, on arbitrary verdicts.
    Catches a search that never ends, and a horizon whose next length was not unsolved."""
    lengths = range(10, 10 + len(good))
    verdicts = search(lengths, lambda length: good[length - 10], stride=stride)
    assert all(verdicts[length] == good[length - 10] for length in verdicts)
    found = interval(verdicts)
    assert found.exceptions == ()
    assert (found.solved is None) == (not good[0])
    if found.solved is not None:
        assert good[found.solved - 10]
    if found.unsolved is None:
        assert found.solved == lengths[-1]
    else:
        assert not good[found.unsolved - 10]
        assert found.unsolved == (10 if found.solved is None else found.solved + 1)


def test_a_search_goes_on_from_verdicts_that_contradict_it():
    """Oracle: by hand. Solved at 10 and 40, not at 20 and 80: the search goes on beyond 40, and 20
    is an exception. Catches a search that ends below a length seen solved."""
    lengths = geometric_lengths(10, 80, 2)
    verdicts = {10: True, 20: False, 40: True, 80: False}
    assert interval(verdicts) == Interval(40, 80, (20,))
    assert next_length(lengths, verdicts, 2) == 57
    assert next_length(lengths, verdicts | {57: True}, 2) is None
    with pytest.raises(UsageError, match=r"expected lengths out of \(10, .*80\), got 30"):
        next_length(lengths, {30: True}, 2)


def test_lengths_are_a_geometric_scale_with_both_ends():
    """Oracle: by hand, 10 times sqrt(2)^k. Catches a scale without its longest length, and a length
    that rounding repeats."""
    assert geometric_lengths(10, 80, 2) == (10, 14, 20, 28, 40, 57, 80)
    assert geometric_lengths(10, 90, 1) == (10, 20, 40, 80, 90)
    assert geometric_lengths(1, 4, 4) == (1, 2, 3, 4)
    assert geometric_lengths(7, 7, 3) == (7,)
    with pytest.raises(UsageError, match="longest: expected at least 10, got 9"):
        geometric_lengths(10, 9, 2)


@settings(max_examples=MANY)
@given(
    costs=st.dictionaries(
        st.integers(1, 50), st.one_of(st.none(), st.integers(1, 30)), min_size=1, max_size=8
    )
)
def test_the_curve_is_the_interval_at_each_budget(costs):
    """Oracle: the interval at each budget, over all lengths, cheap longer ones included. Catches <
    for <=, a bound at the wrong length, a change of the curve left out."""
    curve = against_budget(costs)
    assert curve[0][0] == 0
    for budget in range(32):
        good = {T for T, cost in costs.items() if cost is not None and cost <= budget}
        solved = max(good, default=None)
        bad = {T for T in costs if T not in good}
        beyond = {T for T in bad if solved is None or solved < T}
        expected = Interval(
            solved, min(beyond, default=None), tuple(sorted(T for T in bad if T not in beyond))
        )
        assert [found for start, found in curve if start <= budget][-1] == expected


@settings(max_examples=MANY)
@given(
    difficulty=st.lists(st.floats(0.05, 4), min_size=1, max_size=5),
    budget=st.integers(2, 12).map(lambda n: n * EVERY),
)
def test_the_curve_of_a_trainer_is_its_search_under_every_budget(difficulty, budget):
    """Oracle: a trainer whose trial r needs difficulty_r x T steps, searched again under each
    smaller budget; and its true horizon, floor(b / (median difficulty)) up to the evaluations'
    distance. Catches a curve that disagrees with training under the smaller budget."""
    lengths = geometric_lengths(4, 300, 3)

    def trained(length, steps):
        needs = [length * each for each in difficulty]
        return history(needs, [math.inf] * len(needs), steps)

    verdicts = search(
        lengths, lambda T: judge(trained(T, budget), Budget(budget)).verdict, stride=3
    )
    costs = {T: judge(trained(T, budget), Budget(budget)).steps for T in verdicts}
    curve = against_budget(costs)
    middle = sorted(difficulty)[math.ceil(len(difficulty) / 2) - 1]
    for smaller in range(EVERY, budget + 1, EVERY):
        found = [point for start, point in curve if start <= smaller][-1]
        for length in verdicts:
            solves = judge(trained(length, smaller), Budget(smaller)).verdict
            assert solves == (found.solved is not None and length <= found.solved)
        true_horizon = smaller / middle
        assert (found.solved or 0) <= true_horizon * (1 + 1e-9)
        assert found.unsolved is None or true_horizon < found.unsolved * (1 + 1e-9)
    assert curve[-1][1] == interval(verdicts)
