"""The GRU over a sequence with its derivative written out: one matmul for the weights."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.gru_step import GRUParams, gates_after, gru_step
from lstm_attn.ops.precision import accumulator, product
from lstm_attn.ops.tangents import along_products, moved
from lstm_attn.ops.time import Limits, scan_steps, without_padding


class Slopes(NamedTuple):
    """What the derivative of a step multiplies with, each [T, B, H].

    dh' = reset dr + update dz + candidate dx_n + inner dh_n + keep dh, where dr, dz, dx_n and dh_n
    are the changes of the sums of the gates, of the inputs' part of n and of the state's.
    """

    reset: Array
    update: Array
    candidate: Array
    inner: Array
    keep: Array


@functools.partial(jax.custom_jvp, nondiff_argnums=(4,))
def fused_gru(
    params: GRUParams, state: Array, inputs: Array, limits: Limits, reverse: bool
) -> tuple[Array, Array]:
    """`gru_step`, reset after the product, scanned over inputs [T, B, D], to the last state and
    outputs [T, B, H].

    The derivative is that of `ops.fused_lstm`, with two sums over all steps: of the inputs' part
    dx_t W + x_t dW + db, and of the state's h_{t-1} dU + dd.
    """
    return scan_steps(functools.partial(gru_step, params), state, inputs, limits, reverse=reverse)


@functools.partial(fused_gru.defjvp, symbolic_zeros=True)
def _fused_gru_jvp(reverse: bool, primals: Any, tangents: Any) -> Any:
    params, state, inputs, limits = primals
    compute, carried = inputs.dtype, accumulator(inputs.dtype)

    def step(before: Array, x: Array) -> tuple[Array, tuple[Array, Array, Slopes]]:
        r, z, n, h_n = gates_after(params, before, x)
        h = (1 - z) * n + z * before
        candidate = (1 - z) * (1 - n * n)
        slopes = Slopes(
            reset=candidate * h_n * r * (1 - r),
            update=(before - n) * z * (1 - z),
            candidate=candidate,
            inner=candidate * r,
            keep=z,
        )
        return h, (h.astype(compute), before.astype(compute), slopes)

    last, (outputs, earlier, slopes) = scan_steps(step, state, inputs, limits, reverse=reverse)

    d_params, d_state, d_inputs = tangents[:3]
    from_inputs = along_products(
        (without_padding(inputs, limits), d_params.kernel),
        bias=d_params.bias,
        moving=(d_inputs, params.kernel),
    )
    from_state = along_products((earlier, d_params.recurrent_kernel), bias=d_params.recurrent_bias)

    def move(before: Array, each: tuple[Array, Array, Slopes]) -> tuple[Array, Array]:
        x, h, slope = each
        x_r, x_z, x_n = jnp.split(x, 3, axis=-1)
        sums = h + product(before, params.recurrent_kernel, compute, carried)
        h_r, h_z, h_n = jnp.split(sums, 3, axis=-1)
        dh = slope.reset * (x_r + h_r) + slope.update * (x_z + h_z) + slope.keep * before
        dh += slope.candidate * x_n + slope.inner * h_n
        return dh, dh.astype(compute)

    d_last, d_outputs = scan_steps(
        move, moved(state, d_state), (from_inputs, from_state, slopes), limits, reverse=reverse
    )
    return (last, outputs), (d_last, d_outputs)
