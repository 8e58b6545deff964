"""What the gates of LSTM and GRU let through at each step of a sequence."""

from functools import partial

from jax import Array

from lstm_attn.ops.gru import gru_arrays
from lstm_attn.ops.gru_step import GRUGates, GRUParams, gru_advance
from lstm_attn.ops.lstm import AnyLSTMParams, lstm_arrays
from lstm_attn.ops.lstm_step import LSTMGates, LSTMState
from lstm_attn.ops.scan import check_limits, scan_steps


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
    kind, inputs, state = lstm_arrays("lstm_gates", params, inputs, initial_state)
    limits = check_limits("lstm_gates", inputs, seq_lengths, resets)
    advance = partial(kind.advance, params)
    _, gates = scan_steps(advance, state, inputs.swapaxes(0, 1), limits, reverse=reverse)
    return LSTMGates(*(gate.swapaxes(0, 1) for gate in gates))


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
    inputs, state = gru_arrays("gru_gates", params, inputs, initial_state)
    limits = check_limits("gru_gates", inputs, seq_lengths, resets)
    advance = partial(gru_advance, params, reset_after=reset_after)
    _, gates = scan_steps(advance, state, inputs.swapaxes(0, 1), limits, reverse=reverse)
    return GRUGates(*(gate.swapaxes(0, 1) for gate in gates))
