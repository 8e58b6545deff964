"""Initialisers for parameters that hold several gates side by side."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax.linen import initializers
from jax import Array

from lstm_attn.errors import UsageError

Initializer = Callable[..., Array]

zeros = initializers.zeros_init()
ones = initializers.ones_init()
glorot = initializers.glorot_uniform()
orthogonal = initializers.orthogonal()


def per_gate(*gates: Initializer) -> Initializer:
    """One initialiser for each gate, each for its own block of the last axis, in gate order.

    A kernel [D, 4H] drawn as a whole would take its fan-out from 4H, and an orthogonal
    [H, 4H] has no orthogonal blocks; drawn by gate, each [D, H] or [H, H] is what its name says.

        bias_init = per_gate(zeros, ones, zeros, zeros)     # LSTM: i, f, g, o

    Raises:
      ValueError: a last axis that the number of gates does not divide.
    """

    def init(key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        if shape[-1] % len(gates):
            raise UsageError(f"per_gate: {len(gates)} gates do not divide the last axis of {shape}")
        block = (*shape[:-1], shape[-1] // len(gates))
        keys = jax.random.split(key, len(gates))
        blocks = [gate(k, block, dtype) for gate, k in zip(gates, keys, strict=True)]
        return jnp.concatenate(blocks, axis=-1)

    return init


def every_gate(gates: int, initializer: Initializer) -> Initializer:
    """The same initialiser for each gate's block, with a key of its own."""
    return per_gate(*[initializer] * gates)
