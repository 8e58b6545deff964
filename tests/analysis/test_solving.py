"""Solve rate, interval and steps to solve against closed forms and hand-made histories."""

import numpy as np
import pytest

from lstm_attn.analysis import (
    by_learning_rate,
    learning_rate_window,
    median_steps,
    rate_interval,
    summarise,
)
from lstm_attn.errors import UsageError
from lstm_attn.history import History


def history(solved, loss, diverged=None):
    """Evaluations every 100 steps; rows are evaluations, columns trials."""
    solved = np.array(solved, bool)
    return History(
        steps=100 * np.arange(1, len(solved) + 1),
        seconds=1.5 * np.arange(1, len(solved) + 1),
        metrics={"loss": np.array(loss, np.float32)},
        solved=solved,
        diverged=np.zeros_like(solved) if diverged is None else np.array(diverged, bool),
        seeds=np.arange(solved.shape[1]),
        learning_rates=np.full(solved.shape[1], 0.003, np.float32),
    )


def test_steps_to_solve_is_the_first_evaluation_that_solves():
    """Oracle: by hand. Trial 0 solves at 100 only, trial 1 never, trials 2 and 3 at 200 and 400.
    Catches the last evaluation instead of the first, an unsolved trial in the median, and a
    mean."""
    solved = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    losses = [[9, 9, 9, 9], [5, 5, 5, 5], [5, 5, 5, 5], [1, 2, 4, 9]]
    record = summarise(history(solved, losses))
    assert record["solved"] == 3
    assert record["trials"] == 4
    assert record["solve_rate"] == pytest.approx(3 / 4)
    assert record["median_steps_to_solve"] == 200
    assert record["final_loss"] == 3
    assert record["steps"] == 400
    assert record["seconds"] == 6
    assert [t["steps_to_solve"] for t in record["per_trial"]] == [100, None, 200, 400]
    assert [t["learning_rate"] for t in record["per_trial"]] == [0.003] * 4


def test_a_diverged_trial_counts_as_unsolved_and_as_infinite_loss():
    """Oracle: by hand. Trial 0 solved before it diverged. Catches NaN in the median."""
    record = summarise(
        history(
            [[1, 0, 1], [0, 0, 1]],
            [[1, 1, 1], [np.nan, 3, 2]],
            diverged=[[0, 0, 0], [1, 0, 0]],
        )
    )
    assert record["solved"] == 1
    assert record["final_loss"] == 3
    assert [t["diverged_by"] for t in record["per_trial"]] == [200, None, None]
    assert record["per_trial"][0]["final_loss"] is None


def test_nothing_solved_and_all_diverged_are_null():
    """Catches NaN, which JSON can't represent."""
    record = summarise(history([[0, 0]], [[np.nan, np.nan]], diverged=[[1, 1]]))
    assert record["median_steps_to_solve"] is None
    assert record["final_loss"] is None
    assert record["solve_rate_low"] == pytest.approx(0, abs=1e-12)


def test_the_median_of_steps_has_its_interval():
    """Oracle: order statistics by hand, x_1 and x_6 of six, with confidence 1 - 2 / 64. Catches an
    interval of the mean, and unsolved trials counted in."""
    found = median_steps([600, 100, 300, 200, 500, 400])
    assert found == {
        "median_steps_to_solve": 350,
        "median_steps_low": 100,
        "median_steps_high": 600,
        "median_confidence": 1 - 2 / 64,
    }
    assert set(median_steps([]).values()) == {None}


def trial(rate, end, diverged_by=None):
    return {"learning_rate": rate, "steps_to_solve": end, "diverged_by": diverged_by}


def test_each_rate_has_its_own_trials():
    """Oracle: by hand. Catches trials of another rate, an unsolved trial in the median, and rates
    in the order of training."""
    trials = [
        trial(0.1, None, 200), trial(0.01, 300), trial(0.1, None), trial(0.01, 500),
        trial(0.01, None),
    ]  # fmt: skip
    low, high = by_learning_rate({"per_trial": trials})
    assert (low["learning_rate"], low["solved"], low["trials"]) == (0.01, 2, 3)
    assert low["median_steps_to_solve"] == 400
    assert low["steps_to_solve"] == [300, 500]
    assert low["solve_rate"] == pytest.approx(2 / 3)
    assert (low["solve_rate_low"], low["solve_rate_high"]) == rate_interval(2, 3)[1:]
    assert (high["solved"], high["trials"], high["diverged"]) == (0, 2, 1)
    assert high["median_steps_to_solve"] is None


