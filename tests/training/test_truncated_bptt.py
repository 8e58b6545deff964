"""Truncated back-propagation through time against a loop written out, and against no truncation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_attn import models, ops, tasks, training
from lstm_attn.models import ModelConfig
from tests.ops.test_lstm import random_case

RATE = 0.1


def case():
    params, inputs, state = random_case(0, 2, 12, 3, 4)
    targets = np.random.default_rng(1).normal(size=(2, 12, 4))
    return params, state, (jnp.asarray(inputs), jnp.asarray(targets))


def loss(params, state, segment):
    inputs, targets = segment
    outputs, state = ops.lstm(params, inputs, state)
    return jnp.mean(jnp.square(outputs - targets)), state


def train(params, state, data, segment_length, rate=RATE):
    optimizer = optax.sgd(rate)
    return training.train_over_segments(
        loss, optimizer, params, optimizer.init(params), state, data, segment_length
    )


def test_one_segment_is_no_truncation(float64):
    """Oracle: one step of gradient descent on the whole sequence. Catches a second update."""
    params, state, data = case()
    after, _, last, losses = train(params, state, data, 12)
    (value, expected_last), gradient = jax.value_and_grad(loss, has_aux=True)(params, state, data)
    for ours, start, slope in zip(after, params, gradient, strict=True):
        np.testing.assert_allclose(ours, start - RATE * slope, rtol=1e-12)
    np.testing.assert_allclose(losses, [value], rtol=1e-12)
    np.testing.assert_allclose(last.c, expected_last.c, rtol=1e-12)


def test_segments_are_steps_of_their_own_with_the_state_handed_on(float64):
    """Oracle: the loop written out, with numbers instead of traced states between segments. Catches
    a state that restarts, a gradient that crosses segments, and an update that comes late."""
    params, state, (inputs, targets) = case()
    after, _, last, losses = train(params, state, (inputs, targets), 4)
    for k in range(3):
        part = slice(4 * k, 4 * k + 4)
        state = ops.LSTMState(*(jnp.asarray(np.asarray(leaf)) for leaf in state))
        (value, state), gradient = jax.value_and_grad(loss, has_aux=True)(
            params, state, (inputs[:, part], targets[:, part])
        )
        params = ops.LSTMParams(*(p - RATE * g for p, g in zip(params, gradient, strict=True)))
        np.testing.assert_allclose(losses[k], value, rtol=1e-12)
    for ours, expected in zip(after, params, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12)
    np.testing.assert_allclose(last.h, state.h, rtol=1e-12)


def test_where_nothing_is_learned_the_state_is_that_of_the_whole_sequence(float64):
    """Oracle: `ops.lstm` over all steps. Catches a state that restarts with a segment."""
    params, state, data = case()
    *_, last, _ = train(params, state, data, 3, rate=0.0)
    _, expected = ops.lstm(params, data[0], state)
    np.testing.assert_allclose(last.c, expected.c, rtol=1e-12)


def test_a_segment_that_does_not_divide_is_one_line():
    """Catches the rest of a sequence that is silently dropped."""
    params, state, data = case()
    with pytest.raises(
        ValueError, match=r"expected one T, a multiple of segment_length=5, got shapes \(2, 12, 3\)"
    ):
        train(params, state, data, 5)


@pytest.mark.full
@pytest.mark.parametrize("name", ["gru", "lstm_attention"])
def test_every_model_can_be_trained_in_segments(name):
    """Oracle: with one segment, apply's loss. Catches a model whose state cannot be scanned over."""
    task = tasks.copy(4)
    model = models.build(name, task, ModelConfig(features=8))
    batch = task.sample(jax.random.key(0), 3)
    params = model.init(jax.random.key(1))

    def segment_loss(params, state, part):
        state, outputs = model.segment(params, state, part.inputs)
        return task.loss(outputs, part), state

    optimizer = optax.sgd(RATE)
    for length, segments in ((24, 1), (8, 3)):
        *_, losses = training.train_over_segments(
            segment_loss,
            optimizer,
            params,
            optimizer.init(params),
            model.initial_state(3, 24),
            batch,
            length,
        )
        assert losses.shape == (segments,)
        whole = task.loss(model.apply(params, batch.inputs), batch)
        if segments == 1:
            np.testing.assert_allclose(losses[0], whole, rtol=1e-5)


def test_a_cache_without_room_is_one_line():
    """Catches parameters that silently become NaN, as the lengths are not known in the scan."""
    task = tasks.copy(4)
    model = models.build("transformer", task, ModelConfig(features=8))
    batch, params = task.sample(jax.random.key(0), 3), model.init(jax.random.key(1))
    with pytest.raises(ValueError, match=r"expected at most 20 steps, got 0 \+ 24"):
        training.train_over_segments(
            None, optax.sgd(RATE), params, None, model.initial_state(3, 20), batch, 8
        )
