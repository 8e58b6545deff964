"""A causal Transformer: blocks of self-attention and feed-forward."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.errors import unknown_name
from lstm_attn.modules.attention import (
    MultiHeadAttention,
    dense_layer,
    no_padding,
    shown_steps,
)
from lstm_attn.modules.dense import Dtype, compute_dtype
from lstm_attn.modules.leading_axes import as_batch, from_batch, leading_axes, mask_as_batch
from lstm_attn.modules.positions import find_positions
from lstm_attn.modules.recurrent_protocol import check_carry, continued
from lstm_attn.ops.attention import check_masks

Carry = tuple[ops.KeyValueCache, ...]


class TransformerBlock(nn.Module):
    """One block, [B, T, F] to [B, T, F].

        y = x + MultiHead(LayerNorm(x)),   z = y + FeedForward(LayerNorm(y))      norm="pre"
        y = LayerNorm(x + MultiHead(x)),   z = LayerNorm(y + FeedForward(y))      norm="post"

        FeedForward(y) = gelu(y W_1 + b_1) W_2 + b_2                              "gelu"
        FeedForward(y) = (gelu(y W_1 + b_1) * (y W_3 + b_3)) W_2 + b_2            "gated"

    mlp_features: the width of W_1.
    positions: as in `MultiHeadAttention`.
    dropout: the rate at which outputs of MultiHead and FeedForward are dropped, if the module is
      applied with a "dropout" key; without one, none are. In NNX, give the key to the call:
      `model(inputs, rngs=nnx.Rngs(0, dropout=1))`.
    dtype, param_dtype: as `modules.dense` says.

    Source: Vaswani et al. 2017, section 3 (post) and 5.4 (dropout); Xiong et al. 2020 (pre);
    Hendrycks & Gimpel 2016 (gelu, by tanh); Shazeer 2020, eq. 6 (gated).
    """

    num_heads: int
    mlp_features: int
    norm: str = "pre"
    feed_forward: str = "gelu"
    positions: str = "none"
    dropout: float = 0.0
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        is_causal: bool = True,
        mask: Array | None = None,
        initial_carry: ops.KeyValueCache | None = None,
        return_carry: bool = False,
    ) -> Any:
        """mask, is_causal, initial_carry and return_carry as in `MultiHeadAttention`.

        A step that attends to nothing and to which nothing attends is padding: it gives zeros, and
        reaches neither values nor gradients. B may be missing or be several axes.
        """
        leading = leading_axes("TransformerBlock: inputs", inputs, "T F")
        inputs = as_batch("TransformerBlock: inputs", inputs, leading)
        mask = mask_as_batch("TransformerBlock: mask", mask, leading, 3)
        steps = inputs.shape[1]
        check_masks("TransformerBlock", (inputs.shape[0], self.num_heads, steps, steps), mask=mask)
        seen = no_padding(inputs, mask, is_causal)
        inputs = shown_steps(inputs, seen)
        attention = functools.partial(
            MultiHeadAttention(
                self.num_heads,
                self.positions,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name="attention",
            ),
            mask=mask,
            is_causal=is_causal,
        )
        if self.norm not in NORMS:
            raise unknown_name("norm", self.norm, NORMS)
        residual = NORMS[self.norm]
        check_carry("TransformerBlock", initial_carry, return_carry)
        carry, hidden = residual(self, "attention_norm", attention, inputs, initial_carry)
        _, hidden = residual(self, "mlp_norm", self._feed_forward, hidden)
        hidden = from_batch(shown_steps(hidden, seen), leading)
        return (carry, hidden) if return_carry else hidden

    def _feed_forward(self, inputs: Array) -> Array:
        if self.feed_forward not in FEED_FORWARDS:
            raise unknown_name("feed_forward", self.feed_forward, FEED_FORWARDS)
        hidden = jax.nn.gelu(dense_layer(self, self.mlp_features, "mlp_in", inputs)(inputs))
        if self.feed_forward == "gated":
            hidden = hidden * dense_layer(self, self.mlp_features, "mlp_gate", inputs)(inputs)
        return dense_layer(self, inputs.shape[-1], "mlp_out", inputs)(hidden)


def layer_norm(module: Any, name: str, inputs: Array) -> Array:
    """LayerNorm, computed in float32 or float64, its output in the module's compute dtype."""
    exact = ops.accumulator(inputs.dtype)
    # The fast variance, E[x^2] - E[x]^2, loses all digits where the mean is large.
    norm = nn.LayerNorm(
        use_fast_variance=False, dtype=exact, param_dtype=module.param_dtype, name=name
    )
    # flax promotes float64 with float32 inside, which a caller may have forbidden.
    with jax.numpy_dtype_promotion("standard"):
        normal = norm(inputs.astype(exact))
    return normal.astype(compute_dtype(inputs, module.dtype, module.param_dtype))


