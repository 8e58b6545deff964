"""The peer of `benchmarks.whole_job`: the training loop that a Flax user writes.

Numpy data, `flax.linen.RNN(OptimizedLSTMCell)`, a TrainState, one jitted step a call, an evaluation
now and then, one trial after another.
"""

import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from lstm_attn.tasks import Batch, Task
from lstm_attn.training import TrainingConfig


class Network(nn.Module):
    """An LSTM and a readout of every step."""

    features: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        return nn.Dense(1)(nn.RNN(nn.OptimizedLSTMCell(self.features))(inputs))


def adding(generator: np.random.Generator, batch_size: int, length: int) -> Batch:
    """The adding problem in numpy, as `tasks.adding` defines it."""
    values = generator.random((batch_size, length), np.float32)
    marked = np.zeros((batch_size, length), bool)
    rows = np.arange(batch_size)
    marked[rows, generator.integers(0, length // 2, batch_size)] = True
    marked[rows, generator.integers(length // 2, length, batch_size)] = True
    due = np.zeros((batch_size, length), bool)
    due[:, -1] = True
    total = np.where(marked, values, 0).sum(axis=1, keepdims=True)
    inputs = np.stack([values, marked.astype(np.float32)], axis=-1)
    targets = np.where(due, total, 0).astype(np.float32)
    return Batch(*map(jnp.asarray, (inputs, targets, due)))


def train(task: Task, config: TrainingConfig, features: int) -> Iterator[tuple[float, bool]]:
    """Trains one trial after another; yields (seconds since the start, solved) as each ends."""
    network = Network(features)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rates[0], config.warmup_steps, config.steps
    )
    optimizer = optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.adam(schedule))

    @jax.jit
    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, jax.Array]:
        def loss_of(params: dict) -> jax.Array:
            return task.loss(state.apply_fn({"params": params}, batch.inputs), batch)

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=gradients), loss

    @jax.jit
    def evaluate(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        return task.metrics(state.apply_fn({"params": state.params}, batch.inputs), batch)

    began = time.monotonic()
    for seed in range(config.seeds):
        generator = np.random.default_rng(seed)
        params = network.init(jax.random.key(seed), jnp.zeros((1, task.sequence_length, 2)))
        state = TrainState.create(apply_fn=network.apply, params=params["params"], tx=optimizer)
        solved = False
        for step in range(1, config.steps + 1):
            state, _ = train_step(state, adding(generator, config.batch_size, task.sequence_length))
            if step % config.evaluate_every == 0:
                sequences = config.evaluation_sequences
                metrics = evaluate(state, adding(generator, sequences, task.sequence_length))
                solved = task.is_solved({name: float(m) for name, m in metrics.items()})
                if solved:
                    break
        jax.block_until_ready(state.params)
        yield time.monotonic() - began, solved
