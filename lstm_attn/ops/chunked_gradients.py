"""The derivative of chunked attention and its transpose, tile by tile.

With the weights p_ts = softmax_s(l_ts), forward mode pushes tangents (dots) to the outputs, reverse
mode pulls cotangents (bars) back to the operands:

    l'_ts = scale (q'_t . k_s + q_t . k'_s) + bias'_ts
    z'_t = sum_s p_ts l'_ts                              z_t = log sum_s exp l_ts
    out'_t = sum_s (p_ts l'_ts v_s + p_ts v'_s) - z'_t out_t

    v-_s = sum_t p_ts out-_t
    l-_ts = p_ts (out-_t . v_s - out-_t . out_t + z-_t)  = bias-_ts
    q-_t = scale sum_s l-_ts k_s,    k-_s = scale sum_t l-_ts q_t

Source: Dao et al. 2022, algorithm 4 and appendix B.2.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.ops.attention_tiles import add_at
from lstm_attn.ops.attention_weights import (
    Attended,
    Limits,
    Operands,
    Problem,
    slices,
    tile_of,
    tile_weights,
)
from lstm_attn.ops.precision import accumulator

# JAX would otherwise compute the weights of all tiles first, [T, S] of them, when it transposes or
# differentiates the scan over them.
_forgetful = functools.partial(jax.checkpoint, prevent_cse=False)


def push_forward(
    problem: Problem,
    operands: Operands,
    limits: Limits,
    attended: Attended,
    tangents: dict[str, Array],
) -> tuple[Array, Array]:
    """The tangents of the outputs, in their dtype, and of the log of the total, z.

    Args:
      problem: scale, band and tiles.
      operands: where the derivative is taken.
      limits: what a query may attend to.
      attended: what the operands gave.
      tangents: by the names of `Operands`; a name that is missing does not move.
    """
    query, key, value, _ = operands
    compute, accumulate = query.dtype, accumulator(query.dtype)
    einsum = functools.partial(jnp.einsum, preferred_element_type=accumulate)

    @_forgetful
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
    operands: Operands,
    limits: Limits,
    attended: Attended,
    names: tuple[str, ...],
    cotangents: tuple[Array, Array],
) -> dict[str, Array]:
    """The transpose of `push_forward`: cotangents of the operands of those names, in their dtypes.

    Args:
      problem: scale, band and tiles.
      operands: where the derivative is taken.
      limits: what a query may attend to.
      attended: what the operands gave.
      names: of `Operands`, those whose cotangents are wanted; a bias's may be as large as [T, S].
      cotangents: of the outputs and of the log of the total.
    """
    query, key, value, _ = operands
    compute, accumulate = query.dtype, accumulator(query.dtype)
    einsum = functools.partial(jnp.einsum, preferred_element_type=accumulate)
    of_outputs, of_log_total = cotangents
    products = of_outputs.astype(accumulate) * attended.outputs.astype(accumulate)
    shift = of_log_total - products.sum(axis=-1)

    @_forgetful
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
    """The total with a tile [B, N, rows, columns] added, summed where the bias is one wide."""
    narrow = tuple(axis for axis, size in enumerate(total.shape) if size == 1)
    change = of_logits.sum(axis=narrow, keepdims=True)
    if total.shape[2] == 1:
        return add_at(total, change, corner[1], 3)
    rows = change.shape[2]
    before = lax.dynamic_slice_in_dim(total, corner[0], rows, 2)
    after = add_at(before, change, corner[1], 3)
    return lax.dynamic_update_slice_in_dim(total, after, corner[0], 2)
