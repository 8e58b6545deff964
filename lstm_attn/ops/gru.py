"""The GRU: one step, and a scan of it over time."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.axes import check_axes
from lstm_attn.ops.time import scan_over_time


class GRUParams(NamedTuple):
    """kernel W [D, 3H], recurrent_kernel U [H, 3H], biases b and d [3H]; gate order r, z, n."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array


def _check(function: str, params: GRUParams, **arrays: tuple[Array, str]) -> dict[str, int]:
    return check_axes(
        function,
        recurrent_kernel=(params.recurrent_kernel, "H 3H"),
        bias=(params.bias, "3H"),
        recurrent_bias=(params.recurrent_bias, "3H"),
        kernel=(params.kernel, "D 3H"),
        **arrays,
    )


def gru_step(params: GRUParams, state: Array, inputs: Array) -> tuple[Array, Array]:
    """One step of the GRU, with the reset gate applied after the recurrent product.

        r = sigmoid(x W_r + b_r + h U_r + d_r)
        z = sigmoid(x W_z + b_z + h U_z + d_z)
        n = tanh(x W_n + b_n + r * (h U_n + d_n))
        h' = (1 - z) * n + z * h

    Args:
      params: kernel W [D, 3H], recurrent_kernel U [H, 3H], bias b [3H], recurrent_bias d [3H].
      state: h [B, H].
      inputs: x, one time step, [B, D].

    Returns:
      The next h [B, H], twice: as the state and as the output of the step. The dtype is that to
      which JAX promotes inputs, state and parameters; give all three one dtype to keep it.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: Cho et al. 2014, eq. 5-8, with z and 1 - z exchanged and the reset after the product
    as in cuDNN, PyTorch and `flax.linen.GRUCell`.
    """
    _check("gru_step", params, inputs=(inputs, "B D"), state=(state, "B H"))
    from_inputs = jnp.split(inputs @ params.kernel + params.bias, 3, axis=-1)
    from_state = jnp.split(state @ params.recurrent_kernel + params.recurrent_bias, 3, axis=-1)
    r = jax.nn.sigmoid(from_inputs[0] + from_state[0])
    z = jax.nn.sigmoid(from_inputs[1] + from_state[1])
    n = jnp.tanh(from_inputs[2] + r * from_state[2])
    h = (1 - z) * n + z * state
    return h, h


def gru(
    params: GRUParams,
    inputs: Array,
    initial_state: Array | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
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

    Returns:
      The outputs h_1 ... h_T [B, T, H], and h after the last step that was run [B, H].

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: as `gru_step`.
    """
    inputs = jnp.asarray(inputs)
    sizes = _check("gru", params, inputs=(inputs, "B T D"))
    if initial_state is None:
        initial_state = jnp.zeros((sizes["B"], sizes["H"]), jnp.result_type(inputs, *params))
    return scan_over_time(
        "gru",
        partial(gru_step, params),
        initial_state,
        inputs,
        seq_lengths=seq_lengths,
        resets=resets,
        reverse=reverse,
    )
