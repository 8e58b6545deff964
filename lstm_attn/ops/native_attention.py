"""Scaled dot-product attention by the C++ kernel of `lstm_attn.native`, for float32 on a CPU."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from lstm_attn import native
from lstm_attn.native.attention import Spec
from lstm_attn.ops import native_kernels
from lstm_attn.ops.attention_tiles import Band, Limits
from lstm_attn.ops.chunked_attention import chunked_attention
from lstm_attn.ops.custom_transpose import with_transpose
from lstm_attn.ops.lowering import by_lowering

NOT_EXPORTED = (
    "dot_product_attention: implementation='native' is a kernel of this machine, which jax.export "
    "can't put into a file; expected 'auto', 'chunked' or 'dense'"
)


class Held(NamedTuple):
    """The differentiable arrays: [B, T, N, K], and [B, S, M, K] twice."""

    query: Array
    key: Array
    value: Array


def obstacle(query: Array, bias: Array | None, mask: Array | None) -> str | None:
    """Why the kernel can't run on these arguments, or None."""
    given = [name for name, array in (("bias", bias), ("mask", mask)) if array is not None]
    if given:
        return f"expected no {' and no '.join(given)}"
    return native_kernels.obstacle(query)


class How(NamedTuple):
    """spec: the kernel's numbers. named: the user asked for this implementation."""

    spec: Spec
    named: bool

    @property
    def to_export(self) -> str | None:
        return NOT_EXPORTED if self.named else None


def native_attention(
    query: Array, key: Array, value: Array, limits: Limits, *, scale: float, band: Band, named: bool
) -> Array:
    """`ops.dot_product_attention` for float32 arrays without empty axes; limits without a mask.

    Reverse mode runs the kernel's backward pass. Forward mode, and derivatives of the gradient, are
    those of `chunked_attention`; so is all else in a program that is split over devices by the
    compiler, lowered for another platform or exported (see `ops.lowering`).

    Args:
      named: whether the user asked for this implementation.
    """
    batch, queries, _, _ = query.shape
    lengths = None
    if limits.query_lengths is not None or limits.key_lengths is not None:
        both = (limits.query_lengths, queries), (limits.key_lengths, key.shape[1])
        full = [jnp.full(batch, size, jnp.int32) if of is None else of for of, size in both]
        lengths = jnp.stack(full, axis=1)
    how = How(Spec(scale, band.left, band.right), named)
    return _attention(Held(query, key, value), lengths, how)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _attention(held: Held, lengths: Array | None, how: How) -> Array:
    return _forward(held, lengths, how, save=False)[0]


@functools.partial(_attention.defjvp, symbolic_zeros=True)
def _attention_jvp(how: How, primals: Any, tangents: Any) -> tuple[Array, Array]:
    held, lengths = primals
    outputs, residuals = _forward_and_keep(held, lengths, how)
    moving = {
        name: tangent
        for name, tangent in zip(Held._fields, tangents[0], strict=True)
        if not isinstance(tangent, SymbolicZero)
    }
    names = tuple(moving)

    def push_forward(kept: Any, moving: dict[str, Array]) -> Array:
        held, lengths, _ = kept
        zeros = Held(*map(jnp.zeros_like, held))
        return _change(held, lengths, how, zeros._replace(**moving))

    def pull_back(kept: Any, of_outputs: Array) -> dict[str, Array]:
        gradients = _pull_back(how, *kept, of_outputs)
        return {name: getattr(gradients, name) for name in names}

    kept = (held, lengths, residuals)
    return outputs, with_transpose(push_forward, pull_back, kept, moving)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _pull_back(
    how: How, held: Held, lengths: Array | None, residuals: Any, of_outputs: Array
) -> Held:
    """The gradients of the arrays from that of the outputs."""
    arrays = held, lengths, residuals, of_outputs
    return by_lowering(
        _kernel_backward, _portable_backward, *arrays, how=how, to_export=how.to_export
    )


@_pull_back.defjvp
def _pull_back_jvp(how: How, primals: Any, tangents: Any) -> tuple[Held, Held]:
    held, lengths, _, of_outputs = primals

    def by_tiles(held: Held, of_outputs: Array) -> Held:
        return _portable_backward(held, lengths, None, of_outputs, how=how)

    moved = jax.jvp(by_tiles, (held, of_outputs), (tangents[0], tangents[3]))[1]
    return _pull_back(how, *primals), moved


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _forward_and_keep(held: Held, lengths: Array | None, how: How) -> tuple[Array, Any]:
    return _forward(held, lengths, how, save=True)


@_forward_and_keep.defjvp
def _forward_and_keep_jvp(how: How, primals: Any, tangents: Any) -> tuple[Any, Any]:
    held, lengths = primals
    values = _forward_and_keep(held, lengths, how)
    change = _change(held, lengths, how, tangents[0])
    # `_pull_back`, the only user of the residuals, is differentiated without them.
    return values, (change, jax.tree.map(jnp.zeros_like, values[1]))


def _forward(held: Held, lengths: Array | None, how: How, *, save: bool) -> tuple[Array, Any]:
    return by_lowering(
        _kernel_forward,
        _portable_forward,
        held,
        lengths,
        how=how,
        save=save,
        to_export=how.to_export,
    )


def _kernel_forward(
    held: Held, lengths: Array | None, *, how: How, save: bool
) -> tuple[Array, Any]:
    return native.attention_forward(*held, lengths, how.spec, save=save)


def _kernel_backward(
    held: Held, lengths: Array | None, residuals: Any, of_outputs: Array, *, how: How
) -> Held:
    return Held(*native.attention_backward(*held, lengths, how.spec, residuals, of_outputs))


def _portable_forward(
    held: Held, lengths: Array | None, *, how: How, save: bool
) -> tuple[Array, Any]:
    """The statistics are zeros: `_portable_backward` needs none."""
    outputs = _by_tiles(held, lengths, how)
    batch, queries, heads, _ = held.query.shape
    zeros = jnp.zeros_like(held.query, shape=(batch, heads, 2, queries))
    return outputs, native.AttentionResiduals(outputs, zeros) if save else None


def _portable_backward(
    held: Held, lengths: Array | None, residuals: Any, of_outputs: Array, *, how: How
) -> Held:
    _, pull_back = jax.vjp(lambda held: _by_tiles(held, lengths, how), held)
    return pull_back(of_outputs)[0]


def _by_tiles(held: Held, lengths: Array | None, how: How) -> Array:
    both = (None, None) if lengths is None else (lengths[:, 0], lengths[:, 1])
    band = Band(how.spec.left, how.spec.right)
    return chunked_attention(*held, None, Limits(None, *both), scale=how.spec.scale, band=band)


def _change(held: Held, lengths: Array | None, how: How, change: Held) -> Array:
    return jax.jvp(lambda held: _by_tiles(held, lengths, how), (held,), (change,))[1]
