"""Feed-forward attention: a sequence as the weighted mean of its steps, without recurrence."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.modules.attention import dense_layer
from lstm_attn.modules.dense import Dtype
from lstm_attn.modules.leading_axes import as_batch, from_batch, leading_axes


class AttentionPooling(nn.Module):
    """The mean of the past, weighted by attention, [B, T, D] to [B, T, H].

        h_t = lrelu(x_t W_h + b_h)
        e_t = tanh(h_t w + b)
        c_t = sum_{s <= t} exp(e_s) h_s / sum_{s <= t} exp(e_s)
        out_t = lrelu(c_t W_c + b_c)

    The paper has c at the last step only; here each step has c of its own past, in O(T). The model
    does not know the order of steps, so it can add but not copy. lrelu is x for x > 0, else .01 x.

    dtype, param_dtype: as `modules.dense` says.

    Source: Raffel & Ellis 2015, section 2.
    """

    features: int
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: ops.PoolingState | None = None,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to [B, T, H]; with return_carry, (the sums after, outputs).

        B may be missing or be several axes.
        """
        leading = leading_axes("AttentionPooling: inputs", inputs, "T D")
        inputs = as_batch("AttentionPooling: inputs", inputs, leading)
        initial_carry = as_batch("AttentionPooling: initial_carry", initial_carry, leading)
        hidden = jax.nn.leaky_relu(dense_layer(self, self.features, "hidden", inputs)(inputs))
        logits = jnp.tanh(dense_layer(self, 1, "score", inputs)(hidden))[..., 0]
        context, carry = ops.attention_pooling(logits, hidden, initial_carry)
        out = jax.nn.leaky_relu(dense_layer(self, self.features, "context", inputs)(context))
        carry, out = from_batch((carry, out), leading)
        return (carry, out) if return_carry else out

    def empty_carry(self, batch_size: int, length: int) -> ops.PoolingState:
        """The sums before the first step, for any length."""
        like = jnp.zeros((batch_size,), self.dtype or self.param_dtype)
        return ops.empty_pooling_state(like, self.features)
