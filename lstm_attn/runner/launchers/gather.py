"""The driver of a launcher's workers: starts them, replaces lost ones, takes their cells in."""

import dataclasses
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lstm_attn import files
from lstm_attn.errors import counted
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.launchers import Launcher, Lost, Work, cell_folder
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import in_words
from lstm_attn.runs import RunFolder

POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0
# The longest time between two lines in a log.
SAY_SECONDS = 60.0
# A cell fails after so many workers were lost in a row at the same step.
PATIENCE = 3
# One machine may see a file of another this much later; NFS says 60 s.
FILE_SYSTEM_SECONDS = 90.0


class CellsFailed(Exception):
    """Some cells could not be trained; all others were."""

    def __init__(self, names: Sequence[str], among: int) -> None:
        super().__init__(
            f"{len(names)} of {among} cells failed: {', '.join(names)}; the others are kept, and "
            "the same command tries these again"
        )


@dataclasses.dataclass
class Place:
    """The state of a cell.

    outcome: None until it is "finished" or "failed"; a finished cell is then "taken in".
    work: its worker, None while there is none.
    lock: when its folder was last locked before the worker was started.
    losses: workers lost in a row at step `lost_at`.
    ended: when its worker was first seen to have ended well.
    in_use: the message about another process that works in its folder.
    """

    cell: Cell
    path: Path
    outcome: str | None = None
    work: Work | None = None
    lock: int = 0
    losses: int = 0
    lost_at: int = -1
    ended: float | None = None
    in_use: str | None = None


def train(
    cells: Sequence[Cell], folder: RunFolder, progress: GridProgress, *, launcher: Launcher
) -> None:
    """Trains the cells by the launcher's workers, and takes them into the folder in their order.

    Raises:
      CellsFailed: some could not be trained; the others were.
    """
    if not cells:
        return
    with launcher:
        Gathering(cells, folder, progress, launcher).run()


class Gathering:
    """One grid, trained by workers."""

    def __init__(
        self, cells: Sequence[Cell], folder: RunFolder, progress: GridProgress, launcher: Launcher
    ) -> None:
        self._folder = folder
        self._progress = progress
        self._launcher = launcher
        self._places = [Place(cell, cell_folder.hand_out(cell, folder)) for cell in cells]
        self._differences: set[str] = set()
        self._looked = 0.0
        self._said: object = None
        self._said_at = 0.0

    def run(self) -> None:
        try:
            while any(place.outcome in (None, "finished") for place in self._places):
                self._launch()
                time.sleep(POLL_SECONDS)
                for place in self._places:
                    if place.work and place.work.ended():
                        self._settle(place, place.work)
                self._take_in()
                self._show()
        finally:
            self._stop()
        failed = [place.cell.name for place in self._places if place.outcome == "failed"]
        if failed:
            raise CellsFailed(failed, len(self._places))

    def _launch(self) -> None:
        """Starts a worker for each cell that has none, up to the launcher's limit."""
        at_work = sum(place.work is not None for place in self._places)
        room = len(self._places) if self._launcher.at_once is None else self._launcher.at_once
        ready: list[Place] = []
        for place in self._places:
            if place.outcome is None and place.work is None and at_work + len(ready) < room:
                user = cell_folder.in_use(place.path)
                if user and user != place.in_use:  # a worker of an earlier driver
                    self._say(f"{place.cell.name}: {user}; waiting for it")
                place.in_use = user
                if cell_folder.finished(place.path):
                    self._finish(place)
                elif not user:
                    ready.append(place)
        for place in ready:
            place.lock = cell_folder.locked_at(place.path)
        if ready:
            works = self._launcher.launch([place.path for place in ready])
            for place, work in zip(ready, works, strict=True):
                place.work = work

    def _settle(self, place: Place, work: Work) -> None:
        """Decides what happens to a cell whose worker has ended."""
        if cell_folder.finished(place.path):
            self._finish(place)
            return
        try:
            answer = work.answer()
        except Lost as lost:
            self._replace(place, str(lost))
            return
        if answer is None:
            place.ended = place.ended or time.monotonic()
            if time.monotonic() < place.ended + FILE_SYSTEM_SECONDS:
                return
            answer = f"no record of it came to {place.path}; do all machines see this folder?"
        place.work = None
        # A worker that found another one in the folder has not failed; the cell has to wait.
        if not cell_folder.in_use(place.path):
            self._fail(place, answer)

    def _replace(self, place: Place, why: str) -> None:
        """Frees the cell for another worker, or fails it after PATIENCE losses at one step."""
        place.work = None
        last = cell_folder.latest(place.cell, place.path)
        step = last.step if last else 0
        place.losses = place.losses + 1 if step == place.lost_at else 1
        place.lost_at = step
        if place.losses < PATIENCE:
            self._say(f"{place.cell.name}: its worker was lost ({why}); another goes on from "
                      f"step {step}")  # fmt: skip
        else:
            self._fail(place, f"{PATIENCE} workers were lost at step {step}, the last one: {why}")

    def _finish(self, place: Place) -> None:
        place.work, place.outcome = None, "finished"
        self._progress.finish(place.cell, in_words(place.cell, RunFolder(place.path).results[0]))

    def _fail(self, place: Place, why: str) -> None:
        place.work, place.outcome = None, "failed"
        self._progress.finish(place.cell, f"failed: {why}")

    def _take_in(self) -> None:
        """Takes cells in by the order of the grid, as a single process writes the run folder."""
        for place in self._places:
            if place.outcome is None:
                return
            if place.outcome == "finished":
                try:
                    changed = set(cell_folder.take_in(place.cell, self._folder))
                except files.InUse:  # by a worker that is about to end
                    return
                place.outcome = "taken in"
                if changed - self._differences:
                    names = ", ".join(sorted(changed - self._differences))
                    self._say(f"note: not as when this run was begun: {names}")
                    self._differences |= changed

    def _show(self) -> None:
        """Shows progress: on a terminal every second, in a log when something has changed."""
        now = time.monotonic()
        if now < self._looked + LOOK_SECONDS:
            return
        self._looked = now
        at_work = [
            place.cell
            for place in self._places
            if place.work and cell_folder.locked_at(place.path) != place.lock
        ]
        ended = sum(place.outcome is not None for place in self._places)
        state = (ended, [cell.name for cell in at_work])
        if self._progress.console.is_terminal or (
            state != self._said or now > self._said_at + SAY_SECONDS
        ):
            self._said, self._said_at = state, now
            self._progress.overview(
                waiting=len(self._places) - ended - len(at_work),
                running=[
                    (cell, cell_folder.latest(cell, cell_folder.place(cell, self._folder)))
                    for cell in at_work
                ],
                ended=ended,
            )

    def _stop(self) -> None:
        """Ends the remaining workers when the driver is interrupted."""
        left = [place.work for place in self._places if place.work]
        for work in left:
            with suppress(Exception):  # an unreachable one must not keep the others running
                work.cancel()
        if left:
            self._say(
                f"stopped {counted(len(left), 'cell')}; each goes on from its last checkpoint"
            )

    def _say(self, line: str) -> None:
        self._progress.console.print(line, soft_wrap=True)
