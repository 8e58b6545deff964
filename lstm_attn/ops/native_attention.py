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


def native_attention(
    query: Array, key: Array, value: Array, limits: Limits, *, scale: float, band: Band
) -> Array:
    """`ops.dot_product_attention` for float32 arrays without empty axes; limits without a mask.

    Reverse mode runs the kernel's backward pass. Forward mode, and derivatives of the gradient, are
    those of `chunked_attention`.
    """
    batch, queries, _, _ = query.shape
    lengths = None
    if limits.query_lengths is not None or limits.key_lengths is not None:
        both = (limits.query_lengths, queries), (limits.key_lengths, key.shape[1])
        full = [jnp.full(batch, size, jnp.int32) if of is None else of for of, size in both]
        lengths = jnp.stack(full, axis=1)
    return _attention(Held(query, key, value), lengths, Spec(scale, band.left, band.right))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _attention(held: Held, lengths: Array | None, spec: Spec) -> Array:
    return _forward(held, lengths, spec, save=False)[0]


@functools.partial(_attention.defjvp, symbolic_zeros=True)
def _attention_jvp(spec: Spec, primals: Any, tangents: Any) -> tuple[Array, Array]:
    held, lengths = primals
    outputs, residuals = _forward_and_keep(held, lengths, spec)
    moving = {
        name: tangent
        for name, tangent in zip(Held._fields, tangents[0], strict=True)
        if not isinstance(tangent, SymbolicZero)
    }

    def push_forward(moving: dict[str, Array]) -> Array:
        zeros = Held(*map(jnp.zeros_like, held))
        return _change(held, lengths, spec, zeros._replace(**moving))

    def pull_back(of_outputs: Array) -> dict[str, Array]:
        gradients = _pull_back(spec, held, lengths, residuals, of_outputs)
        return {name: getattr(gradients, name) for name in moving}

    return outputs, with_transpose(push_forward, pull_back, moving, outputs)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _pull_back(
    spec: Spec, held: Held, lengths: Array | None, residuals: Any, of_outputs: Array
) -> Held:
    """The gradients of the arrays from that of the outputs."""
    arrays = held, lengths, residuals, of_outputs
    return by_lowering(_kernel_backward, _portable_backward, *arrays, spec=spec)


@_pull_back.defjvp
def _pull_back_jvp(spec: Spec, primals: Any, tangents: Any) -> tuple[Held, Held]:
    held, lengths, _, of_outputs = primals

    def by_tiles(held: Held, of_outputs: Array) -> Held:
        return _portable_backward(held, lengths, None, of_outputs, spec=spec)

    moved = jax.jvp(by_tiles, (held, of_outputs), (tangents[0], tangents[3]))[1]
    return _pull_back(spec, *primals), moved


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _forward_and_keep(held: Held, lengths: Array | None, spec: Spec) -> tuple[Array, Any]:
    return _forward(held, lengths, spec, save=True)


@_forward_and_keep.defjvp
def _forward_and_keep_jvp(spec: Spec, primals: Any, tangents: Any) -> tuple[Any, Any]:
    held, lengths = primals
    values = _forward_and_keep(held, lengths, spec)
    change = _change(held, lengths, spec, tangents[0])
    # `_pull_back`, the only user of the residuals, is differentiated without them.
    return values, (change, jax.tree.map(jnp.zeros_like, values[1]))


def _forward(held: Held, lengths: Array | None, spec: Spec, *, save: bool) -> tuple[Array, Any]:
    return by_lowering(_kernel_forward, _portable_forward, held, lengths, spec=spec, save=save)


def _kernel_forward(
    held: Held, lengths: Array | None, *, spec: Spec, save: bool
) -> tuple[Array, Any]:
    return native.attention_forward(*held, lengths, spec, save=save)


def _kernel_backward(
    held: Held, lengths: Array | None, residuals: Any, of_outputs: Array, *, spec: Spec
) -> Held:
    return Held(*native.attention_backward(*held, lengths, spec, residuals, of_outputs))


def _portable_forward(
    held: Held, lengths: Array | None, *, spec: Spec, save: bool
) -> tuple[Array, Any]:
    """The statistics are zeros: `_portable_backward` needs none."""
    outputs = _by_tiles(held, lengths, spec)
    batch, queries, heads, _ = held.query.shape
    zeros = jnp.zeros_like(held.query, shape=(batch, heads, 2, queries))
    return outputs, native.AttentionResiduals(outputs, zeros) if save else None


def _portable_backward(
    held: Held, lengths: Array | None, residuals: Any, of_outputs: Array, *, spec: Spec
) -> Held:
    _, pull_back = jax.vjp(lambda held: _by_tiles(held, lengths, spec), held)
    return pull_back(of_outputs)[0]


def _by_tiles(held: Held, lengths: Array | None, spec: Spec) -> Array:
    both = (None, None) if lengths is None else (lengths[:, 0], lengths[:, 1])
    band = Band(spec.left, spec.right)
    return chunked_attention(*held, None, Limits(None, *both), scale=spec.scale, band=band)


def _change(held: Held, lengths: Array | None, spec: Spec, change: Held) -> Array:
    return jax.jvp(lambda held: _by_tiles(held, lengths, spec), (held,), (change,))[1]
