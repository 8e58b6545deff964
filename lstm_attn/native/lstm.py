"""The native LSTM as functions of JAX arrays; float32, time first."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from lstm_attn.native.call import call
from lstm_attn.native.library import load


class Residuals(NamedTuple):
    """What the backward pass needs: the outputs hs, and records of gates and cells."""

    hs: Array
    records: Array


def _flags_or_none(flags: Array | None) -> Array:
    return jnp.zeros((0, 0), jnp.uint8) if flags is None or flags.size == 0 else flags


def lstm_forward(
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    x: Array,
    h0: Array,
    c0: Array,
    flags: Array | None,
    *,
    reverse: bool,
    save: bool,
) -> tuple[Array, Array, Array, Residuals | None]:
    """The LSTM over a sequence.

        i, f, g, o = split(x_t W + h U + b)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    Not differentiable by itself: `lstm_backward` is its gradient. Works under jit, vmap (one call
    after another), control flow and shard_map. Denormal numbers count as zero.

    Args:
      kernel: W [D, 4H], float32 as all that follow.
      recurrent_kernel: U [H, 4H].
      bias: b [4H].
      x: [T, B, D].
      h0: [B, H].
      c0: [B, H].
      flags: uint8 [T, B], or None for all zero. Bit 0: the row's state is zero before this step.
        Bit 1, which overrides bit 0: padding; the row's state does not change and x has no effect.
      reverse: from the last step to the first.
      save: return the residuals for `lstm_backward`.

    Returns:
      h after each step [T, B, H], unchanged in the padding; h and c after the last step that was
      run, each [B, H]; and the residuals, 20 bytes per step, row and unit in addition to h, or None
      without `save`.

    Raises:
      UsageError: the library is not compiled for this machine.

    Source: as `ops.lstm_step`.
    """
    lanes = load().lstm_attn_lanes()
    (steps, batch, _), features = x.shape, h0.shape[1]
    saved = 5 * steps * batch * -(-features // lanes) * lanes if save else 0
    hs, h_last, c_last, records = call(
        "lstm_attn_lstm_forward",
        [kernel, recurrent_kernel, bias, x, h0, c0, _flags_or_none(flags)],
        [(steps, batch, features), (batch, features), (batch, features), (saved,)],
        reverse=reverse,
    )
    return hs, h_last, c_last, Residuals(hs, records) if save else None


def lstm_backward(
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    x: Array,
    h0: Array,
    c0: Array,
    flags: Array | None,
    residuals: Residuals,
    d_hs: Array,
    d_h_last: Array,
    d_c_last: Array,
    *,
    reverse: bool,
    need_dx: bool,
) -> tuple[Array, Array, Array, Array | None, Array, Array]:
    """The gradients of the arguments of `lstm_forward`, from those of its results.

        dh = d_hs_t + dz_{t+1} U^T
        dc = f_{t+1} * dc_{t+1} + dh * o * (1 - tanh(c)^2)
        dz = dc g i (1 - i), dc c_{t-1} f (1 - f), dc i (1 - g^2), dh tanh(c) o (1 - o)
        dW = sum_t x_t^T dz_t;  dU = sum_t h_{t-1}^T dz_t;  db = sum_t dz_t;  dx_t = dz_t W^T

    Args:
      kernel, recurrent_kernel, bias, x, h0, c0, flags, reverse: as `lstm_forward` had them.
      residuals: as `lstm_forward` returned them with `save`.
      d_hs: [T, B, H]; ignored in the padding.
      d_h_last: [B, H].
      d_c_last: [B, H].
      need_dx: whether to compute the gradient of x.

    Returns:
      The gradients of kernel, recurrent_kernel, bias, x (None without `need_dx`), h0 and c0.

    Raises:
      UsageError: the library is not compiled for this machine.

    Source: Werbos 1990, back-propagation through time, for the equations of `ops.lstm_step`.
    """
    load()
    (steps, batch, inputs), features = x.shape, h0.shape[1]
    arguments = [kernel, recurrent_kernel, bias, x, h0, c0, _flags_or_none(flags)]
    d_kernel, d_recurrent_kernel, d_bias, d_x, d_h0, d_c0 = call(
        "lstm_attn_lstm_backward",
        [*arguments, residuals.hs, residuals.records, d_hs, d_h_last, d_c_last],
        [
            (inputs, 4 * features),
            (features, 4 * features),
            (4 * features,),
            (steps if need_dx else 0, batch, inputs),
            (batch, features),
            (batch, features),
        ],
        reverse=reverse,
        need_dx=need_dx,
    )
    return d_kernel, d_recurrent_kernel, d_bias, d_x if need_dx else None, d_h0, d_c0
