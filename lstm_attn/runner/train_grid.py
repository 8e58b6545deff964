"""The cells of a grid that a run folder lacks, trained here or by the workers of a launcher."""

import functools
from collections.abc import Callable, Sequence

from rich.console import Console

from lstm_attn.runner import launchers, memory_check
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.launchers import cell_folder, gather
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cells
from lstm_attn.runs import RunFolder

Train = Callable[[Sequence[Cell], RunFolder, GridProgress], None]


def train_missing(
    cells: Sequence[Cell],
    folder: RunFolder,
    console: Console,
    options: launchers.Options = launchers.HERE,
    *,
    train: Train | None = None,
) -> None:
    """Trains the cells of which the folder has no record yet.

    What workers of an earlier run have left is taken up.

    Args:
      options: which launcher trains the waiting cells.
      train: trains them in their order, in the launcher's place.

    Raises:
      UsageError: a cell that this machine has no memory for.
      CellsFailed: some could not be trained by the workers of a launcher; the others were.
    """
    launcher = None if train else launchers.chosen(options, folder.path)
    cell_folder.sweep(folder)
    for cell in cells:
        # A launcher goes on with the others where they are, and takes them in in their order.
        if cell_folder.place(cell, folder).exists() and (
            launcher is None or cell.name in _finished(folder)
        ):
            cell_folder.take_in(cell, folder)
    waiting = [cell for cell in cells if cell.name not in _finished(folder)]
    console.print(f"{len(waiting)} of {len(cells)} cells to train")
    if launcher is None:
        memory_check.check_fits(waiting)  # of this machine; a worker's may be another
    if train is None:
        train = functools.partial(gather.train, launcher=launcher) if launcher else train_cells
    with GridProgress(waiting) as progress:
        train(waiting, folder, progress)


def _finished(folder: RunFolder) -> set[str]:
    return {record["cell"] for record in folder.results}
