"""A diverged trial is frozen, counted as unsolved, and leaves the others alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn.models import Model
from lstm_attn.training import train

FATAL_RATE = 1e30


def exploding(model):
    """The model, but infinite as soon as its parameters have moved far."""

    def apply(params, inputs):
        size = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))
        return model.apply(params, inputs) + jnp.where(size > 1e6, jnp.inf, 0.0)

    return Model(model.init, apply)


def test_a_diverged_trial_is_frozen_and_the_others_go_on(model, task, config):
    """Oracle: the same trials without the fatal rate. Catches NaN that spreads, a trial that
    moves after its last finite parameters, and one that counts as solved."""
    both = dataclasses.replace(config, learning_rates=(1e-2, FATAL_RATE), warmup_steps=0)
    without = dataclasses.replace(both, learning_rates=(1e-2,))
    mixed, healthy = (train(exploding(model), task, c) for c in (both, without))

    np.testing.assert_array_equal(mixed.history.diverged[:, 2:], True)
    np.testing.assert_array_equal(mixed.history.diverged[:, :2], False)
    assert not mixed.history.solved[:, 2:].any()
    assert np.isnan(mixed.history.metrics["train_loss"][0, 2:]).all()
    np.testing.assert_allclose(
        mixed.history.metrics["loss"][:, :2], healthy.history.metrics["loss"], rtol=1e-5
    )
    for leaf in jax.tree.leaves(mixed.params):
        assert np.isfinite(leaf).all()


@pytest.mark.full
def test_frozen_parameters_are_the_last_finite_ones(model, task, config):
    """Oracle: one step by hand at the fatal rate. The first step is finite, the second is not.
    Catches parameters frozen one step early or late."""
    fatal = dataclasses.replace(config, learning_rates=(FATAL_RATE,), warmup_steps=0)
    short = dataclasses.replace(fatal, steps=5)
    frozen, early = (train(exploding(model), task, c).params for c in (fatal, short))
    start = train(
        exploding(model), task, dataclasses.replace(fatal, learning_rates=(1e-30,))
    ).params
    for late, soon, first in zip(*map(jax.tree.leaves, (frozen, early, start)), strict=True):
        np.testing.assert_array_equal(late, soon)
        assert np.isfinite(late).all()
        if first.size > 4:
            assert np.abs(late - first).max() > 1e20  # the first step was taken


def test_parameters_that_overflow_without_the_loss_are_kept_finite(task, config):
    """Oracle: by hand. tanh saturates, so the loss stays finite while the second step of 3e38
    takes w past the largest float32. Catches a check of the loss alone."""
    saturated = Model(
        init=lambda key: {"w": jnp.float32(0.5)},
        apply=lambda params, inputs: jnp.tanh(params["w"]) * jnp.ones((*inputs.shape[:2], 1)),
    )
    fatal = dataclasses.replace(config, learning_rates=(3e38,), warmup_steps=0)
    trained = train(saturated, task, fatal)
    assert trained.history.diverged.all()
    assert np.isfinite(trained.history.metrics["loss"]).all()
    assert np.isfinite(trained.params["w"]).all()


def test_a_frozen_trial_is_unsolved_even_where_its_metrics_would_do(model, task, config):
    """Oracle: criteria that always hold. Catches a diverged trial counted as one that passes."""

    def holds(self, metrics):
        return True

    easy = type("Easy", (type(task),), {"is_solved": holds, "remembers": holds})(task.length)
    both = dataclasses.replace(config, learning_rates=(1e-2, FATAL_RATE), warmup_steps=0)
    history = train(exploding(model), easy, both).history
    assert history.solved[:, :2].all()
    assert not history.solved[:, 2:].any()
    np.testing.assert_array_equal(history.remembers, history.solved)
