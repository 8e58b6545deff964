"""Sampling with penalty, temperature, top-k and top-p, against float64 numpy and counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstm_attn.errors import UsageError
from lstm_attn.ops import sampling
from lstm_attn.ops.sampling import Sampling, sample_token

B, V = 3, 7
LOGITS = hnp.arrays(np.float32, (B, V), elements=st.floats(-4, 4, width=16))


def softmax(logits):
    logits = logits.astype(np.float64)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@given(LOGITS, st.integers(1, V + 2))
def test_top_k_keeps_the_k_largest(logits, k):
    """Oracle: numpy's sort. Catches k - 1 or k + 1 of them, and the smallest for the largest."""
    kept = np.isfinite(sampling.among_top_k(jnp.asarray(logits), k))
    for row, keeps in zip(logits, kept, strict=True):
        np.testing.assert_array_equal(keeps, row >= np.sort(row)[::-1][min(k, V) - 1])


@given(LOGITS, st.floats(0.05, 0.95))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits, p):
    """Oracle: tokens added one by one in float64. Catches a set that stops before p, or takes one
    token too many, and probabilities put back in another order."""
    kept = np.isfinite(sampling.among_top_p(jnp.asarray(logits), p))
    for row, keeps in zip(logits, kept, strict=True):
        probabilities = softmax(row)
        order = np.argsort(-row, kind="stable")
        reached = np.cumsum(probabilities[order])
        # A sum that equals p up to rounding may fall on either side.
        if np.abs(reached - p).min() < 1e-5:
            continue
        needed = int(np.argmax(reached >= p)) + 1
        assert set(np.flatnonzero(keeps)) == set(order[:needed])


@given(LOGITS, hnp.arrays(bool, (B, V)), st.floats(1, 3, width=16))
def test_a_penalty_makes_what_was_there_less_likely(logits, seen, penalty):
    """Oracle: the equation; no token that was there becomes likelier. Catches a negative logit that
    is divided, and a penalty on other tokens."""
    after = np.asarray(sampling.penalised(jnp.asarray(logits), jnp.asarray(seen), penalty))
    expected = np.where(logits > 0, logits / np.float32(penalty), logits * np.float32(penalty))
    np.testing.assert_allclose(after, np.where(seen, expected, logits), rtol=1e-6)
    assert np.all(after[seen] <= logits[seen])


@pytest.mark.parametrize(
    "how",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(temperature=2.0, top_k=3),
        Sampling(top_p=0.8),
        Sampling(repetition_penalty=2.0, temperature=0.7, top_k=5, top_p=0.9),
    ],
    ids=str,
)
def test_tokens_come_as_often_as_they_should(how):
    """Oracle: the distribution in float64 by hand, its counts within four standard errors. Catches
    a temperature that multiplies, options in another order, and one draw for all."""
    logits = np.array([2.0, 1.0, 0.5, 0.0, -1.0, -2.0, 1.5], np.float32)
    seen = np.array([True, False, False, True, True, False, False])
    penalty = how.repetition_penalty
    expected = np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)
    expected = expected / how.temperature
    order = np.argsort(-expected)
    probabilities = softmax(expected)
    if how.top_k:
        probabilities[order[how.top_k :]] = 0
        probabilities /= probabilities.sum()
    if how.top_p < 1:
        before = np.cumsum(probabilities[order]) - probabilities[order]
        probabilities[order[before >= how.top_p]] = 0
        probabilities /= probabilities.sum()
    draws = 20_000
    ids = sample_token(
        jax.random.key(0), jnp.tile(logits, (draws, 1)), jnp.tile(seen, (draws, 1)), how
    )
    counts = np.bincount(np.asarray(ids), minlength=V)
    spread = np.sqrt(draws * probabilities * (1 - probabilities))
    assert np.all(np.abs(counts - draws * probabilities) <= 4 * spread + 1e-9)


def test_no_temperature_takes_the_likeliest_that_is_not_penalised():
    """Oracle: argmax by hand. Catches a division by zero."""
    logits = jnp.array([[1.0, 2.0, 1.9], [3.0, 0.0, 1.0]])
    seen = jnp.array([[False, True, False], [False, False, False]])
    for penalty, expected in ((1.0, [1, 0]), (2.0, [2, 0])):
        how = Sampling(temperature=0.0, repetition_penalty=penalty)
        np.testing.assert_array_equal(sample_token(jax.random.key(0), logits, seen, how), expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1.0}, "temperature: expected at least 0, got -1.0"),
        ({"temperature": float("nan")}, "temperature: expected at least 0, got nan"),
        ({"top_k": -1}, "top_k: expected at least 0, got -1"),
        ({"top_p": 0.0}, "top_p: expected over 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p: expected over 0 and at most 1, got 1.5"),
        ({"repetition_penalty": 0.5}, "repetition_penalty: expected at least 1, got 0.5"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty: expected at least 1, got inf"),
    ],
)
def test_values_out_of_range_are_one_line(wrong, message):
    """Catches a NaN that samples the last token for ever."""
    with pytest.raises(UsageError, match=f"^{message}$"):
        Sampling(**wrong)


def test_shapes_that_do_not_fit_are_one_line():
    """Catches a batch that is broadcast."""
    with pytest.raises(UsageError, match=r"sample_token: seen \[B, V\] expected shape \(2, 5\)"):
        sample_token(jax.random.key(0), jnp.zeros((2, 5)), jnp.zeros((1, 5), bool), Sampling())


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([0.0, np.inf, 1.0], [1]),
        ([0.0, np.inf, np.inf], [1, 2]),
        ([-np.inf, -np.inf, 1.0], [2]),
        ([-np.inf, np.inf, -np.inf], [1]),
        ([-np.inf, -np.inf, -np.inf], [0, 1, 2]),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "how",
    [
        Sampling(),
        Sampling(top_p=0.9),
        Sampling(top_k=2),
        Sampling(temperature=0.5),
        Sampling(temperature=1e-39),
    ],
    ids=str,
)
def test_infinite_logits_are_the_limit_of_great_ones(logits, expected, how):
    """Oracle: by hand, the tokens that have any probability in the limit; all of them come. Catches
    the difference of two infinities, NaN, of which the first or the last token is drawn."""
    if len(expected) == 3 and how.top_p < 1:
        how = Sampling()  # top_p keeps the first of equal ones until they have p
    many = jnp.tile(jnp.asarray(logits, jnp.float32), (200, 1))
    ids = sample_token(jax.random.key(0), many, jnp.zeros(many.shape, bool), how)
    assert sorted(set(np.asarray(ids).tolist())) == expected
