"""How far back can each model remember, and at what cost? A grid of models x tasks x lengths.

    python -m experiments.compare --config=configs/quick.py --workdir=runs/quick

The same command on an interrupted run folder goes on where it stopped.
"""

from collections.abc import Sequence

from absl import flags
from rich import box
from rich.console import Console
from rich.table import Table

from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.runner import launchers, profile
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import CompareConfig, grid_cells
from lstm_attn.runner.launchers import HERE, Options
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runner.train_grid import train_missing
from lstm_attn.runs import RunFolder
from lstm_attn.studies.finish import close
from lstm_attn.training import multihost

PROFILE = flags.DEFINE_bool(
    "profile",
    False,
    "Print where the time of each cell went, and write traces to WORKDIR/profile. The results are "
    "those without it; it takes some ten seconds a cell.",
)


def train_profiled(cells: Sequence[Cell], folder: RunFolder, progress: GridProgress) -> None:
    """Trains each cell as `train_cell` does, then finds out where its time went.

    One cell after the other, so that each second has one cause.
    """
    for cell in cells:
        with profile.CellClock() as clock:
            train_cell(cell, folder, progress, clocked=clock.waits)
        progress.console.print(f"profiling {cell.name}: a trace and five programs to time")
        profile.profile_cell(cell, clock, folder)


def closing_table(records: Sequence[dict]) -> Table:
    """One row a cell, narrow enough for a terminal of 80 columns."""
    table = Table(
        title="Solved trials, with the 95 % Wilson interval of the rate",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("task", "T", "model", "solved", "interval", "steps"):
        table.add_column(heading, justify="left" if heading in ("task", "model") else "right")
    table.add_column("loss/\nbaseline", justify="right")
    table.add_column("seconds", justify="right")
    for record in records:
        table.add_row(
            record["task"],
            str(record["length"]),
            record["model"],
            report.tables.count(record),
            report.tables.interval(record),
            report.tables.steps(record),
            report.tables.loss_over_baseline(record),
            f"{record['seconds']:.0f}",
        )
    return table


def in_all(records: Sequence[dict]) -> str:
    """Seconds of the grid, and how much of them went by until there were programs to run."""
    seconds, waited = (
        sum(record.get(key, 0) for record in records)  # not noted before 2026-11-23
        for key in ("seconds", "seconds_to_program")
    )
    return f"{seconds:.0f} s in all, {waited / seconds:.0%} of them spent waiting for compilation"


def compare(
    config: CompareConfig, folder: RunFolder, console: Console, options: Options = HERE
) -> None:
    """Trains what the folder lacks, then prints the closing table and writes the report."""
    if PROFILE.value:
        launchers.check_local(options, "--profile clocks this process")
        if multihost.several():
            raise UsageError("--profile: expected a run in one process, got several")
    train = train_profiled if PROFILE.value else None
    train_missing(grid_cells(config), folder, console, options, train=train)
    records = report.in_grid_order(folder)
    times = [profile.times_table(folder.times)] if PROFILE.value and folder.times else []
    close(folder, console, closing_table(records), in_all(records), *times)
