"""A cell's own run folder, WORKDIR/cells/CELL, in which a worker trains it.

Its config.json says all that the worker needs; the rest is as in any run folder. While it exists,
it is newer than what WORKDIR has of the cell; `take_in` merges it into WORKDIR and removes it. Each
function can be interrupted anywhere and called again.
"""

import dataclasses
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from lstm_attn import files, trained
from lstm_attn.errors import UsageError
from lstm_attn.history import Evaluation
from lstm_attn.models import ModelConfig
from lstm_attn.runner import checked_config
from lstm_attn.runner.cell import Cell
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig
from lstm_attn.training.checkpoints import previous

CELLS = "cells"


@dataclasses.dataclass(frozen=True)
class CellTask:
    """The arguments of `trained.build_task`."""

    name: str
    length: int
    variant: str
    shortest: int


@dataclasses.dataclass(frozen=True)
class CellConfig:
    """config.json of a cell's folder: the fields of Cell, with the task by its name."""

    name: str
    model_name: str
    task: CellTask
    model: ModelConfig
    training: TrainingConfig


def config_of(cell: Cell) -> dict[str, Any]:
    """The cell as JSON values."""
    return dataclasses.asdict(_described(cell))


def _described(cell: Cell) -> CellConfig:
    task = cell.task
    named = CellTask(task.name, task.length, task.variant, task.shortest)
    return CellConfig(cell.name, cell.model_name, named, cell.model, cell.training)


def cell_of(path: Path) -> Cell:
    """The cell that the folder's config describes; the text of a language task is in WORKDIR.

    Raises:
      UsageError: another config, naming the key, or a text that can't be read.
    """
    settings = checked_config.checked(CellConfig, RunFolder(path).config)
    task = trained.build_task(path.resolve().parent.parent, **dataclasses.asdict(settings.task))
    return Cell(settings.name, settings.model_name, task, settings.model, settings.training)


def place(cell: Cell, folder: RunFolder) -> Path:
    """The path of the cell's own folder."""
    return folder.path / CELLS / cell.name


def hand_out(cell: Cell, folder: RunFolder) -> Path:
    """Makes the cell's own folder from what the run folder has of the cell, unless it exists.

    Raises:
      UsageError: it exists with another config, or it can't be written.
    """
    path = place(cell, folder)
    if path.exists():
        if checked_config.checked(CellConfig, RunFolder(path).config) != _described(cell):
            raise UsageError(f"{path} is of another config than the run's; remove it")
        return path
    # Renamed when it is whole: half of it would look like a cell that has not been begun.
    partial = path.with_name(f".{cell.name}.partial")
    _copy(cell, folder, RunFolder.open(partial, config_of(cell)))
    os.replace(partial, path)
    return path


def finished(path: Path) -> bool:
    """Whether the cell in the folder has its record."""
    return bool(RunFolder(path).results)


def in_use(path: Path) -> str | None:
    """Who works in the folder, None if nobody does; takes its lock for a moment."""
    folder = RunFolder(path)
    try:
        RunFolder.open(path, folder.config)
    except files.InUse as error:
        return str(error)
    return None


def locked_at(path: Path) -> int:
    """When a process last locked the folder, by the clock of its file system."""
    try:
        return (path / files.LOCK).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def latest(cell: Cell, path: Path) -> Evaluation | None:
    """The last evaluation in the cell's own folder, if there is one."""
    evaluations = RunFolder(path).evaluations(cell.name)
    return evaluations[-1] if evaluations else None


def take_in(cell: Cell, folder: RunFolder) -> list[str]:
    """Copies the content of the cell's own folder into the run folder, and removes the former.

    Returns:
      The keys in which its environment differs from the run's, see `RunFolder.begin`.

    Raises:
      InUse: a worker still works there.
    """
    path = place(cell, folder)
    own = RunFolder.open(path, RunFolder(path).config)
    changed = []
    if cell.name not in {record["cell"] for record in folder.results}:
        _copy(cell, own, folder)
        if (path / "environment.json").exists():
            changed = folder.begin(own.environment)
        # The record comes last: with it the cell counts as taken in.
        for record in own.results:
            folder.add_result(record)
    # Renamed first: a folder that is half removed must not be taken for a cell's.
    os.replace(path, path.with_name(f".{cell.name}.removed"))
    sweep(folder)
    return changed


def sweep(folder: RunFolder) -> None:
    """Removes what an interrupted `hand_out` or `take_in` has left."""
    for left in (folder.path / CELLS).glob(".*"):
        shutil.rmtree(left, ignore_errors=True)
    with suppress(OSError):  # there is none, or it holds cells
        (folder.path / CELLS).rmdir()


def _copy(cell: Cell, source: RunFolder, target: RunFolder) -> None:
    """Replaces what the target has of the cell, except its record, by what the source has."""
    target.drop_evaluations_after(cell.name, 0)
    for evaluation in source.evaluations(cell.name):
        target.add_evaluation(cell.name, evaluation)
    here, there = source.checkpoint(cell.name), target.checkpoint(cell.name)
    for checkpoint, copy in ((previous(here), previous(there)), (here, there)):
        if checkpoint.exists():
            files.write_whole(copy, checkpoint.read_bytes())
