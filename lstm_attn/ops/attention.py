"""Scaled dot-product attention."""

import functools
import numbers
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops import dispatch, gpu_attention, hidden, native_attention
from lstm_attn.ops.attention_tiles import Band, Limits, chunk_size, live_tiles
from lstm_attn.ops.checks import (
    accumulator,
    check_axes,
    check_floating,
    int32_lengths,
    within_range,
)
from lstm_attn.ops.chunked_attention import chunked_attention
from lstm_attn.plain_numbers import plain


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
    implementation: str = "auto",
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
      key_value_seq_lengths: integers [B]; no query attends to keys from there on.
      local_window_size: (left, right), or one number for both; query t attends to keys
        t - left <= s <= t + right only.
      implementation: "dense" is the equation; "chunked" never forms an array [T, S] and skips tiles
        that causality and the window hide (see `ops.chunked_attention`); "native" is the C++ kernel
        of `lstm_attn.native`, for float32 on a CPU where it was built, without bias and mask;
        "cudnn" and "pallas" are JAX's kernels on a GPU (see `ops.gpu_attention`). "auto" takes the
        fastest of the first three by the tables in `ops.dispatch`. All agree up to rounding. The
        first three can be differentiated in forward and reverse mode and more than once, JAX's
        kernels once in reverse mode.

    Returns:
      [B, T, N, K] in the query's dtype, in which the products are computed; logits, softmax and
      sums are float32, or float64 for a float64 query. A query that may attend to nothing gives
      zeros. What is in such a query, and in a key and value to which no query may attend, reaches
      neither values nor gradients, even if it is NaN.

    Raises:
      UsageError: (a ValueError) a size that does not fit, a mask that is not boolean, a window
        below zero, or an implementation that is unknown or can't do this here, on one line.

    Source: Vaswani et al. 2017, eq. 1; the window of Beltagy, Peters & Cohan 2020, section 3.1.
    """
    query, key, value = map(jnp.asarray, (query, key, value))
    bias, mask = (None if array is None else _four_axes(array) for array in (bias, mask))
    sizes = check_axes(
        "dot_product_attention",
        query=(query, "B T N K"),
        key=(key, "B S M K"),
        value=(value, "B S M K"),
    )
    batch, queries, heads, keys, groups = (sizes[axis] for axis in "BTNSM")
    if heads % groups if groups else heads:
        raise UsageError(
            f"dot_product_attention: key [B, S, M, K] expected M to divide N = {heads}, "
            f"got shape {key.shape}"
        )
    check_masks("dot_product_attention", (batch, heads, queries, keys), bias=bias, mask=mask)
    check_floating("dot_product_attention", query=query, key=key, value=value)
    if bias is not None:
        check_floating("dot_product_attention", bias=bias)
    sides = _sides(local_window_size)
    query_lengths = _lengths("query_seq_lengths", query_seq_lengths, batch)
    key_lengths = _lengths("key_value_seq_lengths", key_value_seq_lengths, batch)
    scale = _scale_of(scale, sizes["K"])
    key, value = key.astype(query.dtype), value.astype(query.dtype)

    obstacle = functools.cache(lambda: native_attention.obstacle(query, bias, mask))
    chosen = dispatch.choose_attention(implementation, query.shape, key.shape, obstacle)
    if chosen in ("cudnn", "pallas"):
        given = {"bias": bias, "mask": mask, "local_window_size": local_window_size}
        given |= {"query_seq_lengths": query_lengths, "key_value_seq_lengths": key_lengths}
        gpu_attention.check_plain(chosen, [name for name in given if given[name] is not None])
        kernel = gpu_attention.cudnn if chosen == "cudnn" else gpu_attention.pallas
        return kernel(query, key, value, scale=scale, is_causal=is_causal)
    left, right = (None, None) if sides is None else sides
    band = Band(left, 0 if is_causal else right)
    masks = [array for array in (mask, bias) if array is not None]
    limits = Limits(mask, query_lengths, key_lengths)
    tiles = None
    if chosen == "chunked":
        tiles = live_tiles(queries, keys, chunk_size(batch * heads), band)
    seen = hidden.what_is_seen(queries, keys, band, limits, masks, tiles)
    query = hidden.shown(query, seen.queries)
    key, value = (hidden.shown(array, seen.of_groups(groups)) for array in (key, value))
    if chosen in ("chunked", "native") and not isinstance(scale, float):
        # An array, such as a learned temperature.
        query = (query.astype(accumulator(query.dtype)) * scale).astype(query.dtype)
        scale = 1.0
    if chosen == "native":
        named = implementation == "native"
        out = native_attention.native_attention(
            query, key, value, limits, scale=scale, band=band, named=named
        )
    elif chosen == "chunked":
        out = chunked_attention(query, key, value, bias, limits, scale=scale, band=band)
    else:
        # Where a bias is -inf, too: a row of only -inf would give NaN.
        allowed = hidden.opened(masks) + hidden.positions_allowed(queries, keys, band, limits)
        out = _dense(query, key, value, bias, allowed, scale)
    return hidden.shown(out, seen.queries)


def _dense(
    query: Array,
    key: Array,
    value: Array,
    bias: Array | None,
    allowed: list[Array],
    scale: float | Array,
) -> Array:
    """The equation, with logits [B, N, T, S]; a query attends where all of `allowed` is True."""
    batch, queries, heads, features = query.shape
    keys, groups = key.shape[1:3]
    compute, accumulate = query.dtype, accumulator(query.dtype)
    shared = heads // max(groups, 1)
    grouped = query.reshape(batch, queries, groups, shared, features)
    logits = jnp.einsum("BTMGK,BSMK->BMGTS", grouped, key, preferred_element_type=accumulate)
    logits = logits.reshape(batch, heads, queries, keys) * scale
    if bias is not None:
        logits = logits + bias.astype(accumulate)
    weights = masked_softmax(
        logits, functools.reduce(jnp.logical_and, allowed) if allowed else None
    )
    weights = weights.astype(compute).reshape(batch, groups, shared, queries, keys)
    out = jnp.einsum("BMGTS,BSMK->BTMGK", weights, value, preferred_element_type=accumulate)
    return out.reshape(query.shape).astype(compute)


def _four_axes(array: Array) -> Array:
    """A bias or mask with axes of size one before its own."""
    array = jnp.asarray(array)
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def _scale_of(scale: Any, features: int) -> Any:
    """The scale of the logits: 1 / sqrt(K) for None, else an array or a float within float32."""
    if scale is None:
        return features**-0.5 if features else 1.0
    return within_range(float(scale)) if isinstance(scale, numbers.Real) else scale


def _sides(window: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """A window's left and right."""
    if window is None:
        return None
    sides = tuple(map(plain, window if isinstance(window, tuple | list) else (window, window)))
    if len(sides) != 2 or not all(type(side) is int and side >= 0 for side in sides):
        raise UsageError(
            "dot_product_attention: local_window_size expected one or two whole numbers of at "
            f"least 0, got {window}"
        )
    return sides[0], sides[1]


