"""The cells of a grid that a run folder lacks, trained here or by the workers of a launcher."""

import functools
from collections.abc import Callable, Sequence

from rich.console import Console

from lstm_attn.runner import grow, launchers, memory_check, merge_trials
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.launchers import cell_folder, gather
from lstm_attn.runner.progress import GridProgress, OnEvaluation
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
    on_evaluation: OnEvaluation | None = None,
) -> list[Cell]:
    """Trains what the folder lacks of the cells: whole cells, or trials of cells that it has.

    What workers of an earlier run have left is taken up.

    Args:
      options: which launcher trains the waiting cells.
      train: trains them in their order, in the launcher's place.
      on_evaluation: see `Session`.

    Returns:
      The cells as the folder has them: under their names there, which differ where a name was
      taken by a cell with other settings, and with all of their trials.

    Raises:
      UsageError: a cell that this machine has no memory for.
      CellsFailed: some could not be trained by the workers of a launcher; the others were.
    """
    launcher = None if train else launchers.chosen(options, folder.path)
    cell_folder.sweep(folder)
    placed = grow.place(cells, folder)
    for one, asked in zip(placed, cells, strict=True):
        if line := grow.in_words(one, asked):
            console.print(line, soft_wrap=True)
    wanted = [part for one in placed for part in one.parts or (one.cell,)]
    for cell in wanted:
        # A launcher goes on with the others where they are, and takes them in in their order.
        if cell_folder.place(cell, folder).exists() and (
            launcher is None or cell.name in _finished(folder)
        ):
            cell_folder.take_in(cell, folder)
    waiting = [cell for cell in wanted if cell.name not in _finished(folder)]
    unfinished = [
        one for one in placed if any(part in waiting for part in one.parts or (one.cell,))
    ]
    console.print(f"{len(unfinished)} of {len(cells)} cells to train")
    if launcher is None:
        memory_check.check_fits(waiting)  # of this machine; a worker's may be another
    if train is None:
        train = functools.partial(gather.train, launcher=launcher) if launcher else train_cells
    with GridProgress(waiting, on_evaluation) as progress:
        train(waiting, folder, progress)
    for one in placed:
        if one.parts:
            merge_trials.merge(one, folder)
    return [one.cell for one in placed]


def _finished(folder: RunFolder) -> set[str]:
    return {record["cell"] for record in folder.results}
