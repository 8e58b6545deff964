"""How often the intervals of lstm_attn.analysis cover and its tests keep quiet, by simulation.

python -m tools.coverage           # prints the table
python -m tools.coverage --write   # and puts it into docs/statistics.md; four minutes

Trials are drawn as they come in the studies: 4 to 20 seeds; a trial remembers with some chance,
after a lognormal number of steps, rounded up to one of 40 evaluations, and else never.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from scipy import special, stats

from lstm_attn import analysis
from lstm_attn.analysis.horizon import HorizonFit
from lstm_attn.errors import UsageError
from lstm_attn.report.tables import markdown
from lstm_attn.runner import command_line
from tools.pages import write_sections

PAGE = Path(__file__).parent.parent / "docs" / "statistics.md"
SEEDS = (4, 8, 16, 20)
BUDGET = 1.0
RESAMPLES = 500  # a quarter of what a study takes, or less
LENGTHS = np.concatenate([[10, 20], 40 * 2 ** np.arange(0, 2.01, 0.5), [320, 640]])
BUDGETS = 1000 * 2.0 ** np.arange(5)
EXPONENT = 1.5  # of the steps that a length needs
# Of a language model: blocks of its text, and standard deviations in bits per byte: of a block,
# of what a block adds to one model, and of one seed on one block.
BLOCKS, OF_BLOCK, OF_MODEL, OF_BOTH = 20, 0.2, 0.02, 0.02
Random = np.random.Generator
Holds = Callable[[Random, int], bool]


class Simulation(NamedTuple):
    """One row of the table.

    name: of the function; or what it was chosen over, in brackets.
    trials: what is drawn.
    holds: whether the interval of one simulated study covers, or a test of equals does not reject.
    least: the share of simulations in which it has to; None for what we do not use.
    fewest: seeds from which on it has to.
    """

    name: str
    trials: str
    holds: Holds
    least: float | None = 0.95
    fewest: int = 4


def ends(rng: Random, chance: float, shape: int | tuple[int, ...]) -> np.ndarray:
    """Steps to remember, as shares of the budget; NaN where a trial does not within it."""
    steps = np.ceil(np.exp(rng.normal(np.log(0.3), 0.4, shape)) * 40) / 40
    return np.where((rng.random(shape) < chance) & (steps <= BUDGET), steps, np.nan)


@functools.cache
def true_ends(chance: float) -> np.ndarray:
    return ends(np.random.default_rng(0), chance, 200_000)


def within(truth: float, interval: Sequence[float]) -> bool:
    *_, low, high = interval
    return bool(low <= truth <= high)


def rate(rng: Random, seeds: int, method: Callable[[int, int], Sequence[float]]) -> bool:
    chance = rng.random()
    return within(chance, method(int(rng.binomial(seeds, chance)), seeds))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    limits = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return limits.low, limits.high


def difference(rng: Random, seeds: int, *, paired: bool) -> bool:
    outcomes = rng.random((2, seeds)) < np.array([[0.5], [0.9]])
    if paired:
        return within(0.4, analysis.paired_rate_difference(*outcomes))
    solved = [int(count) for count in outcomes.sum(axis=1)]
    return within(0.4, analysis.rate_difference(solved, (seeds, seeds)))


def curve(rng: Random, seeds: int, at: float) -> bool:
    truth = 1 - float((true_ends(0.9) <= at).mean())
    found = analysis.survival_curve(ends(rng, 0.9, seeds), BUDGET)
    point = int(np.searchsorted(found.steps, at, side="right")) - 1
    return within(truth, (found.low[point], found.high[point]))


def restricted(
    rng: Random, seeds: int, chance: float, method: Callable[[np.ndarray], Sequence[float]]
) -> bool:
    truth = float(np.nan_to_num(true_ends(chance), nan=BUDGET).mean())
    return within(truth, method(ends(rng, chance, seeds)))


def restricted_mean(steps: np.ndarray) -> Sequence[float]:
    return analysis.restricted_mean(steps, BUDGET)


def student(steps: np.ndarray) -> Sequence[float]:
    return analysis.mean_interval(np.nan_to_num(steps, nan=BUDGET))


def percentiles(steps: np.ndarray) -> Sequence[float]:
    spent = np.nan_to_num(steps, nan=BUDGET)
    drawn = np.random.default_rng(0).choice(spent, (1000, len(spent))).mean(axis=1)
    return tuple(np.quantile(drawn, [0.025, 0.975]))


def fitted(outcomes: np.ndarray) -> HorizonFit:
    """The fit to outcomes [seeds, lengths]."""
    seeds = np.repeat(np.arange(len(outcomes)), len(LENGTHS))
    grid = np.tile(LENGTHS, len(outcomes))
    return analysis.fit_horizon(grid, outcomes.ravel(), seeds, resamples=RESAMPLES)


def horizon(
    rng: Random, seeds: int, slope: float, spread: float = 0.0, *, plain: bool = False
) -> bool:
    """Whether T50 is covered; its place between two lengths is drawn too."""
    log_t50 = np.log2(80) + rng.uniform(-0.5, 0.5)
    of_seed = log_t50 + rng.normal(0, spread, (seeds, 1))
    chance = special.expit(slope * (of_seed - np.log2(LENGTHS)))
    fit = fitted(rng.random(chance.shape) < chance)
    limits = np.quantile(fit.resampled, [0.025, 0.975]) if plain else (fit.low, fit.high)
    return within(2**log_t50, limits)


def power_law(rng: Random, seeds: int, noise: float) -> bool:
    """Whether the exponent of T50 against the budget is covered."""
    start = np.log2(20) - rng.uniform(0, 1)
    needed = np.log2(1000) + EXPONENT * (np.log2(LENGTHS) - start)
    needed = needed + rng.normal(0, noise, (seeds, len(LENGTHS)))
    fits = [fitted(needed <= np.log2(budget)) for budget in BUDGETS]
    line = analysis.fit_against_budget(BUDGETS, fits)
    return within(1 / EXPONENT, (line.low, line.high))


def bits(rng: Random, seeds: int, models: int, apart: float) -> list[np.ndarray]:
    """Bits per byte [seeds, blocks] of equal models whose mean is 0; `apart` is that of seeds."""
    of_models = [
        rng.normal(0, apart, (seeds, 1))
        + rng.normal(0, OF_MODEL, BLOCKS)
        + rng.normal(0, OF_BOTH, (seeds, BLOCKS))
        for _ in range(models)
    ]
    text = rng.normal(0, OF_BLOCK, BLOCKS)
    return [text + of_model for of_model in of_models]


def bootstrap(rng: Random, seeds: int, models: int, apart: float) -> bool:
    """Whether the mean of one model, or the difference of two, is covered."""
    drawn = bits(rng, seeds, models, apart)
    return within(0, analysis.hierarchical_bootstrap(*drawn, resamples=RESAMPLES))


def plain_bootstrap(rng: Random, seeds: int, apart: float) -> bool:
    """The same of the difference, by percentiles as they are."""
    first, second = bits(rng, seeds, 2, apart)
    blocks = rng.multinomial(BLOCKS, np.full(BLOCKS, 1 / BLOCKS), RESAMPLES)
    drawn = [
        np.sum((rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) @ side) * blocks, 1)
        for side in (first, second)
    ]
    return within(0, np.quantile(drawn[0] - drawn[1], [0.025, 0.975]))


def blocks_alone(rng: Random, seeds: int, apart: float) -> bool:
    """The same of the difference, by Student's interval over blocks of the means over seeds."""
    first, second = bits(rng, seeds, 2, apart)
    return within(0, analysis.mean_interval((first - second).mean(axis=0)))


