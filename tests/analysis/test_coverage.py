"""Each statistic keeps its 95 % where the studies use it: bimodal trials, few seeds, separation.

Oracle: simulation of trials whose truth is known, by tools.coverage. The bound is the nominal share
less three binomial errors of the number of simulations, so that 1 test in 700 fails by chance; the
draws are always the same.
"""

import numpy as np
import pytest

from lstm_attn.errors import UsageError
from tools.coverage import SEEDS, SIMULATIONS, binomial_error, coverage, table

USED = [one for one in SIMULATIONS if one.least is not None]
QUICK, MANY = 100, 200


def name(simulation):
    return f"{simulation.name}: {simulation.trials}"


def holds(simulation, seeds, simulations):
    least = simulation.least - 3 * binomial_error(simulations)
    return coverage(simulation, seeds, simulations) >= least


@pytest.mark.parametrize("simulation", USED, ids=name)
def test_it_keeps_its_level(simulation):
    """Catches an interval that is too narrow, or a test that is too eager, with 8 seeds."""
    assert holds(simulation, 8, QUICK)


@pytest.mark.full
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("simulation", USED, ids=name)
def test_it_keeps_its_level_with_any_number_of_seeds(simulation, seeds):
    """Oracle: as above, with the numbers of seeds of docs/statistics.md."""
    if seeds >= simulation.fewest:
        assert holds(simulation, seeds, MANY)


@pytest.mark.parametrize("wanted", ["(Student): 0.05 remember", "(bootstrap): separated"])
def test_what_we_do_not_use_fails(wanted):
    """Oracle: the reason why we do not. Catches a simulation that any interval would pass."""
    (unused,) = (one for one in SIMULATIONS if name(one) == wanted)
    assert coverage(unused, 8, QUICK) < 0.8


def test_the_table_has_a_row_for_each_simulation(monkeypatch):
    """Oracle: rows by hand. Catches columns in another order than their headings."""
    monkeypatch.setattr("tools.coverage.SIMULATIONS", (SIMULATIONS[0], SIMULATIONS[1]))
    lines = table(20).splitlines()
    assert lines[0] == "|  | simulated trials | 4 seeds | 8 seeds | 16 seeds | 20 seeds |"
    shares = [f"{100 * coverage(SIMULATIONS[0], seeds, 20):.0f}" for seeds in (4, 8, 16, 20)]
    assert lines[2] == f"| `rate_interval` | any rate | {' | '.join(shares)} |"
    assert lines[3].startswith("| (Wilson) | any rate | ")
    assert lines[-1] == "In percent of 20 simulations; the standard error of 95 is 4.9."
    assert binomial_error(1900) == pytest.approx(0.005)
    with pytest.raises(UsageError, match="expected at least 1, got 0"):
        coverage(SIMULATIONS[0], 4, 0)
    assert np.isfinite(coverage(SIMULATIONS[0], 4, 1))
