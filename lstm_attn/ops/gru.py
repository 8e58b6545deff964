"""The GRU over a sequence: its outputs, and its gates."""

from functools import partial

import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.checks import carried_along, check_floating
from lstm_attn.ops.dispatch import Obstacle, choose_recurrent
from lstm_attn.ops.fused import fused_gru
from lstm_attn.ops.gru_step import GRUGates, GRUParams, check_gru, gru_advance, gru_step
from lstm_attn.ops.scan import (
    Limits,
    check_limits,
    row_by_row,
    run_in_segments,
    scan_steps,
    zero_state,
)


def gru(
    params: GRUParams,
    inputs: Array,
    initial_state: Array | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    reset_after: bool = True,
    implementation: str = "auto",
    segment: int | None = None,
) -> tuple[Array, Array]:
    """The GRU over a sequence: `gru_step` scanned along T.

    Args:
      params: kernel [D, 3H], recurrent_kernel [H, 3H], bias [3H], recurrent_bias [3H].
      inputs: [B, T, D].
      initial_state: h before the first step, [B, H]; zeros if None.
      seq_lengths: integers [B]; outputs from step seq_lengths[b] on are zero, and the final state
        is that of the last real step. None for T.
      resets: boolean [B, T]; the state is zeroed before a step where it is True, as at the start
        of each of several documents packed into one sequence.
      reverse: run from the last real step to the first. Outputs stay in the order of the inputs, as
        with `keep_order=True` of `flax.linen.RNN`; a reset still acts before its step is run.
      reset_after: where the reset gate acts, as in `gru_step`.
      implementation: "scan", "fused" (with reset_after alone) or "auto", as in `ops.lstm`.
      segment: as in `ops.lstm`.

    Returns:
      The outputs h_1 ... h_T [B, T, H] in the dtype of the inputs, and h after the last step that
      was run [B, H], float32 or for float64 inputs float64.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came; an
        unknown implementation, or one that has no form of this step.

    Source: as `gru_step`.
    """
    inputs, state = gru_arrays("gru", params, inputs, initial_state)
    limits = check_limits("gru", inputs, seq_lengths, resets)
    form = None if reset_after else "has no form for reset_after=False"
    obstacles: dict[str, Obstacle] = {
        "fused": lambda: form,
        "native": lambda: "has no form for the GRU",
    }
    chosen = choose_recurrent("gru", implementation, obstacles)

    def run(params: GRUParams, state: Array, inputs: Array, limits: Limits) -> tuple[Array, Array]:
        def run_part(state: Array, x: Array, part: Limits) -> tuple[Array, Array]:
            if chosen == "fused":
                return fused_gru(params, state, x, part, reverse)
            step = partial(gru_step, params, reset_after=reset_after)
            return scan_steps(step, state, x, part, reverse=reverse)

        return run_in_segments(
            "gru", run_part, state, inputs, limits, segment=segment, reverse=reverse
        )

    state, outputs = row_by_row(run, params, state, inputs, limits)
    return outputs, state


def gru_gates(
    params: GRUParams,
    inputs: Array,
    initial_state: Array | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    reset_after: bool = True,
) -> GRUGates:
    """The gates of `ops.gru` at every step: r and z after the sigmoid, the candidate after tanh.

        h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    Arguments and errors as `ops.gru`.

    Returns:
      r, z and n, each [B, T, H], float32 or for float64 inputs float64; zeros in the padding.
    """
    inputs, state = gru_arrays("gru_gates", params, inputs, initial_state)
    limits = check_limits("gru_gates", inputs, seq_lengths, resets)

    def run(
        params: GRUParams, state: Array, inputs: Array, limits: Limits
    ) -> tuple[Array, GRUGates]:
        step = partial(gru_advance, params, reset_after=reset_after)
        steps = partial(scan_steps, step, reverse=reverse)
        return run_in_segments("gru_gates", steps, state, inputs, limits, reverse=reverse)

    return row_by_row(run, params, state, inputs, limits)[1]


def gru_arrays(
    function: str, params: GRUParams, inputs: Array, initial_state: Array | None
) -> tuple[Array, Array]:
    """The inputs [B, T, D] and the initial state, checked and in the dtypes of the scan."""
    inputs = jnp.asarray(inputs)
    sizes = check_gru(function, params, inputs=(inputs, "B T D"))
    check_floating(function, inputs=inputs)
    if initial_state is None:
        initial_state = zero_state(inputs, sizes["H"])
    return inputs, carried_along(initial_state, inputs)
