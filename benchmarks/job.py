"""The job of benchmarks.whole_job, adding trained until solved, and how lstm_attn does it."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from lstm_attn import models, training
from lstm_attn.models import ModelConfig
from lstm_attn.tasks import Adding
from lstm_attn.training import TrainingConfig


@dataclasses.dataclass(frozen=True)
class Job:
    """What both sides train: an LSTM of H features and a linear readout, by Adam on the clipped
    gradient.

    The learning rate warms up linearly and falls along a cosine to zero. The forget gate's bias
    starts at `forget_bias`; kernels are LeCun's, recurrent kernels orthogonal, Flax's defaults. A
    trial ends when an evaluation on fresh data meets the task's criterion, or after `steps`.
    """

    trials: int = 8
    length: int = 200
    features: int = 64
    forget_bias: float = 1.0
    steps: int = 4000
    batch_size: int = 32
    learning_rate: float = 3e-2
    warmup_steps: int = 100
    clip_norm: float = 1.0
    evaluate_every: int = 100
    evaluation_sequences: int = 2000

    def __post_init__(self) -> None:
        self.task()
        self.training()

    def task(self) -> Adding:
        return Adding(self.length)

    def model(self) -> ModelConfig:
        return ModelConfig(
            features=self.features, forget_bias=self.forget_bias, kernel_init="lecun"
        )

    def training(self) -> TrainingConfig:
        return TrainingConfig(
            steps=self.steps,
            batch_size=self.batch_size,
            seeds=self.trials,
            learning_rates=(self.learning_rate,),
            warmup_steps=self.warmup_steps,
            clip_norm=self.clip_norm,
            evaluate_every=self.evaluate_every,
            evaluation_sequences=self.evaluation_sequences,
            stop_when_solved=True,
        )


class Evaluated(NamedTuple):
    """One evaluation of one trial."""

    trial: int
    step: int
    accuracy: float
    solved: bool


def run(job: Job) -> Iterator[Evaluated]:
    """All trials in one program, on one device a core."""
    training.use_host_cores()
    task, config = job.task(), job.training()
    program = training.make_program(models.build("lstm", task, job.model()), task, config)
    ended: set[int] = set()
    for evaluation, _ in training.run(program, task, config):
        for trial, solved in enumerate(evaluation.solved):
            if trial in ended:
                continue
            accuracy = float(evaluation.metrics["accuracy"][trial])
            yield Evaluated(trial, evaluation.step, accuracy, bool(solved))
            if solved or evaluation.diverged[trial]:
                ended.add(trial)
