"""How long does a whole study take: eight trials of adding, T = 200, each trained until solved?

    python -m benchmarks.whole_job --output=results/benchmarks/whole_job.json

Ours (`benchmarks.job`): all trials in one program. The peer (`benchmarks.flax_loop`): the usual
Flax loop. Same model, optimiser, batches, schedule, criterion and evaluations, each side in a
process of its own, one after the other.
"""

import dataclasses
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks import command, tables
from benchmarks.contenders import Contender
from benchmarks.job import Job
from benchmarks.processes import Process
from benchmarks.progress import Progress
from lstm_attn.analysis import wilson_interval
from lstm_attn.report.panel import COLORS, panel
from lstm_attn.runner.profile import CellClock

OURS, PEER = "ours", "flax"
INCHES = (5.6, 3.3)
SIDES = {OURS: "benchmarks.job", PEER: "benchmarks.flax_loop"}


def work(module: str, job: Job) -> Iterator[dict[str, Any]]:
    """In a child: the evaluations of the job as they come, then what compilation took; each with
    the seconds since the start."""
    loop = importlib.import_module(module)
    began = time.monotonic()

    def seconds() -> float:
        return time.monotonic() - began

    with CellClock() as clock:
        for evaluated in loop.run(job):
            yield {**evaluated._asdict(), "seconds": seconds()}
    spent = clock.seconds()
    yield {"compile_seconds": spent["trace"] + spent["compile"], "seconds": seconds()}


def do(side: str, job: Job, progress: Progress) -> dict[str, Any]:
    """Has a child do the job; what it took."""
    progress.start(f"{side}, {job.trials} trials")
    trials: dict[int, dict[str, Any]] = {}
    with Process(Contender(side, "benchmarks.whole_job")) as process:
        for told in process.stream("call", "work", SIDES[side], job):
            if "trial" in told:
                trials[told["trial"]] = told
                _show(told, trials, job, progress)
    progress.finish()
    steps = sum(trial["step"] for trial in trials.values())
    to_solve = [trial["step"] for trial in trials.values() if trial["solved"]]
    return {
        "seconds": told["seconds"],
        "compile_seconds": told["compile_seconds"],
        "steps_per_second": steps / (told["seconds"] - told["compile_seconds"]),
        "solved": len(to_solve),
        "interval": wilson_interval(len(to_solve), job.trials),
        "median_steps_to_solve": statistics.median(to_solve) if to_solve else None,
        "ends": sorted((trial["seconds"], trial["solved"]) for trial in trials.values()),
        "per_trial": [trials[trial] for trial in sorted(trials)],
    }


def _show(
    told: dict[str, Any], trials: dict[int, dict[str, Any]], job: Job, progress: Progress
) -> None:
    solved = sum(trial["solved"] for trial in trials.values())
    progress.show(
        f"trial {told['trial']} step {told['step']} accuracy {told['accuracy']:.3f}, "
        f"{solved} of {job.trials} solved, {told['seconds']:.0f} s"
    )
    if told["solved"] or told["step"] == job.steps:
        verdict = "solved" if told["solved"] else "not solved"
        steps, seconds = told["step"], told["seconds"]
        progress.say(f"trial {told['trial']} {verdict} after {steps} steps, at {seconds:.0f} s")


def make_record(job: Job, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures of a job done by both sides."""

    def speed(value: Callable[[dict[str, Any]], float]) -> float:
        return value(rows[PEER]) / value(rows[OURS])

    return {
        **dataclasses.asdict(job),
        "rows": rows,
        "speed": speed(lambda row: row["seconds"]),
        "speed_without_compiling": speed(lambda row: row["seconds"] - row["compile_seconds"]),
        "speed_by_steps": 1 / speed(lambda row: row["steps_per_second"]),
    }


def show(record: dict[str, Any]) -> list[Table]:
    """One line a side, and how much faster ours is."""
    lines = []
    for side, row in record["rows"].items():
        low, high = row["interval"]
        median = row["median_steps_to_solve"]
        lines.append(
            (
                side,
                f"{row['solved']}/{record['trials']} ({low:.2f}–{high:.2f})",
                "–" if median is None else f"{median:,.0f}",
                f"{row['steps_per_second']:.1f}",
                f"{row['compile_seconds']:.1f}",
                f"{row['seconds']:.1f}",
            )
        )
    title = (
        f"Adding, T = {record['length']}, {record['trials']} trials of an LSTM of "
        f"H = {record['features']}: ours is {record['speed']:.2f} times as fast"
    )
    caption = (
        f"without compiling {record['speed_without_compiling']:.2f} times, "
        f"by steps a second {record['speed_by_steps']:.2f} times"
    )
    headings = ("side", "solved", "steps to solve", "steps/s", "compiling, s", "seconds")
    return [tables.plain(title, headings, lines, caption=caption)]


def figure(record: dict[str, Any]) -> Figure:
    """Solved trials against seconds, compilation included, one line a side."""

    def draw(axes: Axes) -> None:
        for color, (side, row) in zip(COLORS, record["rows"].items(), strict=False):
            solved = [seconds for seconds, won in row["ends"] if won]
            places = [0.0, *solved, row["seconds"]]
            counts = [*range(len(solved) + 1), len(solved)]
            label = f"{side}: all trials ended at {row['seconds']:.0f} s"
            axes.step(places, counts, where="post", color=color, label=label, linewidth=1.7)
        axes.set(
            xlabel="seconds from the start, compilation included",
            ylabel=f"solved of {record['trials']} trials",
        )

    title = f"Adding, T = {record['length']}: LSTM of H = {record['features']}"
    return panel(title, draw, INCHES)


def main() -> None:
    trials = flags.DEFINE_integer("trials", Job.trials, "How many.", lower_bound=1)
    length = flags.DEFINE_integer("length", Job.length, "T of the adding problem.", lower_bound=2)
    features = flags.DEFINE_integer("features", Job.features, "H of the LSTM.", lower_bound=1)
    steps = flags.DEFINE_integer("steps", Job.steps, "At most so many a trial.", lower_bound=1)

    def measure() -> dict[str, Any]:
        job = Job(trials.value, length.value, features.value, steps=steps.value)
        with Progress(len(SIDES)) as progress:
            return make_record(job, {side: do(side, job, progress) for side in SIDES})

    command.run_measurement("whole_job", measure, show, figure)


if __name__ == "__main__":
    main()
