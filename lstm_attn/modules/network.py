"""A network around a body of layers: the embedding before it and the readout after."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn.modules.dense import compute_dtype, flat_product
from lstm_attn.modules.initializers import normal
from lstm_attn.modules.recurrent_protocol import continued
from lstm_attn.ops.placement import explicit_sharding


class Network(nn.Module):
    """A body that maps [B, T, D] to [B, T, H], and a linear readout to [B, T, O] in at least
    float32. Token ids [B, T] are first embedded as vectors of `embedding_features`, which is 0 for
    inputs that are features."""

    body: nn.Module
    output_features: int
    embedding_features: int = 0

    @nn.compact
    def __call__(self, inputs: Array, carry: Any = None) -> tuple[Any, Array]:
        if self.embedding_features:
            embedding = nn.Embed(
                self.output_features,
                self.embedding_features,
                # Flax's default is smaller by the root of the features: an LSTM learns slower.
                embedding_init=normal(1.0),
                name="embedding",
            )
            # JAX does not guess where rows of a table lie that it takes for ids on Explicit axes.
            place = explicit_sharding(inputs)
            inputs = (
                embedding(inputs)
                if place is None
                else embedding.embedding.at[inputs].get(mode="fill", out_sharding=place)
            )
        carry, hidden = continued(self.body, inputs, carry)
        dtype = compute_dtype(hidden, None, jnp.float32)
        readout = nn.Dense(
            self.output_features, dtype=dtype, dot_general=flat_product, name="readout"
        )
        return carry, readout(hidden)
