"""The GRU: one step, and a scan of it over time."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.axes import check_axes
from lstm_attn.ops.precision import accumulator, check_floating, product
from lstm_attn.ops.time import scan_over_time


class GRUParams(NamedTuple):
    """kernel W [D, 3H], recurrent_kernel U [H, 3H], biases b and d [3H]; gate order r, z, n."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array


def _check(function: str, params: GRUParams, **arrays: tuple[Array, str]) -> dict[str, int]:
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
        default; False is that of the papers. After the product, U is multiplied once a step.

    Returns:
      The next h [B, H], twice: as the state, float32 (float64 for float64 inputs), and as the
      output of the step, in the dtype of the inputs; dtypes as `ops.precision` says.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: Cho et al. 2014, eq. 5-8, with the reset before; after it, the first version of that
    paper and Keras' `reset_after`. z is the share that is kept, as in both.
    """
    _check("gru_step", params, inputs=(inputs, "B D"), state=(state, "B H"))
    check_floating("gru_step", inputs=inputs)
    compute, carried = inputs.dtype, accumulator(inputs.dtype)
    state = state.astype(carried)
    bias, recurrent_bias = params.bias.astype(carried), params.recurrent_bias.astype(carried)
    x_r, x_z, x_n = jnp.split(product(inputs, params.kernel, compute, carried) + bias, 3, axis=-1)

    def from_state(h: Array, gates: slice) -> Array:
        kernel = params.recurrent_kernel[:, gates]
        return product(h, kernel, compute, carried) + recurrent_bias[gates]

    if reset_after:
        h_r, h_z, h_n = jnp.split(from_state(state, slice(None)), 3, axis=-1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * h_n)
    else:
        candidate = 2 * state.shape[-1]
        h_r, h_z = jnp.split(from_state(state, slice(candidate)), 2, axis=-1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + from_state(r * state, slice(candidate, None)))
    h = (1 - z) * n + z * state
    return h, h.astype(compute)


def gru(
    params: GRUParams,
    inputs: Array,
    initial_state: Array | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    reset_after: bool = True,
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

    Returns:
      The outputs h_1 ... h_T [B, T, H] in the dtype of the inputs, and h after the last step that
      was run [B, H], float32 or for float64 inputs float64.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: as `gru_step`.
    """
    inputs = jnp.asarray(inputs)
    sizes = _check("gru", params, inputs=(inputs, "B T D"))
    check_floating("gru", inputs=inputs)
    if initial_state is None:
        # Like the inputs, so that inside jax.shard_map it differs between devices as they do.
        shape = (sizes["B"], sizes["H"])
        initial_state = jnp.zeros_like(inputs, shape=shape, dtype=accumulator(inputs.dtype))
    return scan_over_time(
        "gru",
        partial(gru_step, params, reset_after=reset_after),
        initial_state,
        inputs,
        seq_lengths=seq_lengths,
        resets=resets,
        reverse=reverse,
    )
