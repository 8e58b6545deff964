"""One trial as pure functions: its start, a training step, an evaluation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.models import Model, Params, carries_over
from lstm_attn.ops import accumulator
from lstm_attn.tasks import Batch, Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.data_source import (
    DROPOUT_STREAM,
    INIT_STREAM,
    DataSource,
    make_source,
    stream,
)
from lstm_attn.training.mesh import ParameterSharding, mean
from lstm_attn.training.optimizer import (
    GIVEN,
    OptimizerFactory,
    check_optimizer,
    make_optimizer,
)


class TrialState(NamedTuple):
    """One trial in training; a grid cell holds R of them stacked on a leading axis.

    carried: what the model remembers of the sequences so far, leaves [B, ...], where the task's
      sequences go on from batch to batch and the model has a carry for it; () elsewhere.
    """

    seed: Array
    learning_rate: Array
    step: Array
    params: Params
    optimizer_state: optax.OptState
    finite: Array
    carried: Any = ()


class TrainStep:
    """The functions of one trial, each of whose batches lies on `batch_shards` devices.

    Pure, for `jax.jit`; all but `start` need a mesh axis `batch`. A `block` is what the host has
    read for one batch, see `DataSource`.
    """

    source: DataSource

    def __init__(
        self,
        model: Model,
        task: Task,
        config: TrainingConfig,
        batch_shards: int,
        optimizer: OptimizerFactory | None = None,
    ) -> None:
        self.model, self.task, self.config, self.batch_shards = model, task, config, batch_shards
        self.optimizer = optimizer
        self.source = make_source(task, config, batch_shards)
        self.carries = self.source.continues and carries_over(model, task.length)
        if self.carries and model.apply_with_dropout is not None:
            raise UsageError(
                f"{task.name}: expected a model without dropout, since its state is carried from "
                "segment to segment, got one with it"
            )
        shapes = jax.eval_shape(model.init, jax.random.key(0))
        if optimizer is not None:
            check_optimizer(config, optimizer, shapes)
        sharded = config.parameters == "sharded"
        self.sharding = ParameterSharding.of(shapes, batch_shards, sharded=sharded)

    def start(self, seed: Array, learning_rate: Array) -> TrialState:
        """The state before the first step, with whole parameters."""
        params = self.model.init(stream(seed, INIT_STREAM))
        return TrialState(
            seed,
            learning_rate,
            step=jnp.int32(0),
            params=params,
            optimizer_state=self._optimizer(learning_rate).init(params),
            finite=jnp.bool_(True),
            carried=self._first_carry(self.config.batch_size),
        )

    def whole_params(self, state: TrialState) -> Params:
        """The parameters, gathered where each device holds a part of them."""
        return self.sharding.gather(state.params)

    def batch(self, state: TrialState, block: Any) -> Batch:
        """The data of the next step, as much as lies on this device."""
        return self.source.batch(state.seed, state.step, block)

    def loss(
        self,
        params: Params,
        state: TrialState,
        batch: Batch,
        carried: Any,
        microbatch: Array | int = 0,
    ) -> tuple[Array, Any]:
        """The loss of a batch, or of a part of it, and what is carried on to the next."""
        if self.model.apply_with_dropout is None:
            outputs, carried = self._outputs(params, carried, batch.inputs)
            return self.task.train_loss(outputs, batch), carried
        key = stream(state.seed, DROPOUT_STREAM, state.step)
        if self.batch_shards > 1:
            key = jax.random.fold_in(key, lax.axis_index("batch"))
        if self.config.accumulation_steps > 1:
            key = jax.random.fold_in(key, microbatch)
        outputs = self.model.apply_with_dropout(params, batch.inputs, key)
        return self.task.train_loss(outputs, batch), ()

    def loss_and_gradients(
        self, params: Params, state: TrialState, batch: Batch
    ) -> tuple[tuple[Array, Params], Any]:
        """(loss, gradients), computed in `accumulation_steps` microbatches, and what is carried."""
        count = self.config.accumulation_steps
        # Differentiated by params alone: no gradient passes into what is carried.
        of_microbatch = jax.value_and_grad(self.loss, has_aux=True)
        if count == 1:
            (loss, carried), gradients = of_microbatch(params, state, batch, state.carried)
            return (loss, gradients), carried

        def add(total: Any, one: tuple[Array, Batch, Any]) -> tuple[Any, Any]:
            index, microbatch, before = one
            (loss, after), gradients = of_microbatch(params, state, microbatch, before, index)
            added = jax.tree.map(
                lambda sum_, leaf: sum_ + leaf.astype(sum_.dtype), total, (loss, gradients)
            )
            return added, after

        cut, before = jax.tree.map(
            lambda array: array.reshape(count, -1, *array.shape[1:]), (batch, state.carried)
        )
        first = jax.tree.map(lambda array: array[0], (cut, before))
        (loss, _), gradients = jax.eval_shape(of_microbatch, params, state, *first)
        # Sums of numbers of 16 bits would lose what a microbatch adds to many others.
        zeros = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, accumulator(leaf.dtype)), (loss, gradients)
        )
        total, carried = lax.scan(add, zeros, (jnp.arange(count), cut, before))
        carried = jax.tree.map(lambda array: array.reshape(-1, *array.shape[2:]), carried)
        means = jax.tree.map(
            lambda sum_, like: (sum_ / count).astype(like.dtype), total, (loss, gradients)
        )
        return means, carried

    def __call__(self, state: TrialState, block: Any) -> tuple[TrialState, Array]:
        """The state after the next step, and the loss on all of its batch."""
        batch = self.batch(state, block)
        own, carried = self.loss_and_gradients(self.whole_params(state), state, batch)
        # Devices have equally many sequences, so the mean of their means is the batch's mean.
        loss, gradients = self.sharding.reduce(*own)
        one = optax.with_extra_args_support(self._optimizer(state.learning_rate))
        given = dict(zip(GIVEN, (loss, gradients), strict=True))
        updates, optimizer_state = one.update(
            gradients, state.optimizer_state, state.params, **given
        )
        params = optax.apply_updates(state.params, updates)
        finite = state.finite & jnp.isfinite(loss) & self.sharding.all_finite(params)
        advanced = state._replace(params=params, optimizer_state=optimizer_state, carried=carried)
        # A diverged trial keeps its last finite parameters; only its step goes on.
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), advanced, state)
        return kept._replace(step=state.step + 1, finite=finite), loss

    def evaluate(self, state: TrialState, blocks: Any) -> dict[str, Array]:
        """The task's metrics on data that are not trained on."""
        data = self.source.held_out(state.seed, state.step, blocks)
        size = jax.tree.leaves(blocks)[0].shape[1] if self.carries else 0
        return self._measure(state, data, size)

    def confirm(self, state: TrialState) -> dict[str, Array]:
        """The task's metrics on sequences that no evaluation has looked at."""
        return self._measure(state, self.source.unseen(state.seed, state.step), 0)

    def _measure(self, state: TrialState, data: Any, carried_size: int) -> dict[str, Array]:
        params = self.whole_params(state)
        batches, batch_of = data

        def evaluate_batch(carried: Any, one: Any) -> tuple[Any, dict[str, Array]]:
            batch = batch_of(one)
            outputs, carried = self._outputs(params, carried, batch.inputs)
            return carried, self.task.metrics(outputs, batch)

        _, metrics = lax.scan(evaluate_batch, self._first_carry(carried_size), batches)
        return mean(jax.tree.map(lambda m: m.mean(axis=0), metrics), self.batch_shards)

    def _optimizer(self, learning_rate: Array) -> optax.GradientTransformation:
        # By the config and not by the mesh, so that a checkpoint does not depend on the mesh.
        sharded = self.config.parameters == "sharded"
        norm = self.sharding.global_norm if sharded else None
        return make_optimizer(self.config, learning_rate, norm, self.optimizer)

    def _first_carry(self, batch_size: int) -> Any:
        """What is carried into the first batch: () where each begins anew."""
        return self.model.initial_state(batch_size, self.task.length) if self.carries else ()

    def _outputs(self, params: Params, carried: Any, inputs: Array) -> tuple[Array, Any]:
        if not self.carries:
            return self.model.apply(params, inputs), ()
        carried, outputs = self.model.segment(params, carried, inputs)
        return outputs, carried
