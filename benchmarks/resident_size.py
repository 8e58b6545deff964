"""Does a long run keep its size? Resident memory and compilations from chunk to chunk, for an hour.

    python -m benchmarks.resident_size --minutes=60 --output=results/benchmarks/resident_size.json

One cell a model, adding at T = 20, each for its share of the time, trained into a run folder as the
comparison does, with a checkpoint and a line of metrics after each chunk. The system
refuses the process more private memory than --limit_gib, so a leak would end it. Growth of a cell
is the median size over the last tenth of its time less that over the second tenth. Linux only.
"""

import contextlib
import os
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from benchmarks.output import checked_output, stamp, write
from benchmarks.pictures import MEBIBYTE
from lstm_attn import tasks, training
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, panel
from lstm_attn.runner import command_line
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.profile import COMPILE, Chunk
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.terminal import Terminal
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runs import RunFolder

LENGTH, FEATURES, TRIALS = 20, 16, 2
CHUNK_STEPS = 100
ENDLESS = CHUNK_STEPS * 10**7
SAMPLES = 1000  # over the whole run, about
INCHES = (6.4, 3.3)

MINUTES = flags.DEFINE_float("minutes", 60.0, "How long, all cells together.", lower_bound=0.01)
LIMIT = flags.DEFINE_float(
    "limit_gib", 1.5, "Private memory that the process may have, in GiB.", lower_bound=0.1
)
MODEL_NAMES = flags.DEFINE_multi_enum(
    "model", ["lstm", "gru", "transformer", "lstm_attention"], list(MODELS), "May be repeated."
)


class Watch:
    """Notes the process's size and what it compiles while chunks go by."""

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
        """Lets chunks through for so long, counts them, and takes a sample now and then."""

        def watched(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
            cell, end, due = self.cells[-1], 0.0, 0.0
            for chunk in chunks:
                now = time.monotonic()
                # The clock begins with the first chunk, when all is compiled.
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
    """What the process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth_bytes(sizes: Sequence[int]) -> float:
    """Median of the last tenth less that of the second tenth, which is past the start."""
    tenth = max(1, len(sizes) // 10)
    return statistics.median(sizes[-tenth:]) - statistics.median(sizes[tenth : 2 * tenth] or sizes)


def cells() -> list[Cell]:
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
        for name in dict.fromkeys(MODEL_NAMES.value)
    ]


def measure(seconds: float) -> dict[str, Any]:
    """Trains the cells for their shares of the seconds, and says what was noted."""
    grid = cells()
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


def make_record(minutes: float, limit: float, measured: dict[str, Any]) -> dict[str, Any]:
    return {
        **stamp("resident_size"),
        "minutes": minutes,
        "limit_bytes": int(limit * 2**30),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **measured,
    }


def table(record: dict[str, Any]) -> Table:
    table = Table(title=f"{record['minutes']:g} minutes of training", box=box.SIMPLE_HEAD)
    for heading in ("cell", "chunks", "compiled", "between chunks", "MiB", "growth, MiB"):
        table.add_column(heading, justify="left" if heading == "cell" else "right")
    for row in record["rows"]:
        table.add_row(
            row["cell"],
            str(row["chunks"]),
            ", ".join(f"{count} {name}" for name, count in row["compiled"].items()),
            str(sum(row["compiled_between_chunks"].values())),
            f"{row['resident_bytes'] / MEBIBYTE:.0f}",
            f"{row['growth_bytes'] / MEBIBYTE:+.1f}",
        )
    return table


def picture(record: dict[str, Any]) -> Figure:
    """Resident size against time, a colour a cell, below the limit."""

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


def main() -> int:
    output = checked_output()
    limit = int(LIMIT.value * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    training.use_host_cores()
    record = make_record(MINUTES.value, LIMIT.value, measure(60 * MINUTES.value))
    console = Terminal()
    console.print(table(record))
    if output:
        write(output, record, picture(record), console)
    return 0


if __name__ == "__main__":
    command_line.run(main)
