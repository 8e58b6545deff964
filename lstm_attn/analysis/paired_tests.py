"""Exact tests of two models over the same seeds, adjusted for their number; what they allow one to
say."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from lstm_attn.errors import UsageError

FEWEST_PAIRS = 12  # of a verdict in words
SIGNIFICANT = 0.05  # below it, an adjusted p allows a verdict
# What two models are tested for: the predicates of `verdict`.
ON_MORE_SEEDS, FEWER_STEPS = "remembers on more seeds than", "needs fewer steps than"


def same_seeds(
    name: str, first: Sequence | np.ndarray, second: Sequence | np.ndarray, dtype: type
) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays [R] of the same seeds; for others a UsageError names the function."""
    pair: tuple[np.ndarray, np.ndarray] = np.asarray(first, dtype), np.asarray(second, dtype)
    if pair[0].ndim != 1 or pair[0].shape != pair[1].shape or not pair[0].size:
        raise UsageError(
            f"{name}: expected two arrays [R] of the same seeds, R >= 1, "
            f"got shapes {pair[0].shape} and {pair[1].shape}"
        )
    return pair


class PairedTest(NamedTuple):
    """An exact test of two models over the same seeds.

    first, second: of how many seeds each is the better one; the others are ties.
    pairs: R, ties included.
    p: two-sided.
    """

    first: int
    second: int
    pairs: int
    p: float


def paired_rate_test(first: np.ndarray, second: np.ndarray) -> PairedTest:
    """McNemar's exact test: does one model remember on more of the same R seeds?

        p = P(|X - n/2| >= |B - n/2|),  X ~ Binomial(n, 1/2),  n = B + C

    B seeds are remembered by the first alone, C by the second alone. The other seeds say nothing
    about which is better.

    Args:
      first, second: bool [R], whether each seed's trial remembers.

    Raises:
      UsageError: shapes that are not [R] both.

    Source: McNemar 1947; the exact form by `scipy.stats.binomtest`.
    """
    first, second = same_seeds("paired_rate_test", first, second, bool)
    return _exact(first & ~second, second & ~first)


def paired_sign_test(first: np.ndarray, second: np.ndarray) -> PairedTest:
    """The exact sign test: does one model need fewer steps on more of the same R seeds?

    As `paired_rate_test`, B seeds need fewer steps with the first, C with the second. A trial that
    never remembers is worse than any that does, and as good as another that never does.

    Args:
      first, second: [R], steps or seconds to the event; NaN or infinite for never.

    Raises:
      UsageError: shapes that are not [R] both.

    Source: Arbuthnot 1710; the exact form by `scipy.stats.binomtest`.
    """
    pair = same_seeds("paired_sign_test", first, second, float)
    first, second = (np.nan_to_num(ends, nan=np.inf, posinf=np.inf) for ends in pair)
    return _exact(first < second, second < first)


def _exact(first: np.ndarray, second: np.ndarray) -> PairedTest:
    ahead, behind = int(first.sum()), int(second.sum())
    p = float(stats.binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
    return PairedTest(ahead, behind, len(first), p)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The p values of all m tests of a table, adjusted for their number, in the order given:

        adjusted p_(k) = min(1, max over j <= k of (m + 1 - j) p_(j)),  p_(1) <= ... <= p_(m)

    If those below .05 are called differences, the chance of one false call or more is at most 5 %,
    whatever the tests have in common.

    Raises:
      UsageError: a value that is not from 0 to 1.

    Source: Holm 1979.
    """
    values = np.asarray(p_values, float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise UsageError(f"holm: expected p values [m] from 0 to 1, got {values}")
    order = np.argsort(values)
    steps = np.maximum.accumulate(np.arange(len(values), 0, -1) * values[order])
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def verdict(first: str, second: str, what: str, test: PairedTest, adjusted: float) -> str | None:
    """A sentence that says which model is better; None unless the test allows it.

    It does with at least 12 pairs and an adjusted p below .05.

    Args:
      first, second: the models' names.
      what: the predicate between them: "remembers on more seeds than", "needs fewer steps than".
      adjusted: p after `holm` over the table that the sentence is about.
    """
    if test.pairs < FEWEST_PAIRS or not adjusted < SIGNIFICANT or test.first == test.second:
        return None
    better, worse = (first, second) if test.first > test.second else (second, first)
    more, fewer = max(test.first, test.second), min(test.first, test.second)
    return (
        f"{better} {what} {worse}: {more} to {fewer} of {test.pairs} pairs "
        f"(p = {adjusted:.3g} after Holm)"
    )


def table_of_tests(tests: Sequence[tuple[str, str, str, PairedTest]]) -> list[dict[str, Any]]:
    """The tests of one table as JSON values: p after `holm` over all of them, and the sentence that
    each allows, if any.

    Args:
      tests: (first, second, what, test) each, as `verdict` takes them.
    """
    adjusted = holm([test.p for *_, test in tests])
    return [
        {
            "first": first,
            "second": second,
            "what": what,
            "first_ahead": test.first,
            "second_ahead": test.second,
            "pairs": test.pairs,
            "p": float(p),
            "verdict": verdict(first, second, what, test, float(p)),
        }
        for (first, second, what, test), p in zip(tests, adjusted, strict=True)
    ]
