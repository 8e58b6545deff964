"""How long does a whole study take: eight trials of adding, T = 200, each trained to `solved`?

    python -m benchmarks.whole_job --output=results/benchmarks/whole_job.json
    python -m benchmarks.whole_job --short

Ours (`benchmarks.our_loop`): all trials in one program. The peer (`benchmarks.flax_loop`): the
usual Flax loop. Same model, optimiser, batches, schedule, criterion and evaluations
(`benchmarks.job`), each side in a process of its own, one after the other. --short gives every
trial a fixed number of steps and compares steps a second, in turns; the peer, whose trials follow
each other, then trains fewer.
"""

import dataclasses
import datetime
import importlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from absl import flags
from matplotlib import rc_context
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from benchmarks.job import Job
from benchmarks.progress import Progress
from experiments import border, environment
from lstm_attn.analysis import wilson_interval
from lstm_attn.errors import UsageError
from lstm_attn.report.figures import COLORS, STYLE

DPI = 160
SIDES = {"lstm_attn": "benchmarks.our_loop", "flax loop": "benchmarks.flax_loop"}
SHORT_STEPS, SHORT_PEER_TRIALS, SHORT_ROUNDS = 300, 2, 3

SHORT = flags.DEFINE_bool("short", False, "Steps a second, not the time to solve.")
OUTPUT = flags.DEFINE_string("output", None, "Where the figures go, NAME.json; NAME.png beside it.")
TRIALS = flags.DEFINE_integer("trials", Job.trials, "How many.", lower_bound=1)
LENGTH = flags.DEFINE_integer("length", Job.length, "T of the adding problem.", lower_bound=2)
STEPS = flags.DEFINE_integer("steps", None, "At most so many a trial.", lower_bound=1)
SIDE = flags.DEFINE_enum("side", None, list(SIDES), "In a child: whose loop.")
JOB = flags.DEFINE_string("job", None, "In a child: the job, as JSON.")


def work(side: str, job: Job) -> None:
    """In a child: does the job, and prints a JSON line an evaluation and one at the end."""
    import jax

    from experiments.profile import CellClock

    # Compilation is part of the job: none may come from an earlier run.
    jax.config.update("jax_enable_compilation_cache", False)
    loop = importlib.import_module(SIDES[side])
    loop.configure()
    began = time.monotonic()

    def tell(**values: Any) -> None:
        print(json.dumps({**values, "seconds": time.monotonic() - began}), flush=True)

    with CellClock() as clock:
        loop.run(job, lambda evaluated: tell(**evaluated._asdict()))
    spent = clock.seconds()
    tell(compile_seconds=spent["trace"] + spent["compile"])


def do(side: str, job: Job, progress: Progress) -> dict[str, Any]:
    """Has a child do the job; what it took."""
    progress.start(f"{side}, {job.trials} trials")
    command = [sys.executable, "-m", "benchmarks.whole_job"]
    command += [f"--side={side}", f"--job={json.dumps(dataclasses.asdict(job))}"]
    trials: dict[int, dict[str, Any]] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            told = json.loads(line)
            if "trial" in told:
                trials[told["trial"]] = told
                solved = sum(trial["solved"] for trial in trials.values())
                progress.show(
                    f"trial {told['trial']} step {told['step']} accuracy {told['accuracy']:.3f}, "
                    f"{solved} of {job.trials} solved, {told['seconds']:.0f} s"
                )
                if told["solved"] and job.until_solved:
                    after = f"{told['step']} steps, {told['seconds']:.0f} s"
                    progress.say(f"trial {told['trial']} solved after {after}")
    if child.returncode:
        raise RuntimeError(f"{side}: its process ended with status {child.returncode}")
    progress.finish()
    steps = sum(trial["step"] for trial in trials.values())
    solved = [trial for trial in trials.values() if trial["solved"]]
    low, high = wilson_interval(len(solved), job.trials)
    return {
        "name": side,
        "is_ours": side == "lstm_attn",
        "seconds": told["seconds"],
        "compile_seconds": told["compile_seconds"],
        "steps": steps,
        "steps_per_second": steps / (told["seconds"] - told["compile_seconds"]),
        "trials": job.trials,
        "solved": len(solved),
        "solve_rate_low": low,
        "solve_rate_high": high,
        "median_steps_to_solve": statistics.median(t["step"] for t in solved) if solved else None,
        "per_trial": [trials[trial] for trial in sorted(trials)],
    }