RATES = np.array([1e-3, 3e-3, 1e-2, 3e-2, 1e-1])


def test_the_window_ends_where_the_share_has_doubled():
    """Oracle: a V in log-log with its tip on a tried rate, share .01 (rate / .01)^2 above and its
    inverse below: doubled at .01 times and by 2^(1/2). Catches interpolation of the shares
    themselves, ends at rates tried, and a factor of the worst."""
    shares = 0.01 * np.maximum(RATES / 0.01, 0.01 / RATES) ** 2
    window = learning_rate_window(RATES, shares)
    assert window.low == pytest.approx(0.01 / 2**0.5)
    assert window.high == pytest.approx(0.01 * 2**0.5)
    assert window.decades == pytest.approx(np.log10(2))
    assert (window.open_low, window.open_high) == (False, False)
    mixed = np.random.default_rng(0).permutation(5)
    assert learning_rate_window(RATES[mixed], shares[mixed]) == pytest.approx(window)


def test_a_window_at_the_edge_is_open_and_one_at_a_divergence_is_not():
    """Oracle: by hand. The share is flat up to .03 and the trials at .1 diverged. Catches infinity
    in the interpolation, and a window that claims to end at the edge."""
    for lost in (np.inf, np.nan):
        window = learning_rate_window(RATES, np.array([0.01, 0.012, 0.01, 0.019, lost]))
        assert window[:2] == pytest.approx((1e-3, 3e-2))
        assert (window.open_low, window.open_high) == (True, False)
    single = learning_rate_window(np.array([0.01]), np.array([0.5]))
    assert single == pytest.approx((0.01, 0.01, 0, True, True))


def test_a_window_is_contiguous():
    """Oracle: by hand. A second dip at .1 lies beyond rates that are worse. Catches a range from the
    least to the greatest rate that is good."""
    window = learning_rate_window(RATES, np.array([0.01, 0.015, 0.1, 0.1, 0.012]))
    assert window.high < 1e-2
    assert not window.open_high


@pytest.mark.parametrize("seeds", [2, 4])
def test_the_window_of_few_noisy_seeds_is_nearly_right(seeds):
    """Oracle: simulation of medians of lognormal shares, a factor of 1.3 apart, about a smooth U
    whose window is .9 decades. Its median error is below a quarter of a decade, half the distance of
    the rates. Catches an interpolation that goes outward."""
    rng = np.random.default_rng(seeds)
    grid = np.logspace(-4, 0, 9)
    truth = 2 * np.sqrt(np.log10(2) / 1.5)
    curve = 1.5 * np.log10(grid / 0.008) ** 2 - 2
    noisy = curve + np.median(rng.normal(0, np.log10(1.3), (500, seeds, len(grid))), axis=1)
    found = np.array([learning_rate_window(grid, 10**shares).decades for shares in noisy])
    assert abs(np.median(found) - truth) < 0.125
    assert np.median(np.abs(found - truth)) < 0.25


@pytest.mark.parametrize(
    ("rates", "shares", "message"),
    [
        ([0.1, 0.1], [1, 1], "expected positive rates, each once"),
        ([0, 0.1], [1, 1], "expected positive rates, each once"),
        ([0.1], [np.nan], "one finite"),
        ([0.1], [-1], "at least 0"),
        ([0.1], [1, 2], r"got shapes \(1,\) and \(2,\)"),
    ],
)
def test_rates_without_a_window_are_one_line(rates, shares, message):
    """Catches a window of a rate that was tried twice, and of trials that all diverged."""
    with pytest.raises(UsageError, match=f"^learning_rate_window: .*{message}"):
        learning_rate_window(np.array(rates), np.array(shares))
