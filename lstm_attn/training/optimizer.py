"""The optimiser of one trial; its learning rate may be a traced scalar."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.training.config import TrainingConfig

# From a schedule, the learning rate at each count of steps, to an optimiser: optax.adam is one.
OptimizerFactory = Callable[[optax.Schedule], optax.GradientTransformation]


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
    optimizer: OptimizerFactory | None = None,
) -> optax.GradientTransformation:
    """Clip the global norm, then AdamW at learning_rate x `relative_schedule`.

    An optax transformation is a pair of pure functions, so it can be made inside the traced step
    from each trial's own learning rate; its state does not hold the rate.

    AdamW works on all parameters as one vector: a few operations on one array compile faster, and
    on small models run faster, than the same on each of many small arrays.

    Args:
      global_norm: of gradients of which each device has a part; the optimiser then works on the
        arrays that are here. None where gradients are whole.
      optimizer: in the place of AdamW; None for AdamW.

    Raises:
      UsageError: an optimizer that is not a function, or weight decay for one that is not AdamW.
    """
    relative = relative_schedule(config)

    def schedule(count: Array) -> Array:
        return learning_rate * relative(count)

    if optimizer is None:
        update = optax.adamw(schedule, weight_decay=config.weight_decay)
    elif not callable(optimizer):
        raise UsageError(
            "optimizer: expected a function of the learning rate, such as optax.adam, got "
            f"{type(optimizer).__name__}"
        )
    elif config.weight_decay:
        raise UsageError(
            "training.weight_decay: expected 0 with an optimizer of one's own, got "
            f"{config.weight_decay}"
        )
    else:
        update = optimizer(schedule)
    if global_norm is not None:
        return optax.chain(_clip(config.clip_norm, global_norm), update)
    clipped = optax.chain(optax.clip_by_global_norm(config.clip_norm), update)
    # Another optimiser may look at whole matrices.
    return optax.flatten(clipped) if optimizer is None else clipped


def _clip(largest: float, global_norm: Callable[[Any], Array]) -> optax.GradientTransformation:
    """`optax.clip_by_global_norm`, with the norm that is given."""

    def update(gradients: Any, _: Any) -> Any:
        norm = global_norm(gradients)
        return jax.tree.map(
            lambda leaf: jnp.where(norm < largest, leaf, (leaf / norm) * largest), gradients
        )

    return optax.stateless(update)
