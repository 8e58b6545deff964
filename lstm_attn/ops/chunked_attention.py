"""Scaled dot-product attention tile by tile: memory O(T), not O(T S)."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.ops.attention_tiles import (
    Attended,
    Band,
    Limits,
    Operands,
    Problem,
    add_at,
    chunk_size,
    live_tiles,
    slices,
    tile_logits,
    tile_of,
    tile_weights,
)
from lstm_attn.ops.checks import accumulator
from lstm_attn.ops.custom_transpose import with_transpose

Held = tuple[Operands, Limits, Attended]


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

    The derivatives recompute the weights of each tile.

    Args:
      query: [B, T, N, K]; no axis is empty.
      key: [B, S, M, K], value: [B, S, M, K]; both in the query's dtype.
      bias: broadcastable to [B, N, T, S], or None.
      limits: the mask broadcastable to [B, N, T, S], and lengths.
      scale: of the logits.
      band: the positions that a query attends to; a tile outside of it costs nothing.
      chunk: the largest number of queries, and of keys, in a tile; None for a size by B and N.

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
    """The operands, all varying along the same mesh axes inside `jax.shard_map`.

    The carry of a scan must vary along the same axes before and after a step. Adding a zero that
    varies along all of them does that; outside `jax.shard_map` nothing is added.
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

    # The running maximum starts finite, so that -inf minus it is -inf, never NaN.
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
    # A bias without a tangent: its gradient, perhaps [T, S], must not be computed.
    moving = {
        name: tangent
        for name, tangent in zip(Operands._fields, tangents[0], strict=True)
        if tangent is not None and not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    }
    names = tuple(moving)
    outputs, log_total = with_transpose(
        lambda held, tangents: push_forward(problem, held, tangents),
        lambda held, cotangents: pull_back(problem, held, names, cotangents),
        (operands, limits, attended),
        moving,
    )
    # The weights depend only on largest + log_total, so the tangent of the first may be zero.
    return attended, Attended(outputs, jnp.zeros_like(attended.largest), log_total)


# Otherwise JAX would first compute and store the weights of all tiles, [T, S], when it transposes
# or differentiates the scan over tiles.
_recomputed = functools.partial(jax.checkpoint, prevent_cse=False)


def push_forward(
    problem: Problem,
    held: Held,
    tangents: dict[str, Array],
) -> tuple[Array, Array]:
    """The tangents of the outputs, in their dtype, and of the log of the total, z.

    Args:
      problem: scale, band and tiles.
      held: the operands, where the derivative is taken; what a query may attend to; and the result
        for these operands.
      tangents: by the names of `Operands`; a missing name has a zero tangent.
    """
    operands, limits, attended = held
    query, key, value, _ = operands
    compute, accumulate = query.dtype, accumulator(query.dtype)
    einsum = functools.partial(jnp.einsum, preferred_element_type=accumulate)

    @_recomputed
    def body(carry: tuple[Array, Array], corner: Any) -> tuple[Any, None]:
        rows, columns = slices(problem.tiles, corner)
        weights = tile_weights(problem, operands, limits, attended, corner)
        of_logits = jnp.zeros_like(weights)
        if "query" in tangents:
            moved = einsum("BNTK,BNSK->BNTS", rows(tangents["query"]), columns(key))
            of_logits = of_logits + problem.scale * moved
        if "key" in tangents:
            moved = einsum("BNTK,BNSK->BNTS", rows(query), columns(tangents["key"]))
            of_logits = of_logits + problem.scale * moved
        if "bias" in tangents:
            moved = tile_of(problem.tiles, tangents["bias"], corner)
            of_logits = of_logits + moved.astype(accumulate)
        of_weights = weights * of_logits
        change = einsum("BNTS,BNSK->BNTK", of_weights.astype(compute), columns(value))
        if "value" in tangents:
            change = change + einsum(
                "BNTS,BNSK->BNTK", weights.astype(compute), columns(tangents["value"])
            )
        weighted, log_total = carry
        weighted = add_at(weighted, change, corner[0], 2)
        return (weighted, add_at(log_total, of_weights.sum(axis=-1), corner[0], 2)), None

    start = jnp.zeros_like(query, dtype=accumulate), jnp.zeros_like(attended.log_total)
    (weighted, log_total), _ = lax.scan(body, start, problem.tiles.stacked())
    outputs = weighted - log_total[..., None] * attended.outputs.astype(accumulate)
    return outputs.astype(compute), log_total


def pull_back(
    problem: Problem,
    held: Held,
    names: tuple[str, ...],
    cotangents: tuple[Array, Array],
) -> dict[str, Array]:
    """The transpose of `push_forward`: cotangents of the operands of those names, in their dtypes.

    Args:
      problem: scale, band and tiles.
      held: the operands, where the derivative is taken; what a query may attend to; and the result
        for these operands.
      names: of `Operands`, those whose cotangents are needed; that of a bias may be [T, S].
      cotangents: of the outputs and of the log of the total.
    """
    operands, limits, attended = held
    query, key, value, _ = operands
    compute, accumulate = query.dtype, accumulator(query.dtype)
    einsum = functools.partial(jnp.einsum, preferred_element_type=accumulate)
    of_outputs, of_log_total = cotangents
    products = of_outputs.astype(accumulate) * attended.outputs.astype(accumulate)
    shift = of_log_total - products.sum(axis=-1)

    @_recomputed
    def body(sums: dict[str, Array], corner: Any) -> tuple[Any, None]:
        rows, columns = slices(problem.tiles, corner)
        row, column = corner[:2]
        sums = dict(sums)
        weights = tile_weights(problem, operands, limits, attended, corner)
        of_weights = einsum("BNTK,BNSK->BNTS", rows(of_outputs), columns(value))
        of_logits = weights * (of_weights + rows(shift)[..., None])
        rounded = of_logits.astype(compute)
        if "query" in names:
            change = einsum("BNTS,BNSK->BNTK", rounded, columns(key))
            sums["query"] = add_at(sums["query"], change, row, 2)
        if "key" in names:
            change = einsum("BNTS,BNTK->BNSK", rounded, rows(query))
            sums["key"] = add_at(sums["key"], change, column, 2)
        if "value" in names:
            change = einsum("BNTS,BNTK->BNSK", weights.astype(compute), rows(of_outputs))
            sums["value"] = add_at(sums["value"], change, column, 2)
        if "bias" in names:
            sums["bias"] = _add_to_bias(sums["bias"], of_logits, corner)
        return sums, None

    sums = {name: jnp.zeros_like(getattr(operands, name), dtype=accumulate) for name in names}
    sums, _ = lax.scan(body, sums, problem.tiles.stacked())
    for name in {"query", "key"} & set(names):
        sums[name] = problem.scale * sums[name]
    return {name: total.astype(getattr(operands, name).dtype) for name, total in sums.items()}


def _add_to_bias(total: Array, of_logits: Array, corner: tuple[Array, ...]) -> Array:
    """The total with a tile [B, N, rows, columns] added, summed along axes of size one."""
    narrow = tuple(axis for axis, size in enumerate(total.shape) if size == 1)
    change = of_logits.sum(axis=narrow, keepdims=True)
    if total.shape[2] == 1:
        return add_at(total, change, corner[1], 3)
    rows = change.shape[2]
    before = lax.dynamic_slice_in_dim(total, corner[0], rows, 2)
    after = add_at(before, change, corner[1], 3)
    return lax.dynamic_update_slice_in_dim(total, after, corner[0], 2)
