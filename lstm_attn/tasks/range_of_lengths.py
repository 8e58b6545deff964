"""A task over a range of lengths: each sequence has its own length."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.plain_numbers import make_plain
from lstm_attn.tasks.base import Batch, Task

OF_THE_LONGEST = (
    "name", "variant", "length", "least_length", "sequence_length", "input_features",
    "output_features", "chance", "accuracy_without_memory", "loss_in_words",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class OverRange(Task):
    """The sequences of `longest`, each of a length uniform on shortest, ..., longest.length.

    Each is padded to the length of the longest. Loss and metrics are means over sequences of those
    of each sequence, so a long one counts as much as a short one. Baseline: the mean over the
    lengths. Solved: the task's criterion, on sequences of lengths so drawn.
    """

    longest: Task
    shortest: int = dataclasses.field()  # no default, though Task has one

    def __post_init__(self) -> None:
        make_plain(self)
        for name in OF_THE_LONGEST:
            object.__setattr__(self, name, getattr(self.longest, name))
        if type(self.longest).sample_held_out is not Task.sample_held_out:
            raise UsageError(
                f"{self.name}: a range of lengths expected a task whose sequences are fresh each "
                f"time, got {type(self.longest).__name__} with a sample_held_out of its own"
            )
        self.of_length(self.shortest)  # raises for a length too short for the task
        if self.shortest >= self.longest.length:
            raise UsageError(
                f"{self.name}: shortest: expected less than length={self.length}, "
                f"got {self.shortest}"
            )

    @property
    def baseline(self) -> float:
        lengths = range(self.shortest, self.length + 1)
        return float(np.mean([self.of_length(length).baseline for length in lengths]))

    @property
    def criterion(self) -> str:
        return f"{self.longest.criterion}, lengths {self.shortest} to {self.length}"

    def of_length(self, length: int) -> Task:
        """The task with all sequences of one length."""
        return self.longest.of_length(length)

    def sample(self, key: Array, batch_size: int) -> Batch:
        """A batch of fresh sequences of lengths drawn anew."""
        length_key, key = jax.random.split(key)
        lengths = jax.random.randint(length_key, (batch_size,), self.shortest, self.length + 1)
        return self.sample_within(key, lengths)

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        return self.longest.sample_within(key, lengths)

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """The mean over sequences of the loss of each."""
        return each_alone(self.longest.loss, outputs, batch).mean()

    def train_loss(self, outputs: Array, batch: Batch) -> Array:
        """The mean over sequences of the training loss of each."""
        return each_alone(self.longest.train_loss, outputs, batch).mean()

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """The mean over sequences of the metrics of each."""
        alone = each_alone(self.longest.metrics, outputs, batch)
        return {name: values.mean(axis=0) for name, values in alone.items()}

    def answer_steps(self, batch: Batch) -> Array:
        return self.longest.answer_steps(batch)

    def is_solved(self, metrics: dict) -> bool:
        return self.longest.is_solved(metrics)


def each_alone(measure: Callable[[Array, Batch], Any], outputs: Array, batch: Batch) -> Any:
    """Task.loss or Task.metrics of each sequence by itself, stacked on a leading axis B."""

    def alone(sequence: tuple[Array, Batch]) -> Any:
        return measure(*jax.tree.map(lambda array: array[None], sequence))

    return jax.vmap(alone)((outputs, batch))
