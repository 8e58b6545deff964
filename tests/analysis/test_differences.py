"""Differences and their intervals against published examples, closed forms and simulation."""

import functools

import numpy as np
import pytest
from scipy.stats import binom, norm

from lstm_attn.analysis import (
    compare_records,
    holm,
    paired_median_difference,
    paired_rate_difference,
    paired_rate_test,
    paired_sign_test,
    rate_difference,
    rate_interval,
    verdict,
)
from lstm_attn.errors import UsageError

DRAWS = 20_000
COVERED = (0.93, 0.97)
# Below 16 trials the exact intervals of the rates cover more often than 95 %, also on average.
AT_LEAST = 0.95 - 4 * np.sqrt(0.95 * 0.05 / DRAWS)


def pairs(both, first_alone, second_alone, none):
    """Outcomes of the seeds, from the counts in the paper."""
    counts = (both, first_alone, second_alone, none)
    first, second = ([1, 1, 0, 0], [1, 0, 1, 0])
    return [np.repeat(np.array(side, bool), counts) for side in (first, second)]


def test_unpaired_interval_is_that_of_the_paper():
    """Oracle: an example of Newcombe 1998a, 56/70 - 48/80: .0524 to .3339. Catches the
    distances of the two sides exchanged, first minus second, and a normal approximation."""
    difference = rate_difference((48, 56), (80, 70))
    assert difference.value == pytest.approx(0.2)
    assert difference.low == pytest.approx(0.0524, abs=5e-5)
    assert difference.high == pytest.approx(0.3339, abs=5e-5)
    assert not difference.within_noise


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((36, 2, 12, 0), 0.0569, 0.3404), ((20, 2, 12, 16), 0.0562, 0.3292)],
)
def test_paired_interval_is_that_of_the_paper(counts, low, high):
    """Oracle: Newcombe 1998b, examples of its method 10. Catches a correlation without its
    correction, of the wrong sign, or taken with the wrong side."""
    difference = paired_rate_difference(*pairs(*counts))
    assert difference.value == pytest.approx(10 / sum(counts))
    assert difference.low == pytest.approx(low, abs=5e-5)
    assert difference.high == pytest.approx(high, abs=5e-5)


def test_pairs_without_correlation_are_the_unpaired_interval():
    """Identity: where AD = BC, phi is 0. Catches another phi where one side solves all or none."""
    for counts in ((1, 1, 1, 1), (8, 0, 0, 0), (0, 5, 0, 0), (4, 2, 2, 1)):
        first, second = pairs(*counts)
        solved, trials = (first.sum(), second.sum()), (len(first),) * 2
        unpaired = rate_difference([int(n) for n in solved], trials)
        assert paired_rate_difference(first, second) == pytest.approx(unpaired, abs=1e-12)


def test_equal_outcomes_are_within_noise_and_opposite_ones_are_not():
    """Oracle: by hand. Catches a verdict on the value instead of the interval."""
    half = np.arange(8) < 4
    assert paired_rate_difference(half, half).within_noise
    assert paired_rate_difference(half, np.arange(8) < 5).within_noise
    worse = paired_rate_difference(np.ones(8), np.zeros(8))
    assert worse.value == -1
    assert not worse.within_noise


def coverage(truth, intervals):
    low, high = np.array(intervals).T
    return np.mean((low <= truth) & (truth <= high))


@pytest.mark.parametrize("trials", [(4, 4), (6, 8), (20, 10)])
@pytest.mark.parametrize("equal", [False, True])
def test_unpaired_intervals_cover(trials, equal):
    """Oracle: simulation, averaged over rates. Catches an interval that is too narrow for equals
    or for unequals."""
    rng = np.random.default_rng(0)
    first = rng.random(DRAWS)
    second = first if equal else rng.random(DRAWS)
    interval = functools.cache(lambda *solved: rate_difference(solved, trials)[1:])
    counts = zip(rng.binomial(trials[0], first), rng.binomial(trials[1], second), strict=True)
    covered = coverage(second - first, [interval(int(a), int(b)) for a, b in counts])
    assert AT_LEAST <= covered < 1


@pytest.mark.parametrize("seeds", [6, 8, 20])
@pytest.mark.parametrize("correlation", [0, 0.5])
def test_paired_intervals_cover(seeds, correlation):
    """Oracle: simulation over rates from 0 to 1; outcomes share a normal variable of each seed.
    Catches a correlation that narrows too much."""
    rng = np.random.default_rng(0)
    rates = rng.random((2, DRAWS, 1))
    own, shared = rng.normal(size=(2, DRAWS, seeds)), rng.normal(size=(DRAWS, seeds))
    ease = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * shared
    first, second = ease < norm.ppf(rates)
    interval = functools.cache(lambda *counts: paired_rate_difference(*pairs(*counts))[1:])
    tables = np.stack(
        [(first & second), (first & ~second), (~first & second), (~first & ~second)]
    ).sum(axis=2)
    covered = coverage(
        (rates[1] - rates[0])[:, 0], [interval(*map(int, table)) for table in tables.T]
    )
    assert AT_LEAST <= covered < 1


