"""How long do eight trials of adding, T = 200, take from the first line to `solved`?

    python -m benchmarks.whole_job --output=results/benchmarks/whole_job.json

`training.run` on all trials, beside the loop of `benchmarks.flax_loop`: the same task, width,
optimiser, schedule, batch size, evaluation and end of a trial. Each side runs alone in a process of
its own, compilation included; ours without a compilation cache.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from absl import flags
from rich.console import Console
from rich.table import Table

from benchmarks import flax_loop
from experiments import border, environment
from lstm_attn import models, tasks, training
from lstm_attn.analysis import wilson_interval

SIDES = {"ours": "#0072B2", "flax": "#D55E00"}
TRIALS = 8

LENGTH = flags.DEFINE_integer("length", 200, "T of the adding problem.", lower_bound=2)
STEPS = flags.DEFINE_integer("steps", 4000, "At most, of each trial.", lower_bound=200)
FEATURES = flags.DEFINE_integer("features", 64, "H of the LSTM.", lower_bound=1)
OUTPUT = flags.DEFINE_string("output", None, "Where the figures go, NAME.json and NAME.png.")
SIDE = flags.DEFINE_enum("side", None, list(SIDES), "In a child: whose job it does.")


def settings() -> training.TrainingConfig:
    return training.TrainingConfig(
        steps=STEPS.value,
        seeds=TRIALS,
        learning_rates=(1e-2,),
        evaluate_every=100,
        stop_when_solved=True,
    )


def ours(task: tasks.Task, config: training.TrainingConfig) -> Iterator[tuple[float, bool]]:
    """(seconds since the start, solved) of each trial as it ends."""
    began = time.monotonic()
    training.use_host_cores()
    model = models.build("lstm", task, models.ModelConfig(features=FEATURES.value))
    solved = 0
    for evaluation, _ in training.run(training.make_program(model, task, config), task, config):
        count = int(evaluation.solved.sum())
        yield from [(time.monotonic() - began, True)] * (count - solved)
        solved = count
    yield from [(time.monotonic() - began, False)] * (TRIALS - solved)


def child(side: str) -> None:
    task, config = tasks.adding(LENGTH.value), settings()
    sides = {
        "ours": lambda: ours(task, config),
        "flax": lambda: flax_loop.train(task, config, FEATURES.value),
    }
    for seconds, solved in sides[side]():
        print(json.dumps([seconds, solved]), flush=True)


def ask(side: str, console: Console) -> list[tuple[float, bool]]:
    """The ends of that side's trials, each shown as it comes."""
    command = [sys.executable, "-m", "benchmarks.whole_job", f"--side={side}"]
    command += [f"--{flag.name}={flag.value}" for flag in (LENGTH, STEPS, FEATURES)]
    ends: list[tuple[float, bool]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            seconds, solved = json.loads(line)
            ends.append((seconds, solved))
            verdict = "solved" if solved else "not solved"
            console.print(f"{side}: trial {len(ends)} of {TRIALS} {verdict} at {seconds:.0f} s")
    if process.returncode:
        raise RuntimeError(f"the child for {side} ended with status {process.returncode}")
    return ends


def picture(record: dict) -> plt.Figure:
    """Ended trials against seconds, a line a side; a dot where a trial ended because it solved."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for side, color in SIDES.items():
        row = record["rows"][side]
        ends = row["ends"]
        label = f"{side}: {row['seconds']:.0f} s, {row['solved']} solved"
        seconds = [0, *(second for second, _ in ends)]
        axes.step(seconds, range(len(ends) + 1), where="post", color=color, label=label)
        won = [(second, count) for count, (second, solved) in enumerate(ends, 1) if solved]
        if won:
            axes.plot(*zip(*won, strict=True), "o", color=color)
    axes.set(xlabel="seconds from the start", ylabel="trials ended", ylim=(0, TRIALS + 0.5))
    axes.set_title(
        f"Adding, T = {record['length']}: {TRIALS} LSTM trials of H = {record['features']}"
    )
    axes.legend(loc="lower right")
    return figure


def main() -> int:
    if SIDE.value:
        child(SIDE.value)
        return 0
    console = Console(highlight=False)
    rows: dict[str, dict[str, Any]] = {}
    for side in SIDES:
        ends = ask(side, console)
        solved = sum(won for _, won in ends)
        rows[side] = {
            "seconds": ends[-1][0],
            "solved": solved,
            "interval": wilson_interval(solved, TRIALS),
            "ends": ends,
        }
    speed = rows["flax"]["seconds"] / rows["ours"]["seconds"]
    record = {
        **environment.machine(),
        "length": LENGTH.value,
        "features": FEATURES.value,
        "steps": STEPS.value,
        "rows": rows,
        "speed": speed,
    }
    table = Table(
        title=f"Adding, T = {LENGTH.value}, {TRIALS} trials: ours is {speed:.1f} times as fast"
    )
    for heading in ("side", "seconds", "solved", "95 % interval"):
        table.add_column(heading)
    for side, row in rows.items():
        low, high = row["interval"]
        solved_of_all = f"{row['solved']}/{TRIALS}"
        table.add_row(side, f"{row['seconds']:.0f}", solved_of_all, f"{low:.2f} to {high:.2f}")
    console.print(table)
    if OUTPUT.value:
        path = Path(OUTPUT.value)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        picture(record).savefig(path.with_suffix(".png"), dpi=120)
    return 0


if __name__ == "__main__":
    border.run(main)
