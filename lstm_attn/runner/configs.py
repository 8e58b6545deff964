"""What the configs of studies have in common: their checks, and the grid of a comparison.

A task in a config is a name in TASKS, with its variant after a colon where it is not the task's
default: "adding", "adding:arjovsky2016". So one grid mixes tasks.
"""

import dataclasses
import operator
from collections.abc import Sequence

from lstm_attn import tasks
from lstm_attn.errors import UsageError, check_numbers, unknown_name
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.tasks import Task
from lstm_attn.training import TrainingConfig

COMPARED = ("lstm", "gru", "transformer", "lstm_attention")  # models, unless a study is told
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # that tuning begins with
SMALL = ModelConfig(features=30, num_heads=2, num_layers=2)  # about 4,500 parameters


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """names: the tasks; lengths: the T of each cell, in steps."""

    names: tuple[str, ...] = ("adding", "copy")
    lengths: tuple[int, ...] = (10, 50)

    def __post_init__(self) -> None:
        check_numbers(self, "task.")


@dataclasses.dataclass(frozen=True)
class OneTaskConfig:
    """name: the task; length: its T, in steps."""

    name: str = "adding"
    length: int = 50

    def __post_init__(self) -> None:
        check_numbers(self, "task.")

    def build(self) -> Task:
        """Raises a ValueError as `tasks.build` does."""
        return tasks.build(self.name, self.length)


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """models: names in MODELS; task, model, training, tuning: as their classes say."""

    models: tuple[str, ...] = COMPARED
    task: TaskConfig = TaskConfig()
    model: ModelConfig = SMALL
    training: TrainingConfig = TrainingConfig(
        steps=2000, seeds=8, learning_rates=RATES, stop_when_solved=True
    )
    tuning: TuningConfig = TuningConfig()

    def __post_init__(self) -> None:
        check_lists(self, "models", "task.names", "task.lengths")
        check_models(self.models)
        self.tuning.check(self.training.first_seed, self.training.seeds)
        grid_cells(self)


def grid_cells(config: CompareConfig) -> list[Cell]:
    """The cells in the order in which they run: by task, then length, then model.

    Raises:
      ValueError: an unknown task or variant, or a length too short for a task, on one line.
    """
    return [
        Cell(cell_name(name, length, model_name), model_name, task, config.model, config.training)
        for name in config.task.names
        for length in config.task.lengths
        for task in [tasks.build(name, length)]
        for model_name in config.models
    ]


def cell_name(task_name: str, length: int, ending: str) -> str:
    """Such as adding-50-lstm."""
    return f"{task_name.replace(':', '_')}-{length}-{ending}"


def check_lists(config: object, *keys: str) -> None:
    """Raises UsageError unless the list at each key holds at least one value, each of them once."""
    for key in keys:
        values = operator.attrgetter(key)(config)
        if not values:
            raise UsageError(f"{key}: expected at least one, got none")
        for value in values:
            if values.count(value) > 1:
                raise UsageError(f"{key}: {value!r} is given twice")


def check_models(names: Sequence[str]) -> None:
    """Raises UsageError for a name outside MODELS."""
    for name in names:
        if name not in MODELS:
            raise unknown_name("model", name, MODELS)


def check_tuned(training: TrainingConfig, tuning: TuningConfig) -> None:
    """Raises UsageError unless each cell is tested at one learning rate, on seeds that did not
    choose it."""
    if len(training.learning_rates) > 1 and not tuning.seeds:
        raise UsageError("tuning.seeds: expected at least 1 to choose a rate, got 0")
    tuning.check(training.first_seed, training.seeds)


def check_one_rate(key: str, training: TrainingConfig) -> None:
    """Raises UsageError unless all trials of a cell have one learning rate."""
    if len(training.learning_rates) != 1:
        raise UsageError(
            f"{key}: expected one learning rate, so that trials differ by their seed alone, "
            f"got {training.learning_rates}"
        )
