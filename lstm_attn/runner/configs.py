"""The grid of a comparison: models x tasks x lengths, from a checked config."""

import dataclasses
import operator
from collections.abc import Sequence

from lstm_attn import tasks
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.tasks import Task
from lstm_attn.training import TrainingConfig


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """names: in TASKS; variant: of each of them; lengths: the T of each cell, in steps."""

    names: tuple[str, ...]
    variant: str
    lengths: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class OneTaskConfig:
    """name: in TASKS; variant: of it; length: its T, in steps."""

    name: str
    variant: str
    length: int

    def build(self) -> Task:
        """Raises a ValueError as `tasks.build` does."""
        return tasks.build(self.name, self.length, self.variant)


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """models: names in MODELS; task, model, training: as their classes say."""

    models: tuple[str, ...]
    task: TaskConfig
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        check_lists(self, "models", "task.names", "task.lengths")
        check_models(self.models)
        grid_cells(self)


def grid_cells(config: CompareConfig) -> list[Cell]:
    """The cells in the order in which they run: by task, then length, then model.

    Raises:
      ValueError: an unknown task or variant, or a length too short for a task, on one line.
    """
    return [
        Cell(
            f"{task_name}-{length}-{model_name}",
            model_name,
            tasks.build(task_name, length, config.task.variant),
            config.model,
            config.training,
        )
        for task_name in config.task.names
        for length in config.task.lengths
        for model_name in config.models
    ]


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


def check_one_rate(key: str, training: TrainingConfig) -> None:
    """Raises UsageError unless all trials of a cell have one learning rate."""
    if len(training.learning_rates) != 1:
        raise UsageError(
            f"{key}: expected one learning rate, so that trials differ by their seed alone, "
            f"got {training.learning_rates}"
        )
