"""How long does a whole study take: eight trials of adding, T = 200, each trained until solved?

Ours: all trials in one program. The peer (`benchmarks.flax_loop`): the usual Flax loop. Same model,
optimiser, batches, schedule, criterion and evaluations, each side in a process of its own, one
after the other.
"""

import dataclasses
import importlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contenders import Contender
from benchmarks.markdown import joined, shown_figure, with_target
from benchmarks.processes import Process
from benchmarks.progress import Progress
from lstm_attn import models, training
from lstm_attn.analysis import rate_interval
from lstm_attn.models import ModelConfig
from lstm_attn.report.panel import COLORS, panel
from lstm_attn.report.tables import markdown
from lstm_attn.runner.profile import CellClock
from lstm_attn.tasks import Adding
from lstm_attn.training import TrainingConfig

OURS, PEER = "ours", "flax"
# Side -> the module whose run(job) yields the evaluations.
SIDES = {OURS: "benchmarks.whole_job", PEER: "benchmarks.flax_loop"}
INCHES = (5.6, 3.3)
SPEED_TARGET = 3.0  # what the project set out to reach


@dataclasses.dataclass(frozen=True)
class Job:
    """What both sides train: an LSTM of H features and a linear readout, by Adam on the clipped
    gradient.

    The learning rate warms up linearly and falls along a cosine to zero. The forget gate's bias
    starts at `forget_bias`; kernels are LeCun's, recurrent kernels orthogonal, Flax's defaults. A
    trial ends when an evaluation on fresh data meets the task's criterion, or after its steps.
    """

    length: int = 200
    features: int = 64
    forget_bias: float = 1.0
    training: TrainingConfig = TrainingConfig(
        steps=4000,
        batch_size=32,
        seeds=8,
        learning_rates=(3e-2,),
        warmup_steps=100,
        clip_norm=1.0,
        evaluate_every=100,
        evaluation_sequences=2000,
        confirmation_sequences=0,  # as the peers, who end at the first pass
        stop_when_solved=True,
    )

    def task(self) -> Adding:
        return Adding(self.length)

    def model(self) -> ModelConfig:
        return ModelConfig(
            features=self.features, forget_bias=self.forget_bias, kernel_init="lecun"
        )


TINY = Job(2, 2, training=dataclasses.replace(Job.training, steps=200, seeds=2))


class Evaluated(NamedTuple):
    """One evaluation of one trial."""

    trial: int
    step: int
    accuracy: float
    solved: bool


def run(job: Job) -> Iterator[Evaluated]:
    """Ours: all trials in one program, on one device a core."""
    training.use_host_cores()
    task, config = job.task(), job.training
    program = training.make_program(models.build("lstm", task, job.model()), task, config)
    ended: set[int] = set()
    for evaluation, _ in training.run(program, task, config):
        for trial, solved in enumerate(evaluation.solved):
            if trial in ended:
                continue
            accuracy = float(evaluation.metrics["accuracy"][trial])
            yield Evaluated(trial, evaluation.step, accuracy, bool(solved))
            if solved or evaluation.diverged[trial]:
                ended.add(trial)


def time_side(side: str, job: Job) -> dict[str, Any]:
    """In a child: does the job; what it took."""
    loop = importlib.import_module(SIDES[side])
    began = time.monotonic()
    trials: dict[int, dict[str, Any]] = {}
    with CellClock() as clock:
        for evaluated in loop.run(job):
            seconds = time.monotonic() - began
            trials[evaluated.trial] = {**evaluated._asdict(), "seconds": seconds}
    seconds = time.monotonic() - began
    spent = clock.seconds()
    solved = sum(trial["solved"] for trial in trials.values())
    return {
        "seconds": seconds,
        "compile_seconds": spent["trace"] + spent["compile"],
        "solved": solved,
        "interval": rate_interval(solved, job.training.seeds)[1:],
        "ends": sorted((trial["seconds"], trial["solved"]) for trial in trials.values()),
        "per_trial": [trials[trial] for trial in sorted(trials)],
    }


def measure(chosen: str) -> dict[str, Any]:
    """The record of the job, or of the tiny one (`benchmarks.workloads.SETS`)."""
    job, rows, progress = TINY if chosen == "tiny" else Job(), {}, Progress(len(SIDES))
    for side, module in SIDES.items():
        progress.start(f"{side}, {job.training.seeds} trials")
        with Process(Contender(side, module)) as process:
            rows[side] = process.ask(time_side, side, job)
        progress.finish()
    speed = rows[PEER]["seconds"] / rows[OURS]["seconds"]
    sizes = {"length": job.length, "features": job.features, "forget_bias": job.forget_bias}
    trained = {"trials": job.training.seeds, **dataclasses.asdict(job.training)}
    return {**sizes, **trained, "rows": rows, "speed": speed}


def section(record: dict[str, Any]) -> str:
    """One line a side, and how much faster ours is."""
    lines = []
    for side, row in record["rows"].items():
        low, high = row["interval"]
        solved = f"{row['solved']}/{len(row['ends'])} ({low:.2f}–{high:.2f})"
        lines.append([side, f"{row['seconds']:.0f}", solved])
    speed = with_target(record["speed"], SPEED_TARGET, "≥", digits=1)
    return joined(
        markdown(["side", "seconds", "solved"], lines),
        f"Adding, T = {record['length']:,}, an LSTM of H = {record['features']}, at most "
        f"{record['steps']:,} steps a trial, compilation included: ours is {speed} times as fast.",
        shown_figure(record, "Solved trials against seconds"),
    )


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
