"""Where the time of a chunk goes: growing prefixes of a training step, timed one by one."""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.models import Model
from lstm_attn.tasks import Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.program import make_program, quickly_compiled
from lstm_attn.training.trial import TrialState, make_trial

STAGES = ("data", "forward", "backward", "optimiser", "evaluation")
REPEATS = 3


def stage_seconds(
    model: Model, task: Task, config: TrainingConfig, *, steps: int
) -> dict[str, float]:
    """Seconds of each of STAGES in one chunk, all trials of the cell at work.

    Four programs are compiled and timed: the data of a step; these and the loss; these and the
    gradients; the whole step. Each goes over its steps in one scan, on the mesh of the cell. A
    stage is the difference of two neighbours, medians of REPEATS runs, so noise can make a small
    one negative. Evaluation is a program of its own. What a prefix does not use further is summed
    up, or else the compiler would leave it out.

    Args:
      steps: how many each program takes; the seconds are scaled to `config.evaluate_every`.
    """
    program = make_program(model, task, config)
    trial = make_trial(model, task, config, program.layout.batch_shards)
    states = program.start()

    def data(state: TrialState) -> tuple[TrialState, Array]:
        return _stepped(state), _sum(trial.batch(state))

    def forward(state: TrialState) -> tuple[TrialState, Array]:
        return _stepped(state), trial.loss(state.params, state, trial.batch(state))

    def backward(state: TrialState) -> tuple[TrialState, Array]:
        return _stepped(state), _sum(
            jax.value_and_grad(trial.loss)(state.params, state, trial.batch(state))
        )

    def seconds(function: Callable[[TrialState], Any]) -> float:
        on_mesh = jax.jit(
            program.layout.over_trials(function), compiler_options=quickly_compiled(1)
        )
        times = []
        for _ in range(REPEATS + 1):
            began = time.perf_counter()
            jax.block_until_ready(on_mesh(states))
            times.append(time.perf_counter() - began)
        return statistics.median(times[1:])  # the first compiles

    def of_steps(step: Callable[[TrialState], tuple[TrialState, Array]]) -> float:
        def one_step(state: TrialState, _: None) -> tuple[TrialState, Array]:
            # As far as the compiler sees, parameters change from step to step in each prefix.
            return step(lax.optimization_barrier(state))

        def scanned(state: TrialState) -> tuple[TrialState, Array]:
            return lax.scan(one_step, state, length=steps)

        return seconds(scanned) * config.evaluate_every / steps

    until = [0.0, *map(of_steps, (data, forward, backward, trial.train_step))]
    parts = [after - before for before, after in itertools.pairwise(until)]
    return dict(zip(STAGES, [*parts, seconds(trial.evaluate)], strict=True))


def _stepped(state: TrialState) -> TrialState:
    return state._replace(step=state.step + 1)


def _sum(tree: Any) -> Array:
    return sum((jnp.sum(leaf, dtype=jnp.float32) for leaf in jax.tree.leaves(tree)), jnp.float32(0))
