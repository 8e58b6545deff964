"""The grid of a comparison: models x tasks x lengths, from a checked config."""

import dataclasses
from collections.abc import Sequence

from experiments.cells import Cell
from lstm_attn import tasks
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.training import TrainingConfig


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """names: in TASKS; variant: of each of them; lengths: the T of each cell, in steps."""

    names: tuple[str, ...]
    variant: str
    lengths: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """models: names in MODELS; task, model, training: as their classes say."""

    models: tuple[str, ...]
    task: TaskConfig
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        for key, values in (
            ("models", self.models),
            ("task.names", self.task.names),
            ("task.lengths", self.task.lengths),
        ):
            check_list(key, values)
        for name in self.models:
            if name not in MODELS:
                raise unknown_name("model", name, MODELS)
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


def check_list(key: str, values: Sequence) -> None:
    """Raises UsageError for an empty list, or one that holds a value twice."""
    if not values:
        raise UsageError(f"{key}: expected at least one, got none")
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f"{key}: {value!r} is given twice")
