"""One step of the LSTM."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.axes import check_axes
from lstm_attn.ops.precision import accumulator, check_floating, product


class LSTMParams(NamedTuple):
    """kernel W [D, 4H], recurrent_kernel U [H, 4H], bias b [4H]; gate order i, f, g, o."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array


class LSTMState(NamedTuple):
    """What one step hands to the next: h, the output, and c, the cell; each [B, H]."""

    h: Array
    c: Array


class LSTMGates(NamedTuple):
    """Input gate i, forget gate f and output gate o in (0, 1), candidate g in (-1, 1)."""

    i: Array
    f: Array
    g: Array
    o: Array


LSTM_AXES = {"recurrent_kernel": "H 4H", "bias": "4H", "kernel": "D 4H"}


def check_step(function: str, params: NamedTuple, axes: dict, state: LSTMState, x: Array) -> None:
    """Raises UsageError where a parameter, the state or the input of a step does not fit."""
    if not isinstance(state, LSTMState):
        raise UsageError(f"{function}: state expected LSTMState(h, c), got {type(state).__name__}")
    check_axes(
        function,
        **{name: (getattr(params, name), letters) for name, letters in axes.items()},
        inputs=(x, "B D"),
        h=(state.h, "B H"),
        c=(state.c, "B H"),
    )
    check_floating(function, inputs=x)


def gate_sums(params: Any, state: LSTMState, inputs: Array) -> Array:
    """x W + h U + b, for as many gates as the parameters hold."""
    compute, carried = inputs.dtype, accumulator(inputs.dtype)
    return (
        product(inputs, params.kernel, compute, carried)
        + product(state.h, params.recurrent_kernel, compute, carried)
        + params.bias.astype(carried)
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
      The next state, float32 (float64 for float64 inputs), and its h [B, H] in the dtype of the
      inputs as the output of the step; dtypes as `ops.precision` says.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000.
    """
    check_step("lstm_step", params, LSTM_AXES, state, inputs)
    state, _ = lstm_advance(params, state, inputs)
    return state, state.h.astype(inputs.dtype)


def lstm_advance(
    params: LSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, LSTMGates]:
    """`lstm_step` without its checks: the next state, and the gates that it came by."""
    i, f, g, o = jnp.split(gate_sums(params, state, inputs), 4, axis=-1)
    gates = LSTMGates(jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o))
    c = next_cell(state, gates)
    return LSTMState(gates.o * jnp.tanh(c), c), gates


def next_cell(state: LSTMState, gates: LSTMGates) -> Array:
    """f * c + i * g."""
    return gates.f * state.c.astype(gates.f.dtype) + gates.i * gates.g
