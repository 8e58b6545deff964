"""Does the cost model of docs/scaling.md predict how long a training step takes on this machine?

A device here is one CPU core; small programs measure its rates: products, tanh, softmax, a stream
through memory, a reduction. From these figures alone the model predicts the training steps of the
cases (adding), on meshes of trial x batch devices, and each is measured. Training steps run LSTM
and GRU as a plain scan and dense attention, the programs that accelerators get.
"""

import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import PartitionSpec as P

from benchmarks.contenders import Contender
from benchmarks.processes import Process
from benchmarks.progress import Progress
from benchmarks.trial_layouts import chunk_seconds
from lstm_attn import models, tasks, training
from lstm_attn.host import usable_cores
from lstm_attn.ops import dispatch
from lstm_attn.runner import memory_check
from tools import scaling


class Case(NamedTuple):
    """What is trained: B, T, and H of the LSTM, which has as many parameters as the model."""

    model: str
    batch: int
    length: int
    features: int


ONE_DEVICE = (
    Case("lstm", 32, 100, 32),
    Case("lstm", 32, 200, 64),
    Case("lstm", 64, 50, 128),
    Case("lstm", 64, 50, 256),
    Case("gru", 32, 100, 64),
    Case("gru", 64, 50, 128),
    Case("transformer", 32, 100, 64),
    Case("lstm_attention", 32, 100, 64),
)
TWO_DEVICES = (
    Case("lstm", 32, 200, 64),
    Case("lstm", 64, 50, 256),
    Case("gru", 64, 50, 128),
    Case("transformer", 32, 100, 64),
)
# Almost nothing but launches.
TINY = Case("lstm", 1, 200, 2)
CACHE_SIZE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
CACHE_BYTES = 2**20
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


def measure() -> dict[str, Any]:
    """Figures and rows, the cases of one device and then those of two."""
    counts = (1, 2) if usable_cores() > 1 else (1,)
    progress = Progress(len(counts))
    measured: dict[int, dict[str, Any]] = {}
    for devices in counts:
        progress.start(f"the rates and training steps of {devices} of the cores")
        with Process(Contender(f"{devices} cores", "tools.scaling.check", devices=devices)) as at:
            measured[devices] = at.ask(measure_on, devices)
        progress.finish()
    figures, link = measured[1]["figures"], measured.get(2, {}).get("link")
    machine = this_machine(figures, link)
    rows = [
        make_row(case, trials, answer, machine)
        for of in measured.values()
        for case, trials, answer in of["steps"]
    ]
    ratios = [max(row["ratio"], 1 / row["ratio"]) for row in rows]
    return {
        "figures": {**figures, "launch_seconds": machine.launch_seconds},
        "link": link,
        "rows": rows,
        "median_factor": statistics.median(ratios),
        "worst_factor": max(ratios),
    }


def this_machine(figures: dict[str, float], link: dict[str, float] | None) -> scaling.Machine:
    """One core as a device, from what was measured of it.

    Args:
      figures: of `measure_rates`, with cache_bytes, and tiny_seconds, a training step of TINY.
      link: of `measure_link`; None for a single device.
    """
    tiny = scaling.Workload("lstm", TINY.features, TINY.batch, TINY.length, 2, 1)
    launches = sum(operation.launches for operation in tiny.operations())
    links: tuple[scaling.Link, ...] = ()
    if link:
        # A reduction is two passes: of two devices, one hop and half the bytes each.
        rate = link["bytes"] / (link["large"] - link["small"])
        links = (scaling.Link(2, rate, link["small"] / 2),)
    return scaling.Machine(
        "one core",
        {"float32": figures["flops_per_second"]},
        figures["functions_per_second"],
        figures["bytes_per_second"],
        figures["cache_bytes"],
        figures["cache_bytes_per_second"],
        memory_check.host_bytes() or math.inf,
        figures["tiny_seconds"] / launches,
        links,
        batched_trials=False,
    )


def make_row(
    case: Case, trials: int, answer: dict[str, Any], machine: scaling.Machine
) -> dict[str, Any]:
    """What was measured of a case, and what the model says."""
    sizes = (answer["width"], case.batch, case.length, answer["inputs"], answer["outputs"])
    workload = scaling.Workload(case.model, *sizes, trials)
    predicted = scaling.step(workload, machine, scaling.Mesh(*answer["mesh"])).seconds
    return {
        **case._asdict(),
        "trials": trials,
        "mesh": answer["mesh"],
        "measured_seconds": answer["seconds"],
        "predicted_seconds": predicted.total,
        "predicted": predicted._asdict(),
        "limit": predicted.limit,
        "ratio": predicted.total / answer["seconds"],
    }


def measure_on(devices: int) -> dict[str, Any]:
    """In a child: on one device its rates, on two the link between them; and training steps, each
    as case, trials and answer."""
    # As many cores as devices, so that none borrows another's; and the implementations that a
    # platform gets for which nothing was measured.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:devices])
    dispatch.MEASURED.clear()
    dispatch.CHUNKED_FROM.clear()
    dispatch.NATIVE_FROM.clear()
    if devices == 1:
        figures = measure_rates()
        figures["tiny_seconds"] = step_seconds(TINY, 1)["seconds"]
        steps = [(case, 1, step_seconds(case, 1)) for case in ONE_DEVICE]
        return {"figures": figures, "steps": steps}
    link = measure_link()
    counted = [(case, trials) for case in TWO_DEVICES for trials in (1, 2)]
    return {"link": link, "steps": [(*one, step_seconds(*one)) for one in counted]}


def measure_rates() -> dict[str, float]:
    """Rates of one device, and the size of its cache."""
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
    moved = SOFTMAX_PASSES * FLOAT32 * logits.size
    streamed = jnp.zeros(STREAMED // FLOAT32, jnp.float32)
    add = jax.jit(lambda x: lax.fori_loop(0, 4, lambda _, x: x + 1, x))
    return {
        "flops_per_second": statistics.median(products),
        "functions_per_second": REPEATS * numbers.size / _seconds(tanh, numbers),
        "bytes_per_second": 4 * 2 * STREAMED / _seconds(add, streamed),
        "cache_bytes_per_second": moved / _seconds(softmax, logits),
        "cache_bytes": second_level_cache(),
    }


def second_level_cache() -> int:
    """Bytes of a core's, or CACHE_BYTES where Linux doesn't say."""
    try:
        text = CACHE_SIZE.read_text().strip()
    except OSError:
        return CACHE_BYTES
    return int(text.removesuffix("K")) * 1024 if text.endswith("K") else CACHE_BYTES


def measure_link() -> dict[str, float]:
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


def step_seconds(case: Case, trials: int) -> dict[str, Any]:
    """The shortest time of a training step on adding, the width of the model, and the mesh."""
    task = tasks.adding(case.length)
    config = models.ModelConfig(case.features)
    training_config = training.TrainingConfig(
        steps=CHUNK_STEPS * 10**5,
        batch_size=case.batch,
        seeds=trials,
        evaluate_every=CHUNK_STEPS,
        # An evaluation ends each chunk: as short as the mesh allows.
        evaluation_sequences=jax.device_count(),
    )
    model = models.build(case.model, task, config)
    program = training.make_program(model, task, training_config)
    return {
        "seconds": min(chunk_seconds(program, LEAST_CHUNKS, LEAST_SECONDS)) / CHUNK_STEPS,
        "width": models.matched_features(case.model, task, config),
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
