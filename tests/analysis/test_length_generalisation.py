"""Length generalisation of hand-written models: right at all lengths, or only up to T."""

import logging
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import tasks
from lstm_attn.analysis import (
    LengthGeneralisation,
    fit_horizon,
    horizon_beyond,
    length_generalisation,
)
from lstm_attn.analysis.length_generalisation import share_rooms
from lstm_attn.models import Model
from tests import oracles

TRAINED = 4
LENGTHS = (2, 4, 8, 16, 32, 64)


def sums(params, inputs):
    """Solves adding at every length by a running sum; wrong from step `reach`, off by `error`."""
    right = jnp.cumsum(inputs[..., 0] * inputs[..., 1], axis=1)
    steps = jnp.arange(inputs.shape[1])
    return jnp.where(steps < params["reach"], right, -9)[..., None] + params["error"]


def recalls(params, inputs):
    """Logits that solve copy at every length: after the delimiter, the first ten inputs."""
    tokens = inputs.argmax(-1)
    since = jnp.cumsum(jnp.cumsum(tokens == 9, axis=1), axis=1)  # 1 at the delimiter
    place = jnp.clip(since - 2, 0, 9)
    answers = jnp.where((since >= 2) & (since <= 11), jnp.take_along_axis(tokens, place, 1), 0)
    answers = jnp.where(jnp.arange(inputs.shape[1]) < params["reach"], answers, 0)
    return 50 * jax.nn.one_hot(answers, 9)


def hand_written(task_name, reach=10**6, errors=0.0):
    task = tasks.build(task_name, TRAINED, "arjovsky2016")
    model = Model(init=lambda key: {}, apply=sums if task_name == "adding" else recalls)
    errors = jnp.asarray(errors, jnp.float32)
    return model, {"reach": jnp.full(errors.shape, reach), "error": errors}, task


@pytest.mark.parametrize("task_name", ["adding", "copy"])
@pytest.mark.parametrize("most_padding", [4, math.inf])
def test_a_model_that_is_right_at_all_lengths(task_name, most_padding):
    """Oracle: accuracy 1 and loss 0, however lengths share rooms. Catches answers read at the end
    of the room, and padding in the loss."""
    model, params, task = hand_written(task_name)
    found = length_generalisation(
        model, params, task, LENGTHS, jax.random.key(0), sequences=20, batch_size=10,
        most_padding=most_padding,
    )  # fmt: skip
    assert found.lengths == list(LENGTHS)
    np.testing.assert_array_equal(found.accuracy, np.ones((6, 1)))
    np.testing.assert_allclose(found.loss, 0, atol=oracles.LAYER)
    assert found.solved.all()


@pytest.mark.parametrize("task_name", ["adding", "copy"])
def test_a_model_that_is_right_up_to_the_trained_length(task_name):
    """Oracle: by hand. Adding: accuracy 1 to T and 0 after. Copy with reach T + 20: at delay 8 six
    of ten symbols lie within it, at 16 none. Catches tests at the length of the room."""
    extra = {"adding": 0, "copy": 20}[task_name]
    model, params, task = hand_written(task_name, reach=TRAINED + extra)
    found = length_generalisation(
        model, params, task, LENGTHS, jax.random.key(0), sequences=20, batch_size=20
    )
    expected = {"adding": [1, 1, 0, 0, 0, 0], "copy": [1, 1, 0.6, 0, 0, 0]}[task_name]
    np.testing.assert_allclose(found.accuracy[:, 0], expected, atol=oracles.LAYER)
    assert found.solved[:, 0].tolist() == [True, True] + [False] * 4
    assert found.loss[1, 0] < 1e-6 < found.loss[2, 0]


def test_trials_each_have_their_own_parameters():
    """Oracle: by hand. Four trials with errors 0, .03, .05 and 1: two of four right at each length,
    losses .0009 and so on, of a baseline of 1/6: three of four remember. Catches swapped trials,
    and one criterion taken for the other."""
    errors = np.array([0, 0.03, 0.05, 1.0])
    model, params, task = hand_written("adding", errors=errors)
    found = length_generalisation(
        model, params, task, (4, 16), jax.random.key(0), trials=4, sequences=40, batch_size=20
    )
    for n in range(2):
        np.testing.assert_array_equal(found.accuracy[n], [1, 1, 0, 0])
        np.testing.assert_allclose(found.loss[n], errors**2, atol=oracles.MODEL)
        np.testing.assert_allclose(
            found.share_remembered[n], 1 - 6 * errors**2, atol=6 * oracles.MODEL
        )
        assert found.remembers[n].tolist() == [True, True, True, False]
        assert found.solved[n].tolist() == [True, True, False, False]


def test_parameters_may_lie_on_other_devices_than_the_test_takes():
    """Identity with parameters on the host: three trials take three devices, training left them on
    four. Catches JAX's error about incompatible devices, as in a notebook."""
    model, params, task = hand_written("adding", errors=[0, 0.03, 1.0])
    everywhere = jax.sharding.NamedSharding(jax.make_mesh((4,), ("batch",)), jax.P())
    found, expected = (
        length_generalisation(
            model, given, task, (4,), jax.random.key(0), trials=3, sequences=20, batch_size=20
        ).loss
        for given in (jax.device_put(params, everywhere), params)
    )
    np.testing.assert_array_equal(found, expected)


