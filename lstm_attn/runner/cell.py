"""A grid cell: one model on one task, all its trials one program."""

import dataclasses
import functools
from typing import Any

from lstm_attn import models, training
from lstm_attn.models import Model, ModelConfig
from lstm_attn.tasks import Task
from lstm_attn.training import Program, TrainingConfig

# Of data that a trained model meets: no trial has it, and all models meet the same sequences.
TEST_SEED = 1_000_003


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is trained, and its name in the run folder."""

    name: str
    model_name: str
    task: Task
    model: ModelConfig
    training: TrainingConfig

    @functools.cached_property
    def purpose(self) -> dict[str, Any]:
        """What distinguishes the cell from others, as JSON values; also in its record."""
        return {
            "model": self.model_name,
            "task": self.task.name,
            "variant": self.task.variant,
            "length": self.task.length,
            "shortest": self.task.shortest,
            "model_config": dataclasses.asdict(self.model),
            "training_config": {
                **dataclasses.asdict(self.training),
                "warmup_steps": self.training.warmup,
                "evaluate_every": self.training.chunk_steps,
            },
        }

    def build(self) -> Model:
        return models.build(self.model_name, self.task, self.model)

    def make_program(self) -> Program:
        return training.make_program(self.build(), self.task, self.training)

    def compiled(self) -> Program:
        """The program, compiled now."""
        return self.make_program().compiled()
