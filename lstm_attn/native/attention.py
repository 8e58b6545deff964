"""The native attention as functions of JAX arrays; float32."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.native.call import call
from lstm_attn.native.library import load


class Spec(NamedTuple):
    """scale: of the logits. left, right: query t attends to keys t - left <= s <= t + right, where
    None is no bound."""

    scale: float
    left: int | None
    right: int | None


class AttentionResiduals(NamedTuple):
    """What the backward pass needs: the outputs, and of each query the greatest q . k and the sum
    of the softmax relative to it, [B, N, 2, T]."""

    outputs: Array
    statistics: Array


def attention_forward(
    query: Array, key: Array, value: Array, lengths: Array | None, spec: Spec, *, save: bool
) -> tuple[Array, AttentionResiduals | None]:
    """Attention without arrays of T by S.

        out_t = sum_s softmax_s(scale * q_t . k_s) v_s    over the s that t may attend to

    Not differentiable by itself: `attention_backward` is its gradient. Works under jit, vmap (one
    call for all), control flow and shard_map. Denormal numbers count as zero.

    Args:
      query: [B, T, N, K], float32 as all that follow.
      key: [B, S, M, K]; M divides N.
      value: [B, S, M, K].
      lengths: int32 [B, 2], of queries and keys, or None. What is beyond them is not read; queries
        beyond them give zeros.
      spec: scale and positions.
      save: return the residuals for `attention_backward`.

    Returns:
      [B, T, N, K], zeros for a query that may attend to nothing; and the residuals, or None without
      `save`.

    Raises:
      UsageError: the library is not compiled for this machine.

    Source: Dao et al. 2022, algorithm 1.
    """
    load()
    batch, queries, heads, _ = query.shape
    saved = (batch, heads, 2, queries) if save else (0,)
    outputs, statistics = call(
        "lstm_attn_attention_forward",
        [query, key, value, _lengths_or_none(lengths)],
        [query.shape, saved],
        vmap_method="broadcast_all",
        **_attributes(spec),
    )
    return outputs, AttentionResiduals(outputs, statistics) if save else None


def attention_backward(
    query: Array,
    key: Array,
    value: Array,
    lengths: Array | None,
    spec: Spec,
    residuals: AttentionResiduals,
    d_outputs: Array,
) -> tuple[Array, Array, Array]:
    """The gradients of query, key and value of `attention_forward`, from that of its outputs.

        dl_ts = p_ts (do_t . v_s - do_t . out_t)
        dq_t = scale sum_s dl_ts k_s;  dk_s = scale sum_t dl_ts q_t;  dv_s = sum_t p_ts do_t

    Args:
      query, key, value, lengths, spec: as `attention_forward` had them.
      residuals: as `attention_forward` returned them with `save`.
      d_outputs: [B, T, N, K]; not read beyond the queries' lengths.

    Raises:
      UsageError: the library is not compiled for this machine.

    Source: Dao et al. 2022, algorithm 4.
    """
    load()
    operands = [query, key, value, _lengths_or_none(lengths)]
    return call(
        "lstm_attn_attention_backward",
        [*operands, *residuals, d_outputs],
        [query.shape, key.shape, value.shape],
        vmap_method="broadcast_all",
        **_attributes(spec),
    )


def _lengths_or_none(lengths: Array | None) -> Array:
    return jnp.zeros((0,), jnp.int32) if lengths is None else lengths


def _attributes(spec: Spec) -> dict[str, np.generic]:
    left, right = (-1 if bound is None else bound for bound in (spec.left, spec.right))
    return {"scale": np.float32(spec.scale), "left": np.int64(left), "right": np.int64(right)}
