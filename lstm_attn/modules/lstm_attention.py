"""LSTM and attention in one model: attention over the states, or layers that alternate."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn.modules.attention import MultiHeadAttention, dense_layer
from lstm_attn.modules.dense import Dtype
from lstm_attn.modules.recurrent import LSTM
from lstm_attn.modules.recurrent_protocol import check_carry, continued
from lstm_attn.modules.transformer import layer_norm, residual_pre_norm


class LSTMAttention(nn.Module):
    """Causal attention over the states of an LSTM, [B, T, D] to [B, T, H].

        h_1 ... h_T = LSTM(x)
        a_t = MultiHead(h_t; h_1 ... h_t)
        out_t = tanh([a_t, h_t] W + b)

    recurrent: the constructor of the recurrent module, called with features, dtype, param_dtype and
      name: `LSTM`, a variant, or `functools.partial(LSTM, bias_init=...)`.
    dtype, param_dtype: as `modules.dense` says.

    Source: the attentional vector of Luong et al. 2015, eq. 5, over the model's own past
    as in Cheng et al. 2016.
    """

    features: int
    num_heads: int
    recurrent: Callable[..., nn.Module] = LSTM
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, inputs: Array, *, initial_carry: Any = None, return_carry: bool = False
    ) -> Any:
        """inputs [B, T, D] to [B, T, H]; with return_carry, (the carry after, outputs)."""
        check_carry("LSTMAttention", initial_carry, return_carry)
        recurrent_carry, cache = (None, None) if initial_carry is None else initial_carry
        lstm, attention = make_recurrent(self, name="lstm"), make_attention(self, name="attention")
        recurrent_carry, states = continued(lstm, inputs, recurrent_carry)
        cache, attended = continued(functools.partial(attention, is_causal=True), states, cache)
        joined = jnp.concatenate([attended, states], axis=-1)
        out = jnp.tanh(dense_layer(self, self.features, "combine", joined)(joined))
        return ((recurrent_carry, cache), out) if return_carry else out

    def empty_carry(self, batch_size: int, length: int) -> Any:
        """The LSTM's state before the first step, and a cache with room for `length` steps."""
        return empty_carries(self, batch_size, length)


class LSTMAttentionBlocks(nn.Module):
    """Layers of LSTM and of causal attention that alternate, [B, T, D] to [B, T, F].

        x = x + LSTM(LayerNorm(x)),   x = x + MultiHead(LayerNorm(x))     in each of the blocks

    after an embedding of the inputs, and before a last norm. The LSTM encodes the order of the
    inputs, so there are no positions. Attributes as in `LSTMAttention`; num_layers blocks; dropout
    as in `TransformerBlock`.

    Source: the residual blocks of recurrence and attention of De et al. 2024, section 2, with an
    LSTM as the recurrence and without the feed-forward parts.
    """

    features: int
    num_heads: int
    num_layers: int
    recurrent: Callable[..., nn.Module] = LSTM
    dropout: float = 0.0
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, inputs: Array, *, initial_carry: Any = None, return_carry: bool = False
    ) -> Any:
        """inputs [B, T, D] to [B, T, F]; with return_carry, (the carry after, outputs)."""
        check_carry("LSTMAttentionBlocks", initial_carry, return_carry)
        hidden = dense_layer(self, self.features, "embed", inputs)(inputs)
        carries = []
        for layer in range(self.num_layers):
            lstm = make_recurrent(self, name=f"lstm_{layer}")
            attention = make_attention(self, name=f"attention_{layer}")
            parts = (
                (f"lstm_norm_{layer}", lstm),
                (f"attention_norm_{layer}", functools.partial(attention, is_causal=True)),
            )
            before = (None, None) if initial_carry is None else initial_carry[layer]
            pair = []
            for (norm, part), carry in zip(parts, before, strict=True):
                after, hidden = residual_pre_norm(self, norm, part, hidden, carry)
                pair.append(after)
            carries.append(tuple(pair))
        hidden = layer_norm(self, "norm", hidden)
        return (tuple(carries), hidden) if return_carry else hidden

    def empty_carry(self, batch_size: int, length: int) -> Any:
        """For each layer, the LSTM's state and a cache with room for `length` steps."""
        return (empty_carries(self, batch_size, length),) * self.num_layers


def make_recurrent(module: Any, **place: Any) -> Any:
    """The recurrent layer, with the module's features and dtypes; place is a name or a parent."""
    return module.recurrent(
        features=module.features, dtype=module.dtype, param_dtype=module.param_dtype, **place
    )


def make_attention(module: Any, **place: Any) -> MultiHeadAttention:
    """The attention layer, with the module's heads and dtypes."""
    return MultiHeadAttention(
        module.num_heads, dtype=module.dtype, param_dtype=module.param_dtype, **place
    )


def empty_carries(module: Any, batch_size: int, length: int) -> tuple[Any, Any]:
    """The empty carries of one recurrent layer and of one attention layer."""
    return (
        make_recurrent(module, parent=None).empty_carry(batch_size, length),
        make_attention(module, parent=None).empty_carry(batch_size, length, module.features),
    )
