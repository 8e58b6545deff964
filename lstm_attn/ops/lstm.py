"""The LSTM and its variants over a sequence: their outputs, and their gates."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops import native_kernels, native_lstm
from lstm_attn.ops.checks import carried_along, check_axes, check_floating
from lstm_attn.ops.dispatch import Obstacle, choose_recurrent
from lstm_attn.ops.fused import fused_lstm
from lstm_attn.ops.lstm_step import (
    COUPLED_AXES,
    LAYER_NORM_AXES,
    LSTM_AXES,
    PEEPHOLE_AXES,
    CoupledLSTMParams,
    LayerNormLSTMParams,
    LSTMGates,
    LSTMParams,
    LSTMState,
    PeepholeLSTMParams,
    coupled_advance,
    coupled_lstm_step,
    layer_norm_advance,
    layer_norm_lstm_step,
    lstm_advance,
    lstm_step,
    peephole_advance,
    peephole_lstm_step,
)
from lstm_attn.ops.scan import (
    Limits,
    check_limits,
    row_by_row,
    run_in_segments,
    scan_steps,
    zero_state,
)

AnyLSTMParams = LSTMParams | PeepholeLSTMParams | CoupledLSTMParams | LayerNormLSTMParams


class Kind(NamedTuple):
    """For one type of parameters: its step, the unchecked step that gives the gates, its axes."""

    step: Callable[[Any, LSTMState, Array], tuple[LSTMState, Array]]
    advance: Callable[[Any, LSTMState, Array], tuple[LSTMState, LSTMGates]]
    axes: dict[str, str]


KINDS: dict[type, Kind] = {
    LSTMParams: Kind(lstm_step, lstm_advance, LSTM_AXES),
    PeepholeLSTMParams: Kind(peephole_lstm_step, peephole_advance, PEEPHOLE_AXES),
    CoupledLSTMParams: Kind(coupled_lstm_step, coupled_advance, COUPLED_AXES),
    LayerNormLSTMParams: Kind(layer_norm_lstm_step, layer_norm_advance, LAYER_NORM_AXES),
}


def lstm(
    params: AnyLSTMParams,
    inputs: Array,
    initial_state: LSTMState | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    implementation: str = "auto",
    segment: int | None = None,
) -> tuple[Array, LSTMState]:
    """The LSTM over a sequence: the step of its parameters scanned along T.

    The step projects the inputs. Projecting all of them before the scan is slower on the CPU for
    small D, because the fused read of a slice keeps exp and tanh from vectorising.

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
      implementation: "scan", the step scanned and differentiated by JAX; "fused", the same values
        with the derivative of `ops.fused`, for LSTMParams only; "native", the C++ kernel of
        `lstm_attn.native`, for LSTMParams in float32 on a CPU where it was built, on one device or
        with a batch split by Explicit axes or `jax.shard_map`; or "auto", the choice of
        `ops.dispatch`. Each works in forward and reverse mode.
      segment: None, or S steps: back-propagation then keeps what it needs of S steps and T / S
        states, and recomputes each segment. Gradients are the same. See
        `ops.scan.run_in_segments`.

    Returns:
      The outputs h_1 ... h_T [B, T, H] in the dtype of the inputs, and the state after the last
      step that was run, float32 or for float64 inputs float64.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came; an
        unknown implementation, or one that has no form of this step.

    Source: as the step.
    """
    kind, inputs, state = lstm_arrays("lstm", params, inputs, initial_state)
    limits = check_limits("lstm", inputs, seq_lengths, resets)
    form = None if kind.step is lstm_step else f"has no form for {type(params).__name__}"

    def run(
        params: AnyLSTMParams, state: LSTMState, inputs: Array, limits: Limits
    ) -> tuple[LSTMState, Array]:
        without_kernel = cache(lambda: form or native_kernels.obstacle(inputs))
        obstacles: dict[str, Obstacle] = {"fused": lambda: form, "native": without_kernel}
        chosen = choose_recurrent("lstm", implementation, obstacles)
        if implementation == "auto" and without_kernel() == native_kernels.NOT_BUILT:
            native_kernels.warn_not_built()

        def run_part(state: LSTMState, x: Array, part: Limits) -> tuple[LSTMState, Array]:
            if chosen == "native":
                how = native_lstm.How(reverse, named=implementation == "native")
                return native_lstm.native_lstm(params, state, x, part, how)
            if chosen == "fused":
                return fused_lstm(params, state, x, part, reverse)
            return scan_steps(partial(kind.step, params), state, x, part, reverse=reverse)

        return run_in_segments(
            "lstm", run_part, state, inputs, limits, segment=segment, reverse=reverse
        )

    state, outputs = row_by_row(run, params, state, inputs, limits)
    return outputs, state


def lstm_gates(
    params: AnyLSTMParams,
    inputs: Array,
    initial_state: LSTMState | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
) -> LSTMGates:
    """The gates of `ops.lstm` at every step: i, f, o after the sigmoid, the candidate after tanh.

        c_t = f_t * c_{t-1} + i_t * g_t,    h_t = o_t * tanh(c_t)

    For CoupledLSTMParams i is 1 - f; for LayerNormLSTMParams c_t is normalised inside the tanh.
    Arguments and errors as `ops.lstm`, whose step is scanned here whatever implementation it has.

    Returns:
      i, f, g and o, each [B, T, H], float32 or for float64 inputs float64; zeros in the padding.
    """
    kind, inputs, state = lstm_arrays("lstm_gates", params, inputs, initial_state)
    limits = check_limits("lstm_gates", inputs, seq_lengths, resets)

    def run(
        params: AnyLSTMParams, state: LSTMState, inputs: Array, limits: Limits
    ) -> tuple[LSTMState, LSTMGates]:
        steps = partial(scan_steps, partial(kind.advance, params), reverse=reverse)
        return run_in_segments("lstm_gates", steps, state, inputs, limits, reverse=reverse)

    return row_by_row(run, params, state, inputs, limits)[1]


def lstm_arrays(
    function: str, params: AnyLSTMParams, inputs: Array, initial_state: LSTMState | None
) -> tuple[Kind, Array, LSTMState]:
    """The kind of the parameters; inputs [B, T, D] and the initial state in the scan's dtypes."""
    if type(params) not in KINDS:
        known = ", ".join(kind.__name__ for kind in KINDS)
        raise UsageError(f"{function}: params expected one of {known}, got {type(params).__name__}")
    kind = KINDS[type(params)]
    inputs = jnp.asarray(inputs)
    arrays = {name: (getattr(params, name), letters) for name, letters in kind.axes.items()}
    sizes = check_axes(function, **arrays, inputs=(inputs, "B T D"))
    check_floating(function, inputs=inputs)
    if initial_state is None:
        zeros = zero_state(inputs, sizes["H"])
        initial_state = LSTMState(zeros, zeros)
    elif not isinstance(initial_state, LSTMState):
        raise UsageError(
            f"{function}: initial_state expected LSTMState(h, c), "
            f"got {type(initial_state).__name__}"
        )
    return kind, inputs, carried_along(initial_state, inputs)
