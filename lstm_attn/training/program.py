"""All trials of a grid cell as one jitted program: a chunk of training steps and an evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn.models import Model
from lstm_attn.tasks import Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.layout import Layout, choose_layout
from lstm_attn.training.trial import TrialState, make_trial


class Program(NamedTuple):
    """A grid cell compiled: start() -> states, advance(states, active) -> (states, metrics).

    start: the states before the first step.
    advance: one chunk of `evaluate_every` steps for every trial, then an evaluation on fresh data.
      A trial where `active`, bool [R], is False rests: only its step goes on, and its metrics are
      NaN. None for all active. The states given are donated: their buffers are reused.
    shapes: those of the states.
    layout: where the trials lie.
    """

    start: Callable[[], TrialState]
    advance: jax.stages.Wrapped
    shapes: TrialState
    layout: Layout


def trial_settings(config: TrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and learning rates of the R trials: every seed with every rate, seeds fastest."""
    seeds = np.tile(np.arange(config.seeds, dtype=np.uint32), len(config.learning_rates))
    return seeds, np.repeat(np.asarray(config.learning_rates, np.float32), config.seeds)


def make_program(model: Model, task: Task, config: TrainingConfig) -> Program:
    """The jitted functions that train all trials of one grid cell."""
    layout = choose_layout(config)
    trial = make_trial(model, task, config, layout.batch_shards)
    settings = trial_settings(config)
    start_trial = jax.jit(trial.start, compiler_options=quickly_compiled(0))

    def start() -> TrialState:
        # One trial at a time: a smaller program than that of all, which runs only here.
        states = [start_trial(*setting) for setting in zip(*settings, strict=True)]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
        return jax.device_put(stacked, layout.by_trial)

    # Jitted for its cache alone: `rest` asks for its shapes without tracing it once more.
    @jax.jit
    def go_on(state: TrialState) -> tuple[TrialState, dict[str, Array]]:
        state, losses = lax.scan(
            lambda state, _: trial.train_step(state), state, length=config.evaluate_every
        )
        return state, {"train_loss": losses.mean(), **trial.evaluate(state)}

    def rest(state: TrialState) -> tuple[TrialState, dict[str, Array]]:
        shapes = go_on.eval_shape(state)[1]
        metrics = jax.tree.map(lambda like: jnp.full(like.shape, jnp.nan, like.dtype), shapes)
        return state._replace(step=state.step + config.evaluate_every), metrics

    def advance(
        states: TrialState, active: Array | None = None
    ) -> tuple[TrialState, dict[str, Array]]:
        if active is None:
            active = jnp.ones(config.trials, bool)
        step_or_rest = layout.over_trials(lambda one: lax.cond(one[1], go_on, rest, one[0]))
        return step_or_rest((states, active))

    one = start_trial.eval_shape(*(column[0] for column in settings))
    return Program(
        start=start,
        advance=jax.jit(
            advance,
            donate_argnums=0,
            out_shardings=layout.by_trial,
            compiler_options=quickly_compiled(1),
        ),
        shapes=jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((config.trials, *leaf.shape), leaf.dtype), one
        ),
        layout=layout,
    )


def quickly_compiled(level: int) -> dict[str, Any] | None:
    """Options of XLA's CPU compiler; None elsewhere.

    Level 1 took three quarters of the default's time to compile and gave code as fast; level 0
    took half of it and gave code several times slower, which serves what runs once.
    """
    return {"xla_backend_optimization_level": level} if jax.default_backend() == "cpu" else None
