"""Attention modules: multi-head dot-product attention, and additive attention."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.errors import UsageError
from lstm_attn.modules.dense import Dtype, compute_dtype, flat_product
from lstm_attn.modules.initializers import lecun, normal
from lstm_attn.modules.leading_axes import as_batch, from_batch, leading_axes, mask_as_batch
from lstm_attn.modules.observing import WEIGHTS, show
from lstm_attn.modules.positions import find_positions
from lstm_attn.modules.recurrent_protocol import check_carry
from lstm_attn.ops.attention import check_masks
from lstm_attn.ops.attention_tiles import Band, Limits
from lstm_attn.ops.hidden import Seen, what_is_seen


class MultiHeadAttention(nn.Module):
    """Attention in several heads, self or cross.

        out = concat(head_1 ... head_N) W_o + b_o
        head_n = attention(q W_q + b_q, k W_k + b_k, v W_v + b_v)_n

    Parameters: query, key and value, each with kernel [D, F] and bias [F], and out with kernel
    [F, O] and bias [O].

    qkv_features: F, of all heads together; that of inputs_q if None.
    out_features: O; the features of inputs_q if None.
    implementation: of `ops.dot_product_attention`.
    positions: "rotary" and "alibi" of the table POSITIONS act here; the other schemes add to the
      inputs, outside of this module.
    dtype, param_dtype: as `modules.dense` says.

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    num_heads: int
    positions: str = "none"
    qkv_features: int | None = None
    out_features: int | None = None
    use_bias: bool = True
    implementation: str = "auto"
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs_q: Array,
        inputs_k: Array | None = None,
        inputs_v: Array | None = None,
        *,
        mask: Array | None = None,
        is_causal: bool = False,
        initial_carry: ops.KeyValueCache | None = None,
        return_carry: bool = False,
    ) -> Any:
        """inputs_q [B, T, D] to [B, T, O]; with return_carry, (cache, outputs).

        B may be missing or be several axes, of which a cache holds the product.

        Args:
          inputs_q: the source of the queries.
          inputs_k: [B, S, D], the source of the keys; inputs_q if None.
          inputs_v: [B, S, D], the source of the values; inputs_k if None.
          mask: as in `ops.dot_product_attention`. Inputs that it hides reach neither values nor
            gradients.
          is_causal: query t attends to keys s <= t only.
          initial_carry: keys and values of the steps before, from `empty_carry` or an earlier call;
            for causal self-attention without a mask. Steps without room give NaN under `jax.jit`,
            and a one-line error elsewhere.
          return_carry: also return the cache with these steps; needs an initial_carry.
        """
        leading = leading_axes("MultiHeadAttention: inputs_q", inputs_q, "T D")
        features = self.qkv_features or inputs_q.shape[-1]
        check_heads("MultiHeadAttention", self.num_heads, features)
        if inputs_k is None and inputs_v is not None:
            raise UsageError("MultiHeadAttention: inputs_v expected inputs_k too, got none")
        with_cache = initial_carry is not None
        if with_cache and (inputs_k is not None or mask is not None or not is_causal):
            raise UsageError(
                "MultiHeadAttention: initial_carry expected is_causal=True, only inputs_q, no mask"
            )
        if with_cache and not isinstance(initial_carry, ops.KeyValueCache):
            raise UsageError(
                "MultiHeadAttention: initial_carry expected KeyValueCache(key, value, length), "
                f"got {type(initial_carry).__name__}"
            )
        check_carry("MultiHeadAttention", initial_carry, return_carry)
        inputs_k = inputs_q if inputs_k is None else inputs_k
        inputs_v = inputs_k if inputs_v is None else inputs_v
        inputs_q, inputs_k, inputs_v = (
            as_batch(f"MultiHeadAttention: inputs_{name}", inputs, leading)
            for name, inputs in zip("qkv", (inputs_q, inputs_k, inputs_v), strict=True)
        )
        mask = mask_as_batch("MultiHeadAttention: mask", mask, leading, 3)
        logits = (inputs_q.shape[0], self.num_heads, inputs_q.shape[1], inputs_k.shape[1])
        check_masks("MultiHeadAttention", logits, mask=mask)
        seen = seen_by_mask(inputs_q, inputs_k, mask, is_causal and not with_cache)
        inputs_q = shown_steps(inputs_q, seen.queries)
        inputs_k, inputs_v = (shown_steps(inputs, seen.keys) for inputs in (inputs_k, inputs_v))

        def project(name: str, inputs: Array) -> Array:
            dense = dense_layer(self, features, name, inputs, use_bias=self.use_bias)
            heads = (*inputs.shape[:-1], self.num_heads, features // self.num_heads)
            return dense(inputs).reshape(heads)

        query, key, value = (
            project(name, inputs)
            for name, inputs in (("query", inputs_q), ("key", inputs_k), ("value", inputs_v))
        )
        scheme = find_positions(self.positions)
        start = initial_carry.length if initial_carry is not None else 0
        query_positions = start + jnp.arange(query.shape[1], dtype=jnp.int32)
        key_positions = start + jnp.arange(key.shape[1], dtype=jnp.int32)
        if scheme.turn is not None:
            query, key = scheme.turn(query, query_positions), scheme.turn(key, key_positions)
        carry = None
        if initial_carry is not None:
            carry = ops.append(initial_carry, key, value)
            key, value = carry.key, carry.value
            key_positions = jnp.arange(key.shape[1], dtype=jnp.int32)
            mask = key_positions[None] <= query_positions[:, None]
        bias = None
        if scheme.bias is not None:
            bias = scheme.bias(self.num_heads, query_positions, key_positions)
        limited: Any = {"is_causal": is_causal and initial_carry is None}
        show(self, WEIGHTS, lambda: ops.dot_product_weights(query, key, bias, mask, **limited))
        attended = ops.dot_product_attention(
            query,
            key,
            value,
            bias,
            mask,
            is_causal=is_causal and not with_cache,
            implementation=self.implementation,
        ).reshape(*inputs_q.shape[:2], features)
        out_features = self.out_features or inputs_q.shape[-1]
        out = dense_layer(self, out_features, "out", inputs_q, use_bias=self.use_bias)(attended)
        if carry is not None:
            # Under jit no error can be raised: a step without room must give NaN.
            out = jnp.where(ops.within(carry), out, jnp.nan)
        out = from_batch(out, leading)
        return (carry, out) if return_carry else out

    def empty_carry(self, batch_size: int, length: int, features: int) -> ops.KeyValueCache:
        """A cache with room for `length` steps of inputs with that many features."""
        dtype = self.dtype or self.param_dtype
        per_head = (self.qkv_features or features) // self.num_heads
        return ops.empty_cache(batch_size, length, self.num_heads, per_head, dtype)


class AdditiveAttention(nn.Module):
    """`ops.additive_attention` with its projections; self or cross, one head.

        out_t = sum_s softmax_s(v . tanh(q_t W_q + k_s W_k + b)) value_s

    Parameters: query with kernel [D, F], key with kernel [D, F] and bias [F], score v [F].

    features: F, of the hidden layer of the score.
    dtype, param_dtype: as `modules.dense` says.

    Source: Bahdanau, Cho & Bengio 2015, appendix A.1.2.
    """

    features: int
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs_q: Array,
        inputs_k: Array | None = None,
        inputs_v: Array | None = None,
        *,
        mask: Array | None = None,
    ) -> Array:
        """inputs_q [B, T, D], inputs_k [B, S, D'] (inputs_q if None), inputs_v [B, S, H] (inputs_k
        if None) to [B, T, H]; mask as in `ops.additive_attention`. B may be missing or be several
        axes."""
        inputs_k = inputs_q if inputs_k is None else inputs_k
        inputs_v = inputs_k if inputs_v is None else inputs_v
        leading = leading_axes("AdditiveAttention: inputs_q", inputs_q, "T D")
        inputs_q, inputs_k, inputs_v = (
            as_batch(f"AdditiveAttention: inputs_{name}", inputs, leading)
            for name, inputs in zip("qkv", (inputs_q, inputs_k, inputs_v), strict=True)
        )
        mask = mask_as_batch("AdditiveAttention: mask", mask, leading, 2)
        if mask is not None:
            one_head = mask[:, None] if mask.ndim == 3 else mask
            logits = (inputs_q.shape[0], 1, inputs_q.shape[1], inputs_k.shape[1])
            check_masks("AdditiveAttention", logits, mask=one_head)
            seen = seen_by_mask(inputs_q, inputs_k, one_head, is_causal=False)
            inputs_q = shown_steps(inputs_q, seen.queries)
            inputs_k, inputs_v = (shown_steps(inputs, seen.keys) for inputs in (inputs_k, inputs_v))
        dtype = compute_dtype(inputs_q, self.dtype, self.param_dtype)
        query = dense_layer(self, self.features, "query", inputs_q, use_bias=False)(inputs_q)
        key = dense_layer(self, self.features, "key", inputs_q)(inputs_k)
        score = self.param("score", normal(self.features**-0.5), (self.features,), self.param_dtype)
        out = ops.additive_attention(query, key, inputs_v.astype(dtype), score, mask)
        return from_batch(out, leading)