def drop(module: Any, inputs: Array) -> Array:
    """Dropout at the module's rate if there is a "dropout" key."""
    without_key = not module.has_rng("dropout")
    return nn.Dropout(module.dropout, deterministic=without_key)(inputs)


def residual_pre_norm(
    module: Any, norm_name: str, part: Callable[..., Any], inputs: Array, carry: Any = None
) -> tuple[Any, Array]:
    """The carry after the part, and x + part(LayerNorm(x))."""
    carry, out = continued(part, layer_norm(module, norm_name, inputs), carry)
    return carry, inputs + drop(module, out)


def residual_post_norm(
    module: Any, norm_name: str, part: Callable[..., Any], inputs: Array, carry: Any = None
) -> tuple[Any, Array]:
    """The carry after the part, and LayerNorm(x + part(x))."""
    carry, out = continued(part, inputs, carry)
    return carry, layer_norm(module, norm_name, inputs + drop(module, out))


NORMS = {"pre": residual_pre_norm, "post": residual_post_norm}
FEED_FORWARDS = ("gelu", "gated")


class Transformer(nn.Module):
    """A causal Transformer, [B, T, D] to [B, T, F]: embed, add positions, blocks, norm.

    Post-norm blocks end with a norm, so no other norm follows them. Attributes as in
    `TransformerBlock`; positions is any name in the table POSITIONS; mlp_features is 4 F.
    """

    features: int
    num_heads: int
    num_layers: int
    positions: str = "sinusoidal"
    norm: str = "pre"
    feed_forward: str = "gelu"
    dropout: float = 0.0
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: Carry | None = None,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to [B, T, F]; with return_carry, (the caches after, outputs).

        initial_carry: from `empty_carry` or an earlier call; the inputs are the steps after it.
        """
        check_carry("Transformer", initial_carry, return_carry)
        hidden = dense_layer(self, self.features, "embed", inputs)(inputs)
        scheme = find_positions(self.positions)
        if scheme.vectors is not None:
            at, longest = jnp.arange(inputs.shape[-2], dtype=jnp.int32), inputs.shape[-2]
            if initial_carry is not None:
                at, longest = at + initial_carry[0].length, initial_carry[0].key.shape[1]
            vectors = scheme.vectors(self, at, longest, self.features, hidden.dtype)
            hidden += vectors.reshape((1,) * (hidden.ndim - vectors.ndim) + vectors.shape)
        hidden = drop(self, hidden)
        carries = []
        for layer in range(self.num_layers):
            block = TransformerBlock(
                self.num_heads,
                mlp_features=4 * self.features,
                norm=self.norm,
                feed_forward=self.feed_forward,
                positions=self.positions,
                dropout=self.dropout,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name=f"block_{layer}",
            )
            before = None if initial_carry is None else initial_carry[layer]
            after, hidden = continued(block, hidden, before)
            carries.append(after)
        if self.norm == "pre":
            hidden = layer_norm(self, "norm", hidden)
        return (tuple(carries), hidden) if return_carry else hidden

    def empty_carry(self, batch_size: int, length: int) -> Carry:
        """A cache for each layer, with room for `length` steps."""
        attention = MultiHeadAttention(
            self.num_heads, dtype=self.dtype, param_dtype=self.param_dtype, parent=None
        )
        cache = attention.empty_carry(batch_size, length, self.features)
        return (cache,) * self.num_layers
