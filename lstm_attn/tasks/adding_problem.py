"""The adding problem: remember two marked numbers and give their sum."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.tasks.base import Batch, Task, check_lengths, squared_error

TOLERANCE = 0.04


@dataclasses.dataclass(frozen=True)
class Adding(Task):
    """Sum of the two marked values, due at the last step.

    Input [B, T, 2]: a value drawn from U[0, 1), and a marker that is 1 at two steps, one uniform
    in the first half (steps 0 to T//2 - 1) and one uniform in the second. For T = 6:

        value   .3  .9  .1  .5  .2  .7
        marker   0   1   0   0   0   1      target .9 + .7 = 1.6 at the last step

    Loss: mean squared error at the last step. Baseline: always predicting 1, which gives
    Var(U + U) = 1/6. Correct: absolute error < .04. Solved: at least 99 % correct.

    Source: variant `arjovsky2016`, Arjovsky, Shah & Bengio 2016, section 5.2; the criterion for
    one sequence is that of Hochreiter & Schmidhuber 1997, section 5.4.
    """

    length: int
    variant: str = "arjovsky2016"
    variants = (variant,)
    name = "adding"
    least_length = 2
    solved_accuracy = 0.99
    criterion = "absolute error < .04 on at least 99 % of sequences"
    baseline = 1 / 6

    @property
    def accuracy_without_memory(self) -> float:
        """P(|U + U - 1| < .04) = 1 - .96^2."""
        return 1 - (1 - TOLERANCE) ** 2

    def sample(self, key: Array, batch_size: int) -> Batch:
        """A batch of fresh sequences: inputs float32 [B, T, 2], targets float32 [B, T]."""
        return self.sample_within(key, jnp.full(batch_size, self.length))

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch as of `sample`, sequence b of lengths[b] steps; [B] integers of 2 to T."""
        check_lengths(self, lengths)
        value_key, first_key, second_key = jax.random.split(key, 3)
        ends = lengths[:, None].astype(int)
        values = jax.random.uniform(value_key, (len(lengths), self.length), jnp.float32)
        first = jax.random.randint(first_key, ends.shape, 0, ends // 2)
        second = jax.random.randint(second_key, ends.shape, ends // 2, ends)
        steps = jnp.arange(self.length)[None]
        marked = (steps == first) | (steps == second)
        total = jnp.sum(jnp.where(marked, values, 0), axis=1, keepdims=True)
        due = steps == ends - 1
        values = jnp.where(steps < ends, values, 0)
        inputs = jnp.stack([values, marked.astype(jnp.float32)], axis=-1)
        return Batch(inputs, jnp.where(due, total, 0), due)

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Mean squared error of outputs [B, T, 1] over the steps in the mask."""
        return squared_error(outputs, batch)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss, and accuracy: the fraction of sequences with an absolute error < .04."""
        correct = jnp.abs(outputs[..., 0] - batch.targets) < TOLERANCE
        accuracy = jnp.mean(correct, where=batch.mask)
        return {"loss": self.loss(outputs, batch), "accuracy": accuracy}
