"""The job of benchmarks.whole_job as it is usually written with Flax.

Data drawn by numpy, a `TrainState`, one jitted training step a call, one trial after another. It
compiles once for all trials, since model and optimiser are made once.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState
from jax import Array

from benchmarks.whole_job import Evaluated, Job
from lstm_attn.tasks.adding_problem import TOLERANCE
from lstm_attn.training import TrainingConfig


class Regressor(nn.Module):
    """An LSTM, and a linear readout of its last output: [B, T, 2] to [B]."""

    features: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        hidden = nn.RNN(nn.OptimizedLSTMCell(self.features))(inputs)
        assert isinstance(hidden, Array)  # without a carry
        return nn.Dense(1)(hidden[:, -1])[:, 0]


@jax.jit
def train_step(state: TrainState, inputs: Array, targets: Array) -> tuple[TrainState, Array]:
    """One step on one batch, and its loss."""

    def loss_of(params: dict) -> Array:
        return jnp.mean(jnp.square(state.apply_fn({"params": params}, inputs) - targets))

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


@jax.jit
def correct(state: TrainState, inputs: Array, targets: Array) -> Array:
    """The fraction of sequences that are correct by the task's criterion."""
    errors = jnp.abs(state.apply_fn({"params": state.params}, inputs) - targets)
    return jnp.mean(errors < TOLERANCE)


def sample(
    generator: np.random.Generator, batch_size: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [B, T, 2] and sums [B] of the adding problem, as in `tasks.Adding`."""
    values = generator.random((batch_size, length), dtype=np.float32)
    markers = np.zeros_like(values)
    rows, half = np.arange(batch_size), length // 2
    markers[rows, generator.integers(0, half, batch_size)] = 1
    markers[rows, generator.integers(half, length, batch_size)] = 1
    return np.stack([values, markers], axis=-1), (values * markers).sum(axis=1)


def make_optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Adam on the clipped gradient."""
    (peak,) = config.learning_rates
    assert config.warmup_steps, "it is not left to follow from the steps"
    schedule = optax.warmup_cosine_decay_schedule(
        peak / config.warmup_steps, peak, config.warmup_steps, config.steps
    )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.adam(schedule))


def run(job: Job) -> Iterator[Evaluated]:
    """One trial after another."""
    network, config = Regressor(job.features), job.training
    optimizer = make_optimizer(config)
    assert config.evaluate_every, "it is not left to follow from the steps"
    for trial in range(config.seeds):
        generator = np.random.default_rng(trial)
        params = network.init(jax.random.key(trial), jnp.zeros((1, job.length, 2)))["params"]
        (cell,) = (name for name in params if "LSTM" in name)
        params[cell]["hf"]["bias"] += job.forget_bias
        state = TrainState.create(apply_fn=network.apply, params=params, tx=optimizer)
        for step in range(1, config.steps + 1):
            state, _ = train_step(state, *sample(generator, config.batch_size, job.length))
            if step % config.evaluate_every == 0:
                fresh = sample(generator, config.evaluation_sequences, job.length)
                accuracy = float(correct(state, *fresh))
                solved = job.task().is_solved({"accuracy": accuracy})
                yield Evaluated(trial, step, accuracy, solved)
                if solved:
                    break
