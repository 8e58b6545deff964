"""The optimiser of one trial; its learning rate may be a traced scalar."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from lstm_attn.training.config import TrainingConfig


def relative_schedule(config: TrainingConfig) -> optax.Schedule:
    """The learning rate over its peak: linear warm-up, then constant or cosine to zero."""
    after = config.steps - config.warmup
    shape = {
        "constant": optax.constant_schedule(1.0),
        "cosine": optax.cosine_decay_schedule(1.0, after),
    }[config.schedule]
    if config.warmup == 0:
        return shape
    # One more than the count, so that the first step moves: a rate of zero would waste it.
    warmup = optax.linear_schedule(1 / config.warmup, 1.0, max(config.warmup - 1, 1))
    return optax.join_schedules([warmup, shape], [config.warmup])


def make_optimizer(
    config: TrainingConfig,
    learning_rate: Array | float,
    global_norm: Callable[[Any], Array] | None = None,
) -> optax.GradientTransformation:
    """Clip the global norm, then AdamW at learning_rate x `relative_schedule`.

    An optax transformation is a pair of pure functions, so it can be made inside the traced step
    from each trial's own learning rate; its state does not hold the rate.

    It works on all parameters as one vector: a few operations on one array compile faster, and on
    small models run faster, than the same on each of many small arrays.

    Args:
      global_norm: of gradients of which there are only parts here, each in its own array; the
        optimiser then works leaf by leaf, on what is here. None where they are whole.
    """
    relative = relative_schedule(config)
    adamw = optax.adamw(
        lambda count: learning_rate * relative(count), weight_decay=config.weight_decay
    )
    if global_norm is None:
        return optax.flatten(optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw))
    return optax.chain(_clip(config.clip_norm, global_norm), adamw)


def _clip(largest: float, global_norm: Callable[[Any], Array]) -> optax.GradientTransformation:
    """`optax.clip_by_global_norm`, with the norm that is given."""

    def update(gradients: Any, _: Any) -> Any:
        norm = global_norm(gradients)
        return jax.tree.map(
            lambda leaf: jnp.where(norm < largest, leaf, (leaf / norm) * largest), gradients
        )

    return optax.stateless(update)
