"""A language model whose loss is known in closed form."""

import jax
import jax.numpy as jnp

from lstm_attn.models import Model

SIZE = 5  # of its vocabulary


def delayed(delay, sure=0.9):
    """Predicts with probability `sure` that the next token is that of `delay` steps before."""

    def apply(params, ids):
        before = jnp.pad(ids, ((0, 0), (delay - 1, 0)), constant_values=-1)[:, : ids.shape[1]]
        known = jnp.where(jax.nn.one_hot(before, SIZE) == 1, sure, (1 - sure) / (SIZE - 1))
        return jnp.log(jnp.where(before[..., None] < 0, 1 / SIZE, known))

    return Model(lambda key: None, apply)
