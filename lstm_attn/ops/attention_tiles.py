"""The tiles of chunked attention: their sizes, which of them are visited, their logits."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn.ops.checks import accumulator

# Target size of the tiles of all heads and batch entries together: 4 MiB of float32, the
# second-level caches of two cores. Between the bounds on a side, larger tiles were faster on a CPU.
ELEMENTS = 2**20
SMALLEST, LARGEST = 128, 512


class Band(NamedTuple):
    """Query t attends to keys t - left <= s <= t + right; None is no bound."""

    left: int | None
    right: int | None


class Tiles(NamedTuple):
    """Tiles of `rows` queries by `columns` keys, in the order in which they are visited.

    corners: (row, column, new row, new column) of each tile: where it starts, and where the part
      starts that no earlier tile covers. The two differ for the last tile of a length that the
      size does not divide: it starts earlier, so that it is whole.
    overlap: whether they differ anywhere.
    """

    rows: int
    columns: int
    corners: tuple[tuple[int, int, int, int], ...]
    overlap: bool

    def stacked(self) -> tuple[np.ndarray, ...]:
        """The corners as four arrays int32 [number of tiles], for `lax.scan`."""
        return tuple(np.asarray(self.corners, np.int32).reshape(-1, 4).T)


def chunk_size(matrices: int) -> int:
    """The side of a tile for this many [T, S] matrices (B times N): a power of two."""
    side = math.isqrt(ELEMENTS // max(matrices, 1))
    return min(LARGEST, max(SMALLEST, 2 ** (max(side, 1).bit_length() - 1)))


def live_tiles(queries: int, keys: int, chunk: int, band: Band) -> Tiles:
    """The tiles in which the band lets some query attend to some key.

    Args:
      queries: T, at least 1.
      keys: S, at least 1.
      chunk: the largest number of queries, and of keys, in a tile.
      band: the positions that a query attends to.
    """
    rows, row_starts = _chunks(queries, chunk)
    columns, column_starts = _chunks(keys, chunk)
    corners = []
    for row in row_starts:
        for column in column_starts:
            # Key minus query takes every whole number from the smallest to the largest.
            smallest = column - (min(row + rows, queries) - 1)
            largest = min(column + columns, keys) - 1 - row
            reaches_left = band.left is None or largest >= -band.left
            reaches_right = band.right is None or smallest <= band.right
            if reaches_left and reaches_right:
                corners.append((min(row, queries - rows), min(column, keys - columns), row, column))
    return Tiles(rows, columns, tuple(corners), bool(queries % rows or keys % columns))


def _chunks(length: int, largest: int) -> tuple[int, range]:
    """The size and the starts of chunks: as few chunks as possible, of nearly equal size, rounded
    up to a multiple of 16 (a vector register)."""
    count = math.ceil(length / largest)
    size = min(length, largest, 16 * math.ceil(length / count / 16))
    return size, range(0, length, size)


def visible(
    tiles: Tiles,
    corner: tuple[Array, ...],
    band: Band,
    query_lengths: Array | None,
    key_lengths: Array | None,
) -> list[Array]:
    """Conditions on the positions in a tile, each broadcastable to [B, N, rows, columns]: a query
    attends to a key where all hold.

    Args:
      corner: of the tile, one entry of `Tiles.corners`.
      band: the positions that a query attends to.
      query_lengths: int32 [B], or None.
      key_lengths: int32 [B], or None.
    """
    row, column, new_row, new_column = corner
    query = row + jnp.arange(tiles.rows, dtype=jnp.int32)[None, None, :, None]
    key = column + jnp.arange(tiles.columns, dtype=jnp.int32)[None, None, None, :]
    conditions = []
    if band.left is not None:
        conditions.append(key >= query - band.left)
    if band.right is not None:
        conditions.append(key <= query + band.right)
    if tiles.overlap:
        conditions += [query >= new_row, key >= new_column]
    if query_lengths is not None:
        conditions.append(query < query_lengths[:, None, None, None])
    if key_lengths is not None:
        conditions.append(key < key_lengths[:, None, None, None])
    return conditions


def take(array: Array, start: Array, size: int, axis: int) -> Array:
    """A slice along an axis, or the whole array if that axis has size one (broadcast)."""
    if array.shape[axis] == 1:
        return array
    return lax.dynamic_slice_in_dim(array, start, size, axis)


def add_at(array: Array, change: Array, start: Array, axis: int) -> Array:
    """The array with a change added from `start` on, or to all of it if the axis has size one."""
    if array.shape[axis] == 1:
        return array + change
    before = lax.dynamic_slice_in_dim(array, start, change.shape[axis], axis)
    return lax.dynamic_update_slice_in_dim(array, before + change, start, axis)


class Problem(NamedTuple):
    """The static arguments of an attention."""

    scale: float
    band: Band
    tiles: Tiles


class Operands(NamedTuple):
    """The differentiable arrays of an attention, heads before time.

    query: [B, N, T, K].
    key, value: [B, N, S, K], in the query's dtype.
    bias: four axes broadcastable to [B, N, T, S], or None.
    """

    query: Array
    key: Array
    value: Array
    bias: Array | None


class Limits(NamedTuple):
    """What a query may attend to; None for no limit.

    mask: boolean, four axes broadcastable to [B, N, T, S].
    query_lengths, key_lengths: int32 [B].
    """

    mask: Array | None
    query_lengths: Array | None
    key_lengths: Array | None


class Attended(NamedTuple):
    """The result of an attention, with the statistics that its derivatives need.

    outputs: [B, N, T, K] in the query's dtype.
    largest: the largest logit of each query, [B, N, T] in the accumulator's dtype; zero for a query
      with nothing to attend to.
    log_total: log sum_s exp(logit_ts - largest_t), likewise. Added to `largest` it could be lost in
      rounding.
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
    """The part of an array [., ., T, S] in a tile; axes of size one stay."""
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
    """The softmax's weights p_ts, [B, N, rows, columns], recomputed."""
    rows, _ = slices(problem.tiles, corner)
    logits = tile_logits(problem, operands, limits, corner)
    largest, log_total = (rows(array)[..., None] for array in attended[1:])
    return jnp.exp(logits - largest - log_total)
