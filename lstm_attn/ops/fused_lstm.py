"""The LSTM over a sequence with its derivative written out: one matmul for the weights."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.lstm_step import LSTMParams, LSTMState, gate_sums, lstm_step
from lstm_attn.ops.precision import accumulator, product
from lstm_attn.ops.tangents import along_products, moved
from lstm_attn.ops.time import Limits, scan_steps, without_padding


class Slopes(NamedTuple):
    """What the derivative of a step multiplies with, each [T, B, H].

    dc' = input di + forget df + candidate dg + keep dc, dh' = output do + cell dc', where di, df,
    dg and do are the changes of the sums inside the gates.
    """

    input: Array
    forget: Array
    candidate: Array
    output: Array
    cell: Array
    keep: Array


@functools.partial(jax.custom_jvp, nondiff_argnums=(4,))
def fused_lstm(
    params: LSTMParams, state: LSTMState, inputs: Array, limits: Limits, reverse: bool
) -> tuple[LSTMState, Array]:
    """`lstm_step` scanned over inputs [T, B, D], to the last state and outputs [T, B, H].

    The values are those of the plain scan. The derivative is linear in what changes, so it is
    written as one matmul over all steps and a scan that is left with the product with U:

        e_t = dx_t W + x_t dW + h_{t-1} dU + db
        di, df, dg, do = split(e_t + dh_{t-1} U)

    JAX transposes both for reverse mode: dU then is one matmul after the scan, where the plain
    scan's transpose adds a product to it in every step.
    """
    return scan_steps(functools.partial(lstm_step, params), state, inputs, limits, reverse=reverse)


@functools.partial(fused_lstm.defjvp, symbolic_zeros=True)
def _fused_lstm_jvp(reverse: bool, primals: Any, tangents: Any) -> Any:
    params, state, inputs, limits = primals
    compute, carried = inputs.dtype, accumulator(inputs.dtype)

    def step(before: LSTMState, x: Array) -> tuple[LSTMState, tuple[Array, Array, Slopes]]:
        i, f, g, o = jnp.split(gate_sums(params, before, x), 4, axis=-1)
        i, f, o = map(jax.nn.sigmoid, (i, f, o))
        g = jnp.tanh(g)
        c = f * before.c + i * g
        squashed = jnp.tanh(c)
        h = o * squashed
        slopes = Slopes(
            input=g * i * (1 - i),
            forget=before.c * f * (1 - f),
            candidate=i * (1 - g * g),
            output=squashed * o * (1 - o),
            cell=o * (1 - squashed * squashed),
            keep=f,
        )
        return LSTMState(h, c), (h.astype(compute), before.h.astype(compute), slopes)

    last, (outputs, earlier, slopes) = scan_steps(step, state, inputs, limits, reverse=reverse)

    d_params, d_state, d_inputs = tangents[:3]
    change = along_products(
        (without_padding(inputs, limits), d_params.kernel),
        (earlier, d_params.recurrent_kernel),
        bias=d_params.bias,
        moving=(d_inputs, params.kernel),
    )

    def move(before: LSTMState, each: tuple[Array, Slopes]) -> tuple[LSTMState, Array]:
        e, slope = each
        sums = e + product(before.h, params.recurrent_kernel, compute, carried)
        di, df, dg, do = jnp.split(sums, 4, axis=-1)
        dc = slope.input * di + slope.forget * df + slope.candidate * dg + slope.keep * before.c
        dh = slope.output * do + slope.cell * dc
        return LSTMState(dh, dc), dh.astype(compute)

    d_last, d_outputs = scan_steps(
        move, moved(state, d_state), (change, slopes), limits, reverse=reverse
    )
    return (last, outputs), (d_last, d_outputs)
