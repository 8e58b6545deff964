"""What limits hide of an attention: queries that see no key, and keys that no query sees.

Zero times NaN is NaN: a weight of zero does not hide what it multiplies, in values or in gradients.
So an op puts zeros where nothing is seen, before its products.
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.ops.attention_tiles import Band, Limits, Tiles, tile_of, visible
from lstm_attn.ops.placement import zeros_by_row


class Seen(NamedTuple):
    """queries: boolean [B, N, T], whether each sees a key. keys: [B, N, S], whether a query sees
    each. B and N may be one, for all. None where all are seen."""

    queries: Array | None
    keys: Array | None

    def of_groups(self, groups: int) -> Array | None:
        """Keys [B, M, S], seen by one of the heads that share them; M may be one, for all."""
        if self.keys is None or self.keys.shape[1] in (1, groups):
            return self.keys
        batch, heads, keys = self.keys.shape
        return self.keys.reshape(batch, groups, heads // groups, keys).any(axis=2)


def shown(array: Array, seen: Array | None) -> Array:
    """array [B, T, N, K], with zeros where `seen` [B, N, T] is False."""
    return array if seen is None else jnp.where(seen.swapaxes(1, 2)[..., None], array, 0)


def what_is_seen(
    queries: int,
    keys: int,
    band: Band,
    limits: Limits,
    masks: list[Array] | None = None,
    tiles: Tiles | None = None,
) -> Seen:
    """What is seen by T queries of S keys.

    Args:
      queries: T.
      keys: S.
      band: the positions that a query may attend to.
      limits: lengths.
      masks: four axes each, broadcastable to [B, N, T, S]: boolean, or biases, which hide where
        they are -inf. A query attends where all let it. Without one, no array [T, S] is formed.
      tiles: of the band, to look at the masks tile by tile; None for all at once.
    """
    if masks and tiles is None:
        # XLA would fold the sums of a constant mask while it compiles, which takes it minutes.
        conditions = [lax.optimization_barrier(mask) for mask in opened(masks)]
        conditions += positions_allowed(queries, keys, band, limits)
        together = functools.reduce(jnp.logical_and, conditions)
        return Seen(together.any(axis=3), together.any(axis=2))
    if masks and tiles is not None:
        return _seen_by_tile(queries, keys, band, limits, masks, tiles)
    lengths = limits.query_lengths, limits.key_lengths
    all_meet = queries == keys or band == (None, None)
    if all_meet and all(length is None for length in lengths):
        return Seen(None, None)  # each query sees the key at its own place, or all keys
    return Seen(
        _meets(queries, keys, band.left, band.right, *lengths),
        _meets(keys, queries, band.right, band.left, *lengths[::-1]),
    )


def opened(masks: list[Array]) -> list[Array]:
    """Masks as they are; of biases, where they are not -inf. A bias of NaN hides nothing."""
    return [mask if mask.dtype == jnp.bool_ else mask != -jnp.inf for mask in masks]


def _seen_by_tile(
    queries: int, keys: int, band: Band, limits: Limits, masks: list[Array], tiles: Tiles
) -> Seen:
    lengths = [array for array in (limits.query_lengths, limits.key_lengths) if array is not None]
    batch = max([mask.shape[0] for mask in masks] + [array.shape[0] for array in lengths])
    heads = max(mask.shape[1] for mask in masks)
    # Made from the arrays, so that they lie, or vary, as the parts found do.
    rows = [zeros_by_row(array, 1, 1, dtype=jnp.bool_) for array in masks + lengths]
    false = functools.reduce(jnp.logical_or, rows)

    def body(seen: tuple[Array, ...], corner: Any) -> tuple[tuple[Array, ...], None]:
        conditions = visible(tiles, corner, band, limits.query_lengths, limits.key_lengths)
        conditions += opened([tile_of(tiles, mask, corner) for mask in masks])
        pairs = jnp.broadcast_to(
            functools.reduce(jnp.logical_and, conditions), (batch, heads, tiles.rows, tiles.columns)
        )
        found = pairs.any(axis=3), pairs.any(axis=2)
        return tuple(map(_or_at, seen, found, corner[:2])), None

    nothing = tuple(jnp.broadcast_to(false, (batch, heads, size)) for size in (queries, keys))
    return Seen(*lax.scan(body, nothing, tiles.stacked())[0])


def _or_at(seen: Array, found: Array, start: Array) -> Array:
    """seen [B, N, T] or, from `start` on, found [B, N, rows]."""
    before = lax.dynamic_slice_in_dim(seen, start, found.shape[2], 2)
    return lax.dynamic_update_slice_in_dim(seen, before | found, start, 2)


def _meets(
    here: int,
    there: int,
    left: int | None,
    right: int | None,
    own_lengths: Array | None,
    other_lengths: Array | None,
) -> Array:
    """Whether places here [B, 1, here] see one there, from `left` before to `right` after."""
    place = jnp.arange(here, dtype=jnp.int32)[None]
    first = jnp.zeros_like(place) if left is None else jnp.maximum(place - left, 0)
    last = jnp.full_like(place, there - 1)
    if right is not None:
        last = jnp.minimum(last, place + right)
    if other_lengths is not None:
        last = jnp.minimum(last, other_lengths[:, None] - 1)
    meets = first <= last
    if own_lengths is not None:
        meets &= place < own_lengths[:, None]
    return meets[:, None]


def positions_allowed(queries: int, keys: int, band: Band, limits: Limits) -> list[Array]:
    """Conditions on positions, broadcastable to [B, 1, T, S]: all hold where two may meet."""
    distance = (jnp.arange(keys)[None, :] - jnp.arange(queries)[:, None])[None, None]
    conditions = [] if band.left is None else [distance >= -band.left]
    if band.right is not None:
        conditions.append(distance <= band.right)
    for lengths, size, axis in (
        (limits.query_lengths, queries, -1),
        (limits.key_lengths, keys, -2),
    ):
        if lengths is not None:
            real = jnp.arange(size, dtype=jnp.int32)[None] < lengths[:, None]
            conditions.append(jnp.expand_dims(real[:, None, :], axis))
    return conditions
