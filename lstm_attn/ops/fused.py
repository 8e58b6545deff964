"""LSTM and GRU over a sequence with hand-written derivatives: one matmul for the weights."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from lstm_attn.ops.checks import accumulator, product
from lstm_attn.ops.custom_transpose import with_transpose
from lstm_attn.ops.gru_step import GRUParams, gates_after, gru_step
from lstm_attn.ops.lstm_step import LSTMParams, LSTMState, gate_sums, lstm_step
from lstm_attn.ops.placement import explicit_sharding
from lstm_attn.ops.scan import Limits, scan_steps, without_padding


class LSTMSlopes(NamedTuple):
    """The coefficients of the derivative of a step, each [T, B, H].

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

    The values are those of the plain scan. The derivative is linear in the tangents: one matmul
    over all steps, then a scan that has only the product with U left:

        e_t = dx_t W + x_t dW + h_{t-1} dU + db
        di, df, dg, do = split(e_t + dh_{t-1} U)

    For reverse mode JAX transposes both: dU is then one matmul after the scan, while the transpose
    of the plain scan adds a product to dU in every step.
    """
    return scan_steps(functools.partial(lstm_step, params), state, inputs, limits, reverse=reverse)


@functools.partial(fused_lstm.defjvp, symbolic_zeros=True)
def _fused_lstm_jvp(reverse: bool, primals: Any, tangents: Any) -> Any:
    params, state, inputs, limits = primals
    compute, carried = inputs.dtype, accumulator(inputs.dtype)

    def step(before: LSTMState, x: Array) -> tuple[LSTMState, tuple[Array, Array, LSTMSlopes]]:
        i, f, g, o = jnp.split(gate_sums(params, before, x), 4, axis=-1)
        i, f, o = map(jax.nn.sigmoid, (i, f, o))
        g = jnp.tanh(g)
        c = f * before.c + i * g
        squashed = jnp.tanh(c)
        h = o * squashed
        slopes = LSTMSlopes(
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

    def move(before: LSTMState, each: tuple[Array, LSTMSlopes]) -> tuple[LSTMState, Array]:
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


class GRUSlopes(NamedTuple):
    """The coefficients of the derivative of a step, each [T, B, H].

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

    The derivative is as in `fused_lstm`, with two matmuls over all steps: for the inputs
    dx_t W + x_t dW + db, and for the state h_{t-1} dU + dd.
    """
    return scan_steps(functools.partial(gru_step, params), state, inputs, limits, reverse=reverse)


@functools.partial(fused_gru.defjvp, symbolic_zeros=True)
def _fused_gru_jvp(reverse: bool, primals: Any, tangents: Any) -> Any:
    params, state, inputs, limits = primals
    compute, carried = inputs.dtype, accumulator(inputs.dtype)

    def step(before: Array, x: Array) -> tuple[Array, tuple[Array, Array, GRUSlopes]]:
        r, z, n, h_n = gates_after(params, before, x)
        h = (1 - z) * n + z * before
        candidate = (1 - z) * (1 - n * n)
        slopes = GRUSlopes(
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

    def move(before: Array, each: tuple[Array, Array, GRUSlopes]) -> tuple[Array, Array]:
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


def along_products(
    *held: tuple[Array, Any], bias: Any, moving: tuple[Any, Array] | None = None
) -> Array:
    """sum_k a_k dM_k + db + da M, for all steps at once.

    The products with tangents of parameters are in the accumulator's dtype, since their transposes,
    the gradients of the parameters, are sums over time and batch. A tangent that is symbolically
    zero costs nothing.

    Args:
      held: pairs of an array a [T, B, D], in the compute dtype, and the tangent dM [D, G] of its
        matrix.
      bias: db [G].
      moving: the tangent da [T, B, D] of the inputs, and their matrix M [D, G].

    Returns:
      [T, B, G] in the accumulator's dtype.
    """
    first = held[0][0]
    compute, carried = first.dtype, accumulator(first.dtype)
    terms = [
        along_product(array.astype(carried), change.astype(carried))
        for array, change in held
        if not isinstance(change, SymbolicZero)
    ]
    if not isinstance(bias, SymbolicZero):
        terms.append(bias.astype(carried)[None, None])
    if moving is not None and not isinstance(moving[0], SymbolicZero):
        kernel = moving[1].astype(compute)
        terms.append(jnp.matmul(moving[0], kernel, preferred_element_type=carried))
    # Where a bias alone moves, or nothing does, there is still a row for each step and sequence.
    rows = jnp.zeros_like(first, dtype=carried).sum(axis=-1, keepdims=True)
    each = rows + jnp.zeros(bias.shape, carried)[None, None]
    return functools.reduce(jnp.add, terms, each)


def along_product(array: Array, change: Array) -> Array:
    """a dM [T, B, G] of a [T, B, D] and dM [D, G]."""
    place = explicit_sharding(change)

    def gradient(array: Array, of_result: Array) -> Array:
        # Time and batch are not made one axis: the batch may be split over devices. JAX's own
        # transpose has its factors the other way round, for which XLA's CPU compiler copies the
        # larger one, two to eight times as slow.
        return jnp.einsum("TBD,TBG->DG", array, of_result, out_sharding=place)

    return with_transpose(jnp.matmul, gradient, array, change)


def moved(state: Any, change: Any) -> Any:
    """The tangent of a state, with arrays of zeros for symbolic zeros."""
    return jax.tree.map(
        lambda held, by: jnp.zeros_like(held) if isinstance(by, SymbolicZero) else by,
        state,
        change,
        is_leaf=lambda leaf: isinstance(leaf, SymbolicZero),
    )
