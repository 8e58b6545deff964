"""The norm of gradients, also where their squares overflow."""

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.ops import accumulator

# Times this, no number of float32 has a square that overflows, and none whose own square does has
# one that is subnormal.
SMALL = 2.0**-80
FAR = 2.0**100  # from a sum that overflows; next to one it is nothing


class Norm(NamedTuple):
    """scaled: the Euclidean norm of gradients times `scale`, which is 1, or SMALL where the norm's
    square would be infinite: numbers from 2^64 on have such squares in float32."""

    scale: Array
    scaled: Array

    @classmethod
    def of(cls, squares: Array) -> "Norm":
        """From `sum_of_squares` of all gradients."""
        overflows = ~jnp.isfinite(squares[0])
        return cls(jnp.where(overflows, SMALL, 1.0), jnp.sqrt(squares[overflows.astype(int)]))


def sum_of_squares(leaves: Sequence[Array]) -> Array:
    """[2]: the sum of the squares of all numbers, at least one, and of all numbers times SMALL.

    The second is 0 where the first is far from overflowing, which saves a pass.
    """
    wide = [leaf.astype(accumulator(leaf.dtype)) for leaf in leaves]

    def total(scale: float) -> Array:
        return functools.reduce(operator.add, (jnp.sum(jnp.square(leaf * scale)) for leaf in wide))

    squares = total(1.0)
    small = lax.cond(squares < FAR, jnp.zeros_like, lambda _: total(SMALL), squares)
    return jnp.stack([squares, small])


def norm_of(gradients: Any) -> Norm:
    """The norm of whole gradients as of one vector."""
    return Norm.of(sum_of_squares(jax.tree.leaves(gradients)))


def clipped(gradients: Any, norm: Norm, largest: float) -> Any:
    """Gradients over their norm, times `largest`, where the norm is at least that."""
    is_short = (norm.scaled < largest) & (norm.scale == 1)

    def clip(leaf: Array) -> Array:
        wide = leaf.astype(accumulator(leaf.dtype))
        scale, scaled = (number.astype(wide.dtype) for number in norm)
        return jnp.where(is_short, leaf, (wide * scale / scaled * largest).astype(leaf.dtype))

    return jax.tree.map(clip, gradients)
