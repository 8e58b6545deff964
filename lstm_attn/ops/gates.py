"""What the gates of LSTM and GRU let through at each step of a sequence."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.gru_step import GRUParams, check_gru, gates_after, gates_before, gru_step
from lstm_attn.ops.lstm import STEPS, AnyLSTMParams
from lstm_attn.ops.lstm_step import LSTMState, gate_sums
from lstm_attn.ops.lstm_variants import (
    CoupledLSTMParams,
    LayerNormLSTMParams,
    PeepholeLSTMParams,
    layer_norm_sums,
)
from lstm_attn.ops.precision import accumulator, carried_along, check_floating
from lstm_attn.ops.time import check_limits, scan_steps


class LSTMGates(NamedTuple):
    """Input gate i, forget gate f and output gate o in (0, 1), candidate g in (-1, 1)."""

    i: Array
    f: Array
    g: Array
    o: Array


class GRUGates(NamedTuple):
    """Reset gate r and update gate z, the share that is kept, in (0, 1); candidate n in (-1, 1)."""

    r: Array
    z: Array
    n: Array


def lstm_gates(
    params: AnyLSTMParams,
    inputs: Array,
    initial_state: LSTMState | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
) -> LSTMGates:
    """The gates of `ops.lstm` at every step, after their sigmoid, and the candidate after its tanh.

        c_t = f_t * c_{t-1} + i_t * g_t,    h_t = o_t * tanh(c_t)

    For CoupledLSTMParams i is 1 - f; for LayerNormLSTMParams c_t is normalised inside the tanh.
    Arguments and errors as `ops.lstm`, whose step is scanned here whatever implementation it has.

    Returns:
      i, f, g and o, each [B, T, H], float32 or for float64 inputs float64; zeros in the padding.
    """
    if type(params) not in STEPS:
        known = ", ".join(kind.__name__ for kind in STEPS)
        raise UsageError(f"lstm_gates: params expected one of {known}, got {type(params).__name__}")
    inputs = jnp.asarray(inputs)
    check_floating("lstm_gates", inputs=inputs)
    limits = check_limits("lstm_gates", inputs, seq_lengths, resets)
    step, _ = STEPS[type(params)]
    if initial_state is None:
        shape = (inputs.shape[0], params.recurrent_kernel.shape[0])
        zeros = jnp.zeros(shape, accumulator(inputs.dtype))
        initial_state = LSTMState(zeros, zeros)

    def observed(before: LSTMState, x: Array) -> tuple[LSTMState, LSTMGates]:
        after, _ = step(params, before, x)
        return after, _lstm_gates(params, before, after, x)

    state = carried_along(initial_state, inputs)
    _, gates = scan_steps(observed, state, inputs.swapaxes(0, 1), limits, reverse=reverse)
    return LSTMGates(*(gate.swapaxes(0, 1) for gate in gates))


def _lstm_gates(
    params: AnyLSTMParams, before: LSTMState, after: LSTMState, inputs: Array
) -> LSTMGates:
    """Those of one step, from the states on either side of it."""
    sigmoid = jax.nn.sigmoid
    if isinstance(params, CoupledLSTMParams):
        f, g, o = jnp.split(gate_sums(params, before, inputs), 3, axis=-1)
        return LSTMGates(1 - sigmoid(f), sigmoid(f), jnp.tanh(g), sigmoid(o))
    if isinstance(params, LayerNormLSTMParams):
        sums = layer_norm_sums(params, before, inputs)
    else:
        sums = gate_sums(params, before, inputs)
    i, f, g, o = jnp.split(sums, 4, axis=-1)
    if isinstance(params, PeepholeLSTMParams):
        p_i, p_f, p_o = jnp.split(params.peephole.astype(after.c.dtype), 3)
        i, f, o = i + p_i * before.c, f + p_f * before.c, o + p_o * after.c
    return LSTMGates(sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o))


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
    """The gates of `ops.gru` at every step, after their sigmoid, and the candidate after its tanh.

        h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    Arguments and errors as `ops.gru`.

    Returns:
      r, z and n, each [B, T, H], float32 or for float64 inputs float64; zeros in the padding.
    """
    inputs = jnp.asarray(inputs)
    sizes = check_gru("gru_gates", params, inputs=(inputs, "B T D"))
    check_floating("gru_gates", inputs=inputs)
    limits = check_limits("gru_gates", inputs, seq_lengths, resets)
    if initial_state is None:
        initial_state = jnp.zeros((sizes["B"], sizes["H"]), accumulator(inputs.dtype))
    step = partial(gru_step, params, reset_after=reset_after)

    def observed(before: Array, x: Array) -> tuple[Array, GRUGates]:
        gates = (
            gates_after(params, before, x)[:3] if reset_after else gates_before(params, before, x)
        )
        return step(before, x)[0], GRUGates(*gates)

    state = carried_along(initial_state, inputs)
    _, gates = scan_steps(observed, state, inputs.swapaxes(0, 1), limits, reverse=reverse)
    return GRUGates(*(gate.swapaxes(0, 1) for gate in gates))
