"""Trials by learning rate, against a record made by hand."""

import pytest

from lstm_attn.analysis import by_learning_rate, wilson_interval


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
    assert (low["solve_rate_low"], low["solve_rate_high"]) == wilson_interval(2, 3)
    assert (high["solved"], high["trials"], high["diverged"]) == (0, 2, 1)
    assert high["median_steps_to_solve"] is None
