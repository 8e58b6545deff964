"""The stages of a chunk, timed."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np

from lstm_attn.models import Model
from lstm_attn.training import stage_seconds
from lstm_attn.training.step_timing import STAGES

SECONDS = 0.02


def slept(value, *, forward, backward):
    """The value, after a sleep when it is computed and another when its gradient is."""

    def sleep(seconds):
        def call(x):
            time.sleep(seconds)
            return x

        return lambda x: jax.pure_callback(call, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    @jax.custom_vjp
    def slow(x):
        return sleep(forward)(x)

    slow.defvjp(lambda x: (sleep(forward)(x), None), lambda _, g: (sleep(backward)(g),))
    return slow(value)


def test_a_stage_is_as_long_as_what_happens_in_it(task, config):
    """Oracle: a model that sleeps, once as long forward and three times as long backward. Catches
    stages that are exchanged, cumulative, or of another number of steps."""

    def apply(params, inputs):
        weight = slept(params["w"], forward=SECONDS, backward=3 * SECONDS)
        return weight * jnp.ones((*inputs.shape[:2], 1))

    sleeping = Model(lambda key: {"w": jnp.zeros(())}, apply)
    one = dataclasses.replace(config, seeds=1, learning_rates=(1e-3,), batch_size=7)
    stages = stage_seconds(sleeping, task, one, steps=2)
    assert tuple(stages) == STAGES
    per_step = {stage: seconds / one.evaluate_every for stage, seconds in stages.items()}
    np.testing.assert_allclose(per_step["forward"], SECONDS, rtol=0.4)
    np.testing.assert_allclose(per_step["backward"], 3 * SECONDS, rtol=0.4)
    assert abs(per_step["data"]) < SECONDS / 2
    assert abs(per_step["optimiser"]) < SECONDS / 2
    np.testing.assert_allclose(stages["evaluation"], SECONDS, rtol=0.4)
