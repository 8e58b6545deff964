"""A user's own data set, with different sizes of all axes, and different training and test sets."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import tasks, training
from lstm_attn.errors import UsageError
from lstm_attn.models import Model
from lstm_attn.training import TrainingConfig

TRAIN, TEST, T, D, OUT = 11, 7, 5, 3, 2
RNG = np.random.default_rng(0)
NUMBERS = {
    "train_inputs": RNG.normal(size=(TRAIN, T, D)),
    "train_targets": RNG.normal(size=(TRAIN, T, OUT)),
    "test_inputs": RNG.normal(size=(TEST, T, D)),
    "test_targets": RNG.normal(size=(TEST, T, OUT)),
}
CLASSES = NUMBERS | {
    "train_targets": np.array([0, 1, 1, 2, 1, 0, 1, 1, 2, 1, 1]),
    "test_targets": np.array([1, 1, 0, 3, 1, 2, 0]),
}
CONFIG = TrainingConfig(
    steps=60, batch_size=4, seeds=2, learning_rates=(0.1,), warmup_steps=0, evaluate_every=30,
    evaluation_sequences=8, schedule="constant",
)  # fmt: skip


def constant(outputs):
    """A model that learns one vector of outputs and gives it at every step."""
    return Model(
        init=lambda key: {"w": jnp.zeros(outputs)},
        apply=lambda params, inputs: jnp.broadcast_to(params["w"], (*inputs.shape[:2], outputs)),
    )


def test_evaluation_is_on_the_test_set_alone():
    """Oracle: by hand. The training targets are 1, those of the test set -1, so a model that has
    learnt the first has an error of 4 on all 7 sequences of the second. Catches an evaluation on
    training data, and padding sequences that count."""
    task = tasks.from_arrays(
        np.zeros((TRAIN, T, D)), np.ones(TRAIN), np.zeros((TEST, T, D)), -np.ones(TEST)
    )
    history = training.train(constant(1), task, CONFIG).history
    np.testing.assert_allclose(history.metrics["train_loss"][-1], 0, atol=1e-2)
    np.testing.assert_allclose(history.metrics["loss"][-1], 4, rtol=0.05)
    assert task.baseline == pytest.approx(4)


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("count", [3, 7, 203])
def test_each_test_sequence_counts_once(count, devices):
    """Oracle: numpy over the whole test set, for a model that does not learn. Catches weights that
    do not correct for a padded batch, whole batches only, and means over one device's share."""
    targets = np.random.default_rng(count).normal(size=(count, T, OUT))
    task = tasks.from_arrays(
        NUMBERS["train_inputs"], NUMBERS["train_targets"], np.zeros((count, T, D)), targets
    )
    config = dataclasses.replace(
        CONFIG, learning_rates=(1e-12,), seeds=1, batch_size=4 if devices == 4 else 7, steps=30
    )
    assert training.choose_layout(config).batch_shards == devices
    history = training.train(constant(OUT), task, config).history
    np.testing.assert_allclose(history.metrics["loss"][-1], np.mean(targets**2), rtol=1e-5)


def test_an_epoch_has_each_training_sequence_once_in_an_order_of_the_seed():
    """Identity: sorted, an epoch is the training set. Catches sequences drawn with replacement, one
    order for all trials or epochs, and data that depend on where a run was resumed."""
    targets = np.arange(TRAIN, dtype=float)
    task = tasks.from_arrays(
        NUMBERS["train_inputs"], targets, NUMBERS["test_inputs"], np.zeros(TEST)
    )
    seeds = np.array([3, 8])
    inputs, read, weights = task.read(seeds, 0, 22, 4)
    assert inputs.shape == (2, 22, 4, T, D)
    epochs = read.reshape(2, -1, TRAIN)
    np.testing.assert_array_equal(np.sort(epochs), np.broadcast_to(targets, (2, 8, TRAIN)))
    assert len(np.unique(epochs.reshape(-1, TRAIN), axis=0)) == 16
    for chosen, sequence in zip(read.ravel(), inputs.reshape(-1, T, D), strict=True):
        np.testing.assert_allclose(sequence, NUMBERS["train_inputs"][int(chosen)], rtol=1e-6)
    np.testing.assert_array_equal(task.read(seeds, 9, 3, 4)[1], read[:, 9:12])
    assert (weights == 1).all()


@pytest.mark.parametrize("due", [1, T])
def test_losses_are_those_of_the_steps_at_which_something_is_due(due):
    """Oracle: numpy. Catches targets due at the first step, and steps without targets in a mean."""
    arrays = NUMBERS | {
        "train_targets": NUMBERS["train_targets"][:, -due:],
        "test_targets": NUMBERS["test_targets"][:, -due:],
    }
    task, own = (
        tasks.from_arrays(**arrays, loss=loss)
        for loss in ("mse", lambda outputs, targets: jnp.abs(outputs - targets))
    )
    assert (task.length, task.sequence_length, task.input_features) == (T, T, D)
    assert (task.output_features, task.chance, task.criterion) == (OUT, None, "none")
    batch = task.sample(jax.random.key(0), 9)
    assert batch.inputs.shape == (9, T, D)
    outputs = np.asarray(jax.random.normal(jax.random.key(1), (9, T, OUT)))
    errors = (outputs - np.asarray(batch.targets))[:, -due:]
    np.testing.assert_allclose(task.loss(outputs, batch), np.mean(errors**2), rtol=1e-6)
    np.testing.assert_allclose(own.loss(outputs, batch), np.mean(np.abs(errors)), rtol=1e-6)
    np.testing.assert_array_equal(batch.mask.sum(axis=1), due)
    with pytest.raises(UsageError, match="arrays: with a loss of one's own"):
        _ = own.baseline


