"""Seconds of each phase of a training step, from timing longer and longer prefixes of it."""

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
from lstm_attn.training.mesh import BY_BLOCK
from lstm_attn.training.program import compiler_options, make_program
from lstm_attn.training.train_step import TrainStep, TrialState

PHASES = ("data", "forward", "backward", "optimiser", "evaluation")
ROUNDS = 4


def step_seconds(
    model: Model, task: Task, config: TrainingConfig, *, steps: int
) -> dict[str, float]:
    """Seconds of each of PHASES in one chunk, all trials of the cell at work.

    Four programs are compiled and timed: the data of a step; data and loss; data, loss and
    gradients; the whole step. Each takes `steps` steps in one scan, on the mesh of the cell. A
    phase is the difference of two neighbours, of the shortest of ROUNDS runs each; noise can make
    a small one negative. Evaluation is a program of its own. What a program computes and does not
    use is summed up, or else the compiler would leave it out.

    Args:
      steps: at most `config.chunk_steps`, to which the seconds are scaled.
    """
    program = make_program(model, task, config)
    trial = TrainStep(model, task, config, program.layout.batch_shards)

    def data(state: TrialState, block: Any) -> Array:
        return _sum(trial.batch(state, block))

    def forward(state: TrialState, block: Any) -> Array:
        batch, params = trial.batch(state, block), trial.whole_params(state)
        return trial.loss(params, state, batch, state.carried)[0]

    def backward(state: TrialState, block: Any) -> Array:
        batch, params = trial.batch(state, block), trial.whole_params(state)
        return _sum(trial.loss_and_gradients(params, state, batch))

    def prefix(function: Callable[[TrialState, Any], Array]) -> Callable:
        def step(state: TrialState, block: Any) -> tuple[TrialState, Array]:
            return state._replace(step=state.step + 1), function(state, block)

        return step

    def of_steps(step: Callable[[TrialState, Any], tuple[TrialState, Array]]) -> Callable:
        def one_step(state: TrialState, block: Any) -> tuple[TrialState, Array]:
            # As far as the compiler sees, parameters change from step to step in each prefix.
            return step(lax.optimization_barrier(state), block)

        return lambda given: lax.scan(one_step, given[0], given[1], length=steps)[1]

    blocks, held_out = program.read(0)
    blocks = jax.tree.map(lambda array: array[:, :steps], blocks)
    states = program.start()
    specs = jax.tree.map(lambda sharding: sharding.spec, program.shardings)

    def compiled(function: Callable[[Any], Any], read: Any) -> Callable[[], object]:
        on_mesh = jax.jit(
            program.layout.over_trials(function, (specs, BY_BLOCK)),
            compiler_options=compiler_options(1, config),
        )
        return partial(on_mesh.lower((states, read)).compile(), (states, read))

    prefixes = (prefix(data), prefix(forward), prefix(backward), trial)
    shortest = _shortest_seconds(
        [
            *(compiled(of_steps(step), blocks) for step in prefixes),
            compiled(lambda given: trial.evaluate(*given), held_out),
        ]
    )
    until = [0.0, *(seconds * config.chunk_steps / steps for seconds in shortest[:-1])]
    phases = [after - before for before, after in itertools.pairwise(until)]
    return dict(zip(PHASES, [*phases, shortest[-1]], strict=True))


def _shortest_seconds(runs: Sequence[Callable[[], object]]) -> list[float]:
    """The shortest time of each; run in turns, so that a slow moment does not fall on one alone."""
    rounds = []
    for _ in range(ROUNDS):
        times = []
        for run in runs:
            began = time.perf_counter()
            jax.block_until_ready(run())
            times.append(time.perf_counter() - began)
        rounds.append(times)
    return [min(times) for times in zip(*rounds, strict=True)]


def _sum(tree: Any) -> Array:
    return sum((jnp.sum(leaf, dtype=jnp.float32) for leaf in jax.tree.leaves(tree)), jnp.float32(0))
