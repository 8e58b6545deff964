"""Where the time of a chunk goes: growing prefixes of a training step, timed one by one."""

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.models import Model
from lstm_attn.tasks import Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.program import compiler_options, make_program
from lstm_attn.training.train_step import TrialState, make_trial

STAGES = ("data", "forward", "backward", "optimiser", "evaluation")
ROUNDS = 4


def stage_seconds(
    model: Model, task: Task, config: TrainingConfig, *, steps: int
) -> dict[str, float]:
    """Seconds of each of STAGES in one chunk, all trials of the cell at work.

    Four programs are compiled and timed: the data of a step; these and the loss; these and the
    gradients; the whole step. Each goes over its steps in one scan, on the mesh of the cell. A
    stage is the difference of two neighbours, the shortest of ROUNDS runs each; noise can make a
    small one negative. Evaluation is a program of its own. What a prefix makes and does not use is
    summed up, or else the compiler would leave it out.

    Args:
      steps: how many each program takes; the seconds are scaled to `config.evaluate_every`.
    """
    program = make_program(model, task, config)
    trial = make_trial(model, task, config, program.layout.batch_shards)
    states = program.start()

    def data(state: TrialState) -> tuple[TrialState, Array]:
        return _stepped(state), _sum(trial.batch(state, ()))

    def forward(state: TrialState) -> tuple[TrialState, Array]:
        return _stepped(state), trial.loss(trial.params(state), state, trial.batch(state, ()))

    def backward(state: TrialState) -> tuple[TrialState, Array]:
        return _stepped(state), _sum(
            trial.loss_and_gradients(trial.params(state), state, trial.batch(state, ()))
        )

    def of_steps(step: Callable[[TrialState], tuple[TrialState, Array]]) -> Callable:
        def one_step(state: TrialState, _: None) -> tuple[TrialState, Array]:
            # As far as the compiler sees, parameters change from step to step in each prefix.
            return step(lax.optimization_barrier(state))

        return lambda state: lax.scan(one_step, state, length=steps)[1]

    specs = jax.tree.map(lambda sharding: sharding.spec, program.shardings)

    def compiled(function: Callable[[TrialState], Any]) -> Callable[[], object]:
        on_mesh = jax.jit(
            program.layout.over_trials(function, specs),
            compiler_options=compiler_options(1, config),
        )
        return partial(on_mesh.lower(states).compile(), states)

    def whole(state: TrialState) -> tuple[TrialState, Array]:
        return trial.train_step(state, ())

    def evaluation(state: TrialState) -> dict[str, Array]:
        return trial.evaluate(state, ())

    prefixes = (data, forward, backward, whole)
    shortest = _shortest_seconds(
        [compiled(function) for function in (*map(of_steps, prefixes), evaluation)]
    )
    until = [0.0, *(seconds * config.evaluate_every / steps for seconds in shortest[:-1])]
    parts = [after - before for before, after in itertools.pairwise(until)]
    return dict(zip(STAGES, [*parts, shortest[-1]], strict=True))


def _shortest_seconds(runs: Sequence[Callable[[], object]]) -> list[float]:
    """Of each, run in turns, so that a slow moment of the machine does not fall on one alone."""
    rounds = []
    for _ in range(ROUNDS):
        times = []
        for run in runs:
            began = time.perf_counter()
            jax.block_until_ready(run())
            times.append(time.perf_counter() - began)
        rounds.append(times)
    return [min(times) for times in zip(*rounds, strict=True)]


def _stepped(state: TrialState) -> TrialState:
    return state._replace(step=state.step + 1)


def _sum(tree: Any) -> Array:
    return sum((jnp.sum(leaf, dtype=jnp.float32) for leaf in jax.tree.leaves(tree)), jnp.float32(0))
