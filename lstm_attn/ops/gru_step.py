"""One step of the GRU."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import accumulator, check_axes, check_floating, product


class GRUParams(NamedTuple):
    """kernel W [D, 3H], recurrent_kernel U [H, 3H], biases b and d [3H]; gate order r, z, n."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array


class GRUGates(NamedTuple):
    """Reset gate r and update gate z in (0, 1), candidate n in (-1, 1)."""

    r: Array
    z: Array
    n: Array

    @property
    def keep(self) -> Array:
        """The share of its memory that a unit keeps at a step: z."""
        return self.z


def check_gru(function: str, params: GRUParams, **arrays: tuple[Array, str]) -> dict[str, int]:
    if not isinstance(params, GRUParams):
        raise UsageError(f"{function}: params expected GRUParams, got {type(params).__name__}")
    return check_axes(
        function,
        recurrent_kernel=(params.recurrent_kernel, "H 3H"),
        bias=(params.bias, "3H"),
        recurrent_bias=(params.recurrent_bias, "3H"),
        kernel=(params.kernel, "D 3H"),
        **arrays,
    )


def gru_step(
    params: GRUParams, state: Array, inputs: Array, *, reset_after: bool = True
) -> tuple[Array, Array]:
    """One step of the GRU, in either published form.

        r = sigmoid(x W_r + b_r + h U_r + d_r)
        z = sigmoid(x W_z + b_z + h U_z + d_z)
        n = tanh(x W_n + b_n + r * (h U_n + d_n))      reset after the product
        n = tanh(x W_n + b_n + (r * h) U_n + d_n)      reset before it
        h' = (1 - z) * n + z * h

    Args:
      params: kernel W [D, 3H], recurrent_kernel U [H, 3H], bias b [3H], recurrent_bias d [3H].
      state: h [B, H].
      inputs: x, one time step, [B, D].
      reset_after: where the reset gate acts. True is the form of cuDNN, PyTorch, flax and Keras'
        default, which needs one product with U per step; False is the form of the papers.

    Returns:
      The next h [B, H], twice: as the state, float32 (float64 for float64 inputs), and as the
      output of the step, in the dtype of the inputs; dtypes as `ops.checks` says.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: Cho et al. 2014, eq. 5-8, for the reset before the product; the first version of that
    paper and Keras' `reset_after` for the reset after it. In both, z is the share that is kept.
    """
    check_gru("gru_step", params, inputs=(inputs, "B D"), state=(state, "B H"))
    check_floating("gru_step", inputs=inputs)
    h, _ = gru_advance(params, state, inputs, reset_after=reset_after)
    return h, h.astype(inputs.dtype)


def gru_advance(
    params: GRUParams, state: Array, inputs: Array, *, reset_after: bool
) -> tuple[Array, GRUGates]:
    """`gru_step` without its checks: the next h, and the gates of the step."""
    state = state.astype(accumulator(inputs.dtype))
    if reset_after:
        gates = GRUGates(*gates_after(params, state, inputs)[:3])
    else:
        gates = gates_before(params, state, inputs)
    return (1 - gates.z) * gates.n + gates.z * state, gates


def gates_after(
    params: GRUParams, state: Array, inputs: Array
) -> tuple[Array, Array, Array, Array]:
    """r, z, n and h U_n + d_n of a step whose reset gate acts after the product; each [B, H]."""
    x_r, x_z, x_n = _from_inputs(params, inputs)
    h_r, h_z, h_n = jnp.split(_from_state(params, state, slice(None), inputs.dtype), 3, axis=-1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    return r, z, jnp.tanh(x_n + r * h_n), h_n


def gates_before(params: GRUParams, state: Array, inputs: Array) -> GRUGates:
    """r, z and n of a step whose reset gate acts before the product; each [B, H]."""
    x_r, x_z, x_n = _from_inputs(params, inputs)
    candidate, compute = 2 * state.shape[-1], inputs.dtype
    h_r, h_z = jnp.split(_from_state(params, state, slice(candidate), compute), 2, axis=-1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + _from_state(params, r * state, slice(candidate, None), compute))
    return GRUGates(r, z, n)


def _from_inputs(params: GRUParams, inputs: Array) -> list[Array]:
    compute, carried = inputs.dtype, accumulator(inputs.dtype)
    sums = product(inputs, params.kernel, compute, carried) + params.bias.astype(carried)[None]
    return jnp.split(sums, 3, axis=-1)


def _from_state(params: GRUParams, h: Array, gates: slice, compute: jnp.dtype) -> Array:
    carried = accumulator(compute)
    kernel, bias = params.recurrent_kernel[:, gates], params.recurrent_bias[gates]
    return product(h, kernel, compute, carried) + bias.astype(carried)[None]
