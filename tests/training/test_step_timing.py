"""The phases of a chunk, timed."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from lstm_attn.models import Model
from lstm_attn.training import step_seconds, step_timing
from lstm_attn.training.step_timing import PHASES

SECONDS = 0.02


class Clock:
    """A clock that only the computation moves, so that a busy machine changes nothing."""

    def __init__(self):
        self.now = 0.0

    def takes(self, value, *, forward, backward):
        """The value, after `forward` seconds; differentiating it takes `backward` seconds."""

        def moves(seconds):
            def call(x):
                self.now += seconds
                return x

            return lambda x: jax.pure_callback(call, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

        @jax.custom_vjp
        def slow(x):
            return moves(forward)(x)

        slow.defvjp(
            lambda x: (moves(forward)(x), None), lambda _, gradient: (moves(backward)(gradient),)
        )
        return slow(value)


def test_a_stage_is_as_long_as_what_happens_in_it(task, config, monkeypatch):
    """Oracle: a model that moves the clock, three times as far backward as forward. Catches
    phases that are exchanged, cumulative, or of another number of steps."""

    clock = Clock()
    monkeypatch.setattr(step_timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def apply(params, inputs):
        weight = clock.takes(params["w"], forward=SECONDS, backward=3 * SECONDS)
        return weight * jnp.ones((*inputs.shape[:2], 1))

    slow_model = Model(lambda key: {"w": jnp.zeros(())}, apply)
    one = dataclasses.replace(config, seeds=1, learning_rates=(1e-3,), batch_size=7)
    phases = step_seconds(slow_model, task, one, steps=2)
    assert tuple(phases) == PHASES
    per_step = {phase: seconds / one.evaluate_every for phase, seconds in phases.items()}
    np.testing.assert_allclose(per_step["forward"], SECONDS, rtol=1e-6)
    np.testing.assert_allclose(per_step["backward"], 3 * SECONDS, rtol=1e-6)
    assert per_step["data"] == 0
    assert abs(per_step["optimiser"]) < 1e-6 * SECONDS
    np.testing.assert_allclose(phases["evaluation"], SECONDS, rtol=1e-6)
