"""The logits and weights of one tile of attention, and the arrays that they come from."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.attention_tiles import Band, Tiles, take, visible
from lstm_attn.ops.precision import accumulator


class Problem(NamedTuple):
    """What is known when attention is traced."""

    scale: float
    band: Band
    tiles: Tiles


class Operands(NamedTuple):
    """The arrays that attention can be differentiated by, heads before time.

    query: [B, N, T, K].
    key, value: [B, N, S, K], in the query's dtype.
    bias: four axes broadcastable to [B, N, T, S], or None.
    """

    query: Array
    key: Array
    value: Array
    bias: Array | None


class Limits(NamedTuple):
    """The arrays that say what a query may attend to, None for no limit.

    mask: boolean, four axes broadcastable to [B, N, T, S].
    query_lengths, key_lengths: int32 [B].
    """

    mask: Array | None
    query_lengths: Array | None
    key_lengths: Array | None


class Attended(NamedTuple):
    """What attention gives, and what its derivatives need of it.

    outputs: [B, N, T, K] in the query's dtype.
    largest: the largest logit of each query, [B, N, T] in the accumulator's dtype; zero for a query
      with nothing to attend to.
    log_total: log sum_s exp(logit_ts - largest_t), likewise. Apart from `largest`, beside which it
      may be lost in rounding.
    """

    outputs: Array
    largest: Array
    log_total: Array


Slice = Callable[[Array], Array]


def slices(tiles: Tiles, corner: tuple[Array, ...]) -> tuple[Slice, Slice]:
    """Functions that take a tile's queries and keys out of [B, N, T, ...] and [B, N, S, ...]."""
    return (
        functools.partial(take, start=corner[0], size=tiles.rows, axis=2),
        functools.partial(take, start=corner[1], size=tiles.columns, axis=2),
    )


def tile_of(tiles: Tiles, array: Array, corner: tuple[Array, ...]) -> Array:
    """The part of [., ., T, S] that lies in a tile; an axis one wide stays so."""
    rows, _ = slices(tiles, corner)
    return take(rows(array), corner[1], tiles.columns, 3)


def tile_logits(
    problem: Problem, operands: Operands, limits: Limits, corner: tuple[Array, ...]
) -> Array:
    """scale * q_t . k_s + bias_ts, [B, N, rows, columns], -inf where t may not attend to s."""
    tiles = problem.tiles
    rows, columns = slices(tiles, corner)
    accumulate = accumulator(operands.query.dtype)
    logits = problem.scale * jnp.einsum(
        "BNTK,BNSK->BNTS",
        rows(operands.query),
        columns(operands.key),
        preferred_element_type=accumulate,
    )
    if operands.bias is not None:
        logits = logits + tile_of(tiles, operands.bias, corner).astype(accumulate)
    allowed = visible(tiles, corner, problem.band, limits.query_lengths, limits.key_lengths)
    if limits.mask is not None:
        allowed.append(tile_of(tiles, limits.mask, corner))
    if not allowed:
        return logits
    return jnp.where(functools.reduce(jnp.logical_and, allowed), logits, -jnp.inf)


def tile_weights(
    problem: Problem,
    operands: Operands,
    limits: Limits,
    attended: Attended,
    corner: tuple[Array, ...],
) -> Array:
    """The softmax's weights p_ts, [B, N, rows, columns], computed again."""
    rows, _ = slices(problem.tiles, corner)
    logits = tile_logits(problem, operands, limits, corner)
    largest, log_total = (rows(array)[..., None] for array in attended[1:])
    return jnp.exp(logits - largest - log_total)
