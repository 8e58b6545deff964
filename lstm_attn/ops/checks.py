"""Dtype policy and shape checks shared by all ops.

The dtype of the inputs is the compute dtype: parameters are cast to it for the products, and the
outputs have it. Sums, gates, carried states and the statistics of a softmax or a normalisation are
in float32, or in float64 for float64 inputs. So bfloat16 inputs with float32 parameters give mixed
precision, and the gradients of the parameters, which are sums over time, are float32.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.errors import HIGHEST, UsageError
from lstm_attn.ops.placement import rows_alike


def accumulator(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype of sums over numbers of this dtype: float64 for float64, else float32.

    A complex dtype is its own: its parts are float32 or float64 already.
    """
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return jnp.dtype(dtype)
    return jnp.dtype(jnp.float64 if jnp.dtype(dtype) == jnp.float64 else jnp.float32)


def check_floating(function: str, **arrays: Array) -> None:
    """Raises UsageError for an array that is not floating."""
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise UsageError(f"{function}: {name} expected floating numbers, got {array.dtype}")


def carried_along(state: Any, inputs: Array) -> Any:
    """The state as a scan over the inputs carries it: in their accumulator's dtype, row by row on
    the devices of the inputs."""

    def carried(leaf: Any) -> Array:
        return rows_alike(jnp.asarray(leaf).astype(accumulator(inputs.dtype)), inputs)

    return jax.tree.map(carried, state)


def product(left: Array, right: Array, compute: jnp.dtype, accumulate: jnp.dtype) -> Array:
    """left @ right, with factors rounded to the dtype `compute` and sums in `accumulate`."""
    return jnp.matmul(
        left.astype(compute), right.astype(compute), preferred_element_type=accumulate
    )


def int32_lengths(lengths: Any) -> Array:
    """Lengths as int32, of which none is longer than the longest; others than integers as they are.

    JAX would cut the highest bits off a longer one, and a length of 2^32 would be 0.
    """
    lengths = lengths if isinstance(lengths, Array) else np.asarray(lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        return jnp.asarray(lengths)
    if jnp.iinfo(lengths.dtype).max > HIGHEST:
        lengths = lengths.clip(0, HIGHEST)
    return jnp.asarray(lengths.astype(np.int32))


# Numbers of a model times this, or over its inverse, stay within float32.
HUGE = 1e30


def within_range(factor: float) -> float:
    """A factor, at most HUGE in size: beyond it a softmax of its products is at its limit.

    As a float32, a number of Python may be infinite, and zero times that is NaN.
    """
    return max(-HUGE, min(factor, HUGE))


def check_axes(function: str, **arrays: tuple[Any, str]) -> dict[str, int]:
    """Binds axis letters to sizes, and raises where two arrays disagree.

    Each keyword is the name of an array, with the array and its axes: `kernel=(kernel, "D 4H")`.
    A letter gets its size from the first array that has it, so list the array that defines it
    first. A number before a letter multiplies it. `chex.assert_shape` names neither the array nor
    the letter, and raises AssertionError where a caller's mistake should be a ValueError.

    Returns:
      The size of each letter.

    Raises:
      UsageError: (a ValueError) no array, or a rank or a size that does not fit, on one line.
    """
    sizes: dict[str, int] = {}
    for name, (array, axes) in arrays.items():
        parsed = [re.fullmatch(r"(\d*)([A-Z])", axis) for axis in axes.split()]
        label = f"{function}: {name} [{', '.join(axes.split())}]"
        if not hasattr(array, "shape"):
            raise UsageError(f"{label} expected an array, got {type(array).__name__}")
        shape = tuple(array.shape)
        if len(shape) != len(parsed):
            raise UsageError(f"{label} expected {len(parsed)} axes, got shape {shape}")
        expected = []
        for axis, size in zip(parsed, shape, strict=True):
            assert axis is not None, axes
            times, letter = int(axis[1] or 1), axis[2]
            if letter not in sizes and size % times == 0:
                sizes[letter] = size // times
            expected.append(times * sizes[letter] if letter in sizes else f"a multiple of {times}")
        if tuple(expected) != shape:
            wanted = ", ".join(map(str, expected))
            raise UsageError(f"{label} expected shape ({wanted}), got {shape}")
    return sizes
