"""Grid cells, trained into a run folder."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from lstm_attn import models, training
from lstm_attn.analysis import summarise
from lstm_attn.errors import UsageError
from lstm_attn.history import NO_CRITERION, Evaluation, History, stack
from lstm_attn.runner import profile
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runs import METRICS, RunFolder
from lstm_attn.training import Program, TrialState

# Heads that are many for the width leave few widths to choose from.
NEAR_EQUAL = 0.1


def train_cells(cells: Sequence[Cell], folder: RunFolder, progress: GridProgress) -> None:
    """Trains one cell after the other; the next one is compiled meanwhile."""
    programs = in_advance(Cell.compiled, cells)
    for cell, prepared in zip(cells, programs, strict=True):
        train_cell(cell, folder, progress, prepared=prepared)


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
    states, evaluations = restore(cell, program, folder, progress)
    progress.start(cell, evaluations[-1].step if evaluations else 0)
    settings = training.trial_settings(cell.training)
    chunks = training.run(
        program, cell.task, cell.training, states=states, earlier=(*evaluations,), began=began
    )
    if evaluations and enough and enough(stack(evaluations, *settings)):
        chunks = iter(())
    checkpoint, log = folder.checkpoint(cell.name), folder.path / METRICS
    for evaluation, states in clocked(chunks):
        # In this order: a line without its checkpoint is dropped on resuming, and done again.
        folder.add_evaluation(cell.name, evaluation)
        training.checkpoints.save(checkpoint, states, cell.purpose, log)
        progress.evaluated(cell, evaluation)
        if enough:  # else they would pile up, of a long run
            evaluations.append(evaluation)
            if enough(stack(evaluations, *settings)):
                break

    history = stack(folder.evaluations(cell.name), *settings)
    record = {**measured(cell, history), "seconds_to_program": round(waited, 3)}
    folder.add_result(record)
    progress.finish(cell, in_words(cell, record))


def restore(
    cell: Cell, program: Program, folder: RunFolder, progress: GridProgress
) -> tuple[TrialState | None, list[Evaluation]]:
    """What a cell goes on from, None for a start, and the evaluations up to there.

    Raises:
      UsageError: checkpoints of which none is intact, or evaluations that are missing.
    """
    checkpoint = folder.checkpoint(cell.name)
    states, notes = training.checkpoints.resume(checkpoint, program, cell.purpose)
    for note in notes:
        progress.console.print(f"note: {note}", soft_wrap=True)
    step = 0 if states is None else training.step_of(states)
    folder.drop_evaluations_after(cell.name, step)
    evaluations = folder.evaluations(cell.name)
    every = cell.training.chunk_steps
    if [evaluation.step for evaluation in evaluations] != list(range(every, step + 1, every)):
        raise UsageError(
            f"{folder.path / METRICS} lacks evaluations of {cell.name} up to step {step}; "
            f"remove its files in {checkpoint.parent} to train the cell anew"
        )
    return states, evaluations


def describe(cell: Cell) -> dict[str, Any]:
    """The part of a record that is known before training."""
    reference = models.build(models.REFERENCE, cell.task, cell.model)
    parameters, budget = map(models.count_parameters, (cell.build(), reference))
    return {
        "cell": cell.name,
        **cell.purpose,
        "criterion": cell.task.criterion,
        "chance": cell.task.chance,
        "baseline": cell.task.baseline,
        "parameters": parameters,
        "parameters_over_lstm": parameters / budget,
        "features": models.matched_features(cell.model_name, cell.task, cell.model),
    }


def measured(cell: Cell, history: History) -> dict[str, Any]:
    """The record of a trained cell, but for the seconds of compiling."""
    measures = summarise(history, cell.task.baseline, cell.training.steps)
    return {**describe(cell), **measures}


def in_words(cell: Cell, record: dict) -> str:
    """How a cell ended, on one line."""
    ratio = record["parameters_over_lstm"]
    if record["criterion"] != NO_CRITERION:
        reached = f"remembers {record['remembers']}/{record['trials']}, exact {record['solved']}"
    else:
        loss = record["final_loss"]
        reached = "no trial is finite" if loss is None else cell.task.loss_in_words(loss)
    return (
        reached
        + f", {record['seconds']:.0f} s"
        + (f"; {ratio:.2f} of the LSTM's parameters" if abs(ratio - 1) > NEAR_EQUAL else "")
        + "".join(
            f"; seed {trial['seed']} at learning rate {trial['learning_rate']:g} "
            f"diverged by step {trial['diverged_by']}"
            for trial in record["per_trial"]
            if trial["diverged_by"] is not None
        )
    )


Item = TypeVar("Item")
Made = TypeVar("Made")


def in_advance(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Callable[[], Made]]:
    """For each item a function that waits for make(item) and gives it, or raises what it raised.

    A second thread makes one item ahead: the second begins as soon as the first is asked for. XLA
    compiles outside Python's lock, so a device that trains goes on meanwhile. Nothing that `make`
    does may run on devices of other processes: the order would differ from process to process.
    """
    executor = ThreadPoolExecutor(max_workers=1)
    pending: list[Future[Made]] = []
    try:
        for item in items:
            pending.append(executor.submit(make, item))
            if len(pending) == 2:
                yield pending.pop(0).result
        if pending:
            yield pending.pop().result
    finally:
        # An interrupted run does not wait for a compilation that nobody needs.
        executor.shutdown(wait=False, cancel_futures=True)
