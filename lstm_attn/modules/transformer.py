"""A causal Transformer: blocks of self-attention and feed-forward, normalised before each."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn.modules.attention import MultiHeadAttention


class TransformerBlock(nn.Module):
    """One pre-norm block, [B, T, F] to [B, T, F].

        y = x + MultiHead(LayerNorm(x))
        z = y + gelu(LayerNorm(y) W_1 + b_1) W_2 + b_2

    Source: Vaswani et al. 2017; normalisation before each part as in Xiong et al. 2020.
    """

    num_heads: int
    mlp_features: int

    @nn.compact
    def __call__(self, inputs: Array, *, is_causal: bool = True) -> Array:
        attended = MultiHeadAttention(self.num_heads, name="attention")(
            nn.LayerNorm(name="attention_norm")(inputs), is_causal=is_causal
        )
        residual = inputs + attended
        hidden = nn.LayerNorm(name="mlp_norm")(residual)
        hidden = jax.nn.gelu(nn.Dense(self.mlp_features, name="mlp_in")(hidden))
        return residual + nn.Dense(inputs.shape[-1], name="mlp_out")(hidden)


def sinusoidal_positions(length: int, features: int, dtype: jnp.dtype) -> Array:
    """Fixed positions [T, F]: sines in the first half of the features, cosines in the second.

        angle[t, k] = t / 10000^(2 k / F),   k = 0 ... F/2 - 1

    Source: Vaswani et al. 2017, section 3.5, with sines and cosines side by side, not interleaved.
    """
    exponents = jnp.arange(0, features, 2, dtype=dtype) / features
    angles = jnp.arange(length, dtype=dtype)[:, None] / 10_000.0**exponents
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)[:, :features]


class Transformer(nn.Module):
    """A causal Transformer, [B, T, D] to [B, T, F]: embed, add positions, blocks, norm."""

    features: int
    num_heads: int
    num_layers: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        hidden = nn.Dense(self.features, name="embed")(inputs)
        hidden = hidden + sinusoidal_positions(inputs.shape[-2], self.features, hidden.dtype)
        for layer in range(self.num_layers):
            hidden = TransformerBlock(
                self.num_heads, mlp_features=4 * self.features, name=f"block_{layer}"
            )(hidden)
        return nn.LayerNorm(name="norm")(hidden)
