"""Does a model remember at lengths that it was not trained on? Each is tested at multiples of T.

A row is a model, or a scheme of positions of the Transformer, trained on T alone or on a range of
lengths up to T. Each row has a learning rate of its own, tuned on other seeds than it is tested.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from lstm_attn.errors import UsageError, check_numbers, unknown_name
from lstm_attn.models import ModelConfig
from lstm_attn.modules import POSITIONS
from lstm_attn.report.length_generalisation import label_and_mark, reach, t50, trained_on
from lstm_attn.report.tables import remembering
from lstm_attn.runner import tuning_notes
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import COMPARED, RATES, SMALL, check_lists, check_models, check_tuned
from lstm_attn.runner.session import Session
from lstm_attn.runner.tune import tune
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.studies.tested_lengths import WITH_POSITIONS, MeasuredOn, test_cell
from lstm_attn.studies.trained_ranges import findings
from lstm_attn.tasks import Task
from lstm_attn.tasks import build as build_task
from lstm_attn.training import TrainingConfig


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The training data: every task at every length over every range.

    names: the tasks.
    trained_lengths: T, in steps.
    shortest: shares of T: sequences are of lengths from this share of T to T; 1 for T alone.
    """

    names: tuple[str, ...] = ("adding", "copy")
    trained_lengths: tuple[int, ...] = (20,)
    shortest: tuple[float, ...] = (1.0, 0.25)

    def __post_init__(self) -> None:
        check_numbers(self, "task.")


@dataclasses.dataclass(frozen=True)
class LengthConfig:
    """models: names in MODELS; positions: schemes of the Transformer, each a row of its own;
    task, test, model, training, tuning: as their classes say."""

    models: tuple[str, ...] = COMPARED
    positions: tuple[str, ...] = ("none", "sinusoidal", "rotary", "alibi")
    task: TrainedOn = TrainedOn()
    test: MeasuredOn = MeasuredOn()
    model: ModelConfig = SMALL
    training: TrainingConfig = TrainingConfig(
        steps=1000, seeds=16, learning_rates=RATES, evaluation_sequences=500
    )
    tuning: TuningConfig = TuningConfig()

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
        if self.tuning.positions:
            raise UsageError(
                "tuning.positions: expected none, since each scheme in `positions` is a row of its "
                f"own, got {self.tuning.positions}"
            )
        check_tuned(self.training, self.tuning)
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


def remembers_table(rows: Sequence[dict[str, Any]]) -> Table:
    """One row a cell of one task: how many trials remember each length, and how far."""
    first = rows[0]
    return Table(
        f"{first['task']}: trials that remember, by tested length",
        ("model", "trained on", *(str(at["length"]) for at in first["at"]), "up to", "T50"),
        [
            (
                label_and_mark(row),
                trained_on(row),
                *map(remembering, row["at"]),
                reach(row),
                t50(row),
            )
            for row in rows
        ],
        left=("model", "trained on"),
        caption="up to: the longest tested length at which the interval of the rate lies above one "
        "half, and does from the trained length on; T50: the length that half of the trials "
        "remember, with its interval; (tuned): the best positions on other seeds",
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
      positions: schemes of the Transformer, each a row of its own.
      workdir: a run folder to make or to extend; None for a temporary one.
      settings: fields of ModelConfig and TrainingConfig; task=, test=, tuning= and so on with a
        dict, such as task={"shortest": (1.0, 0.25)}, test={"sequences": 500}.

    Returns:
      A result whose `measured` has the share remembered of every trial at every length.

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
    """Tunes and trains what the folder lacks, and tests it."""
    folder, console = session.folder, session.console
    asked = grid_cells(config)
    grid = session.train(tune(asked, config.tuning, session))
    # Those of cells that were not asked for this time stay.
    entries = {
        entry["cell"]: entry for entry in (folder.study(STUDY.name) or {"cells": []})["cells"]
    }
    untested = [cell for cell in grid if not _is_tested(config, cell, entries.get(cell.name))]
    forgotten = {
        cell.name: _log_forgotten(tuning_notes.record_of(one, folder))
        for cell, one in zip(grid, asked, strict=True)
    }
    for name in entries.keys() & forgotten.keys():
        entries[name]["log_forgotten"] = forgotten[name]
    for number, cell in enumerate(untested, 1):
        console.print(f"measuring {number} of {len(untested)}: {cell.name}")
        entry = entries[cell.name] = test_cell(
            cell, tested_lengths(config, cell.task), config.test, folder
        )
        entry["log_forgotten"] = forgotten[cell.name]
        folder.write_study(STUDY.name, findings([*entries.values()]))
        console.print(
            f"tested {cell.name}: remembers up to {reach(entry)}, {entry['seconds']:.0f} s"
        )
    result = findings([*entries.values()])
    folder.write_study(STUDY.name, result)
    rows = {row["cell"]: row for row in result["cells"]}
    return [
        remembers_table([rows[cell.name] for cell in grid if cell.task.name == name])
        for name in dict.fromkeys(cell.task.name for cell in grid)
    ]


def _log_forgotten(tuning: dict[str, Any] | None) -> float | None:
    """That of the chosen rate on the tuning seeds; None if there was no choice, or all diverged."""
    if tuning is None:
        return None
    return next(
        one["log_forgotten"]
        for one in tuning["tried"]
        if (one["choice"], one["learning_rate"]) == (tuning["choice"], tuning["learning_rate"])
    )


def _is_tested(config: LengthConfig, cell: Cell, entry: dict[str, Any] | None) -> bool:
    """Whether the entry is of all trials of the cell, at these lengths and on so many sequences."""
    return entry is not None and (
        (entry["trials"], entry["sequences"], [at["length"] for at in entry["at"]])
        == (cell.training.trials, config.test.sequences, tested_lengths(config, cell.task))
    )


STUDY = Study("length_generalisation", LengthConfig, work, lambda config, _: grid_cells(config))
