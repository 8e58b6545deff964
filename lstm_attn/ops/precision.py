"""Which dtype what is computed in: one rule for every op.

The dtype of the inputs is the compute dtype: parameters are cast to it for the products, and the
outputs have it. Sums, gates, carried states and the statistics of a softmax or a normalisation are
in float32, or in float64 for float64 inputs. So bfloat16 inputs with float32 parameters are mixed
precision, and the gradients of the parameters, summed over time, are float32.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError


def accumulator(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype of sums over numbers of this dtype: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if jnp.dtype(dtype) == jnp.float64 else jnp.float32)


def check_floating(function: str, **arrays: Array) -> None:
    """Raises UsageError for an array that is not floating."""
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise UsageError(f"{function}: {name} expected floating numbers, got {array.dtype}")


def carried_along(state: Any, inputs: Array) -> Any:
    """A state as a scan over the inputs carries it: in their accumulator's dtype."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(accumulator(inputs.dtype)), state)


def product(left: Array, right: Array, compute: jnp.dtype, accumulate: jnp.dtype) -> Array:
    """left @ right of numbers rounded to one dtype, summed in another."""
    return jnp.matmul(
        left.astype(compute), right.astype(compute), preferred_element_type=accumulate
    )
