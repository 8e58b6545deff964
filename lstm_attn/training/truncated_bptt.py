"""Truncated back-propagation through time: training over segments of a long sequence."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from lstm_attn.errors import UsageError, check_whole
from lstm_attn.ops.kv_cache import KeyValueCache, check_room

# (params, state, segment of the data) -> (loss [], state after the segment)
SegmentLoss = Callable[[Any, Any, Any], tuple[Array, Any]]


def _is_cache(part: Any) -> bool:
    return isinstance(part, KeyValueCache)


def train_over_segments(
    loss: SegmentLoss,
    optimizer: optax.GradientTransformation,
    params: Any,
    optimizer_state: Any,
    state: Any,
    data: Any,
    segment_length: int,
) -> tuple[Any, Any, Any, Array]:
    """One optimiser step for each segment; the state is carried on, its gradient is stopped.

        loss_k, state_{k+1} = loss(params_k, stop_gradient(state_k), data[k L : (k + 1) L])
        params_{k+1} = params_k + update(d loss_k / d params_k)

    Memory is that of one segment; the state is carried through all of them; a gradient reaches
    back to the start of its own segment. Pure; for `jax.jit`, segment_length is static.

    Args:
      loss: (params, state, segment) -> (loss [], state after it); `Model.segment` gives outputs and
        state for one.
      optimizer: of optax.
      params, optimizer_state: before the first segment.
      state: before the first step, of the whole batch.
      data: a pytree of arrays [B, T, ...], cut along T.
      segment_length: L, steps; it divides T.

    Returns:
      params, optimizer_state and state after the last segment, and the losses [T / L].

    Raises:
      ValueError: a length that does not divide T, or a cache without room for T, on one line.

    Source: Williams & Peng 1990, cut every L steps.
    """
    segment_length = check_whole("train_over_segments: segment_length", segment_length)
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(data)]
    lengths = {shape[1] if len(shape) > 1 else None for shape in shapes}
    if len(lengths) != 1 or None in lengths or shapes[0][1] % segment_length:
        raise UsageError(
            "train_over_segments: data [B, T, ...] expected one T, a multiple of "
            f"segment_length={segment_length}, got shapes {', '.join(map(str, shapes))}"
        )
    for part in jax.tree.leaves(state, is_leaf=_is_cache):
        if _is_cache(part):
            check_room(part, shapes[0][1])

    def cut(array: Array) -> Array:
        segments = array.reshape(array.shape[0], -1, segment_length, *array.shape[2:])
        return segments.swapaxes(0, 1)

    def advance(before: tuple[Any, Any, Any], segment: Any) -> tuple[tuple[Any, Any, Any], Array]:
        params, optimizer_state, state = before
        # The loss is differentiated by params alone, so no gradient passes to the segment before.
        (value, state), gradients = jax.value_and_grad(loss, has_aux=True)(params, state, segment)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state, state), value

    before = (params, optimizer_state, state)
    after, losses = lax.scan(advance, before, jax.tree.map(cut, data))
    return *after, losses
