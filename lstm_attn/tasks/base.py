"""What a task is: sequences, a loss and the loss of a model without memory."""

import abc
import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from lstm_attn.errors import UsageError, check_whole, unknown_name
from lstm_attn.history import NO_CRITERION
from lstm_attn.plain_numbers import make_plain

# A fraction of right answers is a float32 mean of batch means, so .99 may come out as .9899999.
# One answer in 20,000 weighs 5e-5: this slack never lets a wrong one pass.
ACCURACY_SLACK = 1e-6
# A trial remembers if its loss is at most this share of the baseline: the same for every task.
FORGOTTEN = 0.05


class Batch(NamedTuple):
    """inputs [B, T, D]; targets [B, T], due at each step, or [B, T, K], K of them; mask [B, T], the
    steps in the loss.

    A sequence shorter than T is padded at its end with inputs and targets of 0, outside the mask.
    """

    inputs: Array
    targets: Array
    mask: Array


class Task(abc.ABC):
    """Everything a trainer, a study and a report need to know of a task.

    A task of one's own is a frozen dataclass with a field `length` that writes `sample`, `loss` and
    `baseline`, and `output_features` where it isn't 1; `examples/your_task.py` is one. All else has
    a default, and any default can be replaced by an attribute, a property or a field.

    Immutable and hashable; all sizes are known before tracing.

    length: how far the model must remember, in steps; the T of the papers.
    name: the key in TASKS; by default the class's name in lower case.
    variants, variant: the published variants that there are, the first by default; and this one.
    least_length: the smallest length at which the task can be posed.
    output_features: of the model's outputs [B, T, O]: 1 for a number, or the number of symbols.
    solved_accuracy: the `accuracy` that solves the task; None for a task without criterion.
    """

    length: int
    variants: ClassVar[tuple[str, ...]] = ("standard",)
    least_length: ClassVar[int] = 1
    solved_accuracy: ClassVar[float | None] = None

    def __post_init__(self) -> None:
        make_plain(self)
        if self.variant not in self.variants:
            raise unknown_name(f"variant of {self.name}", self.variant, self.variants)
        check_whole(f"{self.name}: length", self.length, self.least_length)

    @abc.abstractmethod
    def sample(self, key: Array, batch_size: int) -> Batch:
        """A batch of fresh sequences; pure, so that it can be made on the device."""

    @abc.abstractmethod
    def loss(self, outputs: Array, batch: Batch) -> Array:
        """What is reported: the mean over the steps in the mask, of outputs [B, T, O]."""

    @property
    @abc.abstractmethod
    def baseline(self) -> float:
        """The expected loss of the best predictor without memory, in closed form."""

    def train_loss(self, outputs: Array, batch: Batch) -> Array:
        """What training minimises; by default `loss`."""
        return self.loss(outputs, batch)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Means over the batch: `loss`, and for targets that are symbols `accuracy` in the mask."""
        measured = {"loss": self.loss(outputs, batch)}
        if jnp.issubdtype(batch.targets.dtype, jnp.integer):
            right = right_answers(outputs, batch.targets)
            measured["accuracy"] = jnp.mean(right, where=batch.mask)
        return measured

    def remembers(self, metrics: dict) -> bool:
        """Whether one trial's loss is at most 5 % of the baseline: the main criterion."""
        return bool(metrics["loss"] <= FORGOTTEN * self.baseline)

    def is_solved(self, metrics: dict) -> bool:
        """Whether the task's own published criterion holds of one trial's metrics: "exact"."""
        return self.solved_accuracy is not None and bool(
            metrics["accuracy"] >= self.solved_accuracy - ACCURACY_SLACK
        )

    def loss_in_words(self, loss: float) -> str:
        """A loss as progress shows it."""
        return f"loss/baseline {loss / self.baseline:.3f}"

    def answer_steps(self, batch: Batch) -> Array:
        """The steps whose answer must be remembered, bool [B, T]; by default those in the mask."""
        return batch.mask

    def of_length(self, length: int) -> "Task":
        """The same task with all sequences of that length."""
        return dataclasses.replace(self, length=length)  # type: ignore[type-var]

    def sample_held_out(self, key: Array, batch_size: int) -> Batch:
        """A batch for an evaluation or a measure; pure.

        By default `sample`, whose sequences are fresh each time. A task whose `sample` draws from a
        finite set of its own gives others here, which training never sees.
        """
        return self.sample(key, batch_size)

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """Fresh sequences, each of its own length, padded to `sequence_length` steps.

        One program serves all lengths: only `sequence_length` is known before tracing. A task needs
        it for ranges of lengths alone.

        Args:
          lengths: integers [B], each what `length` is to a task of that length; at most `length`.

        Raises:
          UsageError: lengths that aren't integers [B]; or, outside `jax.jit`, one out of range; or
            a task that does not define it.
        """
        raise UsageError(
            f"{self.name}: a range of lengths needs {type(self).__name__}.sample_within, which it "
            "does not define"
        )

    @functools.cached_property
    def name(self) -> str:
        return type(self).__name__.lower()

    @functools.cached_property
    def variant(self) -> str:
        return self.variants[0]

    @functools.cached_property
    def output_features(self) -> int:
        return 1

    @functools.cached_property
    def shortest(self) -> int:
        """The least length of the sequences of `sample`; `length` where all are of one length."""
        return self.length

    @functools.cached_property
    def sequence_length(self) -> int:
        """Steps in a sequence: the T axis of a batch."""
        return self._shapes.inputs.shape[1]

    @functools.cached_property
    def input_features(self) -> int | None:
        """None where inputs are ids of tokens [B, T], of which there are `output_features`."""
        inputs = self._shapes.inputs
        return None if jnp.issubdtype(inputs.dtype, jnp.integer) else inputs.shape[2]

    @functools.cached_property
    def chance(self) -> float | None:
        """The accuracy of a guess at one symbol; None where answers aren't symbols."""
        is_symbol = jnp.issubdtype(self._shapes.targets.dtype, jnp.integer)
        return 1 / self.output_features if is_symbol else None

    @functools.cached_property
    def accuracy_without_memory(self) -> float:
        """The expected accuracy of the predictor of `baseline`, in closed form."""
        return self.chance or 0.0

    @functools.cached_property
    def criterion(self) -> str:
        """What `is_solved` asks for, in words; or `history.NO_CRITERION`."""
        if self.solved_accuracy is None:
            return NO_CRITERION
        return f"accuracy of at least {100 * self.solved_accuracy:g} %"

    @functools.cached_property
    def _shapes(self) -> Batch:
        """Shapes and dtypes of a batch of one."""
        return jax.eval_shape(lambda: self.sample(jax.random.key(0), 1))


