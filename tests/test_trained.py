"""Trained cells, loaded from a run folder."""

import json

import chex
import jax
import numpy as np
import pytest

from lstm_attn import models, tasks, trained, training
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runs import RunFolder

SMALL = training.TrainingConfig(
    steps=4, evaluate_every=4, warmup_steps=1, seeds=2, evaluation_sequences=20
)


def test_a_cell_comes_back_as_it_was_trained(tmp_path):
    """Identity with the states from which training would continue. Catches parameters of another
    cell, a task that forgets its range, an array of the file that is no parameter, a damaged
    checkpoint and one of another config."""
    task = tasks.over_range(tasks.adding(4), 2)
    cell = Cell("one", "gru", task, models.ModelConfig(features=4), SMALL)
    folder = RunFolder.open(tmp_path, {})
    with GridProgress([cell]) as progress:
        train_cell(cell, folder, progress)
    found = trained.load(tmp_path, "one")
    states = training.checkpoints.restore(folder.checkpoint("one"), cell.make_program())
    assert found.task == task
    chex.assert_trees_all_equal(found.params, states.params)
    np.testing.assert_array_equal(found.seeds, states.seed)
    inputs = task.sample(jax.random.key(0), 3).inputs
    second = jax.tree.map(lambda leaf: leaf[1], states.params)
    np.testing.assert_array_equal(
        jax.jit(found.model.apply)(found.trial(1), inputs),
        jax.jit(cell.build().apply)(second, inputs),
    )
    with pytest.raises(ValueError, match=r"unknown cell of .* 'two'"):
        trained.load(tmp_path, "two")

    checkpoint = folder.checkpoint("one")
    intact = checkpoint.read_bytes()
    checkpoint.write_bytes(intact[:-1])
    with pytest.raises(ValueError, match=r"one.safetensors is damaged.*take the cell out of"):
        trained.load(tmp_path, "one")
    checkpoint.write_bytes(intact)
    (record,) = folder.results
    record["training_config"]["batch_size"] = 7
    (tmp_path / "results.json").write_text(json.dumps([record]))
    with pytest.raises(ValueError, match=r"training_config.batch_size is 32 there and 7 here"):
        trained.load(tmp_path, "one")


def test_tuning_has_the_text_of_its_run(tmp_path):
    """By hand. Catches a copy of the text that is looked for, and a text taken from a folder around
    the run that is no run."""
    run = tmp_path / "run"
    assert trained.text_folder(run) == run / "text"
    RunFolder.open(run, {})
    assert trained.text_folder(run / "tuning") == run / "text"
    (run / "tuning" / "text").mkdir(parents=True)
    assert trained.text_folder(run / "tuning") == run / "tuning" / "text"
    assert trained.text_folder(run) == run / "text"
