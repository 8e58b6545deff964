"""A data set of one's own as arrays: a training set, and a test set that training never sees."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.tasks.base import Batch, StoredTask

# (outputs [S, O], targets) of one sequence -> its loss, or an array whose mean is its loss
SequenceLoss = Callable[[Array, Array], Array]
LOSSES = ("mse", "cross_entropy")
# Test sequences computed at once; their number does not change what is measured.
TEST_BATCH = 200


def from_arrays(
    train_inputs: Any,
    train_targets: Any,
    test_inputs: Any,
    test_targets: Any,
    loss: str | SequenceLoss = "mse",
) -> "Arrays":
    """A task of given sequences: trained on the first two arrays, evaluated on the others.

    Each epoch goes through the training set once, in an order drawn from the trial's seed. Each
    evaluation is on the whole test set, whatever `evaluation_sequences` says. For studies, name it:

        tasks.TASKS["mine"] = lambda length: task
        studies.compare("lstm", "mine", task.length)

    Args:
      train_inputs, test_inputs: features [N, T, D], made float32; or with "cross_entropy" ids of
        tokens, integers [N, T], which models embed. N may differ.
      train_targets, test_targets: what is due at the last S steps, where S is 1 or T: [N] (S = 1),
        [N, S], or O numbers a step, [N, S, O]. For "cross_entropy" integers or bools [N] or [N, S],
        the classes 0 ... O - 1.
      loss: "mse"; "cross_entropy", in nats; or a function (outputs [S, O], targets [S] or [S, O])
        of one sequence that gives its loss, or an array whose mean is its loss.

    O, the features of the model's outputs, is one more than the largest class or id, or else the
    last axis of the targets, 1 where there is none.

    Raises:
      UsageError: sizes or dtypes that don't fit, on one line.
    """
    if not callable(loss) and loss not in LOSSES:
        raise unknown_name("loss of from_arrays", loss, LOSSES)
    arrays = {
        "train_inputs": np.asarray(train_inputs),
        "train_targets": np.asarray(train_targets),
        "test_inputs": np.asarray(test_inputs),
        "test_targets": np.asarray(test_targets),
    }
    for name in ("train_targets", "test_targets"):
        if arrays[name].ndim == 1:
            arrays[name] = arrays[name][:, None]
        if arrays[name].dtype == bool and loss == "cross_entropy":
            arrays[name] = arrays[name].astype(np.int32)
    _check(arrays, loss)
    for name, array in arrays.items():
        is_symbol = array.ndim == 2 and np.issubdtype(array.dtype, np.integer) and loss != "mse"
        arrays[name] = array.astype(np.int32 if is_symbol else np.float32)
    length = arrays["train_inputs"].shape[1]
    return Arrays(**arrays, loss_function=loss, length=length)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays(StoredTask):
    """The task that `from_arrays` makes, of checked arrays with targets [N, S] or [N, S, O].

    Baseline: for "mse" the mean of the training targets, for "cross_entropy" the frequencies of the
    classes in the training set, one more of each, both measured on the test set. There is no
    criterion. With `sample`, a study gets sequences of the test set.
    """

    train_inputs: np.ndarray
    train_targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray
    loss_function: str | SequenceLoss
    length: int
    name: str = "arrays"

    def __post_init__(self) -> None:
        """The checks are those of `from_arrays`."""

    def __repr__(self) -> str:
        sizes = {
            "train": (self.train_inputs, self.train_targets),
            "test": (self.test_inputs, self.test_targets),
        }
        shown = [
            f"{split}: {inputs.dtype} {list(inputs.shape)} to {targets.dtype} {list(targets.shape)}"
            for split, (inputs, targets) in sizes.items()
        ]
        loss = self.loss_function
        return f"Arrays({'; '.join(shown)}; loss: {getattr(loss, '__name__', loss)})"

    @functools.cached_property
    def output_features(self) -> int:
        arrays = (self.train_inputs, self.test_inputs, self.train_targets, self.test_targets)
        symbols = [array.max() for array in arrays if np.issubdtype(array.dtype, np.integer)]
        if symbols:
            return 1 + int(max(symbols))
        return self.train_targets.shape[2] if self.train_targets.ndim == 3 else 1

    @functools.cached_property
    def baseline(self) -> float:
        if self.loss_function == "mse":
            constant = self.train_targets.mean(axis=(0, 1), dtype=np.float64)
            return float(np.mean(np.square(self.test_targets - constant)))
        if self.loss_function == "cross_entropy":
            return float(-np.log(self._frequencies)[self.test_targets].mean())
        raise UsageError(
            f"{self.name}: with a loss of one's own the loss without memory is not known"
        )

    @functools.cached_property
    def accuracy_without_memory(self) -> float:
        """Of always giving the class that is most frequent in training."""
        if self.chance is None:
            return 0.0
        return float((self.test_targets == self._frequencies.argmax()).mean())

    @property
    def _frequencies(self) -> np.ndarray:
        counts = np.bincount(self.train_targets.ravel(), minlength=self.output_features) + 1
        return counts / counts.sum()

    def read(self, seeds: np.ndarray, first_step: int, steps: int, batch_size: int) -> Any:
        """Inputs [R, steps, B, T, ...], targets [R, steps, B, S, ...], weights [R, steps, B]."""
        count = len(self.train_inputs)
        epochs, places = np.divmod(
            np.arange(first_step * batch_size, (first_step + steps) * batch_size), count
        )
        chosen = np.empty((len(seeds), len(places)), int)  # [R, steps * B]
        for trial, seed in enumerate(seeds):
            for epoch in np.unique(epochs):
                order = np.random.default_rng((int(seed), int(epoch))).permutation(count)
                chosen[trial, epochs == epoch] = order[places[epochs == epoch]]
        chosen = chosen.reshape((len(seeds), steps, batch_size))
        weights = np.ones(chosen.shape, np.float32)
        return self.train_inputs[chosen], self.train_targets[chosen], weights

    def held_out(self, sequences: int, batch_size: int) -> Any:
        """The whole test set, in batches of about TEST_BATCH.

        The last is filled up with sequences of weight 0; the weights of the others make up for
        them, so that the mean over all batches is that over the test set.
        """
        count = len(self.test_inputs)
        size = batch_size * -(-min(count, TEST_BATCH) // batch_size)
        room = -(-count // size) * size
        chosen = np.arange(room).reshape(-1, size)
        weights = np.where(chosen < count, np.float32(room / count), np.float32(0))
        chosen = np.minimum(chosen, count - 1)
        return self.test_inputs[chosen], self.test_targets[chosen], weights

    def batch(self, read: Any) -> Batch:
        """Targets are padded to all T steps; the mask is the weight of each step that counts."""
        inputs, targets, weights = read
        before = self.length - targets.shape[1]
        targets = jnp.pad(targets, [(0, 0), (before, 0), *[(0, 0)] * (targets.ndim - 2)])
        due = jnp.arange(self.length)[None] >= before
        return Batch(inputs, targets, jnp.where(due, weights[:, None], 0))

    def sample(self, key: Array, batch_size: int) -> Batch:
        """Sequences drawn from the test set, with replacement; a bool mask [B, T]."""
        chosen = jax.random.randint(key, (batch_size,), 0, len(self.test_inputs))
        inputs, targets = jnp.asarray(self.test_inputs), jnp.asarray(self.test_targets)
        batch = self.batch((inputs[chosen], targets[chosen], jnp.ones(batch_size)))
        return batch._replace(mask=batch.mask > 0)

    def of_length(self, length: int) -> "Arrays":
        """Raises UsageError for another length than that of the arrays."""
        if length != self.length:
            raise UsageError(
                f"{self.name}: length: expected that of the arrays, {self.length}, got {length}"
            )
        return self

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """The mean over sequences, each counted by its weight, of the loss of each."""
        return _mean(self._losses(outputs, batch), batch)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """`loss`, and where targets are classes `accuracy`."""
        measured = {"loss": self.loss(outputs, batch)}
        if jnp.issubdtype(batch.targets.dtype, jnp.integer):
            due = self.train_targets.shape[1]
            right = outputs.argmax(axis=-1) == batch.targets
            measured["accuracy"] = _mean(right[:, -due:].mean(axis=1), batch)
        return measured

    def _losses(self, outputs: Array, batch: Batch) -> Array:
        """[B], of the steps at which something is due."""
        due = self.train_targets.shape[1]
        outputs, targets = outputs[:, -due:], batch.targets[:, -due:]
        # A sequence of weight 0 has the loss of one that counts: of zeros, a loss of one's own may
        # be infinite, and its gradient, times 0, NaN.
        counts = batch.mask[:, -1].astype(bool)
        first = counts.argmax()
        outputs, targets = (
            jnp.where(counts.reshape(-1, *(1,) * (array.ndim - 1)), array, array[first])
            for array in (outputs, targets)
        )
        if callable(self.loss_function):
            losses = jax.vmap(self.loss_function)(outputs, targets)
        elif self.loss_function == "mse":
            losses = jnp.square(outputs - targets.reshape(outputs.shape))
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
        return losses.reshape(len(losses), -1).mean(axis=1)


def _mean(values: Array, batch: Batch) -> Array:
    """Over sequences [B], each counted by its weight, which the mask has at the last step."""
    return jnp.mean(values * batch.mask[:, -1].astype(values.dtype))


def _check(arrays: dict[str, np.ndarray], loss: str | SequenceLoss) -> None:
    """Raises UsageError for arrays that don't fit each other or the loss."""

    def refuse(name: str, expected: str) -> None:
        array = arrays[name]
        raise UsageError(
            f"from_arrays: {name}: expected {expected}, got {array.dtype} {list(array.shape)}"
        )

    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            refuse(name, "numbers")
        if not array.size:
            refuse(name, "at least one sequence")
    for split in ("train", "test"):
        name = f"{split}_inputs"
        inputs, targets = arrays[name], arrays[f"{split}_targets"]
        are_ids = loss == "cross_entropy" and inputs.ndim == 2 and inputs.dtype.kind in "iu"
        if inputs.ndim != 3 and not are_ids:
            refuse(name, "features [N, T, D], or for cross_entropy integers [N, T]")
        if inputs.shape[1:] != arrays["train_inputs"].shape[1:]:
            refuse(
                name, f"the sizes of train_inputs {list(arrays['train_inputs'].shape)} but for N"
            )
        if are_ids and inputs.min() < 0:
            refuse(name, "ids >= 0")
        name = f"{split}_targets"
        if len(targets) != len(inputs):
            refuse(name, f"as many as {split}_inputs, {len(inputs)}")
        if targets.ndim > 3 or targets.shape[1] not in (1, inputs.shape[1]):
            refuse(name, f"[N], [N, S] or [N, S, O] with S = 1 or {inputs.shape[1]}")
        if targets.shape[1:] != arrays["train_targets"].shape[1:]:
            refuse(
                name, f"the sizes of train_targets {list(arrays['train_targets'].shape)} but for N"
            )
        if loss == "cross_entropy" and (
            targets.dtype.kind not in "iu" or targets.ndim != 2 or targets.min() < 0
        ):
            refuse(name, "for cross_entropy integers >= 0, [N] or [N, S]")