def in_turns(job: Job) -> list[tuple[str, Job]]:
    """What is run one after another: each side once to solved, or in turns for a few steps."""
    if not SHORT.value:
        return [(side, job) for side in SIDES]
    fixed = dataclasses.replace(job, until_solved=False)
    fewer = dataclasses.replace(fixed, trials=min(job.trials, SHORT_PEER_TRIALS))
    return [
        (side, fixed if side == "lstm_attn" else fewer)
        for _ in range(SHORT_ROUNDS)
        for side in SIDES
    ]


def table(record: dict[str, Any]) -> Table:
    """A line a run, and the ratio of the two sides."""
    length = record["job"]["length"]
    table = Table(title=f"Adding, T = {length}: a whole study", box=box.SIMPLE_HEAD)
    for heading in ("", "trials", "solved", "steps to solve", "steps/s", "compiling", "seconds"):
        table.add_column(heading, justify="right" if heading else "left")
    for run in record["runs"]:
        interval = f"({run['solve_rate_low']:.2f}–{run['solve_rate_high']:.2f})"
        median = run["median_steps_to_solve"]
        table.add_row(
            run["name"],
            str(run["trials"]),
            f"{run['solved']} {interval}" if record["until_solved"] else "",
            f"{median:,.0f}" if median is not None and record["until_solved"] else "",
            f"{run['steps_per_second']:.0f}",
            f"{run['compile_seconds']:.1f}",
            f"{run['seconds']:.1f}",
        )
    table.caption = "ours is " + ", ".join(
        f"{ratio:.2f} times as fast in {what}" for what, ratio in record["ratios"].items()
    )
    return table


def ratios(runs: list[dict[str, Any]], *, until_solved: bool) -> dict[str, float]:
    """The peer's figure over ours, medians over runs: what -> how many times as fast ours is."""

    def median(ours: bool, value: Any) -> float:
        return statistics.median(value(run) for run in runs if run["is_ours"] == ours)

    def without_compiling(run: dict[str, Any]) -> float:
        return run["seconds"] - run["compile_seconds"]

    values: dict[str, Any] = {"steps a second": lambda run: 1 / run["steps_per_second"]}
    if until_solved:
        values |= {
            "seconds": lambda run: run["seconds"],
            "seconds without compiling": without_compiling,
        }
    return {what: median(False, value) / median(True, value) for what, value in values.items()}


def picture(record: dict[str, Any]) -> Figure:
    """Solved trials against seconds, compilation included, a line a side."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.3), layout="constrained")
        axes = figure.add_subplot()
        for color, run in zip(COLORS, record["runs"], strict=False):
            seconds = sorted(t["seconds"] for t in run["per_trial"] if t["solved"])
            places = [0.0, *seconds, run["seconds"]]
            counts = [*range(len(seconds) + 1), len(seconds)]
            axes.step(places, counts, where="post", color=color, label=run["name"], linewidth=1.7)
        axes.set(
            xlabel="seconds, compilation included",
            ylabel=f"solved of {record['job']['trials']} trials",
            title=f"Adding, T = {record['job']['length']}, trained to solved",
        )
        axes.legend()
    return figure


def main() -> int:
    if SIDE.value and JOB.value:
        work(SIDE.value, Job(**json.loads(JOB.value)))
        return 0
    output = Path(OUTPUT.value) if OUTPUT.value else None
    if output and output.suffix != ".json":
        raise UsageError(f"--output: expected NAME.json, got {OUTPUT.value!r}")
    steps = STEPS.value or (SHORT_STEPS if SHORT.value else Job.steps)
    job = Job(trials=TRIALS.value, length=LENGTH.value, steps=steps)
    turns = in_turns(job)
    with Progress(len(turns)) as progress:
        runs = [do(side, its_job, progress) for side, its_job in turns]
    record = {
        "benchmark": "whole_job",
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **environment.machine(),
        "job": dataclasses.asdict(job),
        "until_solved": not SHORT.value,
        "runs": runs,
        "ratios": ratios(runs, until_solved=not SHORT.value),
    }
    progress.console.print(table(record))
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(record, indent=1) + "\n")
        if not SHORT.value:
            picture(record).savefig(output.with_suffix(".png"), dpi=DPI)
        progress.console.print(f"written: {output}")
    return 0


if __name__ == "__main__":
    border.run(main)
