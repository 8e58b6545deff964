"""Does a model work at lengths that it was not trained on? Each is tested at multiples of T."""

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

import jax

from lstm_attn import trained
from lstm_attn.analysis import length_generalisation as measure
from lstm_attn.analysis import rate_interval
from lstm_attn.analysis.intervals import or_null
from lstm_attn.errors import UsageError, check_whole, unknown_name
from lstm_attn.models import ModelConfig
from lstm_attn.modules import POSITIONS, continue_positions
from lstm_attn.report.length_generalisation import label, median, reach, share, trained_on
from lstm_attn.runner.cell import TEST_SEED, Cell
from lstm_attn.runner.configs import SMALL, check_lists, check_models
from lstm_attn.runner.session import Session
from lstm_attn.runs import RunFolder
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.tasks import Task
from lstm_attn.tasks import build as build_task
from lstm_attn.training import TrainingConfig

WITH_POSITIONS = "transformer"


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The training data: every task at every length over every range.

    names: of tasks.
    trained_lengths: T, in steps.
    shortest: shares of T. Sequences are of lengths from this share of T to T; 1 for T alone.
    """

    names: tuple[str, ...] = ("adding", "copy")
    trained_lengths: tuple[int, ...] = (20,)
    shortest: tuple[float, ...] = (1.0, 0.25)


@dataclasses.dataclass(frozen=True)
class MeasuredOn:
    """The test data: for each task, these multiples of every trained length.

    factors: multiples of T.
    sequences: of each trial at each length, in batches of batch_size.
    most_padding: as in `analysis.length_generalisation`.
    """

    factors: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    sequences: int = 500
    batch_size: int = 100
    most_padding: float = 4.0

    def __post_init__(self) -> None:
        for field in ("sequences", "batch_size"):
            check_whole(f"test.{field}", getattr(self, field))
        if self.sequences % self.batch_size:
            raise UsageError(
                f"test.sequences: expected a multiple of batch_size={self.batch_size}, "
                f"got {self.sequences}"
            )
        if not 1 <= self.most_padding < math.inf:
            raise UsageError(
                f"test.most_padding: expected finite and at least 1, got {self.most_padding}"
            )


@dataclasses.dataclass(frozen=True)
class LengthConfig:
    """models: names in MODELS; positions: schemes of the Transformer, each a model of its own;
    task, test, model, training: as their classes say."""

    models: tuple[str, ...] = ("lstm", "gru", "lstm_attention", "transformer")
    positions: tuple[str, ...] = ("none", "sinusoidal", "learned", "rotary", "alibi")
    task: TrainedOn = TrainedOn()
    test: MeasuredOn = MeasuredOn()
    model: ModelConfig = SMALL
    training: TrainingConfig = TrainingConfig(steps=2000, seeds=4, evaluation_sequences=1000)

    def __post_init__(self) -> None:
        check_lists(
            self, "models", "task.names", "task.trained_lengths", "task.shortest", "test.factors"
        )
        check_models(self.models)
        if WITH_POSITIONS in self.models:
            check_lists(self, "positions")
        for name in self.positions:
            if name not in POSITIONS:
                raise unknown_name("positions", name, POSITIONS)
        for share_of_length in self.task.shortest:
            if not 0 < share_of_length <= 1:
                raise UsageError(
                    f"task.shortest: expected shares of T, 0 < share <= 1, got {share_of_length}"
                )
        for factor in self.test.factors:
            if not 0 < factor < math.inf:
                raise UsageError(f"test.factors: expected finite ones above 0, got {factor}")
        grid = grid_cells(self)
        for cell in grid:
            tested_lengths(self, cell.task)
        names = [cell.name for cell in grid]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(
                    "task.shortest: expected shares that give different lengths, got "
                    f"{self.task.shortest}, by which {name} is given twice"
                )


def grid_cells(config: LengthConfig) -> list[Cell]:
    """The cells in the order in which they run: by task, length, range, then model.

    Raises:
      ValueError: an unknown task or variant, or a length too short for a task, on one line.
    """
    return [
        Cell(_name(task, model_name, model), model_name, task, model, config.training)
        for task in _trained_tasks(config.task)
        for model_name in config.models
        for model in _model_configs(model_name, config)
    ]


def _trained_tasks(config: TrainedOn) -> list[Task]:
    return [
        build_task(name, length, shortest=round(share_of_length * length))
        for name in config.names
        for length in config.trained_lengths
        for share_of_length in config.shortest
    ]


def _model_configs(model_name: str, config: LengthConfig) -> list[ModelConfig]:
    if model_name != WITH_POSITIONS:
        return [config.model]
    return [dataclasses.replace(config.model, positions=name) for name in config.positions]


def _name(task: Task, model_name: str, model: ModelConfig) -> str:
    lengths = f"{task.shortest}to" * (task.shortest < task.length) + str(task.length)
    positions = f"_{model.positions}" * (model_name == WITH_POSITIONS)
    return f"{task.name}-{lengths}-{model_name}{positions}"


def tested_lengths(config: LengthConfig, task: Task) -> list[int]:
    """The lengths to test, in steps; the same for all models of a task."""
    lengths = set()
    for trained_length in config.task.trained_lengths:
        for factor in config.test.factors:
            length = factor * trained_length
            if length != round(length):
                raise UsageError(
                    f"test.factors: expected whole numbers of steps, got {factor:g} "
                    f"of {trained_length}"
                )
            task.of_length(round(length))  # raises where the task can't be posed
            lengths.add(round(length))
    return sorted(lengths)


def test_cell(cell: Cell, config: LengthConfig, folder: RunFolder) -> dict[str, Any]:
    """What all trials of a trained cell do at the lengths of its task, as JSON values."""
    began = time.monotonic()
    key = jax.random.key(TEST_SEED)
    finished = trained.load(folder.path, cell.name)
    lengths = tested_lengths(config, cell.task)
    longest = cell.task.of_length(lengths[-1]).sequence_length
    measured = measure(
        finished.model,
        continue_positions(finished.params, longest, key),
        cell.task,
        lengths,
        key,
        trials=len(finished.seeds),
        sequences=config.test.sequences,
        batch_size=config.test.batch_size,
        most_padding=config.test.most_padding,
    )
    return {
        "cell": cell.name,
        "model": cell.model_name,
        "positions": cell.model.positions if cell.model_name == WITH_POSITIONS else None,
        "task": cell.task.name,
        "length": cell.task.length,
        "shortest": cell.task.shortest,
        "criterion": cell.task.of_length(cell.task.length).criterion,
        "accuracy_without_memory": cell.task.accuracy_without_memory,
        "trials": len(finished.seeds),
        "sequences": measured.sequences,
        "programs": measured.programs,
        "seconds": round(time.monotonic() - began, 3),
        "at": [
            {
                "length": length,
                "baseline": cell.task.of_length(length).baseline,
                "solved": int(measured.solved[n].sum()),
                "solve_rate": rate_interval(int(measured.solved[n].sum()), len(finished.seeds))[1:],
                "accuracies": measured.accuracy[n].tolist(),
                "losses": [or_null(loss) for loss in measured.loss[n]],
            }
            for n, length in enumerate(measured.lengths)
        ],
    }


def accuracy_table(entries: Sequence[dict[str, Any]]) -> Table:
    """One row a cell of one task: median accuracy at each length, and how far it holds."""
    return Table(
        f"{entries[0]['task']}: accuracy by tested length, median of trials",
        ("model", "trained on", *(str(at["length"]) for at in entries[0]["at"]), "holds\nto"),
        [
            (
                label(entry),
                trained_on(entry),
                *(share(median(at)) for at in entry["at"]),
                reach(entry),
            )
            for entry in entries
        ],
        left=("model", "trained on"),
    )


def length_generalisation(
    models: Names | None = None,
    tasks: Names | None = None,
    trained_lengths: Numbers | None = None,
    factors: Numbers | None = None,
    *,
    positions: Names | None = None,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Trains every model at each length and over each range, and tests it at multiples of it.

        studies.length_generalisation("lstm", "adding", trained_lengths=20, factors=(1, 2, 4))

    Args:
      models: names in `models.MODELS`; tasks: in `tasks.TASKS`.
      trained_lengths: T of training, in steps.
      factors: the multiples of T that are tested.
      positions: schemes of the Transformer, each a model of its own.
      workdir: a run folder to make or to extend; None for a temporary one.
      settings: fields of ModelConfig and TrainingConfig; task=, test=, model=, training= with a
        dict, such as task={"shortest": (1.0, 0.25)}, test={"sequences": 500}.

    Returns:
      A result whose `measured` has the accuracy of every trial at every length.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {
        "models": models,
        "positions": positions,
        "task.names": tasks,
        "task.trained_lengths": trained_lengths,
        "test.factors": factors,
    }
    return STUDY.call(workdir, fields, settings)


def work(config: LengthConfig, session: Session) -> list[Table | str]:
    """Trains what the folder lacks, and tests it."""
    folder, console = session.folder, session.console
    grid = session.train(grid_cells(config))
    # Those of cells that were not asked for this time stay.
    entries = {
        entry["cell"]: entry for entry in (folder.study(STUDY.name) or {"cells": []})["cells"]
    }
    untested = [cell for cell in grid if not _is_tested(config, cell, entries.get(cell.name))]
    for number, cell in enumerate(untested, 1):
        console.print(f"measuring {number} of {len(untested)}: {cell.name}")
        entry = entries[cell.name] = test_cell(cell, config, folder)
        folder.write_study(STUDY.name, {"cells": list(entries.values())})
        console.print(f"tested {cell.name}: holds to {reach(entry)}, {entry['seconds']:.0f} s")
    return [
        accuracy_table([entries[cell.name] for cell in grid if cell.task.name == name])
        for name in dict.fromkeys(cell.task.name for cell in grid)
    ]


def _is_tested(config: LengthConfig, cell: Cell, entry: dict[str, Any] | None) -> bool:
    """Whether the entry is of all trials of the cell, at these lengths and on so many sequences."""
    return entry is not None and (
        (entry["trials"], entry["sequences"], [at["length"] for at in entry["at"]])
        == (cell.training.trials, config.test.sequences, tested_lengths(config, cell.task))
    )


STUDY = Study("length_generalisation", LengthConfig, work)
