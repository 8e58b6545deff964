"""One trial as pure functions: its start, a training step, an evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from lstm_attn.models import Model, Params
from lstm_attn.tasks import Batch, Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.optimizer import make_optimizer
from lstm_attn.training.parts import Parts, mean

# What a trial's seed is split into: parameters, data of training and of evaluation, dropout.
INIT_STREAM, TRAIN_STREAM, EVALUATION_STREAM, DROPOUT_STREAM = range(4)


class TrialState(NamedTuple):
    """One trial in training; a grid cell holds R of them stacked on a leading axis."""

    seed: Array
    learning_rate: Array
    step: Array
    params: Params
    optimizer_state: optax.OptState
    finite: Array


class Trial(NamedTuple):
    """The functions of one trial; all but `start` need a mesh axis `batch` to be called on.

    start(seed, learning_rate): the state before the first step, whole.
    params(state): whole, where the state holds this device's part of them.
    batch(state): the data of the next step, as much as lies on this device.
    loss(params, state, batch): of that part of the data.
    loss_and_gradients(params, state, batch): the same in `accumulation_steps` microbatches.
    train_step(state): the state after the next step, and the loss on all of its batch.
    evaluate(state): the task's metrics on fresh data.
    """

    start: Callable[[Array, Array], TrialState]
    params: Callable[[TrialState], Params]
    batch: Callable[[TrialState], Batch]
    loss: Callable[[Params, TrialState, Batch], Array]
    loss_and_gradients: Callable[[Params, TrialState, Batch], tuple[Array, Params]]
    train_step: Callable[[TrialState], tuple[TrialState, Array]]
    evaluate: Callable[[TrialState], dict[str, Array]]


def make_trial(model: Model, task: Task, config: TrainingConfig, batch_shards: int) -> Trial:
    """The functions of one trial, each of whose batches lies on `batch_shards` devices."""

    def stream(seed: Array, index: int, step: Array | int = 0) -> Array:
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), step)

    shapes = jax.eval_shape(model.init, jax.random.key(0))
    sharded = config.parameters == "sharded"
    parts = Parts.of(shapes, batch_shards, sharded=sharded)

    def optimizer_of(learning_rate: Array) -> optax.GradientTransformation:
        # By the config and not by the mesh, so that a checkpoint does not depend on the mesh.
        return make_optimizer(config, learning_rate, parts.global_norm if sharded else None)

    def shard(batch: Batch) -> Batch:
        # Every device draws the whole batch and keeps its part, so data do not depend on the mesh.
        def part(array: Array) -> Array:
            size = array.shape[0] // batch_shards
            return lax.dynamic_slice_in_dim(array, lax.axis_index("batch") * size, size)

        return jax.tree.map(part, batch) if batch_shards > 1 else batch

    def start(seed: Array, learning_rate: Array) -> TrialState:
        params = model.init(stream(seed, INIT_STREAM))
        optimizer_state = optimizer_of(learning_rate).init(params)
        return TrialState(
            seed, learning_rate, jnp.int32(0), params, optimizer_state, jnp.bool_(True)
        )

    def whole_params(state: TrialState) -> Params:
        return parts.gather(state.params)

    def next_batch(state: TrialState) -> Batch:
        return shard(task.sample(stream(state.seed, TRAIN_STREAM, state.step), config.batch_size))

    def loss_of(
        params: Params, state: TrialState, batch: Batch, microbatch: Array | int = 0
    ) -> Array:
        if model.apply_with_dropout is None:
            return task.loss(model.apply(params, batch.inputs), batch)
        key = stream(state.seed, DROPOUT_STREAM, state.step)
        if batch_shards > 1:
            key = jax.random.fold_in(key, lax.axis_index("batch"))
        if config.accumulation_steps > 1:
            key = jax.random.fold_in(key, microbatch)
        return task.loss(model.apply_with_dropout(params, batch.inputs, key), batch)

    def loss_and_gradients(params: Params, state: TrialState, batch: Batch) -> tuple[Array, Params]:
        count = config.accumulation_steps
        of_microbatch = jax.value_and_grad(loss_of)
        if count == 1:
            return of_microbatch(params, state, batch)

        def add(total: Any, one: tuple[Array, Batch]) -> tuple[Any, None]:
            index, microbatch = one
            found = of_microbatch(params, state, microbatch, index)
            return jax.tree.map(jnp.add, total, found), None

        cut = jax.tree.map(lambda array: array.reshape(count, -1, *array.shape[1:]), batch)
        first = jax.tree.map(lambda array: array[0], cut)
        shapes = jax.eval_shape(of_microbatch, params, state, first)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        total, _ = lax.scan(add, zeros, (jnp.arange(count), cut))
        return jax.tree.map(lambda leaf: leaf / count, total)

    def train_step(state: TrialState) -> tuple[TrialState, Array]:
        # Parts of a batch are equally large, so the mean of their means is the batch's mean.
        loss, gradients = parts.reduce(
            *loss_and_gradients(whole_params(state), state, next_batch(state))
        )
        optimizer = optimizer_of(state.learning_rate)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, updates)
        finite = state.finite & jnp.isfinite(loss) & parts.all_finite(params)
        advanced = state._replace(params=params, optimizer_state=optimizer_state)
        # A diverged trial keeps its last finite parameters; only its step goes on.
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), advanced, state)
        return kept._replace(step=state.step + 1, finite=finite), loss

    def evaluate(state: TrialState) -> dict[str, Array]:
        key = stream(state.seed, EVALUATION_STREAM, state.step)
        params = whole_params(state)

        def evaluate_batch(index: Array) -> dict[str, Array]:
            batch = shard(task.sample(jax.random.fold_in(key, index), config.evaluation_batch))
            return task.metrics(model.apply(params, batch.inputs), batch)

        batches = jnp.arange(config.evaluation_sequences // config.evaluation_batch)
        means = jax.tree.map(lambda m: m.mean(axis=0), lax.map(evaluate_batch, batches))
        return mean(means, batch_shards)

    return Trial(start, whole_params, next_batch, loss_of, loss_and_gradients, train_step, evaluate)
