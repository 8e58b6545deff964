"""Live progress over a grid: which cell, step, loss over baseline, solve count, time left."""

import time
from collections.abc import Callable, Sequence

from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from lstm_attn.history import NO_CRITERION, Evaluation
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.terminal import Terminal

UNKNOWN = "--:--"
# How many of the cells that run at once are shown with their loss.
SHOWN = 4
OnEvaluation = Callable[[str, Evaluation], object]  # the name of a cell, and what was measured


class NotebookLine:
    """One line of a notebook cell's output, which changes in place."""

    def __init__(self) -> None:
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, line: str) -> None:
        self._handle.update({"text/plain": line}, raw=True)


class GridProgress:
    """A live line in a terminal or a notebook; in a log one plain line an evaluation.

    Time left is an estimate: the seconds per step and sequence position so far, times those that
    remain, plus for each waiting cell the mean time to the first evaluation.

    A search does not know its cells in advance: they are numbered as they come, and time left is
    that of the cells so far.
    """

    def __init__(
        self, cells: Sequence[Cell] = (), on_evaluation: OnEvaluation | None = None
    ) -> None:
        self.console = Terminal()
        self._on_evaluation = on_evaluation
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
        self._notebook: NotebookLine | None = None
        self._live = Live(self._bar, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "GridProgress":
        if self.console.is_terminal:
            self._live.start()
        if self.console.is_jupyter:
            self._notebook = NotebookLine()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()
        if self._notebook:
            self._notebook.show("")

    def compiling(self, cell: Cell) -> None:
        """A cell begins; its program is being compiled."""
        self._last_seen, self._compiling = time.monotonic(), True
        if cell.name in self._numbers:
            self._waiting -= 1
        else:
            self._numbers[cell.name] = len(self._numbers) + 1
            self._left[cell.name] = _work(cell, 0)
        self._show(cell, 0, "compiling")

    def start(self, cell: Cell, step: int) -> None:
        """Training starts at this step; earlier ones were done by an earlier run."""
        self._left[cell.name] = _work(cell, step)

    def evaluated(self, cell: Cell, evaluation: Evaluation) -> None:
        left = _work(cell, evaluation.step)
        self._measure(self._left[cell.name] - left)
        self._left[cell.name] = left
        parts = [_so_far(cell, evaluation), f"left {self._time_left()}"]
        if cell.task.criterion != NO_CRITERION:
            parts.insert(1, f"remember {evaluation.remembers.sum()}/{evaluation.remembers.size}")
        self._show(cell, evaluation.step, "  ".join(parts))
        if self._on_evaluation:
            self._on_evaluation(cell.name, evaluation)

    def finish(self, cell: Cell, line: str) -> None:
        """A cell has ended; this line stays on the screen."""
        self._left[cell.name] = 0
        self.console.print(f"{self._title(cell)}  {line}")

    def overview(
        self, *, waiting: int, running: Sequence[tuple[Cell, Evaluation | None]], ended: int
    ) -> None:
        """Many cells at once: how many wait, run and have ended, and the latest evaluations."""
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
        self._show_line("; ".join([counts, *where]))

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
        self._show_line(f"{self._title(cell)}  {status}")

    def _show_line(self, line: str) -> None:
        """Shows where there is no terminal what the live line of one says."""
        if self._notebook:
            self._notebook.show(line)
        elif not self.console.is_terminal:
            self.console.print(line, soft_wrap=True)

    def _measure(self, work: int) -> None:
        """Counts the time since the last evaluation as compilation or as steps."""
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
    """What a cell still has to do: steps times sequence length."""
    return cell.task.sequence_length * (cell.training.steps - step)
