"""Exact tests of two records: p by counting every outcome, and sentences by the protocol's rule."""

from fractions import Fraction
from math import comb

import pytest

from lstm_attn.analysis import exact_tests, holm, independent_rate_test
from tests.analysis.test_differences import record


def fisher(first, second, first_trials, second_trials):
    """Two-sided p by counting, in whole numbers: all tables with these margins that are no likelier."""
    together = first + second
    least, most = max(0, together - second_trials), min(first_trials, together)
    ways = {
        k: comb(first_trials, k) * comb(second_trials, together - k) for k in range(least, most + 1)
    }
    return Fraction(
        sum(n for n in ways.values() if n <= ways[first]),
        comb(first_trials + second_trials, together),
    )


def mcnemar(first_alone, second_alone):
    """Two-sided p by counting: all coins that fall at least as unevenly."""
    tossed = first_alone + second_alone
    apart = abs(first_alone - second_alone)
    uneven = sum(comb(tossed, k) for k in range(tossed + 1) if abs(2 * k - tossed) >= apart)
    return Fraction(uneven, 2**tossed)


def ends(remembering, trials):
    return [100] * remembering + [None] * (trials - remembering)


@pytest.mark.parametrize(("first", "second"), [(4, 4), (5, 3), (12, 12), (13, 16)])
def test_p_is_that_of_fisher_for_all_counts(first, second):
    """Oracle: counting in whole numbers. Catches a one-sided p, and counts of the two exchanged."""
    for one in range(first + 1):
        for other in range(second + 1):
            found = independent_rate_test((one, other), (first, second))
            assert found.p == pytest.approx(float(fisher(one, other, first, second)), rel=1e-9)


def test_counts_that_are_none_are_refused():
    """Catches a p of nothing."""
    for remember, trials in (((1, 2), (0, 2)), ((3, 1), (2, 2)), ((1,), (2,)), ((-1, 0), (2, 2))):
        with pytest.raises(ValueError, match="independent_rate_test: expected two counts"):
            independent_rate_test(remember, trials)


@pytest.mark.parametrize("trials", [4, 11, 12, 16])
@pytest.mark.parametrize("paired", [True, False])
def test_a_sentence_wants_twelve_trials_and_an_adjusted_p(trials, paired):
    """Oracle: the rule, with p by counting and twice that by Holm, for all counts of one run against
    none of the other. A second pair of equal cells is in the table. Catches a sentence of 4/4 and 0/4, of a p that is
    not adjusted, of the worse run, and none where the rule allows one."""
    other_seeds = None if paired else range(100, 100 + trials)
    for remembering in range(trials + 1):
        first, second = record(ends(0, trials)), record(ends(remembering, trials), other_seeds)
        same = record(ends(trials, trials))
        (tests, _) = exact_tests([(first, second, 500), (same, same, 500)], ("old", "new"))
        exact = mcnemar(0, remembering) if paired else fisher(0, remembering, trials, trials)
        count = 4 if paired else 3  # of tests in the table, those of the equal cells included
        # The sign test says what McNemar's does here: as many seeds are ahead.
        p = min(1.0, float(exact) * count)
        assert tests[0]["p"] == pytest.approx(p)
        said = [test["verdict"] for test in tests]
        assert [bool(words) for words in said] == [trials >= 12 and p < 0.05] * len(tests)
        if said[0]:
            how = (
                f"{remembering} to 0 of {trials} pairs"
                if paired
                else (f"{remembering} of {trials} to 0 of {trials}")
            )
            assert said[0].startswith(f"new remembers on more seeds than old: {how} (p = ")


def test_a_pass_after_the_budget_is_none():
    """Oracle: by hand. Catches budgets of another pair."""
    slow, fast = record([700] * 12), record([100] * 12)
    within, beyond = exact_tests([(slow, fast, 500), (slow, fast, 800)], ("old", "new"))
    assert "new remembers on more seeds than old: 12 to 0 of 12 pairs" in within[0]["verdict"]
    assert beyond[0]["verdict"] is None
    assert "new needs fewer steps than old: 12 to 0 of 12 pairs" in beyond[1]["verdict"]
    expected = holm([2**-11, 2**-11, 1.0, 2**-11])
    assert [test["p"] for test in (*within, *beyond)] == pytest.approx(list(expected))
