"""Scaled dot-product attention tile by tile: memory O(T), not O(T S)."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.ops.attention_tiles import Band, chunk_size, live_tiles
from lstm_attn.ops.attention_weights import (
    Attended,
    Limits,
    Operands,
    Problem,
    slices,
    tile_logits,
)
from lstm_attn.ops.chunked_gradients import pull_back, push_forward
from lstm_attn.ops.linear import with_transpose
from lstm_attn.ops.precision import accumulator


def chunked_attention(
    query: Array,
    key: Array,
    value: Array,
    bias: Array | None,
    limits: Limits,
    *,
    scale: float,
    band: Band,
    chunk: int | None = None,
) -> Array:
    """`ops.dot_product_attention` without an array of T by S.

        m'_t = max(m_t, max_s l_ts)                            over the keys s of one tile
        z'_t = z_t exp(m_t - m'_t) + sum_s exp(l_ts - m'_t)    l the logits
        a'_t = a_t exp(m_t - m'_t) + sum_s exp(l_ts - m'_t) v_s
        out_t = a_t / z_t                                      after the last tile

    The derivatives compute the weights of each tile again (see `ops.chunked_gradients`).

    Args:
      query: [B, T, N, K]; no axis is empty.
      key: [B, S, M, K], value: [B, S, M, K]; both in the query's dtype.
      bias: broadcastable to [B, N, T, S], or None.
      limits: the mask broadcastable to [B, N, T, S], and lengths.
      scale: of the logits.
      band: the positions that a query attends to; a tile outside of it costs nothing.
      chunk: the largest number of queries, and of keys, in a tile; None for one by B and N.

    Returns:
      [B, T, N, K] in the query's dtype. Memory beyond inputs, outputs and their gradients is
      O(T + S) and some tiles for each head and batch entry, in forward mode, in reverse mode, and
      for gradients of gradients.

    Source: Rabe & Staats 2021, section 2; Dao et al. 2022, algorithm 1.
    """
    batch, queries, heads, _ = query.shape
    keys, groups = key.shape[1:3]
    # Copies of shared keys cost O(S) memory, and keep every product a batch of plain matmuls.
    key, value = (jnp.repeat(array, heads // groups, axis=2) for array in (key, value))
    if limits.mask is not None:
        limits = limits._replace(mask=_four_axes(limits.mask))
    operands = Operands(
        query.swapaxes(1, 2),
        key.swapaxes(1, 2),
        value.swapaxes(1, 2),
        None if bias is None else _four_axes(bias),
    )
    operands = _alike(operands, limits)
    tiles = live_tiles(queries, keys, chunk or chunk_size(batch * heads), band)
    return _attention(Problem(scale, band, tiles), operands, limits).outputs.swapaxes(1, 2)


def _four_axes(array: Array) -> Array:
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def _alike(operands: Operands, limits: Limits) -> Operands:
    """The operands, inside `jax.shard_map` each of them varying along the mesh axes of any array.

    A scan's carry must vary along the same axes before and after. A sum with a zero that varies
    along all of them makes it so; outside `jax.shard_map` every type is that of the sum already.
    """

    def zero(leaf: Array) -> Array:
        return jnp.zeros_like(leaf, shape=(), dtype=jnp.float32)

    total = functools.reduce(jnp.add, map(zero, jax.tree.leaves((operands, limits))))

    def tie(leaf: Array) -> Array:
        tied = jax.typeof(zero(leaf)) == jax.typeof(total)
        return leaf if tied else leaf + total.astype(leaf.dtype)

    return jax.tree.map(tie, operands)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _attention(problem: Problem, operands: Operands, limits: Limits) -> Attended:
    query, _, value, _ = operands
    compute, accumulate = query.dtype, accumulator(query.dtype)

    def body(carry: tuple[Array, ...], corner: Any) -> tuple[Any, None]:
        rows, columns = slices(problem.tiles, corner)
        weighted, total, before = map(rows, carry)
        logits = tile_logits(problem, operands, limits, corner)
        after = jnp.maximum(before, logits.max(axis=-1))
        weights = jnp.exp(logits - after[..., None])
        kept = jnp.exp(before - after)
        products = jnp.einsum(
            "BNTS,BNSK->BNTK",
            weights.astype(compute),
            columns(value),
            preferred_element_type=accumulate,
        )
        weighted = weighted * kept[..., None] + products
        total = total * kept + weights.sum(axis=-1)
        return tuple(
            lax.dynamic_update_slice_in_dim(array, new, corner[0], 2)
            for array, new in zip(carry, (weighted, total, after), strict=True)
        ), None

    # The largest logit starts finite, so that -inf minus it is -inf, never NaN.
    lowest = jnp.finfo(accumulate).min
    start: tuple[Array, ...] = (
        jnp.zeros_like(query, dtype=accumulate),
        jnp.zeros_like(query[..., 0], dtype=accumulate),
        jnp.full_like(query[..., 0], lowest, dtype=accumulate),
    )
    (weighted, total, largest), _ = lax.scan(body, start, problem.tiles.stacked())
    some = total > 0
    total = jnp.where(some, total, 1)
    outputs = (weighted / total[..., None]).astype(compute)
    return Attended(outputs, jnp.where(some, largest, 0), jnp.log(total))


@functools.partial(_attention.defjvp, symbolic_zeros=True)
def _attention_jvp(
    problem: Problem, primals: tuple[Operands, Limits], tangents: tuple[Any, Any]
) -> tuple[Attended, Attended]:
    operands, limits = primals
    attended = _attention(problem, operands, limits)
    # A bias that stands still must not have its gradient, [T, S] perhaps, computed.
    moving = {
        name: tangent
        for name, tangent in zip(Operands._fields, tangents[0], strict=True)
        if tangent is not None and not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    }
    outputs, log_total = with_transpose(
        functools.partial(push_forward, problem, operands, limits, attended),
        functools.partial(pull_back, problem, operands, limits, attended, tuple(moving)),
        moving,
        (attended.outputs, attended.log_total),
    )
    # The weights depend on largest + log_total alone, so that the first may stand still.
    return attended, Attended(outputs, jnp.zeros_like(attended.largest), log_total)
