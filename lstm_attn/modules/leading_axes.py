"""Any number of batch axes, as the layers of flax take them: one, B, inside of a module.

Modules document [B, T, D]. B may be missing, or be several axes; what comes out has the same. With
one axis nothing is reshaped.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError


def leading_axes(where: str, inputs: Array, axes: str) -> tuple[int, ...]:
    """The sizes of the batch axes of inputs, whose last axes are those named in `axes`, as "T D".

    Raises:
      UsageError: fewer axes than that.
    """
    last = len(axes.split())
    shape = jnp.shape(inputs)
    if len(shape) < last:
        expected = ", ".join(["...", *axes.split()])
        raise UsageError(f"{where} [{expected}] expected at least {last} axes, got shape {shape}")
    return shape[: len(shape) - last]


def as_batch(where: str, tree: Any, leading: tuple[int, ...]) -> Any:
    """The arrays [*leading, ...] of a tree with one axis in the place of those.

    Raises:
      UsageError: an array that begins with other axes.
    """

    def merged(array: Array) -> Array:
        shape = jnp.shape(array)
        if shape[: len(leading)] != leading:
            raise UsageError(f"{where} expected a shape that begins with {leading}, got {shape}")
        return jnp.reshape(array, (math.prod(leading), *shape[len(leading) :]))

    return tree if len(leading) == 1 else jax.tree.map(merged, tree)


def from_batch(tree: Any, leading: tuple[int, ...]) -> Any:
    """The arrays [B, ...] of a tree with the leading axes in the place of B."""
    if len(leading) == 1:
        return tree
    return jax.tree.map(lambda array: array.reshape(*leading, *array.shape[1:]), tree)


def mask_as_batch(where: str, mask: Any, leading: tuple[int, ...], axes: int) -> Any:
    """A mask broadcastable to [*leading, ...] as one broadcastable to [B, ...]; None for None.

    Args:
      axes: how many axes follow the leading ones.

    Raises:
      UsageError: leading axes that don't fit.
    """
    if mask is None or len(leading) == 1 or jnp.ndim(mask) <= axes:
        return mask
    shape = jnp.shape(mask)
    try:
        whole = jnp.broadcast_to(mask, (*leading, *shape[len(shape) - axes :]))
    except ValueError as error:
        raise UsageError(
            f"{where} expected leading axes broadcastable to {leading}, got shape {shape}"
        ) from error
    return as_batch(where, whole, leading)
