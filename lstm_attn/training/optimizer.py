"""The optimiser of one trial; its learning rate may be a traced scalar."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from lstm_attn.errors import UsageError, in_words, one_line
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.gradient_norm import Norm, clipped, norm_of

# From a schedule, the learning rate at each count of steps, to an optimiser: optax.adam is one.
OptimizerFactory = Callable[[optax.Schedule], optax.GradientTransformation]
# What an optimiser's update is given by name besides gradients, state and parameters, where it asks
# for it: the loss of the batch, and the gradients before the clip.
GIVEN = ("value", "grad")


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
    global_norm: Callable[[Any], Norm] | None = None,
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
        update = _with_plain_state(optimizer(schedule))
    both = optax.chain(_clip(config.clip_norm, global_norm or norm_of), update)
    # Another optimiser may look at whole matrices, and what each device has a part of stays apart.
    return optax.flatten(both) if global_norm is None and optimizer is None else both


def check_optimizer(config: TrainingConfig, optimizer: OptimizerFactory, params: Any) -> None:
    """Traces a step of an optimizer of one's own on parameters of these shapes.

    Raises:
      UsageError: it can't make one, for example since it asks for more than GIVEN.
    """

    def step(params: Any, number: Array) -> Any:
        one = optax.with_extra_args_support(make_optimizer(config, number, norm_of, optimizer))
        given = dict(zip(GIVEN, (number, params), strict=True))
        updates, _ = one.update(params, one.init(params), params, **given)
        return optax.apply_updates(params, updates)

    try:
        jax.eval_shape(step, params, jax.ShapeDtypeStruct((), jnp.float32))
    except UsageError:
        raise
    except Exception as error:  # of a function that the user gives
        raise UsageError(
            "optimizer: expected to make an optax optimiser that needs no more than the gradients, "
            f"the parameters, {' and '.join(GIVEN)}, got {one_line(in_words(error))}"
        ) from error


def _clip(largest: float, global_norm: Callable[[Any], Norm]) -> optax.GradientTransformation:
    """`optax.clip_by_global_norm`, with the norm that is given; its sums don't overflow."""
    return optax.stateless(lambda gradients, _: clipped(gradients, global_norm(gradients), largest))


def _with_plain_state(one: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The optimiser with random keys in its state as their numbers, which numpy and files hold.

    Its update is given what it asks for.
    """
    one = optax.with_extra_args_support(one)
    names = inspect.signature(one.update).parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in names.values())

    def numbers(state: Any) -> Any:
        return jax.tree.map(
            lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, state
        )

    def init(params: Any) -> Any:
        return numbers(one.init(params))

    def update(gradients: Any, state: Any, params: Any = None, **given: Any) -> Any:
        state = jax.tree.map(
            lambda like, leaf: (
                jax.random.wrap_key_data(leaf, dtype=like.dtype) if _is_key(like) else leaf
            ),
            jax.eval_shape(one.init, params),
            state,
        )
        taken = given if takes_all else {name: given[name] for name in given if name in names}
        updates, state = one.update(gradients, state, params, **taken)
        return updates, numbers(state)

    return optax.GradientTransformationExtraArgs(init, update)


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
