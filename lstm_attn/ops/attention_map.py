"""The weights that attention gives to each key."""

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.attention import dot_product_attention
from lstm_attn.ops.axes import check_axes


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

    Attention is linear in its values, so this is that op itself on values that are one at one key
    and zero elsewhere, K keys at a time. Arguments, dtypes and errors as there.

    Returns:
      [B, N, T, S] in the query's dtype. A row sums to one, or to zero where a query may attend to
      nothing.
    """
    query, key = jnp.asarray(query), jnp.asarray(key)
    sizes = check_axes("dot_product_weights", query=(query, "B T N K"), key=(key, "B S M K"))
    if not sizes["K"]:
        raise UsageError(f"dot_product_weights: query expected K of at least 1, got {query.shape}")
    keys, features = sizes["S"], sizes["K"]
    blocks = -(-keys // features)
    one_hot = jnp.eye(keys, blocks * features, dtype=query.dtype).reshape(keys, blocks, features)
    values = jnp.broadcast_to(one_hot.swapaxes(0, 1)[:, None, :, None], (blocks, *key.shape))

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
    return weights.reshape(*weights.shape[:3], -1)[..., :keys]
