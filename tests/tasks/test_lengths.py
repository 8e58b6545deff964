"""Sequences of several lengths padded to one room, and ranges of lengths."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_attn import tasks
from lstm_attn.tasks.base import Batch

ROOM = 12
TASKS = {"adding": tasks.adding(ROOM), "copy": tasks.copy(ROOM)}
# Lengths are traced, as for a caller who wants one program for all lengths.
SAMPLE_WITHIN = {name: jax.jit(task.sample_within) for name, task in TASKS.items()}
EXTRA_STEPS = {"adding": 0, "copy": 20}
SHORTEST = {"adding": 2, "copy": 1}


def sampled(name, lengths, seed=0):
    return SAMPLE_WITHIN[name](jax.random.key(seed), jnp.asarray(lengths, jnp.int32))


def random_outputs(batch, features):
    return jax.random.normal(jax.random.key(9), (*batch.targets.shape, features), jnp.float32)


@given(seed=st.integers(0, 2**16))
def test_adding_within_a_room_is_as_defined(seed):
    """Oracle: the definition at each length, sequence by sequence. Catches halves of the room
    instead of the sequence, a target at the room's last step, values in the padding."""
    lengths = np.random.default_rng(seed).integers(2, ROOM + 1, 16)
    batch = sampled("adding", lengths, seed)
    for length, inputs, targets, mask in zip(lengths, *map(np.asarray, batch), strict=True):
        values, markers = inputs.T
        first, second = np.flatnonzero(markers)
        assert first < length // 2 <= second < length
        assert np.all(values[:length] > 0)
        assert not np.any(inputs[length:])
        assert list(np.flatnonzero(mask)) == [length - 1]
        np.testing.assert_allclose(targets[length - 1], values[first] + values[second], rtol=1e-6)
        assert not np.any(np.delete(targets, length - 1))


@given(seed=st.integers(0, 2**16))
def test_copy_within_a_room_is_as_defined(seed):
    """Oracle: the definition at each length, token by token. Catches a delimiter or symbols at the
    room's end, and padding that counts as blanks to predict."""
    lengths = np.random.default_rng(seed).integers(1, ROOM + 1, 16)
    batch = sampled("copy", lengths, seed)
    for length, inputs, targets, mask in zip(lengths, *map(np.asarray, batch), strict=True):
        real = length + 20
        tokens = inputs[:real].argmax(-1).tolist()
        symbols = tokens[:10]
        assert all(1 <= symbol <= 8 for symbol in symbols)
        assert tokens == symbols + [0] * (length - 1) + [9] + [0] * 10
        np.testing.assert_array_equal(inputs.sum(-1), np.arange(ROOM + 20) < real)
        assert targets.tolist() == [0] * (length + 10) + symbols + [0] * (ROOM - length)
        np.testing.assert_array_equal(mask, np.arange(ROOM + 20) < real)


def test_markers_are_uniform_in_the_halves_of_each_sequence():
    """Oracle: the uniform law at T = 5 in a room of 12, at five standard errors. Catches halves of
    the room."""
    markers = np.asarray(sampled("adding", [5] * 20_000).inputs[..., 1])
    expected = np.array([1 / 2] * 2 + [1 / 3] * 3 + [0] * 7)
    slack = 5 * np.sqrt(expected * (1 - expected) / 20_000)
    assert np.all(np.abs(markers.mean(axis=0) - expected) <= slack)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.full_but("adding")
