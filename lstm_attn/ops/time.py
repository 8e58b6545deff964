"""A recurrent step scanned over time: sequence lengths, resets, reversal."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.ops.axes import check_axes
from lstm_attn.ops.precision import carried_along

State = TypeVar("State")


def scan_over_time(
    function: str,
    step: Callable[[State, Array], tuple[State, Array]],
    state: State,
    inputs: Array,
    *,
    seq_lengths: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[Array, State]:
    """The outputs [B, T, H] of a step scanned along T of inputs [B, T, D], and the final state.

    A finished sequence carries its state on, so the final state is that of its last real step
    without a stack of all states. Run backwards, a sequence is idle until its own last step, so
    nothing is ever flipped.

    Args:
      function: the name for errors.
      step: (state, x_t [B, D]) -> (state, output [B, H]); every leaf of the state is [B, H], and
        carried in the accumulator's dtype (see `ops.precision`).
      seq_lengths: integers [B], or None for T.
      resets: boolean [B, T], or None for nowhere.
      reverse: from the last step to the first; outputs stay in the order of the inputs.
    """
    if seq_lengths is not None:
        seq_lengths = jnp.asarray(seq_lengths)
        check_axes(function, inputs=(inputs, "B T D"), seq_lengths=(seq_lengths, "B"))
        if not jnp.issubdtype(seq_lengths.dtype, jnp.integer):
            raise UsageError(f"{function}: seq_lengths expected integers, got {seq_lengths.dtype}")
        seq_lengths = seq_lengths.astype(jnp.int32)
    if resets is not None:
        resets = jnp.asarray(resets)
        check_axes(function, inputs=(inputs, "B T D"), resets=(resets, "B T"))
        if resets.dtype != jnp.bool_:
            raise UsageError(f"{function}: resets expected boolean, got {resets.dtype}")

    state = carried_along(state, inputs)

    def body(before: State, slices: tuple[Array, Array, Array | None]) -> tuple[State, Array]:
        x, t, reset = slices
        state = before
        if reset is not None:
            state = jax.tree.map(lambda leaf: jnp.where(reset[:, None], 0, leaf), state)
        if seq_lengths is None:
            return step(state, x)
        real = (t < seq_lengths)[:, None]
        # What stands in the padding, NaN even, must reach neither the values nor the gradients.
        after, output = step(state, jnp.where(real, x, 0))
        kept = jax.tree.map(lambda new, old: jnp.where(real, new, old), after, before)
        return kept, jnp.where(real, output, 0)

    steps = jnp.arange(inputs.shape[1], dtype=jnp.int32)
    reset_slices = None if resets is None else resets.swapaxes(0, 1)
    slices = (inputs.swapaxes(0, 1), steps, reset_slices)
    state, outputs = lax.scan(body, state, slices, reverse=reverse)
    return outputs.swapaxes(0, 1), state
