"""Positions against their formulas, one entry at a time, and against their purpose."""

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import ops
from tests import oracles


def test_sinusoidal_positions_are_the_published_formula():
    """Oracle: sin and cos of t / 10000^(2k/F), one entry at a time, from any first position.
    Catches half the exponent, and sines and cosines in another order."""
    positions = np.asarray(ops.sinusoidal_positions(jnp.arange(3, 10), 6, jnp.float32))
    for t, k in np.ndindex(7, 3):
        angle = (t + 3) / 10_000 ** (2 * k / 6)
        np.testing.assert_allclose(positions[t, k], np.sin(angle), atol=oracles.MODEL)
        np.testing.assert_allclose(positions[t, 3 + k], np.cos(angle), atol=oracles.MODEL)


@pytest.mark.parametrize("features", [1, 4, 5, 6])
def test_rotary_turns_each_pair_as_a_complex_number(features, float64):
    """Oracle: (x_k + i x_{k + K/2}) exp(i t / 10000^(2k/K)). Catches an angle of the wrong sign, a
    pair of neighbours, and an odd feature that is lost."""
    array = np.random.default_rng(0).normal(size=(2, 5, 3, features))
    positions = np.array([0, 1, 2, 7, 100])
    out = np.asarray(ops.rotary(jnp.asarray(array), jnp.asarray(positions)))
    half = features // 2
    for k in range(half):
        angle = positions / 10_000 ** (2 * k / (2 * half))
        turned = (array[..., k] + 1j * array[..., k + half]) * np.exp(1j * angle)[:, None]
        np.testing.assert_allclose(out[..., k], turned.real, atol=1e-12)
        np.testing.assert_allclose(out[..., k + half], turned.imag, atol=1e-12)
    np.testing.assert_array_equal(out[..., 2 * half :], array[..., 2 * half :])


def test_rotary_logits_depend_on_the_distance_alone(float64):
    """Identity: rotated q_t . k_s is the same for t + 9 and s + 9, but not for t + 9 alone. Catches
    a rotation of queries or keys alone."""
    rng = np.random.default_rng(1)
    query, key = (
        jnp.asarray(np.repeat(rng.normal(size=(1, 1, 1, 6)), 4, axis=1)) for _ in range(2)
    )

    def logits(query_start, key_start):
        turned = ops.rotary(query, query_start + jnp.arange(4))
        return jnp.einsum("btnk,bsnk->ts", turned, ops.rotary(key, key_start + jnp.arange(4)))

    np.testing.assert_allclose(logits(9, 9), logits(0, 0), atol=1e-12)
    assert not np.allclose(logits(9, 0), logits(0, 0))


@pytest.mark.parametrize(
    ("num_heads", "slopes"),
    [
        (8, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]),
        (2, [1 / 16, 1 / 256]),
        (1, [1 / 256]),
        (3, [1 / 16, 1 / 256, 1 / 4]),
        (12, [2.0**-n for n in range(1, 9)] + [2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5]),
    ],
)  # fmt: skip
def test_alibi_is_a_slope_a_head_times_the_distance(num_heads, slopes):
    """Oracle: the slopes that the paper lists (8 and 16 heads), and its authors' rule for others.
    Catches a bias that rises with distance, and heads in another order."""
    bias = np.asarray(ops.alibi_bias(num_heads, jnp.arange(2, 6), jnp.arange(6)))
    assert bias.shape == (num_heads, 4, 6)
    for n, t, s in np.ndindex(num_heads, 4, 6):
        np.testing.assert_allclose(bias[n, t, s], -slopes[n] * abs(t + 2 - s), rtol=1e-6)
