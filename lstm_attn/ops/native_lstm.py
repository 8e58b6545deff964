"""The LSTM over a sequence by the C++ kernel of `lstm_attn.native`, for float32 on a CPU."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from lstm_attn import native
from lstm_attn.ops.custom_transpose import with_transpose
from lstm_attn.ops.fused import fused_lstm
from lstm_attn.ops.lowering import by_lowering
from lstm_attn.ops.lstm_step import LSTMParams, LSTMState
from lstm_attn.ops.scan import Limits, without_padding

RESET, PADDING = 1, 2
NOT_EXPORTED = (
    "lstm: implementation='native' is a kernel of this machine, which jax.export can't put into a "
    "file; expected 'auto', 'fused' or 'scan'"
)
Held = tuple[LSTMParams, LSTMState, Array]  # params, state and inputs
Values = tuple[LSTMState, Array]  # the last state and outputs


class How(NamedTuple):
    """reverse: from the last step to the first. named: the user asked for this implementation."""

    reverse: bool
    named: bool

    @property
    def to_export(self) -> str | None:
        return NOT_EXPORTED if self.named else None


@functools.partial(jax.custom_jvp, nondiff_argnums=(4,))
def native_lstm(
    params: LSTMParams, state: LSTMState, inputs: Array, limits: Limits, how: How
) -> tuple[LSTMState, Array]:
    """`lstm_step` over inputs float32 [T, B, D], to the last state and outputs [T, B, H].

    Reverse mode runs the kernel's backward pass. Forward mode, and derivatives of the gradient, are
    those of `fused_lstm`; so is all else in a program that is split over devices by the compiler,
    lowered for another platform or exported (see `ops.lowering`).
    """
    return _forward((params, state, inputs), limits, how, save=False)[0]


@functools.partial(native_lstm.defjvp, symbolic_zeros=True)
def _native_lstm_jvp(how: How, primals: Any, tangents: Any) -> Any:
    params, state, inputs, limits = primals
    held = (params, state, inputs)
    values, residuals = _forward_and_keep(held, limits, how)
    # The gradient of an array without a tangent must not be computed.
    moving = {
        index: tangent
        for index, tangent in enumerate(jax.tree.leaves(tangents[:3], is_leaf=_is_zero))
        if not _is_zero(tangent)
    }
    names = tuple(moving)

    def push_forward(kept: Any, moving: dict[int, Array]) -> Any:
        held, limits, _ = kept
        leaves, structure = jax.tree.flatten(held)
        changes = [moving.get(n, jnp.zeros_like(leaf)) for n, leaf in enumerate(leaves)]
        return _changes(held, limits, how, jax.tree.unflatten(structure, changes))

    def pull_back(kept: Any, cotangents: Any) -> dict[int, Array]:
        return dict(zip(names, _pull_back(how, names, *kept, cotangents), strict=True))

    kept = (held, limits, residuals)
    return values, with_transpose(push_forward, pull_back, kept, moving)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _pull_back(
    how: How,
    moving: tuple[int, ...],
    held: Held,
    limits: Limits,
    residuals: Any,
    cotangents: Values,
) -> tuple[Array, ...]:
    """The gradients of the leaves of params, state and inputs whose indices are in `moving`."""
    return by_lowering(
        _kernel_backward,
        _portable_backward,
        held,
        limits,
        residuals,
        cotangents,
        how=how,
        moving=moving,
        to_export=how.to_export,
    )


@_pull_back.defjvp
def _pull_back_jvp(
    how: How, moving: tuple[int, ...], primals: Any, tangents: Any
) -> tuple[Any, Any]:
    held, limits, residuals, cotangents = primals

    def by_fused(held: Any, cotangents: Any) -> tuple[Array, ...]:
        return _portable_backward(held, limits, None, cotangents, how=how, moving=moving)

    values = _pull_back(how, moving, held, limits, residuals, cotangents)
    changes = jax.jvp(by_fused, (held, cotangents), (tangents[0], tangents[3]))[1]
    return values, changes


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _forward_and_keep(held: Held, limits: Limits, how: How) -> tuple[Values, Any]:
    return _forward(held, limits, how, save=True)


@_forward_and_keep.defjvp
def _forward_and_keep_jvp(how: How, primals: Any, tangents: Any) -> tuple[Any, Any]:
    held, limits = primals
    values, residuals = _forward_and_keep(held, limits, how)
    changes = _changes(held, limits, how, tangents[0])
    # `_pull_back`, the only user of the residuals, is differentiated without them.
    return (values, residuals), (changes, jax.tree.map(jnp.zeros_like, residuals))


def _fused(limits: Limits, how: How, *held: Any) -> Values:
    params, state, inputs = held
    return fused_lstm(params, state, inputs, limits, how.reverse)


def _changes(held: Held, limits: Limits, how: How, changes: Held) -> Values:
    return jax.jvp(functools.partial(_fused, limits, how), held, changes)[1]


def _forward(held: Held, limits: Limits, how: How, *, save: bool) -> tuple[Values, Any]:
    return by_lowering(
        _kernel_forward,
        _portable_forward,
        held,
        limits,
        how=how,
        save=save,
        to_export=how.to_export,
    )


def _kernel_forward(held: Held, limits: Limits, *, how: How, save: bool) -> tuple[Values, Any]:
    params, state, inputs = held
    outputs, h, c, residuals = native.lstm_forward(
        *_float32(params), inputs, *state, _flags(limits), reverse=how.reverse, save=save
    )
    # In the padding the kernel repeats the state, where our outputs are zero.
    return (LSTMState(h, c), without_padding(outputs, limits)), residuals


def _portable_forward(held: Held, limits: Limits, *, how: How, save: bool) -> tuple[Values, Any]:
    """The residuals are zeros: `_portable_backward` needs none."""
    shapes = jax.eval_shape(functools.partial(_kernel_forward, how=how, save=save), held, limits)
    nothing = jax.tree.map(lambda leaf: jnp.zeros_like(held[2], shape=leaf.shape), shapes[1])
    return _fused(limits, how, *held), nothing


def _kernel_backward(
    held: Held,
    limits: Limits,
    residuals: Any,
    cotangents: Values,
    *,
    how: How,
    moving: tuple[int, ...],
) -> tuple[Array, ...]:
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
        reverse=how.reverse,
        need_dx=len(jax.tree.leaves(held)) - 1 in moving,
    )
    gradients = [*d_params, d_h, d_c, d_inputs]
    leaves = jax.tree.leaves(held)
    return tuple(jnp.asarray(gradients[n]).astype(leaves[n].dtype) for n in moving)


def _portable_backward(
    held: Held,
    limits: Limits,
    residuals: Any,
    cotangents: Values,
    *,
    how: How,
    moving: tuple[int, ...],
) -> tuple[Array, ...]:
    _, pull_back = jax.vjp(functools.partial(_fused, limits, how), *held)
    gradients = jax.tree.leaves(pull_back(cotangents))
    return tuple(gradients[n] for n in moving)


def _float32(params: LSTMParams) -> LSTMParams:
    return LSTMParams(*(leaf.astype(jnp.float32) for leaf in params))


def _flags(limits: Limits) -> Array | None:
    """The kernel's flags for each step and row, uint8 [T, B]; None if all are zero."""
    resets, ended = limits.resets, None
    if limits.lengths is not None:
        ended = limits.steps[:, None] >= limits.lengths[None]
    flags = [
        jnp.where(where, jnp.uint8(bit), jnp.uint8(0))
        for where, bit in ((resets, RESET), (ended, PADDING))
        if where is not None
    ]
    return functools.reduce(jnp.bitwise_or, flags) if flags else None


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, SymbolicZero)
