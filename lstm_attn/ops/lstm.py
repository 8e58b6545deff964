"""The LSTM and its variants over a sequence."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.axes import check_axes
from lstm_attn.ops.lstm_step import LSTM_AXES, LSTMParams, LSTMState, lstm_step
from lstm_attn.ops.lstm_variants import (
    COUPLED_AXES,
    LAYER_NORM_AXES,
    PEEPHOLE_AXES,
    CoupledLSTMParams,
    LayerNormLSTMParams,
    PeepholeLSTMParams,
    coupled_lstm_step,
    layer_norm_lstm_step,
    peephole_lstm_step,
)
from lstm_attn.ops.precision import accumulator, check_floating
from lstm_attn.ops.time import scan_over_time

AnyLSTMParams = LSTMParams | PeepholeLSTMParams | CoupledLSTMParams | LayerNormLSTMParams
# The step that the parameters are for, and their axes.
STEPS: dict[type, tuple[Callable[[Any, LSTMState, Array], tuple[LSTMState, Array]], dict]] = {
    LSTMParams: (lstm_step, LSTM_AXES),
    PeepholeLSTMParams: (peephole_lstm_step, PEEPHOLE_AXES),
    CoupledLSTMParams: (coupled_lstm_step, COUPLED_AXES),
    LayerNormLSTMParams: (layer_norm_lstm_step, LAYER_NORM_AXES),
}


def lstm(
    params: AnyLSTMParams,
    inputs: Array,
    initial_state: LSTMState | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
) -> tuple[Array, LSTMState]:
    """The LSTM over a sequence: the step of its parameters scanned along T.

    The inputs are projected inside the step. Projecting all of them before the scan is slower on
    the CPU for small D, because the fused read of a slice keeps exp and tanh from vectorising.

    Args:
      params: kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H] for `lstm_step`, or the parameters
        of one of the variants for its step.
      inputs: [B, T, D].
      initial_state: h and c before the first step, each [B, H]; zeros if None.
      seq_lengths: integers [B]; outputs from step seq_lengths[b] on are zero, and the final state
        is that of the last real step. None for T.
      resets: boolean [B, T]; the state is zeroed before a step where it is True, as at the start
        of each of several documents packed into one sequence.
      reverse: run from the last real step to the first. Outputs stay in the order of the inputs, as
        with `keep_order=True` of `flax.linen.RNN`; a reset still acts before its step is run.

    Returns:
      The outputs h_1 ... h_T [B, T, H] in the dtype of the inputs, and the state after the last
      step that was run, float32 or for float64 inputs float64.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: as the step.
    """
    if type(params) not in STEPS:
        known = ", ".join(kind.__name__ for kind in STEPS)
        raise UsageError(f"lstm: params expected one of {known}, got {type(params).__name__}")
    step, axes = STEPS[type(params)]
    inputs = jnp.asarray(inputs)
    arrays = {name: (getattr(params, name), letters) for name, letters in axes.items()}
    sizes = check_axes("lstm", **arrays, inputs=(inputs, "B T D"))
    check_floating("lstm", inputs=inputs)
    if initial_state is None:
        # Like the inputs, so that inside jax.shard_map it differs between devices as they do.
        shape = (sizes["B"], sizes["H"])
        zeros = jnp.zeros_like(inputs, shape=shape, dtype=accumulator(inputs.dtype))
        initial_state = LSTMState(zeros, zeros)
    elif not isinstance(initial_state, LSTMState):
        raise UsageError(
            f"lstm: initial_state expected LSTMState(h, c), got {type(initial_state).__name__}"
        )
    return scan_over_time(
        "lstm",
        partial(step, params),
        initial_state,
        inputs,
        seq_lengths=seq_lengths,
        resets=resets,
        reverse=reverse,
    )
