"""One trial as pure functions: its start, a training step, an evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.models import Model, Params, carries_over
from lstm_attn.tasks import Batch, ReadTask, Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.mesh import Parts, mean
from lstm_attn.training.optimizer import make_optimizer

# What a trial's seed is split into: parameters, data of training and of evaluation, dropout.
INIT_STREAM, TRAIN_STREAM, EVALUATION_STREAM, DROPOUT_STREAM = range(4)


class TrialState(NamedTuple):
    """One trial in training; a grid cell holds R of them stacked on a leading axis.

    carried: what the model remembers of the segments so far, leaves [B, ...], where the task's
      sequences go on from batch to batch and the model has a carry for it; () elsewhere.
    """

    seed: Array
    learning_rate: Array
    step: Array
    params: Params
    optimizer_state: optax.OptState
    finite: Array
    carried: Any = ()


class Trial(NamedTuple):
    """The functions of one trial; all but `start` need a mesh axis `batch` to be called on.

    start(seed, learning_rate): the state before the first step, whole.
    params(state): whole, where the state holds this device's part of them.
    batch(state, read): the data of the next step, as much as lies on this device.
    loss(params, state, batch): of that part of the data.
    loss_and_gradients(params, state, batch): (loss, gradients), in `accumulation_steps`
      microbatches, and what is carried on.
    train_step(state, read): the state after the next step, and the loss on all of its batch.
    evaluate(state, read): the task's metrics on fresh data.

    read: of a `ReadTask` what the host has read for the step or the evaluation, this device's part
      of it; () for data that are made on the device.
    """

    start: Callable[[Array, Array], TrialState]
    params: Callable[[TrialState], Params]
    batch: Callable[[TrialState, Any], Batch]
    loss: Callable[[Params, TrialState, Batch], Array]
    loss_and_gradients: Callable[[Params, TrialState, Batch], tuple[tuple[Array, Params], Any]]
    train_step: Callable[[TrialState, Any], tuple[TrialState, Array]]
    evaluate: Callable[[TrialState, Any], dict[str, Array]]


def make_trial(model: Model, task: Task, config: TrainingConfig, batch_shards: int) -> Trial:
    """The functions of one trial, each of whose batches lies on `batch_shards` devices."""

    def stream(seed: Array, index: int, step: Array | int = 0) -> Array:
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), step)

    goes_on = isinstance(task, ReadTask) and carries_over(model, task.length)
    if goes_on and model.apply_with_dropout is not None:
        raise UsageError(
            f"{task.name}: expected a model without dropout, since its state is carried from "
            "segment to segment, got one with it"
        )
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

    def empty_carry(batch_size: int) -> Any:
        """What is carried into the first batch: () where each begins anew."""
        return model.initial_state(batch_size, task.length) if goes_on else ()

    def outputs_of(params: Params, carried: Any, inputs: Array) -> tuple[Array, Any]:
        if not jax.tree.leaves(carried):
            return model.apply(params, inputs), ()
        carried, outputs = model.segment(params, carried, inputs)
        return outputs, carried

    def start(seed: Array, learning_rate: Array) -> TrialState:
        params = model.init(stream(seed, INIT_STREAM))
        optimizer_state = optimizer_of(learning_rate).init(params)
        step, finite = jnp.int32(0), jnp.bool_(True)
        carried = empty_carry(config.batch_size)
        return TrialState(seed, learning_rate, step, params, optimizer_state, finite, carried)

    def whole_params(state: TrialState) -> Params:
        return parts.gather(state.params)

    def next_batch(state: TrialState, read: Any) -> Batch:
        if isinstance(task, ReadTask):
            return task.batch(read)
        return shard(task.sample(stream(state.seed, TRAIN_STREAM, state.step), config.batch_size))

    def loss_of(
        params: Params,
        state: TrialState,
        batch: Batch,
        carried: Any,
        microbatch: Array | int = 0,
    ) -> tuple[Array, Any]:
        if model.apply_with_dropout is None:
            outputs, carried = outputs_of(params, carried, batch.inputs)
            return task.loss(outputs, batch), carried
        key = stream(state.seed, DROPOUT_STREAM, state.step)
        if batch_shards > 1:
            key = jax.random.fold_in(key, lax.axis_index("batch"))
        if config.accumulation_steps > 1:
            key = jax.random.fold_in(key, microbatch)
        return task.loss(model.apply_with_dropout(params, batch.inputs, key), batch), ()

    def loss_and_gradients(
        params: Params, state: TrialState, batch: Batch
    ) -> tuple[tuple[Array, Params], Any]:
        count = config.accumulation_steps
        # Differentiated by params alone: no gradient passes into what is carried.
        of_microbatch = jax.value_and_grad(loss_of, has_aux=True)
        if count == 1:
            (loss, carried), gradients = of_microbatch(params, state, batch, state.carried)
            return (loss, gradients), carried

        def add(total: Any, one: tuple[Array, Batch, Any]) -> tuple[Any, Any]:
            index, microbatch, before = one
            (loss, after), gradients = of_microbatch(params, state, microbatch, before, index)
            return jax.tree.map(jnp.add, total, (loss, gradients)), after

        cut, before = jax.tree.map(
            lambda array: array.reshape(count, -1, *array.shape[1:]), (batch, state.carried)
        )
        first = jax.tree.map(lambda array: array[0], (cut, before))
        (loss, _), gradients = jax.eval_shape(of_microbatch, params, state, *first)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (loss, gradients))
        total, carried = lax.scan(add, zeros, (jnp.arange(count), cut, before))
        carried = jax.tree.map(lambda array: array.reshape(-1, *array.shape[2:]), carried)
        return jax.tree.map(lambda leaf: leaf / count, total), carried

    def train_step(state: TrialState, read: Any) -> tuple[TrialState, Array]:
        found, carried = loss_and_gradients(whole_params(state), state, next_batch(state, read))
        # Parts of a batch are equally large, so the mean of their means is the batch's mean.
        loss, gradients = parts.reduce(*found)
        optimizer = optimizer_of(state.learning_rate)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, updates)
        finite = state.finite & jnp.isfinite(loss) & parts.all_finite(params)
        advanced = state._replace(params=params, optimizer_state=optimizer_state, carried=carried)
        # A diverged trial keeps its last finite parameters; only its step goes on.
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), advanced, state)
        return kept._replace(step=state.step + 1, finite=finite), loss

    def evaluate(state: TrialState, read: Any) -> dict[str, Array]:
        params = whole_params(state)
        key = stream(state.seed, EVALUATION_STREAM, state.step)

        def evaluate_batch(carried: Any, index_or_read: Any) -> tuple[Any, dict[str, Array]]:
            if isinstance(task, ReadTask):
                batch = task.batch(index_or_read)
            else:
                one = jax.random.fold_in(key, index_or_read)
                batch = shard(task.sample(one, config.evaluation_batch))
            outputs, carried = outputs_of(params, carried, batch.inputs)
            return carried, task.metrics(outputs, batch)

        if isinstance(task, ReadTask):
            batches, carried = read, empty_carry(read.shape[1])
        else:
            batches, carried = (
                jnp.arange(config.evaluation_sequences // config.evaluation_batch),
                (),
            )
        _, metrics = lax.scan(evaluate_batch, carried, batches)
        return mean(jax.tree.map(lambda m: m.mean(axis=0), metrics), batch_shards)

    def loss(params: Params, state: TrialState, batch: Batch) -> Array:
        return loss_of(params, state, batch, state.carried)[0]

    return Trial(start, whole_params, next_batch, loss, loss_and_gradients, train_step, evaluate)
