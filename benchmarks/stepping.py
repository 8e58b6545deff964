"""A model of `lstm_attn.models`, decoded one step at a time."""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.checking import check_same
from benchmarks.contenders import Ready, compile_seconds
from benchmarks.workloads import BYTES, Decoding
from lstm_attn import models, tasks
from lstm_attn.models import Params, State

STEPS_A_RUN = 64
CHECKED_STEPS = 8


def decoding(case: Decoding, model_name: str) -> Ready:
    """Runs of STEPS_A_RUN steps, from the first position to the last and then anew.

    The step is traced once, for all positions, which is asserted after every run; the first outputs
    are checked against those of all steps at once.
    """
    task = tasks.adding(case.room)
    model = models.build(model_name, task, models.ModelConfig(case.features))
    params = jax.jit(model.init)(jax.random.key(0))
    inputs = task.sample(jax.random.key(1), case.batch).inputs  # [B, T, D]
    traces = 0

    def step(params: Params, state: State, x: Array) -> tuple[State, Array]:
        nonlocal traces
        traces += 1
        return model.step(params, state, x)

    jitted = jax.jit(step, donate_argnums=1)
    # On the host: a slice of a JAX array would be a program of its own.
    columns = [np.asarray(inputs[:, t]) for t in range(min(case.room, STEPS_A_RUN))]
    state, position = _start(model, case), 0

    def advance(steps: int) -> list[Array]:
        nonlocal state, position
        outputs = []
        for _ in range(steps):
            if position == case.room:
                state, position = _start(model, case), 0
            state, output = jitted(params, state, columns[position % len(columns)])
            outputs.append(output)
            position += 1
        jax.block_until_ready((state, outputs))
        assert traces == 1, f"{model_name}: one trace for all positions, got {traces}"
        return outputs

    began = time.perf_counter()
    outputs = advance(1)
    first_seconds = time.perf_counter() - began
    checked = min(CHECKED_STEPS, len(columns))
    outputs += advance(checked - 1)
    at_once = jax.jit(model.apply)(params, inputs[:, :checked])
    check_same(model_name, {"outputs": np.asarray(at_once)}, {"outputs": np.stack(outputs, axis=1)})
    began = time.perf_counter()
    advance(1)
    return Ready(
        lambda: advance(STEPS_A_RUN),
        {},
        STEPS_A_RUN,
        compile_seconds=compile_seconds([first_seconds, time.perf_counter() - began]),
        work=_work(params, state, case.batch),
    )


def _start(model: models.Model, case: Decoding) -> State:
    # Copies: a cache's keys and values begin as one array of zeros, which can't be donated twice.
    return jax.tree.map(jnp.array, model.initial_state(case.batch, case.room))


def _work(params: Params, state: State, batch: int) -> tuple[int, int]:
    """Each parameter and each number of the state takes part in one product a sequence."""
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    held = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state))
    return 2 * (batch * parameters + held), BYTES * (parameters + held)