def seen_by_mask(inputs_q: Array, inputs_k: Array, mask: Array | None, is_causal: bool) -> Seen:
    """Which steps of inputs [B, T, D] and [B, S, D] attend to some other, and are attended to: by
    one head at least, boolean [B, T] and [B, S]. None for all."""
    masks = [] if mask is None else [mask.reshape((1,) * (4 - mask.ndim) + mask.shape)]
    band, limits = Band(None, 0 if is_causal else None), Limits(None, None, None)
    seen = what_is_seen(inputs_q.shape[1], inputs_k.shape[1], band, limits, masks)
    return Seen(*(None if steps is None else steps.any(axis=1) for steps in seen))


def no_padding(inputs: Array, mask: Array | None, is_causal: bool) -> Array | None:
    """Which steps of inputs [B, T, D] attend to one or are attended to, boolean [B, T]."""
    seen = seen_by_mask(inputs, inputs, mask, is_causal)
    if seen.queries is None or seen.keys is None:
        return None
    return seen.queries | seen.keys


def shown_steps(inputs: Array, seen: Array | None) -> Array:
    """inputs [B, T, D], with zeros where `seen` [B, T] is False: 0 times NaN is NaN in the gradient
    of a kernel."""
    return inputs if seen is None else jnp.where(seen[..., None], inputs, 0)


def dense_layer(
    module: Any, features: int, name: str, inputs: Array, *, use_bias: bool = True
) -> nn.Dense:
    """A Dense layer in the module's dtypes."""
    return nn.Dense(
        features,
        use_bias=use_bias,
        dtype=compute_dtype(inputs, module.dtype, module.param_dtype),
        param_dtype=module.param_dtype,
        kernel_init=lecun,
        dot_general=flat_product,
        name=name,
    )


def check_heads(where: str, num_heads: int, features: int) -> None:
    """Raises UsageError unless the heads divide the features."""
    if num_heads < 1 or features % num_heads:
        raise UsageError(
            f"{where}: num_heads expected a divisor of features={features}, got {num_heads}"
        )
