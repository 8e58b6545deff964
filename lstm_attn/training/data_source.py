"""Where a trial's batches come from: drawn on the device, or read by the host; one interface."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn.tasks import Batch, StoredTask, Task
from lstm_attn.training.config import TrainingConfig

# What a trial's seed is split into: parameters, data of training, of evaluation and of confirming a
# pass, dropout.
INIT_STREAM, TRAIN_STREAM, EVALUATION_STREAM, DROPOUT_STREAM, CONFIRMATION_STREAM = range(5)


def stream(seed: Array, index: int, step: Array | int = 0) -> Array:
    """The random key of a trial for one purpose at one step."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), step)


class DataSource(Protocol):
    """The data of the trials of a grid cell.

    The host calls `read` before each chunk of steps. The other two are traced, for one trial, and
    give as much of a batch as lies on this device.

    continues: whether sequences go on from batch to batch, see `tasks.StoredTask`.
    draws: whether there are ever more fresh sequences, on which a pass can be confirmed.
    """

    continues: bool
    draws: bool

    def read(self, seeds: np.ndarray, first_step: int) -> tuple[Any, Any]:
        """What the device needs of the host for a chunk of `config.chunk_steps` steps.

        Returns:
          For its steps, and for the evaluation after them: trees of arrays [R, n, B, ...] with a
          block for each of n batches; () for none.
        """

    def batch(self, seed: Array, step: Array, block: Any) -> Batch:
        """The batch of a training step, from its block."""

    def held_out(self, seed: Array, step: Array, blocks: Any) -> tuple[Any, Callable[[Any], Batch]]:
        """The evaluation after a step, on data that are never trained on.

        Returns:
          A tree of arrays [n, ...] to scan over, and what makes a batch of each of its n entries.
        """

    def unseen(self, seed: Array, step: Array) -> tuple[Any, Callable[[Any], Batch]]:
        """As `held_out`: sequences on which a pass after that step is confirmed, which no
        evaluation has; only where `draws`."""


def make_source(task: Task, config: TrainingConfig, batch_shards: int) -> DataSource:
    """The source that fits the task, for batches that lie on `batch_shards` devices."""
    if isinstance(task, StoredTask):
        return Stored(task, config)
    return Drawn(task, config, batch_shards)


class Drawn:
    """Data drawn on the device, from the trial's seed and the step alone."""

    continues = False
    draws = True

    def __init__(self, task: Task, config: TrainingConfig, batch_shards: int) -> None:
        self.task, self.config, self.batch_shards = task, config, batch_shards

    def read(self, seeds: np.ndarray, first_step: int) -> tuple[Any, Any]:
        return (), ()

    def batch(self, seed: Array, step: Array, block: Any) -> Batch:
        key = stream(seed, TRAIN_STREAM, step)
        return self._part(self.task.sample(key, self.config.batch_size))

    def held_out(self, seed: Array, step: Array, blocks: Any) -> tuple[Any, Callable[[Any], Batch]]:
        return self._fresh(stream(seed, EVALUATION_STREAM, step), self.config.evaluation_sequences)

    def unseen(self, seed: Array, step: Array) -> tuple[Any, Callable[[Any], Batch]]:
        key = stream(seed, CONFIRMATION_STREAM, step)
        return self._fresh(key, self.config.confirmation_sequences)

    def _fresh(self, key: Array, least: int) -> tuple[Any, Callable[[Any], Batch]]:
        size = self.config.evaluation_batch

        def batch_of(index: Array) -> Batch:
            return self._part(self.task.sample_held_out(jax.random.fold_in(key, index), size))

        return jnp.arange(math.ceil(least / size)), batch_of

    def _part(self, batch: Batch) -> Batch:
        # Every device draws the whole batch and keeps its part, so data do not depend on the mesh.
        def part(array: Array) -> Array:
            rows = array.shape[0] // self.batch_shards
            return lax.dynamic_slice_in_dim(array, lax.axis_index("batch") * rows, rows)

        return jax.tree.map(part, batch) if self.batch_shards > 1 else batch


class Stored:
    """Data that the host reads; the mesh splits each block along its batch axis."""

    draws = False

    def __init__(self, task: StoredTask, config: TrainingConfig) -> None:
        self.task, self.config, self.continues = task, config, task.continues
        # Batches of evaluation that as many devices can split as those of training.
        size = math.gcd(config.evaluation_sequences, config.batch_size)
        self._held_out = task.held_out(config.evaluation_sequences, size)

    def read(self, seeds: np.ndarray, first_step: int) -> tuple[Any, Any]:
        def for_all(array: np.ndarray) -> np.ndarray:
            return np.broadcast_to(array, (len(seeds), *array.shape))

        steps, batch_size = self.config.chunk_steps, self.config.batch_size
        blocks = self.task.read(seeds, first_step, steps, batch_size)
        return blocks, jax.tree.map(for_all, self._held_out)

    def batch(self, seed: Array, step: Array, block: Any) -> Batch:
        return self.task.batch(block)

    def held_out(self, seed: Array, step: Array, blocks: Any) -> tuple[Any, Callable[[Any], Batch]]:
        return blocks, self.task.batch

    def unseen(self, seed: Array, step: Array) -> tuple[Any, Callable[[Any], Batch]]:
        raise AssertionError("stored data have no more sequences")
