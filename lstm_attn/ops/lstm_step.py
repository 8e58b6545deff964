"""One step of the LSTM and of its variants.

Each variant has two functions: `..._advance` computes the next state and the gates, and the public
`..._step` checks its arguments, advances, and gives h as the output.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import accumulator, check_axes, check_floating, product


class LSTMParams(NamedTuple):
    """kernel W [D, 4H], recurrent_kernel U [H, 4H], bias b [4H]; gate order i, f, g, o."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array


class LSTMState(NamedTuple):
    """The state between two steps: h, the output, and c, the cell; each [B, H]."""

    h: Array
    c: Array


class LSTMGates(NamedTuple):
    """Input gate i, forget gate f and output gate o in (0, 1), candidate g in (-1, 1)."""

    i: Array
    f: Array
    g: Array
    o: Array

    @property
    def keep(self) -> Array:
        """The share of its memory that a unit keeps at a step: f."""
        return self.f


LSTM_AXES = {"recurrent_kernel": "H 4H", "bias": "4H", "kernel": "D 4H"}


def checked_step(
    function: str,
    advance: Callable[[Any, LSTMState, Array], tuple[LSTMState, LSTMGates]],
    params: NamedTuple,
    axes: dict[str, str],
    state: LSTMState,
    inputs: Array,
) -> tuple[LSTMState, Array]:
    """The next state, and its h as the output of the step.

    Raises:
      UsageError: a parameter, the state or the inputs do not fit.
    """
    if not isinstance(state, LSTMState):
        raise UsageError(f"{function}: state expected LSTMState(h, c), got {type(state).__name__}")
    check_axes(
        function,
        **{name: (getattr(params, name), letters) for name, letters in axes.items()},
        inputs=(inputs, "B D"),
        h=(state.h, "B H"),
        c=(state.c, "B H"),
    )
    check_floating(function, inputs=inputs)
    state, _ = advance(params, state, inputs)
    return state, state.h.astype(inputs.dtype)