def test_the_baseline_is_the_best_constant_of_the_training_set():
    """Oracle: numpy. Catches a mean or frequencies that are taken from the test set, and a
    probability of zero for a class that only the test set has."""
    task = tasks.from_arrays(**NUMBERS)
    means = NUMBERS["train_targets"].mean(axis=(0, 1))
    expected = np.mean((NUMBERS["test_targets"] - means) ** 2)
    assert task.baseline == pytest.approx(expected, rel=1e-5)
    classes = tasks.from_arrays(**CLASSES, loss="cross_entropy")
    assert (classes.output_features, classes.chance) == (4, 0.25)
    frequencies = np.array([3, 8, 3, 1]) / 15
    expected = -np.log(frequencies)[CLASSES["test_targets"]].mean()
    assert classes.baseline == pytest.approx(expected)
    assert classes.accuracy_without_memory == pytest.approx(3 / 7)


def test_a_model_without_memory_reaches_the_baseline_of_classes():
    """Oracle: the closed form, and the accuracy of always giving class 1. Catches a cross-entropy
    over steps without a target."""
    task = tasks.from_arrays(**CLASSES, loss="cross_entropy")
    history = training.train(constant(4), task, dataclasses.replace(CONFIG, steps=600)).history
    # Not the frequencies plus one: class 3 is never seen, and rarer with each step.
    rare = np.log(np.array([2, 7, 2]) / 11)[CLASSES["train_targets"]].mean()
    np.testing.assert_allclose(history.metrics["train_loss"][-1], -rare, rtol=0.02)
    np.testing.assert_allclose(history.metrics["accuracy"][-1], 3 / 7, rtol=1e-5)


def test_ids_are_embedded():
    """By hand. Catches ids taken for features, and an embedding too small for ids of the test set."""
    ids = {"train_inputs": np.ones((TRAIN, T), np.uint8), "test_inputs": np.full((TEST, T), 9)}
    task = tasks.from_arrays(**CLASSES | ids, loss="cross_entropy")
    assert (task.input_features, task.output_features) == (None, 10)


def test_bools_are_two_classes():
    """Identity with 0 and 1. Catches targets that have to be cast by hand."""
    bools = {name: CLASSES[name] == 1 for name in ("train_targets", "test_targets")}
    integers = {name: array.astype(int) for name, array in bools.items()}
    ours, theirs = (
        tasks.from_arrays(**CLASSES | one, loss="cross_entropy") for one in (bools, integers)
    )
    np.testing.assert_array_equal(ours.train_targets, theirs.train_targets)
    assert (ours.output_features, ours.baseline) == (2, theirs.baseline)


def test_a_task_of_arrays_is_shown_by_its_sizes():
    """Oracle: by hand. Catches pages of numbers in a notebook."""
    assert repr(tasks.from_arrays(**CLASSES, loss="cross_entropy")) == (
        "Arrays(train: float32 [11, 5, 3] to int32 [11, 1]; "
        "test: float32 [7, 5, 3] to int32 [7, 1]; loss: cross_entropy)"
    )


def test_a_task_has_the_name_of_its_key(monkeypatch):
    """Oracle: by hand. Catches a name in a run folder that builds no task, and a cell named after a
    length that its arrays don't have."""
    task = tasks.from_arrays(**NUMBERS)
    monkeypatch.setitem(tasks.TASKS, "mine", lambda length: task)
    monkeypatch.setitem(tasks.TASKS, "sums", tasks.adding)
    built = tasks.build("mine", T)
    assert (built.name, built.length) == ("mine", T)
    assert built.train_inputs is task.train_inputs
    with pytest.raises(
        UsageError, match="^task 'mine': length: expected 5, the only one it has, got 50"
    ):
        tasks.build("mine", 50)
    with pytest.raises(
        UsageError, match="^task 'sums': expected a task whose name is its key .* 'adding'"
    ):
        tasks.build("sums", 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "mae"}, "unknown loss of from_arrays 'mae'"),
        ({"train_inputs": np.zeros((TRAIN, T))}, r"train_inputs: expected features \[N, T, D\]"),
        ({"test_inputs": np.zeros((TEST, T, 4))}, r"test_inputs: expected the sizes of train_inp"),
        ({"train_targets": np.zeros((10, T, OUT))}, "train_targets: expected as many as train_inp"),
        ({"test_targets": np.zeros((TEST, 4, OUT))}, r"test_targets: .*S = 1 or 5, got float64"),
        ({"test_targets": np.zeros((TEST, T))}, "test_targets: expected the sizes of train_targ"),
        ({"test_inputs": np.zeros((0, T, D))}, "test_inputs: expected at least one sequence"),
        ({"test_inputs": np.array([["a"]])}, "test_inputs: expected numbers, got <U1"),
        ({"loss": "cross_entropy"}, "train_targets: expected for cross_entropy integers"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(changes, message):
    """Catches an error deep in a trace, or numpy's silent broadcasting."""
    with pytest.raises(UsageError, match=message) as caught:
        tasks.from_arrays(**NUMBERS | changes)
    assert "\n" not in str(caught.value)
