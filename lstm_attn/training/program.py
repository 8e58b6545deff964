"""All trials of a grid cell as one jitted program: a chunk of training steps and an evaluation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jax.sharding import PartitionSpec as P

from lstm_attn.models import Model, Params
from lstm_attn.tasks import Batch, Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.layout import Layout, choose_layout
from lstm_attn.training.optimizer import make_optimizer

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


class Program(NamedTuple):
    """A grid cell compiled: start() -> states, advance(states) -> (states, metrics).

    start: the states before the first step.
    advance: one chunk of `evaluate_every` steps for every trial, then an evaluation on fresh data.
      The states given are donated: their buffers are reused.
    layout: where the trials lie.
    """

    start: jax.stages.Wrapped
    advance: jax.stages.Wrapped
    layout: Layout


def trial_settings(config: TrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and learning rates of the R trials: every seed with every rate, seeds fastest."""
    seeds = np.tile(np.arange(config.seeds, dtype=np.uint32), len(config.learning_rates))
    return seeds, np.repeat(np.asarray(config.learning_rates, np.float32), config.seeds)


def make_program(model: Model, task: Task, config: TrainingConfig) -> Program:
    """The jitted functions that train all trials of one grid cell."""
    layout = choose_layout(config)

    def stream(seed: Array, index: int, step: Array | int = 0) -> Array:
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), step)

    def shard(batch: Batch) -> Batch:
        # Every device draws the whole batch and keeps its part, so data do not depend on the mesh.
        def part(array: Array) -> Array:
            size = array.shape[0] // layout.batch_shards
            return lax.dynamic_slice_in_dim(array, lax.axis_index("batch") * size, size)

        return jax.tree.map(part, batch) if layout.batch_shards > 1 else batch

    def start_trial(setting: tuple[Array, Array]) -> TrialState:
        seed, learning_rate = setting
        params = model.init(stream(seed, INIT_STREAM))
        optimizer_state = make_optimizer(config, learning_rate).init(params)
        return TrialState(
            seed, learning_rate, jnp.int32(0), params, optimizer_state, jnp.bool_(True)
        )

    def train_step(state: TrialState, _: None) -> tuple[TrialState, Array]:
        batch = shard(task.sample(stream(state.seed, TRAIN_STREAM, state.step), config.batch_size))

        def loss_of(params: Params) -> Array:
            if model.apply_with_dropout is None:
                return task.loss(model.apply(params, batch.inputs), batch)
            key = stream(state.seed, DROPOUT_STREAM, state.step)
            if layout.batch_shards > 1:
                key = jax.random.fold_in(key, lax.axis_index("batch"))
            return task.loss(model.apply_with_dropout(params, batch.inputs, key), batch)

        # Parts of a batch are equally large, so the mean of their means is the batch's mean.
        loss, gradients = lax.pmean(jax.value_and_grad(loss_of)(state.params), "batch")
        optimizer = make_optimizer(config, state.learning_rate)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, updates)
        finite = state.finite & jnp.isfinite(loss) & _all_finite(params)
        advanced = state._replace(params=params, optimizer_state=optimizer_state)
        # A diverged trial keeps its last finite parameters; only its step goes on.
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), advanced, state)
        return kept._replace(step=state.step + 1, finite=finite), loss

    def evaluate(state: TrialState) -> dict[str, Array]:
        key = stream(state.seed, EVALUATION_STREAM, state.step)

        def evaluate_batch(index: Array) -> dict[str, Array]:
            batch = shard(task.sample(jax.random.fold_in(key, index), config.evaluation_batch))
            return task.metrics(model.apply(state.params, batch.inputs), batch)

        batches = jnp.arange(config.evaluation_sequences // config.evaluation_batch)
        means = jax.tree.map(lambda m: m.mean(axis=0), lax.map(evaluate_batch, batches))
        return lax.pmean(means, "batch")

    def advance_trial(state: TrialState) -> tuple[TrialState, dict[str, Array]]:
        state, losses = lax.scan(train_step, state, length=config.evaluate_every)
        return state, {"train_loss": losses.mean(), **evaluate(state)}

    def advance(states: TrialState) -> tuple[TrialState, dict[str, Array]]:
        # check_vma off: with it on, gradients of unsharded parameters are summed over `batch`
        # before we take their mean, and the way to say otherwise differs between JAX releases.
        on_mesh = jax.shard_map(
            layout.over_trials(advance_trial),
            mesh=layout.mesh,
            in_specs=P("trial"),
            out_specs=P("trial"),
            check_vma=False,
        )
        return on_mesh(states)

    def start() -> TrialState:
        return jax.vmap(start_trial)(jax.tree.map(jnp.asarray, trial_settings(config)))

    return Program(
        start=jax.jit(start, out_shardings=layout.by_trial),
        advance=jax.jit(advance, donate_argnums=0, out_shardings=layout.by_trial),
        layout=layout,
    )


def _all_finite(tree: Params) -> Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
