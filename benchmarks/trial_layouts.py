"""How are the trials of a grid cell best laid out on this machine's devices?

    python -m benchmarks.trial_layouts --output=results/trial_layouts.json

One host device or one a core; on each, trials one after another (`map`) or in one batched program
(`vmap`). Every combination runs in a process of its own, since the number of host devices is fixed
once JAX computes. Milliseconds a training step and trial: the median over chunks, evaluation of a
few sequences included.
"""

import json
import statistics
import subprocess
import sys
import time
from typing import Any

import jax
from absl import flags
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.contenders import cores
from benchmarks.output import checked_output
from lstm_attn import models, tasks, training
from lstm_attn.runner import command_line

TRIALS, CHUNK_STEPS, CHUNKS = 8, 25, 5
LENGTH, FEATURES = 50, 32

DEVICES = flags.DEFINE_integer("devices", None, "In a child: how many host devices.")
PLACED = flags.DEFINE_enum("placed", "map", ["map", "vmap"], "In a child: how trials are placed.")


def milliseconds(model_name: str, placed: str) -> float:
    """Per training step and trial, at the sizes above."""
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


def measure(devices: int, placed: str) -> dict[str, float]:
    """Model -> milliseconds, from a child process with that many host devices."""
    command = [sys.executable, "-m", "benchmarks.trial_layouts"]
    command += [f"--devices={devices}", f"--placed={placed}"]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout)


def main() -> None:
    if DEVICES.value:
        jax.config.update("jax_num_cpu_devices", DEVICES.value)
        placed = PLACED.value or "map"
        print(json.dumps({name: milliseconds(name, placed) for name in models.MODELS}))
        return
    output = checked_output()
    grid = [(devices, placed) for devices in sorted({1, cores()}) for placed in ("map", "vmap")]
    rows: list[dict[str, Any]] = [
        {"devices": devices, "placed": placed, "milliseconds": measure(devices, placed)}
        for devices, placed in track(grid, "measuring layouts")
    ]
    table = Table(title=f"ms a step and trial: adding T={LENGTH}, {TRIALS} trials, batch 32")
    for heading in ("devices", "placed", *models.MODELS):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            str(row["devices"]),
            row["placed"],
            *(f"{row['milliseconds'][name]:.2f}" for name in models.MODELS),
        )
    Console().print(table)
    if output:
        sizes = {"trials": TRIALS, "length": LENGTH, "features": FEATURES}
        record = {"jax": jax.__version__, "sizes": sizes, "rows": rows}
        output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