def _lengths(name: str, lengths: Array | None, batch: int) -> Array | None:
    """Lengths as int32 [B]."""
    if lengths is None:
        return None
    lengths = int32_lengths(lengths)
    if lengths.shape != (batch,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise UsageError(
            f"dot_product_attention: {name} [B] expected {batch} integers, "
            f"got {lengths.dtype} {lengths.shape}"
        )
    return lengths


def masked_softmax(logits: Array, mask: Array | None) -> Array:
    """softmax over the last axis where the mask is True, zeros elsewhere and in rows of False."""
    if mask is None:
        return jax.nn.softmax(logits, axis=-1)
    # The lowest finite number, not -inf, so that a row of False has no NaN in its gradient either.
    weights = jax.nn.softmax(jnp.where(mask, logits, jnp.finfo(logits.dtype).min), axis=-1)
    return jnp.where(mask, weights, 0)


def check_masks(function: str, shape: tuple[int, ...], **arrays: Array | None) -> None:
    """Raises UsageError for an array not broadcastable to [B, N, T, S] or a mask not boolean."""
    for name, array in arrays.items():
        if array is not None and not _broadcasts(array.shape, shape):
            raise UsageError(
                f"{function}: {name} expected a shape broadcastable to [B, N, T, S] = {shape}, "
                f"got {array.shape}"
            )
        if array is not None and name == "mask" and array.dtype != jnp.bool_:
            raise UsageError(f"{function}: mask expected boolean, got {array.dtype}")


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) <= len(target) and all(
        size in (1, wanted) for size, wanted in zip(shape[::-1], target[::-1], strict=False)
    )


def dot_product_weights(
    query: Array,
    key: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Array | None = None,
    key_value_seq_lengths: Array | None = None,
    local_window_size: int | tuple[int, int] | None = None,
) -> Array:
    """The weights w of `ops.dot_product_attention`, where out_t = sum_s w_ts v_s.

        w_ts = softmax_s(scale * q_t . k_s + bias_ts)    over the s that t may attend to

    Attention is linear in its values, so the op is called on one-hot values, for K keys at a time.
    Arguments, dtypes and errors as there.

    Returns:
      [B, N, T, S] in the query's dtype. A row sums to one, or to zero where a query may attend to
      nothing.
    """
    query, key = jnp.asarray(query), jnp.asarray(key)
    sizes = check_axes("dot_product_weights", query=(query, "B T N K"), key=(key, "B S M K"))
    if not sizes["K"]:  # one feature of zeros, with which the logits are zero too
        query, key = (jnp.zeros_like(a, shape=(*a.shape[:3], 1)) for a in (query, key))
    keys, features = sizes["S"], key.shape[3]
    blocks = -(-keys // features)
    one_hot = jnp.eye(keys, blocks * features, dtype=query.dtype).reshape(keys, blocks, features)
    values = one_hot.swapaxes(0, 1)[:, None, :, None] + jnp.zeros_like(key, query.dtype)[None]

    def attend(value: Array) -> Array:
        return dot_product_attention(
            query,
            key,
            value,
            bias,
            mask,
            scale=scale,
            is_causal=is_causal,
            query_seq_lengths=query_seq_lengths,
            key_value_seq_lengths=key_value_seq_lengths,
            local_window_size=local_window_size,
            implementation="dense",
        )

    weights = jax.vmap(attend)(values).transpose(1, 3, 2, 0, 4)  # [B, N, T, blocks, K]
    return weights.reshape(*weights.shape[:3], blocks * features)[..., :keys]
