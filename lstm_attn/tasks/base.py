"""What a task is: data made on the device, a loss, metrics, a baseline and a criterion."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.errors import UsageError, check_whole, unknown_name

# A fraction of right answers is a float32 mean of batch means, so .99 may come out as .9899999.
# One answer in 20,000 weighs 5e-5: this slack never lets a wrong one pass.
ACCURACY_SLACK = 1e-6


class Batch(NamedTuple):
    """inputs [B, T, D]; targets [B, T], due at each step; mask [B, T], the steps in the loss.

    A sequence shorter than T is padded at its end with inputs and targets of 0, outside the mask.
    """

    inputs: Array
    targets: Array
    mask: Array


class Task(Protocol):
    """Everything a trainer needs to know of a task. Immutable; sizes are known before tracing."""

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def length(self) -> int:
        """How far the model must remember, in steps; the T of the papers."""

    @property
    def shortest(self) -> int:
        """The least length of the sequences of `sample`; `length` where all are of one length."""

    @property
    def sequence_length(self) -> int:
        """Steps in a sequence: the T axis of a batch."""

    @property
    def input_features(self) -> int | None:
        """None where inputs are ids of tokens [B, T], of which there are `output_features`."""

    @property
    def output_features(self) -> int: ...
    @property
    def baseline(self) -> float:
        """The expected loss of the best predictor without memory, in closed form."""

    @property
    def accuracy_without_memory(self) -> float:
        """The expected accuracy of that predictor, in closed form."""

    @property
    def chance(self) -> float | None:
        """The accuracy of a guess at one symbol, where answers are symbols."""

    @property
    def criterion(self) -> str:
        """What `is_solved` asks for, in words; or `history.NO_CRITERION`."""

    def of_length(self, length: int) -> "Task":
        """The same task with all sequences of that length."""

    def sample(self, key: Array, batch_size: int) -> Batch: ...
    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """Fresh sequences, each of its own length, padded to `sequence_length` steps.

        One program serves all lengths: only the room for them is known before tracing.

        Args:
          lengths: integers [B], each what `length` is to a task of that length; at most `length`.

        Raises:
          ValueError: lengths that aren't integers [B]; or, outside `jax.jit`, one out of range.
        """

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """The mean over the steps in the mask; outputs [B, T, O] elsewhere count nothing."""

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Means over the batch: `loss`, `accuracy`, and what else the task measures."""

    def is_solved(self, metrics: dict) -> bool: ...


@runtime_checkable
class ReadTask(Task, Protocol):
    """A task whose data the host reads, block by block, since they don't fit on the device.

    Its sequences go on from batch to batch: what a model remembers is carried from each to the
    next. `sample` and `sample_within` raise UsageError.
    """

    def read(self, seeds: np.ndarray, first_step: int, steps: int, batch_size: int) -> np.ndarray:
        """What the trials of these seeds are trained on from a step on: [R, steps, B, ...]."""

    def held_out(self, sequences: int, batch_size: int) -> np.ndarray:
        """What is never trained on: [sequences / B, B, ...], in B streams that go on."""

    def batch(self, read: Array) -> Batch:
        """The batch of what was read for one step, [B, ...]."""


def check_variant(task: str, variant: str, known: tuple[str, ...]) -> None:
    """Raises UsageError for a variant that the task does not have."""
    if variant not in known:
        raise unknown_name(f"variant of {task}", variant, known)


def check_length(task: str, length: int, shortest: int) -> None:
    """Raises UsageError for a length at which the task cannot be posed."""
    check_whole(f"{task}: length", length, shortest)


def check_lengths(task: str, lengths: Array, shortest: int, longest: int) -> None:
    """Raises UsageError for lengths that don't fit; of traced ones, for the shape alone."""
    if jnp.ndim(lengths) != 1 or not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise UsageError(
            f"{task}: lengths: expected integers [B], got {lengths.dtype} {jnp.shape(lengths)}"
        )
    if isinstance(lengths, jax.core.Tracer) or not lengths.size:
        return
    least, greatest = int(lengths.min()), int(lengths.max())
    if least < shortest or greatest > longest:
        raise UsageError(
            f"{task}: lengths: expected {shortest} to {longest}, got {least} to {greatest}"
        )
