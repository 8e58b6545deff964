"""The smallest sizes that a config may have: every model trains, and its report is drawn."""

import jax
import numpy as np
import pytest
from rich.console import Console

from lstm_attn import models, report, tasks
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.train_cells import train_cells
from lstm_attn.runner.train_grid import train_missing
from lstm_attn.runs import RunFolder
from lstm_attn.studies.compare import remembers_table
from lstm_attn.training import TrainingConfig
from tests.report.reading_html import Page

pytestmark = pytest.mark.usefixtures("compiled_quickly")
NARROWEST = ModelConfig(features=1, num_heads=1, num_layers=1)
ONE_OF_ALL = TrainingConfig(
    steps=1, batch_size=1, seeds=1, warmup_steps=0, evaluate_every=1, evaluation_sequences=1,
    confirmation_sequences=1,
)  # fmt: skip


@pytest.mark.full
def test_one_of_everything_trains_and_is_reported(tmp_path):
    """H = 1, one head, B = 1, one step of one trial, one sequence to evaluate by; the shortest
    adding, of two steps, by each model, and a copy's delay of 1. Copy has eight symbols always.

    Oracle: a loss of the size of the baseline, and a row of the report for each cell. Catches an
    axis of one that is dropped, and a median, an interval or a figure of a single trial.
    """
    sizes = [(tasks.adding(2), name) for name in MODELS] + [(tasks.copy(1), "lstm")]
    cells = [
        Cell(f"{task.name}-{task.length}-{name}", name, task, NARROWEST, ONE_OF_ALL)
        for task, name in sizes
    ]
    grid = {"models": list(MODELS), "task": {"names": ["adding", "copy"], "lengths": [1, 2]}}
    folder = RunFolder.open(tmp_path / "run", grid)
    folder.begin({"commit": None})
    train_missing(cells, folder, Console(quiet=True), train=train_cells)
    records = report.in_grid_order(folder)
    for record in records:
        assert (record["trials"], record["steps"]) == (1, 1)
        assert 0.01 < record["final_loss"] / record["baseline"] < 100
        assert 0 <= record["remember_rate_low"] <= record["remember_rate_high"] <= 1
    assert len(remembers_table(records).rows) == len(cells)
    tables = Page(report.write(folder.path)).tables
    (costs,) = (table for table in tables if table[0][:3] == ["model", "task", "T"])
    assert [row[:3] for row in costs[1:]] == [
        [name, task.name, str(task.length)] for task, name in sizes
    ]


@pytest.mark.full_but("lstm")
@pytest.mark.parametrize("name", MODELS)
def test_a_sequence_of_one_step(name):
    """Identity: T = 1 gives what the first step of T = 3 does, since no model looks ahead. Catches
    an axis of one that is dropped, and a statistic over a single step."""
    model = models.build(name, tasks.adding(3), NARROWEST)
    params = jax.jit(model.init)(jax.random.key(0))
    inputs = tasks.adding(3).sample(jax.random.key(1), 1).inputs
    longer = jax.jit(model.apply)(params, inputs)
    np.testing.assert_allclose(
        jax.jit(model.apply)(params, inputs[:, :1]), longer[:, :1], rtol=1e-5, atol=1e-6
    )
