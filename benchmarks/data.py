"""The numbers that every contender starts from: parameters, inputs, batches."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.workloads import GATES, Attention, Layer, Recurrent, Training

ATTENTION_INPUTS = ("query", "key", "value")


def parameters(case: Layer) -> dict[str, np.ndarray]:
    """kernel [D, GH], recurrent_kernel [H, GH], bias [GH], uniform in +-1 / sqrt(H) as torch's.

    The GRU's recurrent_bias is zero, since not every library has one.
    """
    generator = np.random.default_rng(0)
    width, bound = GATES[case.cell] * case.features, case.features**-0.5
    shapes = {
        "kernel": (case.inputs, width),
        "recurrent_kernel": (case.features, width),
        "bias": (width,),
    }
    drawn = {
        name: generator.uniform(-bound, bound, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    if case.cell == "gru":
        drawn["recurrent_bias"] = np.zeros(width, np.float32)
    return drawn


def readout(case: Training) -> dict[str, np.ndarray]:
    """kernel [H, 1] and bias [1]."""
    generator = np.random.default_rng(1)
    bound = case.features**-0.5
    kernel = generator.uniform(-bound, bound, (case.features, 1)).astype(np.float32)
    return {"kernel": kernel, "bias": np.zeros(1, np.float32)}


def inputs(case: Recurrent) -> np.ndarray:
    """[B, T, D], standard normal."""
    shape = (case.batch, case.length, case.inputs)
    return np.random.default_rng(2).standard_normal(shape, np.float32)


def attention_inputs(case: Attention) -> list[np.ndarray]:
    """Query, key and value [B, T, N, K], standard normal."""
    generator = np.random.default_rng(0)
    shape = (case.batch, case.length, case.heads, case.features)
    return [generator.standard_normal(shape, np.float32) for _ in ATTENTION_INPUTS]


def sample(case: Training, step: int | Array, first: int | Array, rows: int) -> tuple[Array, Array]:
    """Sequences first ... first + rows - 1 of a step's batch: inputs [B, T, D], targets [B, 1].

    Each sequence has a key of its own, so a device draws only its own sequences.
    """
    step_key = jax.random.fold_in(jax.random.key(0), step)
    numbers = first + jnp.arange(rows, dtype=jnp.int32)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(step_key, numbers)
    shape = (case.length, case.inputs)
    drawn = jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(keys)
    return drawn, drawn[:, :, :1].mean(axis=1)


def batches(case: Training, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of the first steps as numpy arrays."""
    draw = jax.jit(lambda step: sample(case, step, 0, case.batch))
    drawn = [draw(jnp.int32(step)) for step in range(steps)]
    return [(np.array(inputs), np.array(targets)) for inputs, targets in drawn]