def test_a_full_room_is_the_sample_itself(name):
    """Identity: `sample` and `sample_within` at the task's own length. Catches other draws."""
    plain = TASKS[name].sample(jax.random.key(5), 8)
    for ours, theirs in zip(sampled(name, [ROOM] * 8, seed=5), plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.full_but("copy")
def test_padding_counts_nothing(name):
    """Oracle: the same sequences cropped to their length, through the loss and metrics of the short
    task. Catches a mean over the room, and the last ten steps of the room taken for the symbols."""
    lengths = [4, 4, 4, ROOM, ROOM]
    batch = sampled(name, lengths)
    task = TASKS[name]
    outputs = random_outputs(batch, task.output_features)
    # Some answers right, so that the accuracy is neither 0 nor 1.
    answers = batch.targets if name == "adding" else jax.nn.one_hot(batch.targets, 9)
    right = jnp.arange(len(lengths)) % 2 == 0
    outputs = jnp.where(right[:, None, None], 50 * answers.reshape(*outputs.shape), outputs)
    if name == "adding":
        outputs = jnp.where(right[:, None, None], batch.targets[..., None] + 0.01, outputs)
    total_loss = total_steps = total_accuracy = 0
    for b, length in enumerate(lengths):
        short, steps = type(task)(length), length + EXTRA_STEPS[name]
        cropped = Batch(*(array[b : b + 1, :steps] for array in batch))
        alone = short.metrics(outputs[b : b + 1, :steps], cropped)
        np.testing.assert_allclose(short.loss(outputs[b : b + 1, :steps], cropped), alone["loss"])
        counted = 1 if name == "adding" else steps
        total_loss += counted * float(alone["loss"])
        total_steps += counted
        total_accuracy += float(alone["accuracy"])
    metrics = task.metrics(outputs, batch)
    assert float(metrics["loss"]) == pytest.approx(total_loss / total_steps, rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx(total_accuracy / len(lengths), rel=1e-6)
    assert 0 < total_accuracy < len(lengths)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.full_but("copy")
def test_a_range_weighs_sequences_alike(name):
    """Oracle: the mean of the losses and accuracies of each sequence cropped. Catches long
    sequences of copy that weigh more, which would change when devices split a batch."""
    task = tasks.over_range(TASKS[name], 10)
    batch = task.sample(jax.random.key(2), 12)
    outputs = random_outputs(batch, task.output_features)
    lengths = np.asarray(batch.mask).cumsum(1).argmax(1) + 1 - EXTRA_STEPS[name]
    cropped = [
        TASKS[name].of_length(int(length)).metrics(
            outputs[b : b + 1, : length + EXTRA_STEPS[name]],
            Batch(*(array[b : b + 1, : length + EXTRA_STEPS[name]] for array in batch)),
        )
        for b, length in enumerate(lengths)
    ]  # fmt: skip
    metrics = task.metrics(outputs, batch)
    np.testing.assert_allclose(
        metrics["loss"], np.mean([alone["loss"] for alone in cropped]), rtol=1e-5
    )
    np.testing.assert_allclose(task.loss(outputs, batch), metrics["loss"], rtol=1e-6)
    np.testing.assert_allclose(
        metrics["accuracy"], np.mean([alone["accuracy"] for alone in cropped]), rtol=1e-5
    )


@pytest.mark.parametrize("name", TASKS)
def test_the_lengths_of_a_range_are_uniform(name):
    """Oracle: the uniform law on 3 ... 12, at five standard errors. Catches an end left out, and
    lengths drawn once for the batch."""
    mask = np.asarray(tasks.over_range(TASKS[name], 3).sample(jax.random.key(0), 20_000).mask)
    lengths = mask.cumsum(1).argmax(1) + 1 - EXTRA_STEPS[name]
    rates = np.bincount(lengths, minlength=ROOM + 1) / len(lengths)
    assert not rates[:3].any()
    np.testing.assert_allclose(rates[3:], 0.1, atol=5 * np.sqrt(0.09 / 20_000))


def test_the_baseline_of_a_range():
    """Oracle: by hand, the mean of 10 ln 8 / (T + 20) over T = 1, 2, 3; 1/6 at every length.
    Catches the baseline of the mean length."""
    expected = 10 * math.log(8) * (1 / 21 + 1 / 22 + 1 / 23) / 3
    assert tasks.over_range(tasks.copy(3), 1).baseline == pytest.approx(expected)
    assert tasks.over_range(tasks.adding(9), 2).baseline == pytest.approx(1 / 6)


def test_accuracy_without_memory():
    """Oracle: always 1 on a million sequences; a guess at eight symbols. Catches 1 / 9."""
    task = tasks.adding(3)
    batch = task.sample(jax.random.key(0), 1_000_000)
    accuracy = task.metrics(jnp.ones((1_000_000, 3, 1)), batch)["accuracy"]
    assert float(accuracy) == pytest.approx(task.accuracy_without_memory, abs=0.0014)
    assert tasks.over_range(tasks.copy(3), 1).accuracy_without_memory == 1 / 8


def test_build_makes_a_range_where_it_is_asked():
    """Catches a range that can't be rebuilt from results.json."""
    assert tasks.build("copy", 9, "arjovsky2016", 4) == tasks.over_range(tasks.copy(9), 4)
    assert tasks.build("copy", 9, "arjovsky2016", 9) == tasks.copy(9)


@pytest.mark.parametrize("name", TASKS)
def test_lengths_that_do_not_fit_are_one_line(name):
    """Catches a delimiter beyond the room, which would silently vanish."""
    shortest = SHORTEST[name]
    with pytest.raises(ValueError, match=f"^{name}: lengths: expected {shortest} to 12, got 5 to"):
        TASKS[name].sample_within(jax.random.key(0), jnp.array([5, 13]))
    with pytest.raises(ValueError, match=rf"^{name}: lengths: expected integers \[B\], got int32"):
        TASKS[name].sample_within(jax.random.key(0), jnp.array(5))
    with pytest.raises(ValueError, match=f"^{name}: shortest: expected less than length=12, got"):
        tasks.over_range(TASKS[name], 12)
    with pytest.raises(ValueError, match=f"^{name}: length: expected at least {shortest}, got 0"):
        tasks.over_range(TASKS[name], 0)