def log_rank(rng: Random, seeds: int) -> bool:
    first, second = ends(rng, 0.9, (2, seeds))
    return analysis.log_rank(first, second, BUDGET) >= 0.05


def log_rank_of_scipy(rng: Random, seeds: int) -> bool:
    sides = [
        stats.CensoredData.right_censored(np.nan_to_num(side, nan=BUDGET), np.isnan(side))
        for side in ends(rng, 0.9, (2, seeds))
    ]
    return bool(stats.logrank(*sides).pvalue >= 0.05)


def mcnemar(rng: Random, seeds: int) -> bool:
    return analysis.paired_rate_test(*(rng.random((2, seeds)) < 0.5)).p >= 0.05


def fisher(rng: Random, seeds: int) -> bool:
    counts = rng.binomial(seeds, 0.5, 2).tolist()
    return analysis.independent_rate_test(counts, [seeds, seeds]).p >= 0.05


def sign_test(rng: Random, seeds: int) -> bool:
    return analysis.paired_sign_test(*ends(rng, 0.9, (2, seeds))).p >= 0.05


def table_of_ten(rng: Random, seeds: int, *, adjusted: bool) -> bool:
    """Whether ten comparisons of equals with the same first model say nothing."""
    first, *others = ends(rng, 0.9, (11, seeds))
    p_values = [analysis.paired_sign_test(first, other).p for other in others]
    return bool(min(analysis.holm(p_values) if adjusted else p_values) >= 0.05)


def remember(function: Callable[..., bool], chance: float, **named: Any) -> tuple[str, Holds]:
    return f"{chance:g} remember", functools.partial(function, chance=chance, **named)