@pytest.mark.full_but("exponential")
@pytest.mark.parametrize("seeds", [6, 8, 12])
@pytest.mark.parametrize("shape", ["normal", "laplace", "exponential"])
def test_median_intervals_cover(seeds, shape):
    """Oracle: simulation of differences whose median is 1, of three shapes. Catches ranks off by
    one and an interpolation that goes outward."""
    rng = np.random.default_rng(0)
    draws = {
        "normal": lambda size: rng.normal(size=size),
        "laplace": lambda size: rng.laplace(size=size),
        "exponential": lambda size: rng.exponential(size=size) - np.log(2),
    }[shape]((5_000, seeds))
    first = rng.normal(size=(5_000, seeds))
    intervals = [
        paired_median_difference(before, before + 1 + change)[1:]
        for before, change in zip(first, draws, strict=True)
    ]
    assert COVERED[0] <= coverage(1, intervals) <= COVERED[1]


def test_median_interval_lies_between_its_order_statistics():
    """Oracle: the sign test's binomial, at R = 10, where ranks 2 and 9 cover 97.9 % and ranks 3 and
    8 cover 89.1 %. Catches the use of ranks 3 and 8, which cover too little."""
    assert 1 - 2 * binom.cdf(1, 10, 0.5) > 0.95 > 1 - 2 * binom.cdf(2, 10, 0.5)
    changes = np.array([100, 3, 5, 8, 13, -21, 34, 55, -2, 1.0])
    difference = paired_median_difference(np.zeros(10), changes)
    ordered = np.sort(changes)
    assert difference.value == np.median(changes)
    assert ordered[1] < difference.low < ordered[2]
    assert ordered[7] < difference.high < ordered[8]


def test_five_pairs_have_no_interval():
    """Oracle: 1 - 2 / 2^5 < .95. Catches an interval from too few pairs."""
    difference = paired_median_difference(np.zeros(5), np.arange(5) + 100.0)
    assert difference.value == 102
    assert difference[1:] == (-np.inf, np.inf)
    assert difference.within_noise


@pytest.mark.parametrize(
    "of", [paired_rate_difference, paired_median_difference, paired_rate_test, paired_sign_test]
)
def test_pairs_of_other_lengths_are_one_line(of):
    """Catches numpy's broadcasting of one trial against many."""
    with pytest.raises(
        ValueError, match=r"expected two arrays \[R\].*got shapes \(1,\) and \(4,\)"
    ):
        of(np.ones(1), np.ones(4))


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 5, 2 / 32), (0, 6, 2 / 64), (1, 8, 20 / 512), (3, 3, 1), (0, 0, 1), (4, 0, 2 / 16)],
)
def test_mcnemars_p_is_a_sum_of_binomials(first, second, p):
    """Oracle: binomial sums by hand. Catches pairs that agree counted in, a one-sided p, and the
    normal approximation."""
    found = paired_rate_test(*pairs(4, first, second, 3))
    assert (found.first, found.second, found.pairs) == (first, second, 7 + first + second)
    assert found.p == pytest.approx(p)


def test_a_trial_that_never_remembers_is_the_slowest():
    """Oracle: by hand. Of six seeds the first is quicker on two and alone on one, the second quicker
    on one; one is equal and one has neither. Catches NaN, which is neither less nor more, and ties
    that count."""
    first = np.array([10, 20, 30, 50, 40, np.nan])
    second = np.array([20, 30, np.nan, 40, 40, np.inf])
    found = paired_sign_test(first, second)
    assert (found.first, found.second, found.pairs) == (3, 1, 6)
    assert found.p == pytest.approx(10 / 16)


@pytest.mark.parametrize("seeds", [4, 12, 20])
def test_paired_tests_reject_equals_rarely(seeds):
    """Oracle: simulation of equal models over a range of rates. Exact tests reject at most 5 % of
    the time; three binomial errors of 2,000 simulations more. Catches a p that is too small."""
    rng = np.random.default_rng(seeds)
    ends = rng.lognormal(size=(2000, 2, seeds))
    remembers = rng.random((2000, 2, seeds)) < rng.random((2000, 1, 1))
    ends[~remembers] = np.nan
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert np.mean([paired_sign_test(*pair).p < 0.05 for pair in ends]) <= most
    assert np.mean([paired_rate_test(*pair).p < 0.05 for pair in remembers]) <= most


def test_holms_adjustment_is_that_of_the_paper():
    """Oracle: by hand, four tests: .01 x 4, .02 x 3, .025 x 2 raised to the one before, .5. Catches
    Bonferroni, an order that is lost, and values that fall."""
    found = holm([0.025, 0.01, 0.5, 0.02])
    np.testing.assert_allclose(found, [0.06, 0.04, 0.5, 0.06])
    assert holm([0.4, 0.4, 0.4]).max() == 1
    assert holm([]).size == 0
    with pytest.raises(UsageError, match="^holm: expected p values .* from 0 to 1"):
        holm([0.5, np.nan])


