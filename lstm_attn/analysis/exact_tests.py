"""Exact tests of two records: who remembers on more seeds, who needs fewer steps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from lstm_attn.analysis.differences import ends_of_trials
from lstm_attn.analysis.paired_tests import (
    FEWER_STEPS,
    FEWEST_PAIRS,
    ON_MORE_SEEDS,
    SIGNIFICANT,
    PairedTest,
    holm,
    paired_rate_test,
    paired_sign_test,
    verdict,
)
from lstm_attn.errors import UsageError

Record = Mapping[str, Any]  # of results.json


class IndependentTest(NamedTuple):
    """Fisher's exact test of two rates.

    remember, trials: counts of the first and of the second.
    p: two-sided.
    """

    remember: tuple[int, int]
    trials: tuple[int, int]
    p: float


def independent_rate_test(remember: Sequence[int], trials: Sequence[int]) -> IndependentTest:
    """Fisher's exact test: do two samples of independent trials remember equally often?

        p = sum of P(k) over all k with P(k) <= P(r_1)
        k ~ Hypergeometric(n_1 + n_2 trials, of which r_1 + r_2 remember, n_1 drawn)

    Args:
      remember, trials: r and n, the counts of the first and of the second.

    Raises:
      UsageError: counts that are not two pairs with 0 <= r <= n and n >= 1.

    Source: Fisher 1934; `scipy.stats.fisher_exact`.
    """
    pairs = list(zip(remember, trials, strict=False))
    if not len(remember) == len(trials) == 2 or any(not 0 <= r <= n or n < 1 for r, n in pairs):
        raise UsageError(
            "independent_rate_test: expected two counts of trials and of those that remember, "
            f"got {list(remember)} of {list(trials)}"
        )
    p = float(stats.fisher_exact([[r, n - r] for r, n in pairs]).pvalue)
    return IndependentTest((remember[0], remember[1]), (trials[0], trials[1]), min(p, 1.0))


def exact_tests(
    compared: Sequence[tuple[Record, Record, int]], names: tuple[str, str]
) -> list[list[dict[str, Any]]]:
    """The tests of each two records as JSON values, with p after `holm` over all tests of the list.

    On the same seeds: McNemar's test of who remembers, then the sign test of steps. Of other
    seeds: Fisher's test alone.

    Args:
      compared: (first, second, budget) each; a pass counts within the budget.
      names: what the sentences call the first and the second.

    Returns:
      For each two records a list of tests: what, p, trials (the smaller of the two counts) and
      verdict, the sentence that it allows, or null.
    """
    found = [_tests(*one) for one in compared]
    adjusted = iter(holm([test.p for tests in found for _, test in tests]))
    return [
        [_described(what, test, float(next(adjusted)), names) for what, test in tests]
        for tests in found
    ]


def _tests(
    first: Record, second: Record, budget: int
) -> list[tuple[str, PairedTest | IndependentTest]]:
    trials = [ends_of_trials(record, budget) for record in (first, second)]
    if trials[0].keys() != trials[1].keys():
        remember = [sum(np.isfinite(end) for end in ends.values()) for ends in trials]
        return [(ON_MORE_SEEDS, independent_rate_test(remember, list(map(len, trials))))]
    ends = [np.array([of_record[key] for key in trials[0]]) for of_record in trials]
    return [
        (ON_MORE_SEEDS, paired_rate_test(*map(np.isfinite, ends))),
        (FEWER_STEPS, paired_sign_test(*ends)),
    ]


def _described(
    what: str, test: PairedTest | IndependentTest, p: float, names: tuple[str, str]
) -> dict[str, Any]:
    if isinstance(test, PairedTest):
        return {
            "what": what,
            "p": p,
            "trials": test.pairs,
            "verdict": verdict(*names, what, test, p),
        }
    said = None
    if min(test.trials) >= FEWEST_PAIRS and p < SIGNIFICANT:
        rates = [r / n for r, n in zip(test.remember, test.trials, strict=True)]
        better = int(rates[1] > rates[0])
        counts = [f"{r} of {n}" for r, n in zip(test.remember, test.trials, strict=True)]
        said = (
            f"{names[better]} {what} {names[1 - better]}: {counts[better]} to "
            f"{counts[1 - better]} (p = {p:.3g} after Holm)"
        )
    return {"what": what, "p": p, "trials": min(test.trials), "verdict": said}
