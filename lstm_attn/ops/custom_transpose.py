"""A linear function with a custom transpose, for forward and reverse mode."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def with_transpose(
    apply: Callable[[Any], Any], transpose: Callable[[Any], Any], tangents: Any, like: Any
) -> Any:
    """apply(tangents), which reverse mode transposes by calling `transpose`.

    `jax.custom_vjp` would rule out forward mode, and JAX's own transpose of a scan stores the
    intermediates of each step. So the function L is written as a linear system, for which JAX
    accepts a solver for each direction:

        [ I  0] [u]   [t]
        [-L  I] [w] = [0]     has u = t, w = L t; transposed, u = a + L^T c, w = c.

    Args:
      apply: L, linear, made of operations that JAX can transpose (it does, for gradients of
        gradients); it may close over arrays that are themselves differentiated.
      transpose: L^T.
      tangents: a pytree of floating arrays.
      like: arrays of the shapes and dtypes of apply(tangents), the widest dtype among them.
    """
    leaves, structure = jax.tree.flatten((tangents, like))
    widest = max((leaf.dtype for leaf in leaves), key=lambda dtype: dtype.itemsize)
    ends = [0]
    for leaf in leaves:
        ends.append(ends[-1] + math.prod(leaf.shape))

    # One array: JAX transposes a solve only where all of its right side is linear, or none.
    def pack(tree: Any) -> Array:
        return jnp.concatenate([leaf.astype(widest).ravel() for leaf in jax.tree.leaves(tree)])

    def unpack(packed: Array) -> Any:
        parts = [
            packed[start:end].astype(leaf.dtype).reshape(leaf.shape)
            for start, end, leaf in zip(ends, ends[1:], leaves, strict=False)
        ]
        return jax.tree.unflatten(structure, parts)

    def system(point: Array) -> Array:
        first, second = unpack(point)
        return pack((first, jax.tree.map(jnp.subtract, second, apply(first))))

    def solve(_: Callable, point: Array) -> Array:
        first, second = unpack(point)
        return pack((first, jax.tree.map(jnp.add, second, apply(first))))

    def solve_transposed(_: Callable, point: Array) -> Array:
        first, second = unpack(point)
        return pack((jax.tree.map(jnp.add, first, transpose(second)), second))

    zeros = jax.tree.map(jnp.zeros_like, like)
    right_side = pack((tangents, zeros))
    return unpack(lax.custom_linear_solve(system, right_side, solve, solve_transposed))[1]
