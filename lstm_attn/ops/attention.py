"""Scaled dot-product attention."""

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.axes import check_axes


def dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
) -> Array:
    """Scaled dot-product attention, each head on its own.

        out_t = sum_s softmax_s(scale * q_t . k_s + bias_ts) v_s    over the s that t may attend to

    Names, shapes and meaning are those of `jax.nn.dot_product_attention`, for arrays of four axes
    and as many heads in the keys as in the queries.

    Args:
      query: [B, T, N, K].
      key: [B, S, N, K].
      value: [B, S, N, K].
      bias: added to the scaled logits, broadcastable to [B, N, T, S].
      mask: boolean, True where a query may attend, broadcastable to [B, N, T, S].
      scale: of the logits; 1 / sqrt(K) if None.
      is_causal: query t attends to keys s <= t only.

    Returns:
      [B, T, N, K] in the query's dtype. Logits and softmax are computed in float32, or in float64
      for float64 arrays. A query that may attend to nothing gives zeros.

    Raises:
      ValueError: a size that does not fit, or a mask that is not boolean, on one line.

    Source: Vaswani et al. 2017, eq. 1.
    """
    query, key, value = map(jnp.asarray, (query, key, value))
    bias, mask = (None if array is None else jnp.asarray(array) for array in (bias, mask))
    sizes = check_axes(
        "dot_product_attention",
        query=(query, "B T N K"),
        key=(key, "B S N K"),
        value=(value, "B S N K"),
    )
    logits_shape = tuple(sizes[axis] for axis in "BNTS")
    for name, array in (("bias", bias), ("mask", mask)):
        if array is not None and not _broadcasts(array.shape, logits_shape):
            raise UsageError(
                f"dot_product_attention: {name} expected a shape broadcastable to "
                f"[B, N, T, S] = {logits_shape}, got {array.shape}"
            )
    if mask is not None and mask.dtype != jnp.bool_:
        raise UsageError(f"dot_product_attention: mask expected boolean, got {mask.dtype}")

    accumulator = jnp.float64 if query.dtype == jnp.float64 else jnp.float32
    logits = jnp.einsum("BTNK,BSNK->BNTS", query, key, preferred_element_type=accumulator)
    logits = logits * (sizes["K"] ** -0.5 if scale is None else scale)
    if bias is not None:
        logits = logits + bias.astype(accumulator)
    if is_causal:
        causal = jnp.arange(sizes["S"]) <= jnp.arange(sizes["T"])[:, None]
        mask = causal if mask is None else jnp.logical_and(mask, causal)
    weights = _masked_softmax(logits, mask)
    return jnp.einsum("BNTS,BSNK->BTNK", weights.astype(value.dtype), value).astype(query.dtype)


def _masked_softmax(logits: Array, mask: Array | None) -> Array:
    if mask is None:
        return jax.nn.softmax(logits, axis=-1)
    # Finite, not -inf: a row with nothing to attend to must stay free of NaN in its gradient too.
    weights = jax.nn.softmax(jnp.where(mask, logits, jnp.finfo(logits.dtype).min), axis=-1)
    return jnp.where(mask, weights, 0)


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) <= len(target) and all(
        size in (1, wanted) for size, wanted in zip(shape[::-1], target[::-1], strict=False)
    )
