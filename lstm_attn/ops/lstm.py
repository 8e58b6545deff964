"""The LSTM: one step, and a scan of it over time."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.axes import check_axes
from lstm_attn.ops.time import scan_over_time


class LSTMParams(NamedTuple):
    """kernel W [D, 4H], recurrent_kernel U [H, 4H], bias b [4H]; gate order i, f, g, o."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array


class LSTMState(NamedTuple):
    """What one step hands to the next: h, the output, and c, the cell; each [B, H]."""

    h: Array
    c: Array


def _check(function: str, params: LSTMParams, **arrays: tuple[Array, str]) -> dict[str, int]:
    return check_axes(
        function,
        recurrent_kernel=(params.recurrent_kernel, "H 4H"),
        bias=(params.bias, "4H"),
        kernel=(params.kernel, "D 4H"),
        **arrays,
    )


def lstm_step(params: LSTMParams, state: LSTMState, inputs: Array) -> tuple[LSTMState, Array]:
    """One step of the LSTM.

        i, f, g, o = split(x W + h U + b)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    Args:
      params: kernel W [D, 4H], recurrent_kernel U [H, 4H], bias b [4H].
      state: h and c, each [B, H].
      inputs: x, one time step, [B, D].

    Returns:
      The next state, and its h [B, H] as the output of the step. The dtype is that to which
      JAX promotes inputs, state and parameters; give all three one dtype to keep it.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000, eq. 2-6.
    """
    _check("lstm_step", params, inputs=(inputs, "B D"), h=(state.h, "B H"), c=(state.c, "B H"))
    gates = inputs @ params.kernel + state.h @ params.recurrent_kernel + params.bias
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return LSTMState(h, c), h


def lstm(
    params: LSTMParams,
    inputs: Array,
    initial_state: LSTMState | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
) -> tuple[Array, LSTMState]:
    """The LSTM over a sequence: `lstm_step` scanned along T.

    The inputs are projected inside the step. Projecting all of them before the scan is slower on
    the CPU for small D, because the fused read of a slice keeps exp and tanh from vectorising.

    Args:
      params: kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H].
      inputs: [B, T, D].
      initial_state: h and c before the first step, each [B, H]; zeros if None.
      seq_lengths: integers [B]; outputs from step seq_lengths[b] on are zero, and the final state
        is that of the last real step. None for T.
      resets: boolean [B, T]; the state is zeroed before a step where it is True, as at the start
        of each of several documents packed into one sequence.
      reverse: run from the last real step to the first. Outputs stay in the order of the inputs, as
        with `keep_order=True` of `flax.linen.RNN`; a reset still acts before its step is run.

    Returns:
      The outputs h_1 ... h_T [B, T, H], and the state after the last step that was run.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: as `lstm_step`.
    """
    inputs = jnp.asarray(inputs)
    sizes = _check("lstm", params, inputs=(inputs, "B T D"))
    if initial_state is None:
        zeros = jnp.zeros((sizes["B"], sizes["H"]), jnp.result_type(inputs, *params))
        initial_state = LSTMState(zeros, zeros)
    elif not isinstance(initial_state, LSTMState):
        raise UsageError(
            f"lstm: initial_state expected LSTMState(h, c), got {type(initial_state).__name__}"
        )
    return scan_over_time(
        "lstm",
        partial(lstm_step, params),
        initial_state,
        inputs,
        seq_lengths=seq_lengths,
        resets=resets,
        reverse=reverse,
    )
