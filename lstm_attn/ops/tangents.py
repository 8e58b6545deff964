"""Changes of a recurrent layer's products over all steps, for derivatives that are written out."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from lstm_attn.ops.precision import accumulator


def along_products(
    *held: tuple[Array, Any], bias: Any, moving: tuple[Any, Array] | None = None
) -> Array:
    """sum_k a_k dM_k + db + da M, for all steps at once.

    The products with changes of parameters are in the accumulator's dtype: their transposes are
    the parameters' gradients, sums over time and batch.

    Args:
      held: pairs of arrays a [T, B, D], in the compute dtype, and the change dM [D, G] of what they
        are multiplied with.
      bias: db [G].
      moving: the change da [T, B, D] of an input and the M [D, G] that it is multiplied with.
        A change that is symbolically zero costs nothing.

    Returns:
      [T, B, G] in the accumulator's dtype.
    """
    first, features = held[0][0], bias.shape[-1]
    compute, carried = first.dtype, accumulator(first.dtype)

    def rows(array: Array) -> Array:
        # Time and batch as one axis, [T B, D]: XLA's CPU matmul with two axes to sum over is slow.
        return array.reshape(-1, array.shape[-1])

    total = jnp.zeros_like(rows(first), shape=(first.shape[0] * first.shape[1], features))
    total = total.astype(carried)
    for array, change in held:
        if not isinstance(change, SymbolicZero):
            total += jnp.matmul(rows(array).astype(carried), change.astype(carried))
    if not isinstance(bias, SymbolicZero):
        total += bias.astype(carried)
    if moving is not None and not isinstance(moving[0], SymbolicZero):
        kernel = moving[1].astype(compute)
        total += jnp.matmul(rows(moving[0]), kernel, preferred_element_type=carried)
    return total.reshape(*first.shape[:2], features)


def moved(state: Any, change: Any) -> Any:
    """The change of a state as arrays, where some of it may be symbolically zero."""
    return jax.tree.map(
        lambda held, by: jnp.zeros_like(held) if isinstance(by, SymbolicZero) else by,
        state,
        change,
        is_leaf=lambda leaf: isinstance(leaf, SymbolicZero),
    )
