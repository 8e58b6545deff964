"""Timed runs in turns: A B A B, so that a busy minute of the machine hits all alike."""

import time
from collections.abc import Callable, Mapping

FEWEST_ROUNDS, MOST_ROUNDS = 5, 25
# Threads of a library that has just run may wait in a loop before they sleep.
REST_SECONDS = 0.02


def take_turns(
    runs: Mapping[str, Callable[[], float]],
    rounds: int | None,
    budget_seconds: float,
    on_turn: Callable[[str], None] = lambda name: None,
    rest: Callable[[float], None] = time.sleep,
) -> dict[str, list[float]]:
    """Name -> seconds of each of its runs.

    Args:
      runs: one run each, returning its seconds; all run once a round, in this order.
      rounds: how many; None for as many as the budget has room for by the first round, but at
        least FEWEST_ROUNDS and at most MOST_ROUNDS.
      budget_seconds: of all rounds together.
      on_turn: told before each run whose turn it is.
      rest: waits between two runs.
    """
    samples: dict[str, list[float]] = {name: [] for name in runs}
    done = 0
    while rounds is None or done < rounds:
        for name, run in runs.items():
            on_turn(name)
            samples[name].append(run())
            rest(REST_SECONDS)
        done += 1
        if rounds is None:
            round_seconds = sum(seconds[0] for seconds in samples.values())
            fitting = int(budget_seconds / max(round_seconds, 1e-9))
            rounds = min(max(fitting, FEWEST_ROUNDS), MOST_ROUNDS)
    return samples
