"""A task of your own: the first of random bits, in twenty-five lines and one line in TASKS.

    python examples/your_task.py

It writes `sample`, `loss` and `baseline`. From these come training, metrics, a row in every grid
and its report, and the tests of tests/test_conformance.py.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn import models, tasks, training


@dataclasses.dataclass(frozen=True)
class Beginning(tasks.Task):
    """Was the first bit a one? Input [B, T, 1]: fair bits; due at the last step: class 0 or 1.

    Loss: cross-entropy at the last step. Baseline: ln 2, since all other bits say nothing.
    Solved: at least 99 % of the answers right, of which a guess gets half.
    """

    length: int
    output_features = 2
    baseline = math.log(2)
    solved_accuracy = 0.99

    def sample(self, key: Array, batch_size: int) -> tasks.Batch:
        """A batch of fresh sequences: inputs float32 [B, T, 1], targets int32 [B, T]."""
        bits = jax.random.bernoulli(key, shape=(batch_size, self.length)).astype(jnp.int32)
        due = jnp.broadcast_to(jnp.arange(self.length) == self.length - 1, bits.shape)
        targets = jnp.where(due, bits[:, :1], 0)
        return tasks.Batch(bits[..., None].astype(jnp.float32), targets, due)

    def loss(self, outputs: Array, batch: tasks.Batch) -> Array:
        """Cross-entropy of logits [B, T, 2] at the last step, in nats."""
        return tasks.cross_entropy(outputs, batch)


tasks.TASKS["beginning"] = Beginning


def main(length: int = 4, steps: int = 600) -> float:
    """Trains an LSTM on it; prints and returns the accuracy of its best trial."""
    task = Beginning(length)
    model = models.build("lstm", task, models.ModelConfig(features=16))
    config = training.TrainingConfig(steps=steps, seeds=2, learning_rates=(0.03,))
    history = training.train(model, task, config).history
    accuracy = float(history.metrics["accuracy"][-1].max())
    print(f"the first of {length} bits: {accuracy:.1%} right, by a guess {task.chance:.0%}")
    return accuracy


if __name__ == "__main__":
    main()
