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

from benchmarks import command
from benchmarks.contenders import Contender, cores
from benchmarks.processes import Process
from benchmarks.progress import Progress
from lstm_attn import models, tasks, training
from lstm_attn.runner import command_line

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


def measure(devices: int, progress: Progress) -> list[dict[str, Any]]:
    """A row for each placement, by a child process with that many host devices."""
    rows = []
    with Process(Contender("layouts", "benchmarks.trial_layouts", devices=devices)) as process:
        for placed in ("map", "vmap"):
            progress.start(f"{devices} host devices, {placed}")
            row = {
                name: process.ask("call", "milliseconds", name, placed) for name in models.MODELS
            }
            rows.append({"devices": devices, "placed": placed, "milliseconds": row})
            progress.finish()
    return rows


def show(rows: list[dict[str, Any]]) -> Table:
    """One line a number of devices and placement, one column a model."""
    table = Table(title=f"ms a step and trial: adding T={LENGTH}, {TRIALS} trials, batch 32")
    for heading in ("devices", "placed", *models.MODELS):
        table.add_column(heading)
    for row in rows:
        times = (f"{row['milliseconds'][name]:.2f}" for name in models.MODELS)
        table.add_row(str(row["devices"]), row["placed"], *times)
    return table


def main() -> None:
    output = command.output_flag()

    def run() -> int:
        path = command.checked_output(output.value)
        counts = sorted({1, cores()})
        with Progress(2 * len(counts)) as progress:
            rows = [row for devices in counts for row in measure(devices, progress)]
            progress.console.print(show(rows))
        if path:
            sizes = {"trials": TRIALS, "length": LENGTH, "features": FEATURES}
            record = {**command.stamp("trial_layouts"), "sizes": sizes, "rows": rows}
            command.write(path, record, None, progress.console)
        return 0

    command_line.run(run)


if __name__ == "__main__":
    main()