_with = functools.partial
EQUAL = "equal models, .9 remember"
TEN = "ten sign tests of equals"
SIMULATIONS = (
    Simulation("rate_interval", "any rate", _with(rate, method=analysis.rate_interval)),
    Simulation("(Wilson)", "any rate", _with(rate, method=wilson), None),
    Simulation("rate_difference", ".5 and .9 remember", _with(difference, paired=False)),
    Simulation("paired_rate_difference", ".5 and .9 remember", _with(difference, paired=True)),
    # From 16 trials on these are Wilson's, whose coverage varies about 95 %.
    Simulation("survival_curve", "at .25 of the budget", _with(curve, at=0.25), least=0.92),
    Simulation("survival_curve", "at the budget", _with(curve, at=1.0), least=0.92),
    *(
        Simulation(name, *remember(restricted, chance, method=method), least)
        for name, method, least in (
            ("restricted_mean", restricted_mean, 0.95),
            ("(Student)", student, None),
            ("(bootstrap)", percentiles, None),
        )
        for chance in (0.05, 0.5, 0.95)
    ),
    Simulation("fit_horizon", "slope 1.5", _with(horizon, slope=1.5), fewest=8),
    Simulation("fit_horizon", "slope 4", _with(horizon, slope=4.0), fewest=8),
    Simulation("fit_horizon", "separated", _with(horizon, slope=1000.0)),
    Simulation(
        "fit_horizon", "seeds .7 doublings apart", _with(horizon, slope=20.0, spread=0.7), fewest=8
    ),
    Simulation("(bootstrap)", "slope 1.5", _with(horizon, slope=1.5, plain=True), None),
    Simulation("(bootstrap)", "separated", _with(horizon, slope=1000.0, plain=True), None),
    Simulation("fit_against_budget", "nearly separated", _with(power_law, noise=0.1)),
    Simulation("fit_against_budget", "steps differ by a factor 2", _with(power_law, noise=1.0)),
    *(
        Simulation(
            "hierarchical_bootstrap",
            f"{what}, seeds {apart} bits apart",
            _with(bootstrap, models=models, apart=apart),
            least=0.94,  # Student's interval, exact here, varies as much
        )
        for models, what in ((1, "a language model"), (2, "difference of two"))
        for apart in (0.01, 0.03)
    ),
    Simulation(
        "(percentiles)",
        "difference of two, seeds 0.03 bits apart",
        _with(plain_bootstrap, apart=0.03),
        None,
    ),
    Simulation(
        "(Student, blocks alone)",
        "difference of two, seeds 0.03 bits apart",
        _with(blocks_alone, apart=0.03),
        None,
    ),
    Simulation("log_rank", EQUAL, log_rank),
    Simulation("(scipy's logrank)", EQUAL, log_rank_of_scipy, None),
    Simulation("paired_rate_test", "equal models, .5 remember", mcnemar),
    Simulation("independent_rate_test", "equal models, .5 remember", fisher),
    Simulation("paired_sign_test", EQUAL, sign_test),
    Simulation("holm", TEN, _with(table_of_ten, adjusted=True)),
    Simulation("(not adjusted)", TEN, _with(table_of_ten, adjusted=False), None),
)


def coverage(simulation: Simulation, seeds: int, simulations: int) -> float:
    """The share of simulations that hold."""
    if simulations < 1:
        raise UsageError(f"simulations: expected at least 1, got {simulations}")
    rng = np.random.default_rng(seeds)
    return float(np.mean([simulation.holds(rng, seeds) for _ in range(simulations)]))


def binomial_error(simulations: int) -> float:
    """The standard error of a share of simulations that is 95 %."""
    return float(np.sqrt(0.95 * 0.05 / simulations))


def table(simulations: int) -> str:
    """Percent that hold: a row for each simulation, a column for each number of seeds."""
    rows = [
        [
            f"`{row.name}`" if row.least else row.name,
            row.trials,
            *(f"{100 * coverage(row, seeds, simulations):.0f}" for seeds in SEEDS),
        ]
        for row in SIMULATIONS
    ]
    headings = ["", "simulated trials", *(f"{seeds} seeds" for seeds in SEEDS)]
    error = 100 * binomial_error(simulations)
    return (
        f"{markdown(headings, rows)}\n\n"
        f"In percent of {simulations:,} simulations; the standard error of 95 is {error:.1f}."
    )


def main(simulations: int, write: bool) -> int:
    section = table(simulations)
    print(section)
    if write:
        write_sections(PAGE, {"coverage": section})
    return 0


if __name__ == "__main__":
    COUNT = flags.DEFINE_integer("simulations", 500, "Studies to simulate for each figure.")
    WRITE = flags.DEFINE_bool("write", False, "Write the table into docs/statistics.md too.")
    command_line.run(lambda: main(COUNT.value, WRITE.value))
