"""Our LSTM and GRU, attention, and steps of a model one at a time."""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks import data, jitted
from benchmarks.contenders import Ready, check_same, compile_seconds
from benchmarks.workloads import Attention, Decoding, Layer, Recurrent, Training
from lstm_attn import models, ops, tasks
from lstm_attn.models import Params, State

# Parameters, and the function that takes them.
CELLS: dict[str, tuple[Any, Any]] = {
    "lstm": (ops.LSTMParams, ops.lstm),
    "gru": (ops.GRUParams, ops.gru),
}
STEPS_A_RUN = 64
CHECKED_STEPS = 8


def network(case: Layer, implementation: str, segment: int | None = None) -> jitted.Network:
    """`segment` as of ops.lstm: how many steps are recomputed together, None for none."""
    kind, function = CELLS[case.cell]

    def apply(params: ops.LSTMParams | ops.GRUParams, inputs: Array) -> Array:
        return function(params, inputs, implementation=implementation, segment=segment)[0]

    params = kind(**{name: jnp.asarray(a) for name, a in data.parameters(case).items()})
    return jitted.Network(params, apply, lambda tree: tree._asdict())


def layer(case: Recurrent, implementation: str, devices: int = 1) -> Ready:
    return jitted.layer(case, network(case, implementation), devices)


def training_in_one_program(
    case: Training, implementation: str, steps: int, devices: int = 1, segment: int | None = None
) -> Ready:
    ours = network(case, implementation, segment)
    return jitted.training_in_one_program(case, ours, steps, devices)


def attention(case: Attention, implementation: str) -> Ready:
    attend = partial(ops.dot_product_attention, implementation=implementation)
    return jitted.attention(case, attend)


def decode(case: Decoding, name: str) -> Ready:
    """Runs of STEPS_A_RUN steps of a model, from the first position to the last and again.

    A recurrent step costs the same at every position; a step over a key-value cache costs as much
    as the cache has room for. The step is traced once for all positions, which every run asserts;
    the first outputs must equal those of all steps at once.
    """
    task = tasks.adding(case.room)
    model = models.build(name, task, models.ModelConfig(case.features))
    params = jax.jit(model.init)(jax.random.key(0))
    inputs = task.sample(jax.random.key(1), case.batch).inputs  # [B, T, D]
    traces = 0

    def step(params: Params, state: State, x: Array) -> tuple[State, Array]:
        nonlocal traces
        traces += 1
        return model.step(params, state, x)

    def first_state() -> State:
        # Copies: a cache's keys and values begin as one array of zeros, which can't be donated
        # twice.
        return jax.tree.map(jnp.array, model.initial_state(case.batch, case.room))

    jitted_step = jax.jit(step, donate_argnums=1)
    # On the host: a slice of a JAX array would be a program of its own.
    columns = [np.asarray(inputs[:, t]) for t in range(min(case.room, STEPS_A_RUN))]
    state, position = first_state(), 0

    def advance(steps: int) -> list[Array]:
        nonlocal state, position
        outputs = []
        for _ in range(steps):
            if position == case.room:
                state, position = first_state(), 0
            state, output = jitted_step(params, state, columns[position % len(columns)])
            outputs.append(output)
            position += 1
        jax.block_until_ready((state, outputs))
        assert traces == 1, f"{name}: one trace for all positions, got {traces}"
        return outputs

    began = time.perf_counter()
    outputs = advance(1)
    first_seconds = time.perf_counter() - began
    checked = min(CHECKED_STEPS, len(columns))
    outputs += advance(checked - 1)
    at_once = jax.jit(model.apply)(params, inputs[:, :checked])
    check_same(name, {"outputs": np.asarray(at_once)}, {"outputs": np.stack(outputs, axis=1)})
    began = time.perf_counter()
    advance(1)
    return Ready(
        lambda: advance(STEPS_A_RUN),
        {},
        STEPS_A_RUN,
        compile_seconds=compile_seconds([first_seconds, time.perf_counter() - began]),
    )
