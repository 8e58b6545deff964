"""What tasks of symbols share: one-hot inputs, and accuracy by position, by gap and by load."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.tasks.base import Batch, Task, cross_entropy, right_answers


class SymbolTask(Task):
    """A task of symbols that writes `sample_within`, `baseline`, and how many symbols there are.

    Where no criterion is published, ours is that of copy: 99 % of the answers right.
    """

    length: int
    solved_accuracy: ClassVar[float | None] = 0.99

    def sample(self, key: Array, batch_size: int) -> Batch:
        """A batch of fresh sequences: inputs float32 [B, T, D], one-hot; targets int32 [B, T]."""
        return self.sample_within(key, jnp.full(batch_size, self.length))

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Cross-entropy of logits [B, T, O], in nats, averaged over the steps in the mask."""
        return cross_entropy(outputs, batch)


def one_hot(tokens: Array, real: Array, symbols: int) -> Array:
    """Tokens [B, T] as float32 [B, T, symbols]; zeros at the steps that are not real."""
    # One-hot of a number outside the symbols is all zeros.
    return jax.nn.one_hot(jnp.where(real, tokens, -1), symbols, dtype=jnp.float32)


def shuffled(key: Array, size: int, count: Array, chosen: int) -> Array:
    """The first `chosen` of 0, ..., count - 1 in random order, for each row; [B, chosen].

    Args:
      size: the largest count.
      count: [B, 1]; where it is less than `chosen`, what comes after is 0, ..., size - 1 without
        those, in order.
    """
    draws = jax.random.uniform(key, (len(count), size), jnp.float32)
    return jnp.argsort(jnp.where(jnp.arange(size)[None] < count, draws, 2), axis=1)[:, :chosen]


def put(tokens: Array, places: Array, symbols: Array, real: Array | bool = True) -> Array:
    """Tokens [B, T] with symbols [B, K] at places [B, K], where real."""
    rows = jnp.arange(len(tokens))[:, None]
    # A place past the end is dropped.
    return tokens.at[rows, jnp.where(real, places, tokens.shape[1])].set(symbols, mode="drop")


def right_at(outputs: Array, batch: Batch, steps: Array) -> Array:
    """Whether the answers at steps [B, K] are right; [B, K]."""
    taken = [
        jnp.take_along_axis(array, steps.reshape(*steps.shape, *(1,) * (array.ndim - 2)), axis=1)
        for array in (outputs, batch.targets)
    ]
    return right_answers(*taken)


def octaves(largest: int) -> int:
    """How many octaves 1, 2-3, 4-7, ... hold the sizes 1, ..., largest."""
    return largest.bit_length()


def by_octave(
    name: str, sizes: Array, count: int, outputs: Array, batch: Batch
) -> dict[str, Array]:
    """How many answers are due, and how many are right, by the octave of a size; one answer a step.

    Two counts and not their ratio: the mean of ratios over batches, or over the sequences of a
    range of lengths, is another number, and none where an octave is empty. `accuracy_by` divides.

    Args:
      sizes: [B, T] or [B, 1], at least 1; octave i is that of 2^i, ..., 2^(i + 1) - 1.
      count: of octaves.

    Returns:
      due_by_NAME and right_by_NAME, [count]: means over sequences.
    """
    octave = 31 - jax.lax.clz(jnp.maximum(sizes, 1).astype(jnp.int32))
    member = (octave[..., None] == jnp.arange(count)[None, None]) & batch.mask[
        ..., None
    ]  # [B, T, count]
    right = member & right_answers(outputs, batch.targets).astype(bool)[..., None]
    counts = {"due": member, "right": right}
    return {f"{kind}_by_{name}": one.sum(axis=1).mean(axis=0) for kind, one in counts.items()}


def accuracy_by(name: str, metrics: Mapping[str, Any]) -> np.ndarray:
    """The accuracy in each octave, from the metrics right_by_NAME and due_by_NAME; NaN where
    nothing is due.

    Args:
      name: "gap", the steps since what is asked for was written; or "load", how much is kept.
      metrics: of a task or of an evaluation, each [..., octaves].
    """
    right, due = (np.asarray(metrics[f"{kind}_by_{name}"], float) for kind in ("right", "due"))
    return np.where(due > 0, right / np.where(due > 0, due, 1), np.nan)
