"""Numbers that are fine in Python, and 0 or infinite as float32 or cut as int32: the limit is right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import modules, ops
from lstm_attn.ops.dispatch import ATTENTION_IMPLEMENTATIONS
from lstm_attn.ops.sampling import Sampling, sample_token

DRAWS = 200
RISING = np.arange(5, dtype=np.float32)
MIXED = np.array([-2, -1, 0, 1, 2], np.float32)
MINUS = np.array([-8, -9, -np.inf, -7, -10], np.float32)
ALL = set(range(5))
# Logits, which tokens occurred, a Sampling, and the tokens of its limit.
DRAWN = {
    "temperature to 0": (RISING, False, Sampling(temperature=1e-39), {4}),
    "temperature to 0, the smallest": (RISING, False, Sampling(temperature=5e-324), {4}),
    "temperature to 0, large logits": (1e30 * RISING, False, Sampling(temperature=1e-39), {4}),
    "temperature to 0, hidden": (MINUS, False, Sampling(temperature=1e-39), {3}),
    "temperature without end": (RISING, False, Sampling(temperature=1e39), ALL),
    "temperature without end, hidden": (MINUS, False, Sampling(temperature=1e300), ALL - {2}),
    "top_p to 0": (RISING, False, Sampling(top_p=1e-46), {4}),
    "top_p to 1": (0 * RISING, False, Sampling(top_p=1 - 1e-12), ALL),
    "penalty without end, one is 0": (MIXED - 2, True, Sampling(repetition_penalty=1e39), {4}),
    "penalty without end, all below 0": (MINUS, True, Sampling(repetition_penalty=1e39), {3}),
    "penalty without end, all above 0": (RISING + 1, True, Sampling(repetition_penalty=1e300), ALL),
}


@pytest.mark.parametrize("name", DRAWN)
def test_sampling_is_at_its_limit(name):
    """Oracle: the limit of the softmax, by hand. Catches 0 times infinity and infinity minus itself,
    NaN, of which the first token is drawn, and a top-p that no token reaches."""
    logits, seen, sampling, expected = DRAWN[name]
    rows = jnp.tile(logits, (DRAWS, 1))
    drawn = sample_token(jax.random.key(0), rows, np.full(rows.shape, seen), sampling)
    assert set(np.asarray(drawn).tolist()) == expected


@pytest.mark.parametrize(
    "implementation",
    [name for name in ATTENTION_IMPLEMENTATIONS if name not in ("auto", "cudnn", "pallas")],
)
def test_a_scale_without_end_takes_the_greatest_logit(implementation):
    """Oracle: the limit of the softmax: the value of one key. Catches 0 times infinity."""
    query, key = np.ones((1, 1, 1, 1), np.float32), RISING[None, :, None, None] - 2
    value = 10 * RISING[None, :, None, None]
    for scale, expected in ((1e39, 40), (-1e39, 0), (1e-50, 20), (float("inf"), 40)):
        out = ops.dot_product_attention(
            query, key, value, scale=scale, implementation=implementation
        )
        np.testing.assert_allclose(out, expected, rtol=1e-6, err_msg=str(scale))


LONG = [np.array([2**32, 2]), np.array([2**31 + 1, 2], np.uint32), [2**40, 2]]


@pytest.mark.parametrize("lengths", LONG, ids=["int64", "uint32", "list"])
def test_a_length_beyond_int32_is_the_whole_sequence(lengths):
    """Oracle: the length T. Catches a length of 2^32 that is cut to 0."""
    arrays = np.ones((2, 4, 1, 3), np.float32)
    rest = {"key_value_seq_lengths": np.array([4, 2])}
    expected = ops.dot_product_attention(arrays, arrays, arrays, **rest)
    out = ops.dot_product_attention(arrays, arrays, arrays, key_value_seq_lengths=lengths)
    np.testing.assert_array_equal(out, expected)
    params = ops.LSTMParams(*(jnp.ones(shape) for shape in ((3, 8), (2, 8), (8,))))
    inputs = np.ones((2, 4, 3), np.float32)
    short = ops.lstm(params, inputs, seq_lengths=np.array([4, 2]))[0]
    np.testing.assert_array_equal(ops.lstm(params, inputs, seq_lengths=lengths)[0], short)


def test_biases_without_end_are_finite():
    """Oracle: a gate of 1, and a memory over more steps than float32 counts. Catches a parameter that
    is infinite or NaN, with which a trial has diverged before its first step."""
    key = jax.random.key(0)
    for bias in (
        modules.initializers.lstm_bias("ifgo", 1e39, ()),
        modules.initializers.gru_bias(1e39, ()),
        modules.chrono_lstm(2, 1e39),
        modules.chrono_gru(1e300, 1e308),
        modules.chrono_coupled(1.0000001, 1e50),
    ):
        drawn = np.asarray(bias(key, (12,), jnp.float32))
        assert np.isfinite(drawn).all()
        assert jax.nn.sigmoid(drawn.max()) == 1
