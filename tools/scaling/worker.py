"""In a child of `tools.scaling.check`: the rates of this machine, and seconds of training steps.

Rates: products, tanh, softmax, a stream through memory, a reduction. Training steps run LSTM and
GRU as a plain scan and dense attention, the programs that accelerators get.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import PartitionSpec as P

from lstm_attn import models, tasks, training
from lstm_attn.ops import dispatch

# The products of a step of a scan are small: the rate is that of the middle one.
MATMULS = ((32, 64, 256), (64, 128, 512), (128, 256, 1024))
STREAMED, CACHED = 2**28, 2**20
FLOAT32 = 4
# Elementwise work in the cache: a softmax and its derivative.
SOFTMAX, SOFTMAX_PASSES = 128, 8
REPEATS = 200
REDUCED = 2**24
LEAST_SECONDS, LEAST_CHUNKS = 1.0, 4
CHUNK_STEPS = 10


def bind(devices: int) -> None:
    """Before JAX computes: as many cores as devices, so that none borrows another's; and the
    implementations that a platform gets for which nothing was measured."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:devices])
    dispatch.MEASURED.clear()
    dispatch.CHUNKED_FROM.clear()


def figures() -> dict[str, float]:
    """Rates of one device."""
    products = []
    for rows, inner, columns in MATMULS:
        left, right = jnp.ones((rows, inner)), jnp.ones((inner, columns)) / inner
        # Each product waits for the one before, as in a scan.
        chained = jax.jit(
            lambda left, right: lax.fori_loop(
                0, REPEATS, lambda _, x: (x @ right)[:, : x.shape[1]], left
            )
        )
        products.append(2 * rows * inner * columns * REPEATS / _seconds(chained, left, right))
    numbers = jnp.linspace(-3, 3, CACHED // 8, dtype=jnp.float32)
    tanh = jax.jit(lambda x: lax.fori_loop(0, REPEATS, lambda _, x: jnp.tanh(x), x))
    logits = numbers.reshape(-1, SOFTMAX)
    softmax = jax.jit(jax.grad(lambda x: jnp.sum(jax.nn.softmax(x) ** 2)))
    streamed = jnp.zeros(STREAMED // FLOAT32, jnp.float32)
    add = jax.jit(lambda x: lax.fori_loop(0, 4, lambda _, x: x + 1, x))
    return {
        "flops_per_second": statistics.median(products),
        "functions_per_second": REPEATS * numbers.size / _seconds(tanh, numbers),
        "bytes_per_second": 4 * 2 * STREAMED / _seconds(add, streamed),
        "cache_bytes_per_second": SOFTMAX_PASSES
        * FLOAT32
        * logits.size
        / _seconds(softmax, logits),
    }


def link() -> dict[str, float]:
    """Of a reduction over all devices: seconds of a tiny and of a large one, and its bytes."""
    mesh = jax.make_mesh((jax.device_count(),), ("batch",))

    def reduced(size: int, times: int) -> float:
        def sums(numbers: Array) -> Array:
            return lax.fori_loop(0, times, lambda _, x: lax.pmean(x, "batch"), numbers)

        on_mesh = jax.jit(
            jax.shard_map(sums, mesh=mesh, in_specs=P(), out_specs=P(), check_vma=False)
        )
        return _seconds(on_mesh, jnp.ones(size // 4, jnp.float32)) / times

    return {"small": reduced(8, REPEATS), "large": reduced(REDUCED, 5), "bytes": REDUCED}


def step_seconds(model: str, batch: int, length: int, features: int, trials: int) -> dict[str, Any]:
    """The shortest time of a training step on adding, and the width of the model."""
    task = tasks.adding(length)
    config = models.ModelConfig(features)
    training_config = training.TrainingConfig(
        steps=CHUNK_STEPS * 10**5,
        batch_size=batch,
        seeds=trials,
        evaluate_every=CHUNK_STEPS,
        # An evaluation ends each chunk: as short as the mesh allows.
        evaluation_sequences=jax.device_count(),
    )
    program = training.make_program(models.build(model, task, config), task, training_config)
    states, _ = program.advance(program.start())
    jax.block_until_ready(states)
    seconds: list[float] = []
    while len(seconds) < LEAST_CHUNKS or sum(seconds) < LEAST_SECONDS:
        began = time.perf_counter()
        states, _ = program.advance(states)
        jax.block_until_ready(states)
        seconds.append(time.perf_counter() - began)
    return {
        "seconds": min(seconds) / CHUNK_STEPS,
        "width": models.matched_features(model, task, config),
        "inputs": task.input_features,
        "outputs": task.output_features,
        "mesh": [program.layout.trial_shards, program.layout.batch_shards],
    }


def _seconds(function: Callable[..., Any], *arguments: Array) -> float:
    """The shortest of several runs."""
    compiled = function.lower(*arguments).compile()  # type: ignore[attr-defined]
    times = []
    for _ in range(5):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - began)
    return min(times)
