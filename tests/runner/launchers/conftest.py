"""Cells that need no training, and the files that workers leave of them."""

import functools

import numpy as np
import pytest
from safetensors.numpy import save_file

from lstm_attn import tasks
from lstm_attn.history import Evaluation
from lstm_attn.models import ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import record_of

# One name is a prefix of another: the files of one must not be taken for the other's.
MODELS = ("lstm", "lstm_attention", "gru")
TRAINING = TrainingConfig(
    steps=40, evaluate_every=10, warmup_steps=1, seeds=2, evaluation_sequences=20
)


@pytest.fixture
def cells():
    return [
        Cell(f"adding-4-{name}", name, tasks.adding(4), ModelConfig(features=4), TRAINING)
        for name in MODELS
    ]


@pytest.fixture
def folder(tmp_path):
    return RunFolder.open(tmp_path / "run", {"a": 1})


def leave(cell, path, *steps, scale=1.0):
    """Writes what training to these steps leaves: metrics and a checkpoint."""
    folder = RunFolder(path)
    for step in steps:
        loss = np.array([scale / 3 / step, np.nan], np.float32)
        evaluation = Evaluation(
            step,
            step / 7,
            {"loss": loss},
            np.array([True, True]),
            np.array([True, False]),
            np.array([False, True]),
        )
        folder.add_evaluation(cell.name, evaluation)
        checkpoint = folder.checkpoint(cell.name)
        if checkpoint.exists():
            checkpoint.rename(checkpoint.with_suffix(".previous.safetensors"))
        save_file({"step": np.array([step]), "scale": np.array([scale])}, checkpoint)


def finish(cell, path):
    """Writes the remaining steps, and the record."""
    last = [evaluation.step for evaluation in RunFolder(path).evaluations(cell.name)]
    leave(cell, path, *range(max(last, default=0) + 10, 50, 10))
    RunFolder(path).add_result(record(cell))


@functools.cache
def record(cell):
    return record_of(cell, [10, None])
