"""Solve rate, interval and steps to solve against closed forms and hand-made histories."""

import numpy as np
import pytest

from lstm_attn.analysis import by_learning_rate, median_steps, rate_interval, summarise
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
