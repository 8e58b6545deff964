"""How are the trials of a grid cell best laid out on this machine's devices?

One host device or one a core; on each, trials one after another (`map`) or in one batched program
(`vmap`). Each number of devices has a process of its own, since it is fixed once JAX computes.
Milliseconds a training step and trial: the median over chunks, evaluation of a few sequences
included.
"""

import statistics
import time
from typing import Any

import jax

from benchmarks.contenders import Contender
from benchmarks.processes import Process
from benchmarks.progress import Progress
from lstm_attn import models, tasks, training
from lstm_attn.host import usable_cores
from lstm_attn.report.tables import markdown

TRIALS, CHUNK_STEPS, CHUNKS = 8, 25, 5
LENGTH, FEATURES = 50, 32
PLACED = {"map": "one after another", "vmap": "one batched program"}


def milliseconds(model_name: str, placed: str) -> float:
    """In a child: of a training step and trial, at the sizes above."""
    task = tasks.adding(LENGTH)
    model = models.build(model_name, task, models.ModelConfig(FEATURES, num_layers=1))
    config = training.TrainingConfig(
        steps=CHUNK_STEPS * (CHUNKS + 1),
        seeds=TRIALS,
        evaluate_every=CHUNK_STEPS,
        evaluation_sequences=32,
        warmup_steps=1,
        trials_on_device=placed,
    )
    seconds = chunk_seconds(training.make_program(model, task, config), CHUNKS)
    return 1e3 * statistics.median(seconds) / CHUNK_STEPS / TRIALS


def chunk_seconds(program: training.Program, chunks: int, least_seconds: float = 0) -> list[float]:
    """Seconds of at least so many chunks of the program, and of more until they take as long as
    that; after a chunk that compiles."""
    states, _ = program.advance(program.start())
    jax.block_until_ready(states)
    seconds: list[float] = []
    while len(seconds) < chunks or sum(seconds) < least_seconds:
        began = time.perf_counter()
        states, _ = program.advance(states)
        jax.block_until_ready(states)
        seconds.append(time.perf_counter() - began)
    return seconds


def measure() -> dict[str, Any]:
    """The record: a row for each number of devices and placement."""
    rows = []
    counts = sorted({1, usable_cores()})
    progress = Progress(len(PLACED) * len(counts))
    for devices in counts:
        with Process(Contender("layouts", "benchmarks.trial_layouts", devices=devices)) as process:
            for placed in PLACED:
                progress.start(f"{devices} host devices, {placed}")
                times = {name: process.ask(milliseconds, name, placed) for name in models.MODELS}
                rows.append({"devices": devices, "placed": placed, "milliseconds": times})
                progress.finish()
    sizes = {"trials": TRIALS, "length": LENGTH, "features": FEATURES}
    return {"sizes": sizes, "rows": rows}


def section(record: dict[str, Any]) -> str:
    """One line a number of devices and a placement, one column a model."""
    names = list(record["rows"][0]["milliseconds"])
    lines = [
        [str(row["devices"]), PLACED[row["placed"]]]
        + [f"{row['milliseconds'][name]:.2f}" for name in names]
        for row in record["rows"]
    ]
    return markdown(["host devices", "trials of a device", *names], lines, left=(1,))
