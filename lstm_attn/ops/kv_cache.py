"""A cache of the keys and values of earlier steps, for attention step by step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import check_axes
from lstm_attn.ops.placement import rows_alike


class KeyValueCache(NamedTuple):
    """key and value [B, S, N, K], with room for S steps; length int32 [], the steps held."""

    key: Array
    value: Array
    length: Array


def empty_cache(
    batch_size: int, steps: int, num_heads: int, features: int, dtype: jnp.dtype
) -> KeyValueCache:
    """An empty cache with room for `steps`; features is K, those of one head."""
    zeros = jnp.zeros((batch_size, steps, num_heads, features), dtype)
    return KeyValueCache(zeros, zeros, jnp.int32(0))


def append(cache: KeyValueCache, key: Array, value: Array) -> KeyValueCache:
    """The cache with the keys and values [B, T, N, K] of the next T steps.

    Raises:
      ValueError: sizes that do not fit, or more steps than the cache has room for, on one line.
        Under `jax.jit` the length is not known; there `within` tells afterwards.
    """
    check_axes(
        "append", cache=(cache.key, "B S N K"), key=(key, "B T N K"), value=(value, "B T N K")
    )
    room, steps = cache.key.shape[1], key.shape[1]
    check_room(cache, steps)
    if steps > room:
        raise UsageError(f"append: cache expected at most {room} steps, got {steps}")

    def written(held: Array, new: Array) -> Array:
        held, new = rows_alike(held, new), new.astype(held.dtype)
        return lax.dynamic_update_slice_in_dim(held, new, cache.length, axis=1)

    return KeyValueCache(written(cache.key, key), written(cache.value, value), cache.length + steps)


def within(cache: KeyValueCache) -> Array:
    """Whether the cache had room for all appended steps, boolean []."""
    return cache.length <= cache.key.shape[1]


def check_room(cache: KeyValueCache, steps: int) -> None:
    """Raises UsageError if the length is known and the cache has no room for the next steps."""
    if isinstance(cache.length, jax.core.Tracer):
        return
    held, room = int(cache.length), cache.key.shape[1]
    if held + steps > room:
        raise UsageError(
            f"key-value cache: expected at most {room} steps, got {held} + {steps}; "
            "make a state with room for more"
        )
