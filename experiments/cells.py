"""Grid cells, trained into a run folder."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rich.console import Console

from experiments import profile
from experiments.ahead import in_advance
from experiments.cell import Cell
from experiments.progress import GridProgress
from lstm_attn import models, training
from lstm_attn.analysis import summarise
from lstm_attn.errors import UsageError
from lstm_attn.history import History, stack
from lstm_attn.runs import METRICS, RunFolder
from lstm_attn.training import Program

# Heads that are many for the width leave few widths to choose from.
NEAR_EQUAL = 0.1


def train_cells(cells: Sequence[Cell], folder: RunFolder, progress: GridProgress) -> None:
    """Trains one cell after the other; the next one is compiled meanwhile."""
    programs = in_advance(Cell.compiled, cells)
    for cell, prepared in zip(cells, programs, strict=True):
        train_cell(cell, folder, progress, prepared=prepared)


def train_missing(
    cells: Sequence[Cell],
    folder: RunFolder,
    console: Console,
    *,
    train: Callable[[Sequence[Cell], RunFolder, GridProgress], None] = train_cells,
) -> None:
    """Trains the cells of which the folder has no record yet.

    Args:
      train: what trains those that wait, in their order.
    """
    finished = {record["cell"] for record in folder.results}
    waiting = [cell for cell in cells if cell.name not in finished]
    console.print(f"{len(waiting)} of {len(cells)} cells to train")
    with GridProgress(waiting) as progress:
        train(waiting, folder, progress)


def train_cell(
    cell: Cell,
    folder: RunFolder,
    progress: GridProgress,
    *,
    prepared: Callable[[], Program] | None = None,
    clocked: Callable[[Iterator[profile.Chunk]], Iterator[profile.Chunk]] = iter,
    enough: Callable[[History], bool] | None = None,
) -> None:
    """Trains one cell from its last checkpoint, if it has one, to its record in results.json.

    Args:
      prepared: gives the cell's program; None for one that is compiled when it is needed.
      clocked: what the chunks pass through as they come.
      enough: whether the history so far says all that is asked; the cell then ends early.
    """
    began = time.monotonic()
    progress.compiling(cell)
    program = prepared() if prepared else cell.make_program()
    waited = time.monotonic() - began
    checkpoint = folder.checkpoint(cell.name)
    restored = training.checkpoints.restore(checkpoint, program) if checkpoint.exists() else None
    step = 0 if restored is None else training.step_of(restored)
    folder.drop_evaluations_after(cell.name, step)
    evaluations = folder.evaluations(cell.name)
    every = cell.training.evaluate_every
    if [evaluation.step for evaluation in evaluations] != list(range(every, step + 1, every)):
        raise UsageError(
            f"{folder.path / METRICS} lacks evaluations of {cell.name} up to step {step}; "
            f"remove {checkpoint} to train the cell anew"
        )

    progress.start(cell, step)
    settings = training.trial_settings(cell.training)
    chunks = training.run(
        program, cell.task, cell.training, states=restored, earlier=evaluations, began=began
    )
    if evaluations and enough and enough(stack(evaluations, *settings)):
        chunks = iter(())
    for evaluation, states in clocked(chunks):
        # In this order: a line without its checkpoint is dropped on resuming, and done again.
        folder.add_evaluation(cell.name, evaluation)
        training.checkpoints.save(checkpoint, states)
        evaluations.append(evaluation)
        history = stack(evaluations, *settings)
        progress.evaluated(cell, evaluation, int(np.isfinite(history.steps_to_solve).sum()))
        if enough and enough(history):
            break

    measured = summarise(stack(folder.evaluations(cell.name), *settings))
    record = {**describe(cell), **measured, "seconds_to_program": round(waited, 3)}
    folder.add_result(record)
    progress.finish(cell, in_words(record))


def describe(cell: Cell) -> dict:
    """The part of a record that is known before training."""
    reference = models.build(models.REFERENCE, cell.task, cell.model)
    parameters, budget = map(models.count_parameters, (cell.build(), reference))
    return {
        "cell": cell.name,
        "model": cell.model_name,
        "task": cell.task.name,
        "variant": cell.task.variant,
        "length": cell.task.length,
        "shortest": cell.task.shortest,
        "criterion": cell.task.criterion,
        "chance": cell.task.chance,
        "baseline": cell.task.baseline,
        "parameters": parameters,
        "parameters_over_lstm": parameters / budget,
        "features": models.matched_features(cell.model_name, cell.task, cell.model),
        "model_config": dataclasses.asdict(cell.model),
        "training_config": dataclasses.asdict(cell.training),
    }


def in_words(record: dict) -> str:
    """How a cell ended, on one line."""
    median, ratio = record["median_steps_to_solve"], record["parameters_over_lstm"]
    return (
        f"solved {record['solved']}/{record['trials']}"
        + (f" after {median:.0f} steps (median)" if median is not None else "")
        + f", {record['seconds']:.0f} s"
        + (f"; {ratio:.2f} of the LSTM's parameters" if abs(ratio - 1) > NEAR_EQUAL else "")
        + "".join(
            f"; seed {trial['seed']} at learning rate {trial['learning_rate']:g} "
            f"diverged by step {trial['diverged_by']}"
            for trial in record["per_trial"]
            if trial["diverged_by"] is not None
        )
    )