def gate_sums(params: Any, state: LSTMState, inputs: Array) -> Array:
    """x W + h U + b, for as many gates as the parameters have."""
    compute, carried = inputs.dtype, accumulator(inputs.dtype)
    return (
        product(inputs, params.kernel, compute, carried)
        + product(state.h, params.recurrent_kernel, compute, carried)
        + params.bias.astype(carried)[None]
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
      inputs as the output of the step; dtypes as `ops.checks` says.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000.
    """
    return checked_step("lstm_step", lstm_advance, params, LSTM_AXES, state, inputs)


def lstm_advance(
    params: LSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, LSTMGates]:
    """`lstm_step` without its checks: the next state, and the gates of the step."""
    gates = activated(gate_sums(params, state, inputs))
    c = next_cell(state, gates)
    return LSTMState(gates.o * jnp.tanh(c), c), gates


def activated(sums: Array) -> LSTMGates:
    """The gates, from their sums [B, 4H]."""
    i, f, g, o = jnp.split(sums, 4, axis=-1)
    return LSTMGates(jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o))


def next_cell(state: LSTMState, gates: LSTMGates) -> Array:
    """f * c + i * g."""
    return gates.f * state.c.astype(gates.f.dtype) + gates.i * gates.g


class PeepholeLSTMParams(NamedTuple):
    """As LSTMParams, with peephole weights p [3H] from the cell to the gates i, f, o."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    peephole: Array


class CoupledLSTMParams(NamedTuple):
    """kernel W [D, 3H], recurrent_kernel U [H, 3H], bias b [3H]; gate order f, g, o."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array


class LayerNormLSTMParams(NamedTuple):
    """As LSTMParams, with scales of x W and h U [4H], and a scale and a bias of the cell [H]."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    kernel_scale: Array
    recurrent_scale: Array
    cell_scale: Array
    cell_bias: Array


PEEPHOLE_AXES = LSTM_AXES | {"peephole": "3H"}
COUPLED_AXES = {"recurrent_kernel": "H 3H", "bias": "3H", "kernel": "D 3H"}
LAYER_NORM_AXES = LSTM_AXES | {
    "kernel_scale": "4H",
    "recurrent_scale": "4H",
    "cell_scale": "H",
    "cell_bias": "H",
}


def peephole_lstm_step(
    params: PeepholeLSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, Array]:
    """One step of the LSTM with peepholes: its gates see the cell.

        i, f, g, o = split(x W + h U + b)
        c' = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * tanh(g)
        h' = sigmoid(o + p_o * c') * tanh(c')

    Arguments, results, dtypes and errors as `lstm_step`; p is params.peephole, [3H] for i, f, o.

    Source: Gers, Schraudolph & Schmidhuber 2002.
    """
    return checked_step(
        "peephole_lstm_step", peephole_advance, params, PEEPHOLE_AXES, state, inputs
    )


def peephole_advance(
    params: PeepholeLSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, LSTMGates]:
    """As `lstm_advance`."""
    carried = accumulator(inputs.dtype)
    before = state.c.astype(carried)
    i, f, g, o = jnp.split(gate_sums(params, state, inputs), 4, axis=-1)
    p_i, p_f, p_o = jnp.split(params.peephole.astype(carried)[None], 3, axis=-1)
    i, f, g = jax.nn.sigmoid(i + p_i * before), jax.nn.sigmoid(f + p_f * before), jnp.tanh(g)
    c = f * before + i * g
    o = jax.nn.sigmoid(o + p_o * c)
    return LSTMState(o * jnp.tanh(c), c), LSTMGates(i, f, g, o)


def coupled_lstm_step(
    params: CoupledLSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, Array]:
    """One step of the LSTM that writes as much as it forgets.

        f, g, o = split(x W + h U + b)
        c' = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    Arguments, results, dtypes and errors as `lstm_step`, with three gates instead of four.

    Source: "CIFG" of Greff et al. 2017, without the peepholes that it has there.
    """
    return checked_step("coupled_lstm_step", coupled_advance, params, COUPLED_AXES, state, inputs)


def coupled_advance(
    params: CoupledLSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, LSTMGates]:
    """As `lstm_advance`, with i = 1 - f."""
    f, g, o = jnp.split(gate_sums(params, state, inputs), 3, axis=-1)
    keep = jax.nn.sigmoid(f)
    gates = LSTMGates(1 - keep, keep, jnp.tanh(g), jax.nn.sigmoid(o))
    c = next_cell(state, gates)
    return LSTMState(gates.o * jnp.tanh(c), c), gates


def layer_norm_lstm_step(
    params: LayerNormLSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, Array]:
    """One step of the LSTM with each sum normalised over its features.

        i, f, g, o = split(a_x * N(x W) + a_h * N(h U) + b)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(a_c * N(c') + b_c)
        N(v) = (v - mean(v)) / sqrt(var(v) + 1e-6)

    N is over all 4H numbers of a product, and over the H numbers of the cell. a_x is kernel_scale,
    a_h recurrent_scale, a_c and b_c cell_scale and cell_bias. The paper's two other biases, of
    N(x W) and N(h U), would only add to b. Arguments, results, dtypes and errors as `lstm_step`.

    Source: Ba, Kiros & Hinton 2016, eq. 20-22.
    """
    return checked_step(
        "layer_norm_lstm_step", layer_norm_advance, params, LAYER_NORM_AXES, state, inputs
    )


def layer_norm_advance(
    params: LayerNormLSTMParams, state: LSTMState, inputs: Array
) -> tuple[LSTMState, LSTMGates]:
    """As `lstm_advance`, with a normalised cell in h."""
    compute, carried = inputs.dtype, accumulator(inputs.dtype)
    _, _, bias, a_x, a_h, a_c, b_c = (array.astype(carried)[None] for array in params)
    from_inputs = _normalise(product(inputs, params.kernel, compute, carried))
    from_state = _normalise(product(state.h, params.recurrent_kernel, compute, carried))
    gates = activated(a_x * from_inputs + a_h * from_state + bias)
    c = next_cell(state, gates)
    return LSTMState(gates.o * jnp.tanh(a_c * _normalise(c) + b_c), c), gates


EPSILON = 1e-6


def _normalise(array: Array) -> Array:
    centred = array - array.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + EPSILON)
