"""Processes, answers, rows and turns, with contenders of known work."""

import dataclasses
import io

import pytest
from rich.console import Console

from benchmarks.comparison import (
    FEWEST_ROUNDS,
    MOST_ROUNDS,
    REST_SECONDS,
    compare,
    take_turns,
)
from benchmarks.contenders import Contender, Mismatch
from benchmarks.progress import Progress
from tests.benchmarks.builders import Case

BUILDERS = "tests.benchmarks.builders"
A_CASE = Case()


def contender(name, function="sleeping", module=BUILDERS, **arguments):
    return Contender(name, module, function, arguments)


def run(*contenders, cases=(A_CASE,), rounds=2):
    written = io.StringIO()
    progress = Progress(len(cases), Console(file=written, width=200))
    comparison = compare(cases, lambda case: contenders, progress, rounds)
    return comparison, written.getvalue()


@pytest.mark.full
def test_rows_hold_times_a_step_and_the_distance_to_the_floor():
    """Oracle: sleeps of known length, two steps a run, and the floor from the row's own rates.
    Catches seconds of a run for those of a step, a floor of the other resource, and values of
    different functions compared."""
    slow = contender("slow", seconds=0.2)
    fast = dataclasses.replace(contender("fast", seconds=0.1, value=2.0), is_same=False)
    comparison, _ = run(slow, fast)
    assert [row["difference"] for row in comparison.rows] == [0.0, None]
    times = {row["name"]: row["median_seconds"] for row in comparison.rows}
    assert 0.1 <= times["slow"] < 0.18
    assert 0.05 <= times["fast"] < 0.09
    for row in comparison.rows:
        by_flops = 10**9 / row["flops_per_second"]
        by_bytes = 10**6 / row["bytes_per_second"]
        assert row["floor_seconds"] == max(by_flops, by_bytes)
        assert row["distance"] == pytest.approx(row["median_seconds"] / row["floor_seconds"])
        assert 1e8 < row["flops_per_second"] < 1e15
        assert 1e8 < row["bytes_per_second"] < 1e13
        assert len(row["samples"]) == 2


@pytest.mark.full
def test_those_that_cannot_run_are_left_out_with_a_reason():
    """Catches a missing library or a killed process that ends the whole benchmark, or that takes
    another contender with it."""
    comparison, written = run(
        contender("elsewhere", "unavailable"),
        contender("killed", "killed"),
        contender("uninstalled", module="tests.benchmarks.wants_a_library"),
        contender("here"),
        cases=(A_CASE, Case("another case")),
        rounds=1,
    )
    assert [(row["case"], row["name"]) for row in comparison.rows] == [
        ("a case", "here"),
        ("another case", "here"),
    ]
    reasons = {skip["name"]: skip["reason"] for skip in comparison.skipped}
    assert reasons == {
        "elsewhere": "not on this machine",
        "killed": "its process was killed, perhaps for want of memory",
        "uninstalled": "a_library_that_is_not_there is not installed",
    }
    assert len(comparison.skipped) == 6
    assert "elsewhere is left out: not on this machine" in written


def test_a_bug_of_a_contender_is_an_error_with_its_name():
    """Catches a bug that is reported as a missing library, and a crash as a want of memory."""
    with pytest.raises(RuntimeError, match="(?s)^broken: Traceback.*ZeroDivisionError: a bug"):
        run(contender("broken", "broken"))
    with pytest.raises(RuntimeError, match="^crashed: its process ended with status -11"):
        run(contender("crashed", "crashed"))


def test_other_values_are_an_error_with_the_name():
    """Catches a peer that is timed without a comparison of its values."""
    with pytest.raises(Mismatch, match="^other: value differs from ours by 1 of"):
        run(contender("first"), contender("other", value=2.0))


class FakeRuns:
    """Runs of known times, each round a little slower; the order of runs is logged."""

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
    """Oracle: the order by hand. Catches the order A A B B, and samples of another contender."""
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
    """Oracle: the budget over a round of 4.04 s. Catches a budget for each contender, and too few
    rounds for quartiles."""
    fake = FakeRuns(a=1.0, b=3.0)
    samples = fake.take(rounds=None, budget_seconds=budget)
    assert len(samples["a"]) == len(samples["b"]) == rounds
