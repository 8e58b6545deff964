"""Does a long run keep its size? Resident memory and compilations from chunk to chunk, for an hour.

    python -m benchmarks.resident_size --minutes=60 --output=results/benchmarks/resident_size.json

One cell a model, adding at T = 20, for an equal share of the time, trained into a run folder as the
studies do, with a checkpoint and a line of metrics after each chunk. The system refuses the process
more than LIMIT_BYTES of private memory, so a leak would end it. Growth of a cell: the median size
over the last tenth of its time, minus that over the second tenth. Linux only.
"""

import contextlib
import os
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks import command, tables
from lstm_attn import tasks, training
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, panel
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.profile import COMPILE, Chunk
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runs import RunFolder

LENGTH, FEATURES, TRIALS = 20, 16, 2
CHUNK_STEPS = 100
ENDLESS = CHUNK_STEPS * 10**7
SAMPLES = 1000  # over the whole run, about
INCHES = (6.4, 3.3)
MEBIBYTE = 2**20
LIMIT_BYTES = 1536 * MEBIBYTE


class Watch:
    """Records the process's size and its compilations, chunk by chunk."""

    def __init__(self, period: float) -> None:
        self.samples: list[dict[str, Any]] = []
        self.cells: list[dict[str, Any]] = []
        self._period = period
        self._began = time.monotonic()

    def listen(self, event: str, duration_secs: float, **about: Any) -> None:
        if event in COMPILE:
            self.cells[-1][self._when][about["fun_name"]] += 1

    def begin(self, name: str) -> None:
        self._when = "compiled"
        self.cells.append(
            {"cell": name, "chunks": 0, "compiled": Counter(), "compiled_between_chunks": Counter()}
        )

    def chunks(self, seconds: float) -> Callable[[Iterator[Chunk]], Iterator[Chunk]]:
        """Passes chunks on for so long, counts them, and samples the size now and then."""

        def watched(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
            cell, end, due = self.cells[-1], 0.0, 0.0
            for chunk in chunks:
                now = time.monotonic()
                # The time begins with the first chunk, when all is compiled.
                end = end or now + seconds
                if now >= due:
                    due = now + self._period
                    self.samples.append(
                        {
                            "cell": cell["cell"],
                            "seconds": round(now - self._began, 1),
                            "chunks": cell["chunks"],
                            "resident_bytes": resident_bytes(),
                        }
                    )
                self._when = "compiled_between_chunks"
                yield chunk
                cell["chunks"] += 1
                if now >= end:
                    break
            self._when = "compiled"

        return watched


def resident_bytes() -> int:
    """The process's memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth_bytes(sizes: Sequence[int]) -> float:
    """Median of the last tenth minus that of the second tenth, which is past the start."""
    tenth = max(1, len(sizes) // 10)
    return statistics.median(sizes[-tenth:]) - statistics.median(sizes[tenth : 2 * tenth] or sizes)


def cells(names: Iterable[str]) -> list[Cell]:
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
        for name in dict.fromkeys(names)
    ]


def measure(grid: Sequence[Cell], seconds: float) -> dict[str, Any]:
    """Trains each cell for its share of the seconds."""
    watch = Watch(period=seconds / SAMPLES)
    jax.monitoring.register_event_duration_secs_listener(watch.listen)
    with contextlib.ExitStack() as stack:
        stack.callback(jax.monitoring.unregister_event_duration_listener, watch.listen)
        workdir = stack.enter_context(tempfile.TemporaryDirectory())
        folder = RunFolder.open(workdir, {})
        progress = stack.enter_context(GridProgress(grid))
        for cell in grid:
            watch.begin(cell.name)
            share = watch.chunks(seconds / len(grid))
            train_cell(cell, folder, progress, prepared=cell.compiled, clocked=share)
    rows = []
    for row in watch.cells:
        sizes = [s["resident_bytes"] for s in watch.samples if s["cell"] == row["cell"]]
        rows.append({**row, "resident_bytes": sizes[-1], "growth_bytes": growth_bytes(sizes)})
    return {"rows": rows, "samples": watch.samples}


def show(record: dict[str, Any]) -> list[Table]:
    """One line a cell."""
    lines = [
        (
            row["cell"],
            str(row["chunks"]),
            ", ".join(f"{count} {name}" for name, count in row["compiled"].items()),
            str(sum(row["compiled_between_chunks"].values())),
            f"{row['resident_bytes'] / MEBIBYTE:.0f}",
            f"{row['growth_bytes'] / MEBIBYTE:+.1f}",
        )
        for row in record["rows"]
    ]
    headings = ("cell", "chunks", "compiled", "between chunks", "MiB", "growth, MiB")
    return [tables.plain(f"{record['minutes']:g} minutes of training", headings, lines)]


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
        axes.axhline(limit, color=REFERENCE_COLOR, linestyle="--", label="limit")
        axes.set(xlabel="minutes", ylabel="resident MiB")
        axes.set_ylim(bottom=0)

    return panel("Resident size of one process", draw, INCHES)


def main() -> None:
    minutes = flags.DEFINE_float("minutes", 60.0, "How long, all cells together.", lower_bound=0.01)
    names = flags.DEFINE_multi_enum(
        "model", ["lstm", "gru", "transformer", "lstm_attention"], list(MODELS), "May be repeated."
    )

    def limited() -> dict[str, Any]:
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
        training.use_host_cores()
        measured = measure(cells(names.value), 60 * minutes.value)
        peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        limits = {"minutes": minutes.value, "limit_bytes": LIMIT_BYTES, "peak_bytes": peak_bytes}
        return {**limits, **measured}

    command.run_measurement("resident_size", limited, show, figure)


if __name__ == "__main__":
    main()