class StoredTask(Task):
    """A task whose data are stored, not drawn: the host reads them and hands them to the device.

    continues: whether the sequences of a batch go on where those of the batch before have ended, so
      that a recurrent model keeps its carry from batch to batch.
    """

    continues: ClassVar[bool] = False

    @abc.abstractmethod
    def read(self, seeds: np.ndarray, first_step: int, steps: int, batch_size: int) -> Any:
        """The training data of the trials of these seeds from a step on: a tree of arrays
        [R, steps, B, ...]. A function of its arguments alone, so that a run can be resumed."""

    @abc.abstractmethod
    def held_out(self, sequences: int, batch_size: int) -> Any:
        """The data of an evaluation, none of them in `read`: a tree of arrays [batches, B', ...],
        where B' is a multiple of batch_size."""

    @abc.abstractmethod
    def batch(self, read: Any) -> Batch:
        """The batch of what was read for one step, a tree of arrays [B, ...]; traced."""

    def sample(self, key: Array, batch_size: int) -> Batch:
        """Raises UsageError: the data are read by the host."""
        raise UsageError(f"{self.name}: expected a task whose data are drawn, got stored data")

    @functools.cached_property
    def _shapes(self) -> Batch:
        read = self.read(np.zeros(1, np.uint32), 0, 1, 1)
        return jax.eval_shape(self.batch, jax.tree.map(lambda array: array[0, 0], read))


def in_mask(array: Array, batch: Batch) -> Array:
    """array [B, T, ...], with zeros at the steps outside the mask.

    A loss takes outputs and targets through it: a loss that is left out of a mean has a gradient of
    zero, and zero times NaN is NaN.
    """
    steps = batch.mask.astype(bool)
    return jnp.where(steps.reshape(steps.shape + (1,) * (array.ndim - 2)), array, 0)


def squared_error(outputs: Array, batch: Batch) -> Array:
    """Mean squared error of outputs [B, T, 1] over the steps in the mask, whatever is outside."""
    errors = in_mask(outputs[..., 0], batch) - in_mask(batch.targets, batch)
    return jnp.mean(jnp.square(errors), where=batch.mask)


def cross_entropy(outputs: Array, batch: Batch) -> Array:
    """Cross-entropy of logits [B, T, O], in nats, averaged over the steps in the mask, whatever is
    outside.

    Where K symbols are due at a step, targets [B, T, K], the logits of the first stand first, O / K
    for each, and the loss of a step is the mean of theirs.
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(
        _logits(in_mask(outputs, batch), batch.targets), in_mask(batch.targets, batch)
    )
    return jnp.mean(_of_step(losses), where=batch.mask)


def right_answers(outputs: Array, targets: Array) -> Array:
    """How many of the symbols due at each step are the likeliest of their logits, as a fraction:
    [B, T], of outputs and targets as in `cross_entropy`; bool where one symbol is due."""
    return _of_step(jnp.argmax(_logits(outputs, targets), axis=-1) == targets)


def _logits(outputs: Array, targets: Array) -> Array:
    """[B, T, O], or [B, T, K, O / K] where K symbols are due at a step."""
    if targets.ndim == 2:
        return outputs
    return outputs.reshape(*targets.shape, outputs.shape[-1] // targets.shape[-1])


def _of_step(array: Array) -> Array:
    return array if array.ndim == 2 else array.mean(axis=-1)


def check_lengths(task: Task, lengths: Array) -> None:
    """Raises UsageError for lengths that don't fit; of traced ones, for the shape alone."""
    if jnp.ndim(lengths) != 1 or not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise UsageError(
            f"{task.name}: lengths: expected integers [B], got {lengths.dtype} {jnp.shape(lengths)}"
        )
    if isinstance(lengths, jax.core.Tracer) or not lengths.size:
        return
    least, greatest = int(lengths.min()), int(lengths.max())
    if least < task.least_length or greatest > task.length:
        raise UsageError(
            f"{task.name}: lengths: expected {task.least_length} to {task.length}, "
            f"got {least} to {greatest}"
        )
