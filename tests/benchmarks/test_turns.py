"""Whose turn it is, on a clock that only the runs move."""

import pytest

from benchmarks.turns import FEWEST_ROUNDS, MOST_ROUNDS, REST_SECONDS, take_turns


class FakeRuns:
    """Each run takes a known time, a little more in each round, and is written down."""

    def __init__(self, **seconds):
        self.order = []
        self.rests = []
        self.runs = {name: self.make(name, time) for name, time in seconds.items()}

    def make(self, name, seconds):
        def run():
            self.order.append(name)
            return seconds * (1 + self.order.count(name) / 100)

        return run

    def take(self, **options):
        return take_turns(self.runs, rest=self.rests.append, **options)


def test_runs_are_interleaved_and_samples_are_their_own():
    """Oracle: the order by hand. Catches A A B B, and samples under another's name."""
    fake = FakeRuns(a=1.0, b=10.0, c=100.0)
    told = []
    samples = fake.take(rounds=3, budget_seconds=0, on_turn=told.append)
    assert fake.order == told == ["a", "b", "c"] * 3
    assert samples["b"] == pytest.approx([10.1, 10.2, 10.3])
    assert fake.rests == [REST_SECONDS] * 9


@pytest.mark.parametrize(
    ("budget", "rounds"), [(0, FEWEST_ROUNDS), (10 * 4.05, 10), (1e9, MOST_ROUNDS)]
)
def test_rounds_fill_the_budget(budget, rounds):
    """Oracle: the budget over a round of 4.04 s. Catches a budget of each contender by itself, and
    too few rounds for quartiles."""
    fake = FakeRuns(a=1.0, b=3.0)
    samples = fake.take(rounds=None, budget_seconds=budget)
    assert len(samples["a"]) == len(samples["b"]) == rounds
