"""The LSTM over a sequence by the C++ kernel of `lstm_attn.native`, for float32 on a CPU."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from lstm_attn import native
from lstm_attn.ops.custom_transpose import with_transpose
from lstm_attn.ops.fused import fused_lstm
from lstm_attn.ops.lstm_step import LSTMParams, LSTMState
from lstm_attn.ops.scan import Limits, without_padding

RESET, PADDING = 1, 2
Held = tuple[LSTMParams, LSTMState, Array]  # params, state and inputs
Values = tuple[LSTMState, Array]  # the last state and outputs


@functools.partial(jax.custom_jvp, nondiff_argnums=(4,))
def native_lstm(
    params: LSTMParams, state: LSTMState, inputs: Array, limits: Limits, reverse: bool
) -> tuple[LSTMState, Array]:
    """`lstm_step` over inputs float32 [T, B, D], to the last state and outputs [T, B, H].

    Reverse mode runs the kernel's backward pass. Forward mode, and derivatives of the gradient, are
    those of `fused_lstm`.
    """
    return _forward((params, state, inputs), limits, reverse, save=False)[0]


@functools.partial(native_lstm.defjvp, symbolic_zeros=True)
def _native_lstm_jvp(reverse: bool, primals: Any, tangents: Any) -> Any:
    params, state, inputs, limits = primals
    held = (params, state, inputs)
    values, residuals = _forward_and_keep(held, limits, reverse)
    # The gradient of an array without a tangent must not be computed.
    moving = {
        index: tangent
        for index, tangent in enumerate(jax.tree.leaves(tangents[:3], is_leaf=_is_zero))
        if not _is_zero(tangent)
    }
    leaves, structure = jax.tree.flatten(held)

    def push_forward(moving: dict[int, Array]) -> Any:
        changes = [moving.get(n, jnp.zeros_like(leaf)) for n, leaf in enumerate(leaves)]
        return _changes(held, limits, reverse, jax.tree.unflatten(structure, changes))

    def pull_back(cotangents: Any) -> dict[int, Array]:
        gradients = _pull_back(reverse, tuple(moving), held, limits, residuals, cotangents)
        return dict(zip(moving, gradients, strict=True))

    return values, with_transpose(push_forward, pull_back, moving, values)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _pull_back(
    reverse: bool,
    moving: tuple[int, ...],
    held: Held,
    limits: Limits,
    residuals: Any,
    cotangents: Values,
) -> tuple[Array, ...]:
    """The gradients of the leaves of params, state and inputs whose indices are in `moving`."""
    params, state, inputs = held
    d_last, d_outputs = cotangents
    *d_params, d_inputs, d_h, d_c = native.lstm_backward(
        *_float32(params),
        inputs,
        *state,
        _flags(limits),
        residuals,
        d_outputs,
        *d_last,
        reverse=reverse,
        need_dx=len(jax.tree.leaves(held)) - 1 in moving,
    )
    gradients = [*d_params, d_h, d_c, d_inputs]
    leaves = jax.tree.leaves(held)
    return tuple(jnp.asarray(gradients[n]).astype(leaves[n].dtype) for n in moving)


@_pull_back.defjvp
def _pull_back_jvp(
    reverse: bool, moving: tuple[int, ...], primals: Any, tangents: Any
) -> tuple[Any, Any]:
    held, limits, residuals, cotangents = primals

    def by_fused(held: Any, cotangents: Any) -> tuple[Array, ...]:
        function = functools.partial(_fused, limits, reverse)
        gradients = jax.tree.leaves(jax.vjp(function, *held)[1](cotangents))
        return tuple(gradients[index] for index in moving)

    values = _pull_back(reverse, moving, held, limits, residuals, cotangents)
    changes = jax.jvp(by_fused, (held, cotangents), (tangents[0], tangents[3]))[1]
    return values, changes


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _forward_and_keep(held: Held, limits: Limits, reverse: bool) -> tuple[Values, Any]:
    return _forward(held, limits, reverse, save=True)


@_forward_and_keep.defjvp
def _forward_and_keep_jvp(reverse: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    held, limits = primals
    values, residuals = _forward_and_keep(held, limits, reverse)
    changes = _changes(held, limits, reverse, tangents[0])
    # `_pull_back`, the only user of the residuals, is differentiated without them.
    return (values, residuals), (changes, jax.tree.map(jnp.zeros_like, residuals))


def _fused(limits: Limits, reverse: bool, *held: Any) -> Values:
    params, state, inputs = held
    return fused_lstm(params, state, inputs, limits, reverse)


def _changes(held: Held, limits: Limits, reverse: bool, changes: Held) -> Values:
    return jax.jvp(functools.partial(_fused, limits, reverse), held, changes)[1]


def _forward(held: Held, limits: Limits, reverse: bool, *, save: bool) -> tuple[Values, Any]:
    params, state, inputs = held
    outputs, h, c, residuals = native.lstm_forward(
        *_float32(params), inputs, *state, _flags(limits), reverse=reverse, save=save
    )
    # In the padding the kernel repeats the state, where our outputs are zero.
    return (LSTMState(h, c), without_padding(outputs, limits)), residuals


def _float32(params: LSTMParams) -> LSTMParams:
    return LSTMParams(*(leaf.astype(jnp.float32) for leaf in params))


def _flags(limits: Limits) -> Array | None:
    """The kernel's flags for each step and row, uint8 [T, B]; None if all are zero."""
    resets, ended = limits.resets, None
    if limits.lengths is not None:
        ended = limits.steps[:, None] >= limits.lengths
    flags = [
        jnp.where(where, jnp.uint8(bit), jnp.uint8(0))
        for where, bit in ((resets, RESET), (ended, PADDING))
        if where is not None
    ]
    return functools.reduce(jnp.bitwise_or, flags) if flags else None


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, SymbolicZero)
