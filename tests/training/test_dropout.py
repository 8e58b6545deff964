"""Dropout is on in training and off in evaluation, with a new mask at every step and device."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models
from lstm_attn.models import Model, ModelConfig
from lstm_attn.training import make_program, train
from lstm_attn.training.config import TrainingConfig

# A learning rate at which nothing moves, so that all steps have the same parameters.
CONFIG = TrainingConfig(
    steps=80,
    evaluate_every=1,
    warmup_steps=0,
    batch_size=4,
    seeds=1,
    learning_rates=(1e-12,),
    evaluation_sequences=4,
    schedule="constant",
    clip_norm=1e9,
)


def showing_draws(task):
    """A task with the target 1 and a model whose gradient is -2 times the mean of its draws."""

    class Ones:
        def __getattr__(self, name):
            return getattr(task, name)

        def sample(self, key, batch_size):
            batch = task.sample(key, batch_size)
            return batch._replace(targets=jnp.ones_like(batch.targets))

    def apply(params, inputs):
        return jnp.broadcast_to(params["weight"], (*inputs.shape[:2], task.output_features))

    def apply_with_dropout(params, inputs, key):
        return apply(params, inputs) * jax.random.uniform(key, (inputs.shape[0], 1, 1))

    return Model(lambda key: {"weight": jnp.zeros(())}, apply, apply_with_dropout), Ones()


@pytest.mark.parametrize(("microbatches", "devices"), [(1, 4), (4, 1)])
def test_every_step_device_and_microbatch_draws_for_itself(task, microbatches, devices):
    """Oracle: the mean of four uniform numbers is .5 with a standard deviation of .144 from step to
    step; it is 0 if all steps draw alike, and .289 if the four devices that share a batch do, or
    its four microbatches."""
    model, ones = showing_draws(task)
    config = dataclasses.replace(CONFIG, accumulation_steps=microbatches)
    program = make_program(model, ones, config)
    assert program.layout.batch_shards == devices
    states, moments = program.start(), [0.0]
    for _ in range(CONFIG.steps):
        states, _ = program.advance(states)
        moments.append(first_moment(states))
    # Adam's m_t = .9 m_{t-1} + .1 g_t.
    gradients = 10 * (np.array(moments[1:]) - 0.9 * np.array(moments[:-1]))
    draws = gradients / -2
    assert abs(draws.mean() - 0.5) < 0.06
    assert 0.1 < draws.std() < 0.2


def first_moment(states):
    (found,) = [
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(states.optimizer_state)
        if ".mu" in jax.tree_util.keystr(path)
    ]
    return float(found[0, 0])  # of the first trial, whose parameters are one number


@pytest.mark.full
def test_a_model_that_drops_trains_otherwise_and_evaluates_as_if_it_did_not(task):
    """Oracle: the model without dropout, with the same first parameters. Catches dropout that is
    never on, or on in evaluation."""
    config = dataclasses.replace(CONFIG, steps=2)
    usual, dropping = (
        train(
            models.build("transformer", task, ModelConfig(features=8, dropout=rate)), task, config
        )
        for rate in (0.0, 0.5)
    )
    np.testing.assert_allclose(
        usual.history.metrics["loss"], dropping.history.metrics["loss"], rtol=1e-5
    )
    assert not np.allclose(
        usual.history.metrics["train_loss"], dropping.history.metrics["train_loss"], rtol=1e-3
    )
