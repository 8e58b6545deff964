"""Live progress over a grid: which cell, step, loss over baseline, solve count, time left."""

import time
from collections.abc import Sequence

from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from lstm_attn.history import NO_CRITERION, Evaluation
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.terminal import Terminal

UNKNOWN = "--:--"
# Of the cells that run at once, as many are shown with their loss.
SHOWN = 4


class GridProgress:
    """A live line on a terminal; elsewhere (a log, CI) one plain line an evaluation.

    Time left is a guess: seconds a step and sequence position so far, times those that remain,
    and for each cell that waits the time that the others took to their first evaluation.

    Cells that are not given beforehand may come too: a search does not know them. They are numbered
    as they come, and time left is that of those that have come.
    """

    def __init__(self, cells: Sequence[Cell] = ()) -> None:
        self.console = Terminal()
        self._left = {cell.name: _work(cell, 0) for cell in cells}
        self._work_seconds, self._work_done = 0.0, 0
        self._startups: list[float] = []
        self._waiting = len(cells)
        self._last_seen = time.monotonic()
        self._compiling = True
        self._numbers = {cell.name: number for number, cell in enumerate(cells, 1)}
        self._of_all = f"/{len(cells)}" if cells else ""
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=self.console,
        )
        self._row = self._bar.add_task("", total=None, status="")
        self._live = Live(self._bar, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "GridProgress":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def compiling(self, cell: Cell) -> None:
        """A cell begins: its program is made, or waited for."""
        self._last_seen, self._compiling = time.monotonic(), True
        if cell.name in self._numbers:
            self._waiting -= 1
        else:
            self._numbers[cell.name] = len(self._numbers) + 1
            self._left[cell.name] = _work(cell, 0)
        self._show(cell, 0, "compiling")

    def start(self, cell: Cell, step: int) -> None:
        """It trains from this step on; steps done in an earlier run need no more time."""
        self._left[cell.name] = _work(cell, step)

    def evaluated(self, cell: Cell, evaluation: Evaluation, ever_solved: int) -> None:
        left = _work(cell, evaluation.step)
        self._measure(self._left[cell.name] - left)
        self._left[cell.name] = left
        parts = [_so_far(cell, evaluation), f"left {self._time_left()}"]
        if cell.task.criterion != NO_CRITERION:
            parts.insert(1, f"solved {ever_solved}/{evaluation.solved.size}")
        self._show(cell, evaluation.step, "  ".join(parts))

    def finish(self, cell: Cell, line: str) -> None:
        """A cell has ended; its line stays on the screen."""
        self._left[cell.name] = 0
        self.console.print(f"{self._title(cell)}  {line}")

    def overview(
        self, *, waiting: int, running: Sequence[tuple[Cell, Evaluation | None]], ended: int
    ) -> None:
        """Many cells at once: those that run, each with its latest evaluation, and the counts."""
        counts = f"{waiting} waiting, {len(running)} running, {ended} ended"
        where = [_where(cell, evaluation) for cell, evaluation in running[:SHOWN]]
        if len(running) > SHOWN:
            where.append(f"{len(running) - SHOWN} more")
        steps = sum(e.step / cell.training.steps for cell, e in running if e is not None)
        self._bar.update(
            self._row,
            description=counts,
            completed=ended + steps,
            total=len(self._numbers),
            status="; ".join(where),
        )
        if not self.console.is_terminal:
            self.console.print("; ".join([counts, *where]), soft_wrap=True)

    def _title(self, cell: Cell) -> str:
        return f"[{self._numbers[cell.name]}{self._of_all}] {cell.name}"

    def _show(self, cell: Cell, step: int, status: str) -> None:
        self._bar.update(
            self._row,
            description=self._title(cell),
            completed=step,
            total=cell.training.steps,
            status=status,
        )
        if not self.console.is_terminal:
            self.console.print(f"{self._title(cell)}  {status}", soft_wrap=True)

    def _measure(self, work: int) -> None:
        """Adds the time since the last evaluation to what it is a sample of."""
        now = time.monotonic()
        if self._compiling:
            self._startups.append(now - self._last_seen)
        else:
            self._work_seconds += now - self._last_seen
            self._work_done += work
        self._last_seen, self._compiling = now, False

    def _time_left(self) -> str:
        if not self._work_done:
            return UNKNOWN
        rate = self._work_seconds / self._work_done
        startup = sum(self._startups) / len(self._startups)
        seconds = int(rate * sum(self._left.values()) + startup * self._waiting)
        return f"{seconds // 60}:{seconds % 60:02d}"


def _so_far(cell: Cell, evaluation: Evaluation) -> str:
    return f"step {evaluation.step}  {cell.task.loss_in_words(evaluation.median_loss)}"


def _where(cell: Cell, evaluation: Evaluation | None) -> str:
    return f"{cell.name} {_so_far(cell, evaluation) if evaluation else 'begun'}"


def _work(cell: Cell, step: int) -> int:
    """Steps of sequences that a cell still has to do."""
    return cell.task.sequence_length * (cell.training.steps - step)
