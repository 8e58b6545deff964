"""A grid cell small enough to train in a second."""

import pytest

from lstm_attn import models, tasks
from lstm_attn.training import TrainingConfig


@pytest.fixture(scope="session")
def task():
    return tasks.adding(6)


@pytest.fixture(scope="session")
def model(task):
    return models.build("gru", task, models.ModelConfig(features=6, num_heads=2))


@pytest.fixture(scope="session")
def config():
    """Four trials, so that the four devices of the tests make a trial axis of four."""
    return TrainingConfig(
        steps=20,
        batch_size=8,
        seeds=2,
        learning_rates=(1e-3, 1e-2),
        warmup_steps=4,
        evaluate_every=5,
        evaluation_sequences=40,
        confirmation_sequences=80,
    )