def test_a_model_without_memory_measures_the_baseline():
    """Oracle: the baseline and its accuracy in closed form, for a model that always says 1; within
    four standard errors of 4,000 sequences. Catches means over batches or steps that padding adds
    to."""
    model = Model(
        init=lambda key: {}, apply=lambda params, inputs: jnp.ones((*inputs.shape[:2], 1))
    )
    task = tasks.adding(8)
    found = length_generalisation(
        model, {}, task, (8,), jax.random.key(1), sequences=4000, batch_size=1000
    )
    share = task.accuracy_without_memory
    error = math.sqrt(share * (1 - share) / 4000)
    assert abs(found.accuracy[0, 0] - share) < 4 * error
    assert abs(found.loss[0, 0] - task.baseline) < 4 * math.sqrt(7 / 180 / 4000)


@pytest.mark.parametrize(("most_padding", "programs"), [(1, 3), (4, 2), (math.inf, 1)])
def test_programs_are_as_many_as_rooms(most_padding, programs, caplog):
    """Oracle: JAX's own log of what it compiles. Catches a compilation for each length."""
    model, params, task = hand_written("adding")
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        found = length_generalisation(
            model, params, task, (2, 8, 32), jax.random.key(0), sequences=10, batch_size=10,
            most_padding=most_padding,
        )  # fmt: skip
    compiled = [message for message in caplog.messages if "Finished XLA compilation" in message]
    # The name of the function that is mapped over trials.
    assert sum("of_a_device" in message for message in compiled) == programs
    assert found.programs == programs


def test_a_share_is_that_of_the_baseline_of_the_tested_length():
    """Oracle: closed form. Logits of zero cost ln 9 a step, whatever the delay; the baseline is
    10 ln 8 / (T + 20). Catches the baseline of the trained length."""
    model = Model(
        init=lambda key: {}, apply=lambda params, inputs: jnp.zeros((*inputs.shape[:2], 9))
    )
    found = length_generalisation(
        model, {}, tasks.copy(4), (4, 64), jax.random.key(0), sequences=20, batch_size=20
    )
    expected = [1 - math.log(9) * (length + 20) / (10 * math.log(8)) for length in (4, 64)]
    np.testing.assert_allclose(found.share_remembered[:, 0], expected, rtol=1e-5)


def test_standard_errors_are_those_of_a_constant_answer():
    """Closed form: of the sum of two numbers, 1 is wrong by x with density 1 - |x|, so that x^2 has
    the mean 1/6 and the variance 1/15 - 1/36, and is right within .04 with p = 1 - .96^2. Catches an
    error that is not divided by the root of the sequences, and that of a batch."""
    task = tasks.build("adding", TRAINED, "arjovsky2016")
    model = Model(init=lambda key: {}, apply=lambda params, inputs: jnp.ones_like(inputs[..., :1]))
    found = length_generalisation(model, {}, task, (4, 8), jax.random.key(3), sequences=4000)
    right = 1 - 0.96**2
    expected = np.sqrt(np.array([1 / 15 - 1 / 36, right * (1 - right)]) / 4000)
    errors = np.stack([found.loss_error[:, 0], found.accuracy_error[:, 0]], axis=1)
    np.testing.assert_allclose(errors, [expected, expected], rtol=0.08)
    assert (abs(found.loss - 1 / 6) < 4 * expected[0]).all()


def test_the_horizon_is_that_of_the_lengths_from_the_trained_one_on():
    """Oracle: `fit_horizon` of the trials listed one by one. At T = 10 no trial remembers, of which
    the fit must not know. Catches lengths below the trained one, and trials whose seeds or lengths
    are exchanged."""
    remembers = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 1, 0]], bool)
    found = LengthGeneralisation(
        [10, 20, 40, 80], *[np.zeros((4, 3))] * 5, remembers, remembers, sequences=1, programs=1
    )
    seeds = np.array([3, 4, 5])
    fit = horizon_beyond(found, 20, seeds)
    expected = fit_horizon(
        np.array([20, 20, 20, 40, 40, 40, 80, 80, 80]),
        np.array([1, 1, 1, 1, 1, 0, 0, 1, 0], bool),
        np.array([3, 4, 5, 3, 4, 5, 3, 4, 5]),
    )
    assert fit.as_json() == expected.as_json()
    assert fit.lengths == (20, 40, 80)
    assert 20 < fit.t50 < 80
    assert horizon_beyond(found, 80, seeds) is None
    assert horizon_beyond(found, 20, np.zeros(3)) is None


def test_rooms_are_as_few_as_the_padding_allows():
    """Oracle: by hand. Catches a room too large for its shortest length, and a lost length."""
    assert share_rooms(LENGTHS, 4) == {64: [64, 32, 16], 8: [8, 4, 2]}
    assert share_rooms((5, 20, 10, 20), 2) == {20: [20, 10], 5: [5]}
    assert share_rooms((3, 10), 4) == {10: [10, 3]}


def test_misuse_is_one_line():
    """Catches a length that the task does not have, and sequences that batches leave out."""
    model, params, task = hand_written("adding")
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="^adding: length: expected at least 2, got 1$"):
        length_generalisation(model, params, task, (1, 4), key)
    with pytest.raises(ValueError, match="sequences: expected a multiple of batch_size=100, got 5"):
        length_generalisation(model, params, task, (4,), key, sequences=5)
    with pytest.raises(ValueError, match="expected at least one length and most_padding >= 1"):
        length_generalisation(model, params, task, (), key)
