"""An LSTM that attends to its own past states."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn.modules.attention import MultiHeadAttention
from lstm_attn.modules.recurrent import LSTM


class LSTMAttention(nn.Module):
    """Causal attention over the states of an LSTM, [B, T, D] to [B, T, H].

        h_1 ... h_T = LSTM(x)
        a_t = MultiHead(h_t; h_1 ... h_t)
        out_t = tanh([a_t, h_t] W + b)

    Source: the attentional vector of Luong et al. 2015, eq. 5, over the model's own past
    as in Cheng et al. 2016.
    """

    features: int
    num_heads: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        states = LSTM(self.features, name="lstm")(inputs)
        attended = MultiHeadAttention(self.num_heads, name="attention")(states, is_causal=True)
        joined = jnp.concatenate([attended, states], axis=-1)
        return jnp.tanh(nn.Dense(self.features, name="combine")(joined))
