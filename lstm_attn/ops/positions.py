"""Position encodings for attention: vectors to add, rotations, and biases by distance."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.errors import check_whole
from lstm_attn.ops.checks import accumulator, check_axes, check_floating

BASE = 10_000.0


def sinusoidal_positions(positions: Array, features: int, dtype: jnp.dtype) -> Array:
    """Vectors [T, F] to add: sines in the first half of the features, cosines in the second.

        angle[t, k] = t / 10000^(2 k / F),   k = 0 ... F/2 - 1

    Args:
      positions: t, integers [T].
      features: F.
      dtype: of the result; angles are at least float32.

    Source: Vaswani et al. 2017, section 3.5, with sines and cosines side by side, not interleaved.
    """
    check_axes("sinusoidal_positions", positions=(positions, "T"))
    features = check_whole("sinusoidal_positions: features", features, 0)
    angles = _angles(positions, features, accumulator(dtype))
    vectors = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return vectors[:, :features].astype(dtype)


def rotary(array: Array, positions: Array) -> Array:
    """Queries or keys [B, T, N, K] with each pair of features turned by its position.

        angle[t, k] = t / 10000^(2 k / K),   k = 0 ... K/2 - 1
        (x_k, x_{k + K/2}) turned by angle[t, k]

    Then q_t . k_s depends on positions only through t - s. For odd K the last feature is not
    turned, and the equation holds for K - 1. Positions are integers [T]; the result has the
    array's dtype.

    Source: Su et al. 2021, section 3.4.2, with features k and k + K/2 as a pair,
    not 2k and 2k + 1.
    """
    check_axes("rotary", array=(array, "B T N K"), positions=(positions, "T"))
    check_floating("rotary", array=array)
    dtype = accumulator(array.dtype)
    half = array.shape[-1] // 2
    angles = _angles(positions, 2 * half, dtype)[None, :, None]  # [1, T, 1, K/2]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second, rest = jnp.split(array.astype(dtype), [half, 2 * half], axis=-1)
    turned = [first * cos - second * sin, first * sin + second * cos, rest]
    return jnp.concatenate(turned, axis=-1).astype(array.dtype)


def alibi_bias(num_heads: int, query_positions: Array, key_positions: Array) -> Array:
    """A bias float32 [N, T, S] that falls with distance, each head at its own slope.

        bias[n, t, s] = -slope_n |t - s|,   slope_n = 2^(-8 n / N),   n = 1 ... N

    If N is not a power of two, the slopes are those of the power below, then every second slope of
    the power above, as in the authors' code. Positions are integers [T] and [S].

    Source: Press, Smith & Lewis 2022, section 3; |t - s| is t - s under their causal mask.
    """
    num_heads = check_whole("alibi_bias: num_heads", num_heads)
    check_axes("alibi_bias", query_positions=(query_positions, "T"))
    check_axes("alibi_bias", key_positions=(key_positions, "S"))
    below = 2 ** int(np.log2(num_heads))
    slopes = [2 ** (-8 * n / below) for n in range(1, below + 1)]
    slopes += [2 ** (-4 * n / below) for n in range(1, 2 * below + 1, 2)]
    distance = jnp.abs(query_positions[:, None] - key_positions[None, :])
    chosen = jnp.asarray(slopes[:num_heads], jnp.float32)
    return -chosen[:, None, None] * distance.astype(jnp.float32)[None]


def _angles(positions: Array, features: int, dtype: jnp.dtype) -> Array:
    exponents = jnp.arange(0, features, 2, dtype=dtype) / max(features, 1)
    return positions.astype(dtype)[:, None] / (BASE**exponents)[None]