def test_holm_calls_one_of_ten_equal_pairs_rarely():
    """Oracle: simulation of ten sign tests of equal models on 16 seeds, each with the same first
    model. One call or more in at most 5 % of 500 tables, plus three binomial errors. Catches p
    values that are not adjusted, which call one in a quarter of the tables."""
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(500):
        first, *others = rng.normal(size=(11, 16))
        tests = [paired_sign_test(first, other) for other in others]
        adjusted = holm([test.p for test in tests])
        called += any(map(functools.partial(verdict, "a", "b", "beats"), tests, adjusted))
    assert called / 500 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)


def test_a_verdict_needs_twelve_pairs_and_a_small_adjusted_p():
    """Oracle: by hand. Catches a verdict from eleven pairs or from p = .05, and the worse model
    named as the better one."""
    second = paired_rate_test(*pairs(2, 1, 9, 0))
    words = verdict("lstm", "gru", "remembers on more seeds than", second, 0.021)
    assert words == (
        "gru remembers on more seeds than lstm: 9 to 1 of 12 pairs (p = 0.021 after Holm)"
    )
    assert verdict("lstm", "gru", "beats", second._replace(first=9, second=1), 0.04) == (
        "lstm beats gru: 9 to 1 of 12 pairs (p = 0.04 after Holm)"
    )
    assert verdict("lstm", "gru", "beats", second, 0.05) is None
    assert verdict("lstm", "gru", "beats", second._replace(pairs=11), 0.001) is None


def record(ends, seeds=None, rates=None):
    count = len(ends)
    seeds, rates = seeds or range(count), rates or [0.01] * count
    trials = zip(seeds, rates, ends, strict=True)
    return {
        "per_trial": [
            {"seed": seed, "learning_rate": rate, "steps_to_remember": end}
            for seed, rate, end in trials
        ]
    }


def test_records_are_paired_by_seed():
    """Oracle: by hand. The second record has its trials in another order, each 100 steps longer;
    only seed 5 never solved and spent the budget twice. Catches pairs by position, and an unsolved
    trial left out."""
    first = record([100, 200, 300, 400, 500, None])
    second = record([None, 600, 500, 400, 300, 200], seeds=[5, 4, 3, 2, 1, 0])
    compared = compare_records(first, second, budget=900)
    assert compared["paired"]
    assert compared["first"]["trials"] == 6
    assert compared["remember_rate"]["value"] == 0
    assert compared["steps"]["value"] == 100
    assert compared["steps"]["high"] == 100
    assert 0 < compared["steps"]["low"] < 100
    assert not compared["steps"]["within_noise"]


def test_a_trial_without_solution_has_spent_the_budget():
    """Oracle: by hand. Catches a solution after the budget that counts, and infinite steps."""
    compared = compare_records(record([700, None] * 3), record([100] * 6), budget=500)
    assert compared["steps"]["value"] == -400
    assert compared["remember_rate"]["value"] == 1
    assert (compared["first"]["remembers"], compared["second"]["remembers"]) == (0, 6)
    _, low, high = rate_interval(6, 6)
    assert compared["second"]["remember_rate_low"] == low
    assert compared["second"]["remember_rate_high"] == high


def test_trials_at_another_rate_pair_only_if_each_record_has_one_rate():
    """Oracle: by hand. If each record has one rate, trials pair by seed; else by seed and rate."""
    slow, fast = record([100] * 6, rates=[0.001] * 6), record([100] * 6)
    assert compare_records(slow, fast, 500)["paired"]
    two = record([100] * 6, seeds=[0, 1, 2] * 2, rates=[0.1] * 3 + [0.01] * 3)
    other = record([100] * 6, seeds=[0, 1, 2] * 2, rates=[0.2] * 3 + [0.01] * 3)
    assert compare_records(two, two, 500)["paired"]
    assert not compare_records(two, other, 500)["paired"]


def test_other_seeds_are_compared_unpaired():
    """Oracle: `rate_difference`, whose own oracle is the paper. Catches pairs of different
    seeds."""
    first = record([100, None, None, 100])
    compared = compare_records(first, record([100] * 5), budget=500)
    expected = rate_difference((2, 5), (4, 5))
    assert not compared["paired"]
    assert compared["steps"] is None
    rates = compared["remember_rate"]
    assert (rates["value"], rates["low"], rates["high"]) == pytest.approx(expected)


def test_no_bound_is_null():
    """Catches infinity, which JSON can't represent."""
    steps = compare_records(record([100] * 3), record([300] * 3), budget=500)["steps"]
    assert steps == {"value": 200, "low": None, "high": None, "within_noise": True}
