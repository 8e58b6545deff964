"""Who remembers within the same seconds, from histories by hand."""

import numpy as np

from lstm_attn.history import History
from lstm_attn.report import same_seconds


def history(seconds, remembers, diverged=(False, False, False)):
    remembers = np.array(remembers, bool)
    return History(
        steps=np.arange(1, len(seconds) + 1) * 100,
        seconds=np.array(seconds, float),
        metrics={},
        remembers=remembers,
        solved=remembers,
        diverged=np.array([[False] * 3] * (len(seconds) - 1) + [list(diverged)]),
        seeds=np.arange(3),
        learning_rates=np.ones(3),
    )


SLOW = history([4, 8, 12], [[0, 0, 0], [1, 0, 1], [1, 1, 1]], diverged=(False, False, True))
FAST = history([1.5, 9], [[0, 1, 0], [0, 1, 1]])


def test_trials_count_that_have_passed_by_then_and_have_not_diverged():
    """Oracle: by hand. Catches the first evaluation after the seconds, and a trial that diverged
    after its pass."""
    assert [same_seconds.remembering_within(FAST, t) for t in (1, 1.5, 8, 9)] == [0, 1, 1, 2]
    assert [same_seconds.remembering_within(SLOW, t) for t in (7, 8, 12)] == [0, 1, 2]


def test_the_seconds_are_those_of_the_model_that_ends_first():
    """Oracle: by hand, 9 seconds. Catches the longest time, and that of the first model."""
    records = [
        {"task": "adding", "length": 5, "model": name, "cell": name} for name in ("slow", "fast")
    ]
    [section] = same_seconds.sections(records, {"slow": SLOW, "fast": FAST})
    [table] = section.tables
    assert table.headings == ["task", "seconds", "slow", "fast"]
    assert table.rows == [["adding, T = 5", "9", "1/3", "2/3"]]


def test_one_model_is_compared_with_none():
    records = [{"task": "adding", "length": 5, "model": "slow", "cell": "slow"}]
    assert same_seconds.sections(records, {"slow": SLOW}) == []
