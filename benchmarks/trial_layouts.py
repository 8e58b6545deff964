"""How are the trials of a grid cell best laid out on this machine's devices?

    python -m benchmarks.trial_layouts --output=results/trial_layouts.json

One host device or one a core; on each, trials one after another (`map`) or in one batched program
(`vmap`). Each number of devices has a process of its own, since it is fixed once JAX computes.
Milliseconds a training step and trial: the median over chunks, evaluation of a few sequences
included.
"""

import statistics
import time
from typing import Any

import jax
from rich.table import Table

from benchmarks import command, tables
from benchmarks.contenders import Contender, cores
from benchmarks.processes import Process
from benchmarks.progress import Progress
from lstm_attn import models, tasks, training

TRIALS, CHUNK_STEPS, CHUNKS = 8, 25, 5
LENGTH, FEATURES = 50, 32


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
    program = training.make_program(model, task, config)
    states, _ = program.advance(program.start())
    jax.block_until_ready(states)
    seconds = []
    for _ in range(CHUNKS):
        began = time.perf_counter()
        states, _ = program.advance(states)
        jax.block_until_ready(states)
        seconds.append(time.perf_counter() - began)
    return 1e3 * statistics.median(seconds) / CHUNK_STEPS / TRIALS


def measure() -> dict[str, Any]:
    """A row for each number of devices, by a child with as many, and placement."""
    rows = []
    counts = sorted({1, cores()})
    with Progress(2 * len(counts)) as progress:
        for devices in counts:
            contender = Contender("layouts", "benchmarks.trial_layouts", devices=devices)
            with Process(contender) as process:
                for placed in ("map", "vmap"):
                    progress.start(f"{devices} host devices, {placed}")
                    times = {
                        name: process.ask("call", "milliseconds", name, placed)
                        for name in models.MODELS
                    }
                    rows.append({"devices": devices, "placed": placed, "milliseconds": times})
                    progress.finish()
    sizes = {"trials": TRIALS, "length": LENGTH, "features": FEATURES}
    return {"sizes": sizes, "rows": rows}


def show(record: dict[str, Any]) -> list[Table]:
    """One line a number of devices and placement, one column a model."""
    lines = [
        (row["placed"], str(row["devices"]), *(f"{ms:.2f}" for ms in row["milliseconds"].values()))
        for row in record["rows"]
    ]
    title = f"ms a step and trial: adding T={LENGTH}, {TRIALS} trials, batch 32"
    return [tables.plain(title, ("placed", "devices", *models.MODELS), lines)]


if __name__ == "__main__":
    command.run_measurement("trial_layouts", measure, show)
