"""Scaled dot-product attention."""

import functools

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.axes import check_axes
from lstm_attn.ops.precision import accumulator, check_floating


def dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Array | None = None,
    key_value_seq_lengths: Array | None = None,
    local_window_size: int | tuple[int, int] | None = None,
) -> Array:
    """Scaled dot-product attention, each head on its own.

        out_t = sum_s softmax_s(scale * q_t . k_s + bias_ts) v_s    over the s that t may attend to

    Names, shapes and meaning are those of `jax.nn.dot_product_attention`, for arrays of four axes.

    Args:
      query: [B, T, N, K].
      key: [B, S, M, K]; M divides N, and N / M query heads in a row share a key head (grouped
        queries, Ainslie et al. 2023; M = 1 is Shazeer 2019).
      value: [B, S, M, K].
      bias: added to the scaled logits, broadcastable to [B, N, T, S]. An additive mask is a bias of
        -inf where a query may not attend.
      mask: boolean, True where a query may attend, broadcastable to [B, N, T, S].
      scale: of the logits; 1 / sqrt(K) if None.
      is_causal: query t attends to keys s <= t only.
      query_seq_lengths: integers [B]; queries from there on attend to nothing.
      key_value_seq_lengths: integers [B]; keys from there on are attended to by none.
      local_window_size: (left, right), or one number for both; query t attends to keys
        t - left <= s <= t + right only.

    Returns:
      [B, T, N, K] in the query's dtype, in which the products are computed; logits, softmax and
      sums are float32, or float64 for a float64 query. A query that may attend to nothing gives
      zeros.

    Raises:
      ValueError: a size that does not fit, a mask that is not boolean, or a window below zero, on
        one line.

    Source: Vaswani et al. 2017, eq. 1; the window of Beltagy, Peters & Cohan 2020, section 3.1.
    """
    query, key, value = map(jnp.asarray, (query, key, value))
    bias, mask = (None if array is None else jnp.asarray(array) for array in (bias, mask))
    sizes = check_axes(
        "dot_product_attention",
        query=(query, "B T N K"),
        key=(key, "B S M K"),
        value=(value, "B S M K"),
    )
    batch, queries, heads, keys, groups = (sizes[axis] for axis in "BTNSM")
    if not groups or heads % groups:
        raise UsageError(
            f"dot_product_attention: key [B, S, M, K] expected M to divide N = {heads}, "
            f"got shape {key.shape}"
        )
    logits_shape = (batch, heads, queries, keys)
    for name, array in (("bias", bias), ("mask", mask)):
        if array is not None and not _broadcasts(array.shape, logits_shape):
            raise UsageError(
                f"dot_product_attention: {name} expected a shape broadcastable to "
                f"[B, N, T, S] = {logits_shape}, got {array.shape}"
            )
    if mask is not None and mask.dtype != jnp.bool_:
        raise UsageError(f"dot_product_attention: mask expected boolean, got {mask.dtype}")
    check_floating("dot_product_attention", query=query, key=key, value=value)
    allowed = [] if mask is None else [mask]
    if bias is not None:
        check_floating("dot_product_attention", bias=bias)
        allowed.append(bias > -jnp.inf)  # a row of -inf alone would be NaN
    allowed += _positions_allowed(queries, keys, is_causal, local_window_size)
    allowed += _lengths_allowed("query_seq_lengths", query_seq_lengths, batch, queries, -1)
    allowed += _lengths_allowed("key_value_seq_lengths", key_value_seq_lengths, batch, keys, -2)

    compute, accumulate = query.dtype, accumulator(query.dtype)
    key, value = key.astype(compute), value.astype(compute)
    grouped = query.reshape(batch, queries, groups, heads // groups, sizes["K"])
    logits = jnp.einsum("BTMGK,BSMK->BMGTS", grouped, key, preferred_element_type=accumulate)
    logits = logits.reshape(logits_shape) * (sizes["K"] ** -0.5 if scale is None else scale)
    if bias is not None:
        logits = logits + bias.astype(accumulate)
    weights = masked_softmax(
        logits, functools.reduce(jnp.logical_and, allowed) if allowed else None
    )
    weights = weights.astype(compute).reshape(batch, groups, heads // groups, queries, keys)
    out = jnp.einsum("BMGTS,BSMK->BTMGK", weights, value, preferred_element_type=accumulate)
    return out.reshape(query.shape).astype(compute)


def _positions_allowed(
    queries: int, keys: int, is_causal: bool, window: int | tuple[int, int] | None
) -> list[Array]:
    """Masks [T, S] by the distance from a query to a key, s - t."""
    distance = jnp.arange(keys)[None, :] - jnp.arange(queries)[:, None]
    masks = [distance <= 0] if is_causal else []
    if window is not None:
        sides = window if isinstance(window, tuple | list) else (window, window)
        if len(sides) != 2 or not all(isinstance(side, int) and side >= 0 for side in sides):
            raise UsageError(
                "dot_product_attention: local_window_size expected one or two whole numbers of at "
                f"least 0, got {window}"
            )
        left, right = sides
        masks += [distance >= -left, distance <= right]
    return masks


def _lengths_allowed(
    name: str, lengths: Array | None, batch: int, size: int, axis: int
) -> list[Array]:
    """A mask [B, 1, T, 1] or [B, 1, 1, S]; `axis` is that of the other."""
    if lengths is None:
        return []
    lengths = jnp.asarray(lengths)
    if lengths.shape != (batch,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise UsageError(
            f"dot_product_attention: {name} [B] expected {batch} integers, "
            f"got {lengths.dtype} {lengths.shape}"
        )
    real = jnp.arange(size, dtype=jnp.int32) < lengths.astype(jnp.int32)[:, None]
    return [jnp.expand_dims(real[:, None, :], axis)]


def masked_softmax(logits: Array, mask: Array | None) -> Array:
    """softmax over the last axis where the mask is True, zeros elsewhere and where none is."""
    if mask is None:
        return jax.nn.softmax(logits, axis=-1)
    # Finite, not -inf: a row with nothing to attend to must stay free of NaN in its gradient too.
    weights = jax.nn.softmax(jnp.where(mask, logits, jnp.finfo(logits.dtype).min), axis=-1)
    return jnp.where(mask, weights, 0)


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) <= len(target) and all(
        size in (1, wanted) for size, wanted in zip(shape[::-1], target[::-1], strict=False)
    )
