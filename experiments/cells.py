"""A grid cell: one model on one task, all its trials one program; trained into a run folder."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rich.console import Console

from experiments import profile
from experiments.ahead import in_advance
from experiments.progress import GridProgress
from lstm_attn import models, training
from lstm_attn.analysis import summarise
from lstm_attn.errors import UsageError
from lstm_attn.history import Evaluation, History, stack
from lstm_attn.models import Model, ModelConfig
from lstm_attn.runs import METRICS, RunFolder
from lstm_attn.tasks import Task
from lstm_attn.training import Program, TrainingConfig, TrialState

# Heads that are many for the width leave few widths to choose from.
NEAR_EQUAL = 0.1


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is trained, and under which name it stands in the run folder."""

    name: str
    model_name: str
    task: Task
    model: ModelConfig
    training: TrainingConfig

    def build(self) -> Model:
        return models.build(self.model_name, self.task, self.model)

    def make_program(self) -> Program:
        return training.make_program(self.build(), self.task, self.training)

    def compiled(self) -> Program:
        """The program, compiled now."""
        return self.make_program().compiled()


def train_missing(cells: Sequence[Cell], folder: RunFolder, console: Console) -> None:
    """Trains the cells of which the folder has no record yet."""
    finished = {record["cell"] for record in folder.results}
    waiting = [cell for cell in cells if cell.name not in finished]
    console.print(f"{len(waiting)} of {len(cells)} cells to train")
    with GridProgress(waiting) as progress:
        train_cells(waiting, folder, progress)


def train_cells(
    cells: Sequence[Cell],
    folder: RunFolder,
    progress: GridProgress,
    *,
    enough: Callable[[History], bool] | None = None,
) -> None:
    """Trains one cell after the other; the next one is compiled meanwhile."""
    programs = in_advance(Cell.compiled, cells)
    for cell, prepared in zip(cells, programs, strict=True):
        train_cell(cell, folder, progress, prepared=prepared, enough=enough)


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
    trained_for = purpose(cell)
    ever_solved = np.zeros(cell.training.trials, bool)
    for evaluation in evaluations:
        ever_solved |= evaluation.solved
    for evaluation, states in clocked(chunks):
        # In this order: a line without its checkpoint is dropped on resuming, and done again.
        folder.add_evaluation(cell.name, evaluation)
        training.checkpoints.save(checkpoint, states, trained_for, log)
        ever_solved |= evaluation.solved
        progress.evaluated(cell, evaluation, int((ever_solved & ~evaluation.diverged).sum()))
        if enough:  # else they would pile up, of a long run
            evaluations.append(evaluation)
            if enough(stack(evaluations, *settings)):
                break

    measured = summarise(stack(folder.evaluations(cell.name), *settings))
    record = {**describe(cell), **measured, "seconds_to_program": round(waited, 3)}
    folder.add_result(record)
    progress.finish(cell, in_words(record))


def restore(
    cell: Cell, program: Program, folder: RunFolder, progress: GridProgress
) -> tuple[TrialState | None, list[Evaluation]]:
    """What a cell goes on from, None for a start, and the evaluations up to there.

    Raises:
      UsageError: checkpoints of which none is intact, or evaluations that are missing.
    """
    checkpoint = folder.checkpoint(cell.name)
    states, notes = training.checkpoints.resume(checkpoint, program, purpose(cell))
    for note in notes:
        progress.console.print(f"note: {note}", soft_wrap=True)
    step = 0 if states is None else int(states.step[0])
    folder.drop_evaluations_after(cell.name, step)
    evaluations = folder.evaluations(cell.name)
    every = cell.training.evaluate_every
    if [evaluation.step for evaluation in evaluations] != list(range(every, step + 1, every)):
        raise UsageError(
            f"{folder.path / METRICS} lacks evaluations of {cell.name} up to step {step}; "
            f"remove its files in {checkpoint.parent} to train the cell anew"
        )
    return states, evaluations


def purpose(cell: Cell) -> dict:
    """What a checkpoint of the cell is for: it serves no other. These keys are in a record too."""
    return {
        "model": cell.model_name,
        "task": cell.task.name,
        "variant": cell.task.variant,
        "length": cell.task.length,
        "shortest": cell.task.shortest,
        "model_config": dataclasses.asdict(cell.model),
        "training_config": dataclasses.asdict(cell.training),
    }


def describe(cell: Cell) -> dict:
    """The part of a record that is known before training."""
    reference = models.build(models.REFERENCE, cell.task, cell.model)
    parameters, budget = map(models.count_parameters, (cell.build(), reference))
    return {
        "cell": cell.name,
        **purpose(cell),
        "criterion": cell.task.criterion,
        "chance": cell.task.chance,
        "baseline": cell.task.baseline,
        "parameters": parameters,
        "parameters_over_lstm": parameters / budget,
        "features": models.matched_features(cell.model_name, cell.task, cell.model),
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
