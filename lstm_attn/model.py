"""Model(init, apply, ...): a network as pure functions, all that training sees of it."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.modules.intercept import Cut
from lstm_attn.modules.observing import Observations
from lstm_attn.ops.additive_attention import PoolingState
from lstm_attn.ops.kv_cache import KeyValueCache
from lstm_attn.tasks import Task

Params = Any  # a pytree of arrays
State = Any  # likewise


def _no_state(*_: Any) -> Any:
    raise UsageError("model: expected one with a step form, got one with init and apply only")


def _no_inside(*_: Any) -> Any:
    raise UsageError(
        "model: expected one that can be looked into, got one with init and apply only"
    )


def _no_hidden(*_: Any) -> Any:
    raise UsageError(
        "model: expected one that shows its hidden states, got one with init and apply only; "
        "gradient_norms has inputs_only=True for it"
    )


class Model(NamedTuple):
    """A network as pure functions. Training needs only the first two.

    init(key): parameters.
    apply(params, inputs [B, T, D], or ids [B, T]): outputs [B, T, O], all steps at once.
    apply_with_dropout(params, inputs, key): apply with dropout, for training; None without dropout.
    initial_state(batch_size, length): the state before the first of at most `length` steps: a
      carry, or an empty key-value cache with that much room.
    segment(params, state, inputs [B, T, D]): (state, outputs [B, T, O]) of the next T steps.
    step(params, state, x_t [B, D]): (state, y_t [B, O]), the next step.
    hidden(params, inputs [B, T, D], changes): (outputs [B, T, O], layer -> h [B, T, H]), with
      changes, layer -> [B, T, H], added to the hidden states of its recurrent layers; {} for no
      change (see `modules.with_hidden_states`).
    observe(params, inputs): (outputs, `Observations`), with states, gates and attention by layer.
    apply_cut(params, inputs, cut): apply with the paths through time closed that the `Cut` names.

    step and segment agree with apply. A key-value cache without room for a step is a one-line
    error, or gives NaN under `jax.jit`, where the number of steps is not known. A model that lacks
    a function raises a `UsageError` when it is called.
    """

    init: Callable[[Array], Params]
    apply: Callable[[Params, Array], Array]
    apply_with_dropout: Callable[[Params, Array, Array], Array] | None = None
    initial_state: Callable[[int, int], State] = _no_state
    segment: Callable[[Params, State, Array], tuple[State, Array]] = _no_state
    step: Callable[[Params, State, Array], tuple[State, Array]] = _no_state
    hidden: Callable[[Params, Array, Mapping[str, Array]], tuple[Array, dict]] = _no_hidden
    observe: Callable[[Params, Array], tuple[Array, Observations]] = _no_inside
    apply_cut: Callable[[Params, Array, Cut], Array] = _no_inside

    def __reduce__(self) -> Any:
        """Of a jitted `init`, a pickle has the function, which is compiled again."""
        jitted = isinstance(self.init, jax.stages.Wrapped)
        init = getattr(self.init, "__wrapped__") if jitted else self.init  # noqa: B009
        return _unpickled, (jitted, init, *self[1:])


def _unpickled(jitted: bool, init: Callable[[Array], Params], *others: Any) -> Model:
    return Model(jax.jit(init) if jitted else init, *others)


def of_module(module: nn.Module, task: Task) -> Model:
    """A Flax module that maps [B, T, D], or ids [B, T], to outputs [B, T, O], as a Model.

    It is trained as it is: without a step form, and not seen into.

    Raises:
      UsageError: no Flax module, one with other variables than parameters, or one whose outputs
        are not those of the task.
    """
    kind = type(module).__name__
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"model: expected a Model or a Flax module, got {kind}; "
            "models.build(name, task) makes a Model of a name in models.MODELS"
        )

    made = _OfModule(module, task)
    inputs = example_inputs(task)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), inputs))
    if set(shapes) != {"params"}:
        raise UsageError(
            f"model: expected {kind} with parameters and no other variables, got {sorted(shapes)}"
        )
    outputs = jax.eval_shape(made.outputs, shapes["params"], inputs)
    expected = (1, task.sequence_length, task.output_features)
    got = getattr(outputs, "shape", type(outputs).__name__)
    if got != expected:
        raise UsageError(
            f"model: {kind} expected to give outputs [B, T, O] = {expected} for the task "
            f"{task.name}, got {got}"
        )
    return Model(jax.jit(made.init), made.outputs)


def example_inputs(task: Task) -> Array:
    """A sequence of zeros in the shape and dtype of the task's inputs."""
    if task.input_features is None:
        return jnp.zeros((1, task.sequence_length), jnp.int32)
    return jnp.zeros((1, task.sequence_length, task.input_features), jnp.float32)


def carries_over(model: Model, length: int) -> bool:
    """Whether the model's state is carried from one segment of a text to the next: a recurrent
    carry is. A key-value cache would grow without end, and in the sums of attention pooling a new
    segment would soon have next to no weight."""
    return model.initial_state is not _no_state and is_carry(model.initial_state, length)


def is_carry(initial_state: Callable[[int, int], State], length: int) -> bool:
    """Whether the state has no cache and no pooling sums."""
    kinds = (KeyValueCache, PoolingState)
    state = jax.eval_shape(lambda: initial_state(1, length))
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kinds))
    return not any(isinstance(part, kinds) for part in parts)


def count_parameters(model: Model) -> int:
    """The number of parameters; nothing is computed."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


class _OfModule(NamedTuple):
    """The functions of a Model, of a Flax module alone."""

    module: nn.Module
    task: Task

    def init(self, key: Array) -> Params:
        return self.module.init(key, example_inputs(self.task))["params"]

    def outputs(self, params: Params, inputs: Array) -> Any:
        return self.module.apply({"params": params}, inputs)
