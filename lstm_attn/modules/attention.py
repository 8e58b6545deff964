"""Multi-head self-attention."""

from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.errors import UsageError


class MultiHeadAttention(nn.Module):
    """Self-attention in several heads, each of features / num_heads.

        out = concat(head_1 ... head_N) W_o + b_o,   head_n = attention(x W_q, x W_k, x W_v)_n

    Parameters: query, key, value and out, each with kernel [F, F] and bias [F].

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    num_heads: int

    @nn.compact
    def __call__(
        self, inputs_q: Array, *, mask: Array | None = None, is_causal: bool = False
    ) -> Array:
        """[B, T, F] to [B, T, F]; `mask` as in `ops.dot_product_attention`."""
        features = inputs_q.shape[-1]
        check_heads("MultiHeadAttention", self.num_heads, features)
        heads = (*inputs_q.shape[:-1], self.num_heads, features // self.num_heads)
        query, key, value = (
            nn.Dense(features, name=name)(inputs_q).reshape(heads)
            for name in ("query", "key", "value")
        )
        out = ops.dot_product_attention(query, key, value, mask=mask, is_causal=is_causal)
        return nn.Dense(features, name="out")(out.reshape(inputs_q.shape))


def check_heads(where: str, num_heads: int, features: int) -> None:
    """Raises UsageError where the heads do not divide the features."""
    if num_heads < 1 or features % num_heads:
        raise UsageError(
            f"{where}: num_heads expected a divisor of features={features}, got {num_heads}"
        )
