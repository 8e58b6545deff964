"""Does a long run keep its size? Resident memory and compilations from chunk to chunk, for an hour.

One cell a model, adding at T = 20, for an equal share of the time, trained into a run folder as the
studies do, with a checkpoint and a line of metrics after each chunk. The system refuses the process
more than LIMIT_BYTES of private memory, so a leak would end it. Growth of a cell: the median size
over the last tenth of its time, minus that over the second tenth. Linux only.
"""

import math
import os
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.markdown import joined, shown_figure
from benchmarks.sections import MEBIBYTE
from lstm_attn import tasks, training
from lstm_attn.models import ModelConfig
from lstm_attn.report.panel import COLORS, panel, reference
from lstm_attn.report.tables import markdown
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.profile import COMPILE, Chunk
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runs import RunFolder

MODELS = ("lstm", "gru", "transformer", "lstm_attention")
LENGTH, FEATURES, TRIALS = 20, 16, 2
CHUNK_STEPS = 100
ENDLESS = CHUNK_STEPS * 10**7
SAMPLES = 1000  # over the whole run, about
INCHES = (6.4, 3.3)
LIMIT_BYTES = 1536 * MEBIBYTE


class Watch:
    """Records the process's size and its compilations, chunk by chunk.

    rows: one a cell: its chunks, and function -> how often it was compiled, before the first chunk
      and after the last, and between them.
    samples: the size now and then, about every `period` seconds.
    """

    def __init__(self, period: float) -> None:
        self.rows: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self._period = period
        self._began = time.monotonic()

    def begin(self, name: str) -> None:
        """What follows is of that cell."""
        counts: dict[str, Any] = {"compiled": Counter(), "compiled_between_chunks": Counter()}
        self.rows.append({"cell": name, "chunks": 0, **counts})
        self._counted = "compiled"

    def listen(self, event: str, duration_secs: float, **about: Any) -> None:
        """For JAX: counts a compilation."""
        if event in COMPILE:
            self.rows[-1][self._counted][about["fun_name"]] += 1

    def watched(self, chunks: Iterator[Chunk], seconds: float) -> Iterator[Chunk]:
        """Passes chunks on for so long after the first, when all is compiled."""
        row, end, due = self.rows[-1], math.inf, 0.0
        for chunk in chunks:
            now = time.monotonic()
            end = min(end, now + seconds)
            if now >= due:
                due = now + self._period
                sample = {"cell": row["cell"], "seconds": round(now - self._began, 1)}
                sample |= {"chunks": row["chunks"], "resident_bytes": resident_bytes()}
                self.samples.append(sample)
            self._counted = "compiled_between_chunks"
            yield chunk
            row["chunks"] += 1
            if now >= end:
                break
        self._counted = "compiled"


def resident_bytes() -> int:
    """The process's memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth_bytes(sizes: Sequence[int]) -> float:
    """Median of the last tenth minus that of the second tenth, which is past the start."""
    tenth = max(1, len(sizes) // 10)
    return statistics.median(sizes[-tenth:]) - statistics.median(sizes[tenth : 2 * tenth] or sizes)


def cells(chosen: str) -> list[Cell]:
    """A cell for each model; of the set "tiny" (`benchmarks.workloads.SETS`), one."""
    config = training.TrainingConfig(
        steps=ENDLESS,
        seeds=TRIALS,
        schedule="constant",
        evaluate_every=CHUNK_STEPS,
        evaluation_sequences=100,
    )
    model = ModelConfig(features=FEATURES, num_heads=2, num_layers=1)
    return [
        Cell(f"adding-{LENGTH}-{name}", name, tasks.adding(LENGTH), model, config)
        for name in (("gru",) if chosen == "tiny" else MODELS)
    ]


def measure(chosen: str, minutes: float) -> dict[str, Any]:
    """Trains each cell for an equal share of the time; the record."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    training.use_host_cores()
    grid, seconds = cells(chosen), 60 * minutes
    watch = Watch(period=seconds / SAMPLES)
    jax.monitoring.register_event_duration_secs_listener(watch.listen)
    with tempfile.TemporaryDirectory() as workdir, GridProgress(grid) as progress:
        folder = RunFolder.open(workdir, {})
        for cell in grid:
            watch.begin(cell.name)
            share = partial(watch.watched, seconds=seconds / len(grid))
            train_cell(cell, folder, progress, prepared=cell.compiled, clocked=share)
    rows = []
    for row in watch.rows:
        sizes = [s["resident_bytes"] for s in watch.samples if s["cell"] == row["cell"]]
        rows.append({**row, "resident_bytes": sizes[-1], "growth_bytes": growth_bytes(sizes)})
    return {
        "minutes": minutes,
        "limit_bytes": LIMIT_BYTES,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "rows": rows,
        "samples": watch.samples,
    }


def section(record: dict[str, Any]) -> str:
    """One line a cell."""
    lines = [
        [
            row["cell"],
            f"{row['chunks']:,}",
            str(sum(row["compiled_between_chunks"].values())),
            f"{row['resident_bytes'] / MEBIBYTE:,.0f}",
            f"{row['growth_bytes'] / MEBIBYTE:+.1f}",
        ]
        for row in record["rows"]
    ]
    headings = ["cell", "chunks", "compilations between them", "resident MiB", "growth, MiB"]
    return joined(
        markdown(headings, lines),
        f"{record['minutes']:g} minutes, at most {record['limit_bytes'] / MEBIBYTE:,.0f} MiB of "
        "private memory. Growth: from the second tenth of a cell's time to its last, medians.",
        shown_figure(record, "Resident size against minutes"),
    )


def figure(record: dict[str, Any]) -> Figure:
    """Resident size against time, one line a cell, and the limit."""

    def draw(axes: Axes) -> None:
        for color, row in zip(COLORS, record["rows"], strict=False):
            mine = [s for s in record["samples"] if s["cell"] == row["cell"]]
            axes.plot(
                [s["seconds"] / 60 for s in mine],
                [s["resident_bytes"] / MEBIBYTE for s in mine],
                color=color,
                label=f"{row['cell']}: {row['chunks']} chunks",
            )
        limit = record["limit_bytes"] / MEBIBYTE
        reference(axes, "limit", y=limit)
        axes.set(xlabel="minutes", ylabel="resident MiB")
        axes.set_ylim(bottom=0)

    return panel("Resident size of one process", draw, INCHES)
