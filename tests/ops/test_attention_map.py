"""The weights of attention against softmax in float64, and against attention itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_attn import ops
from tests.ops.test_attention import random_case


def weights_oracle(query, key, allowed, bias, scale):
    """softmax over the allowed keys, query by query; zeros where no key is allowed."""
    shape = (*query.shape[:1], query.shape[2], query.shape[1], key.shape[1])
    weights = np.zeros(shape)
    for b, n, t in np.ndindex(*shape[:3]):
        attended = np.flatnonzero(allowed[b, n, t])
        if len(attended):
            logits = key[b, attended, n] @ query[b, t, n] * scale + bias[b, n, t, attended]
            exponentials = np.exp(logits - logits.max())
            weights[b, n, t, attended] = exponentials / exponentials.sum()
    return weights


# Fewer and more keys than features of a head, and no multiple of them.
@given(keys=st.integers(1, 9), features=st.integers(1, 4), seed=st.integers(0, 99))
def test_weights_are_the_softmax_in_float64(keys, features, seed):
    """Oracle: the equation. Catches keys in another order, heads and queries exchanged, a lost
    mask, bias or scale, and a sum over keys that only pad a block."""
    query, key, _ = random_case(seed, 2, 4, keys, 3, features, np.float64)
    rng = np.random.default_rng(seed)
    mask, bias = rng.random((2, 3, 4, keys)) < 0.6, rng.normal(size=(2, 3, 4, keys))
    allowed = mask & (np.arange(keys) <= np.arange(4)[:, None])
    expected = weights_oracle(query, key, allowed, bias, 0.7)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(array) for array in (query, key, bias, mask)]
        weights = ops.dot_product_weights(*arrays, scale=0.7, is_causal=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.full
def test_weights_times_values_are_attention(float64):
    """Identity: with a window, lengths and grouped queries. Catches an argument not passed on."""
    query, key, value = map(jnp.asarray, random_case(3, queries=6, keys=6, heads=4))
    key, value = key[:, :, :2], value[:, :, :2]
    limits = {
        "local_window_size": (2, 1),
        "query_seq_lengths": jnp.array([6, 5]),
        "key_value_seq_lengths": jnp.array([4, 6]),
    }
    weights = ops.dot_product_weights(query, key, **limits)
    attended = jnp.einsum("BNTS,BSNK->BTNK", weights, jnp.repeat(value, 2, axis=2))
    expected = ops.dot_product_attention(query, key, value, **limits)
    np.testing.assert_allclose(attended, expected, rtol=1e-10, atol=1e-12)


def test_heads_without_features_look_at_all_keys_alike():
    """Oracle: 1 / S, the softmax of logits that are all 0. Catches a division by zero."""
    query, key = jnp.zeros((1, 2, 3, 0)), jnp.zeros((1, 4, 3, 0))
    np.testing.assert_array_equal(ops.dot_product_weights(query, key), np.full((1, 3, 2, 4), 0.25))
