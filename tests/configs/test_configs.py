"""Every config builds, its models have near-equal sizes, and it takes one step."""

import ast
import dataclasses
import functools
import importlib
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from lstm_attn import models, training
from lstm_attn.runner import checked_config

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "configs"
PATHS = [path for path in sorted(FOLDER.glob("*.py")) if path.name != "__init__.py"]
COMPARED = ("lstm", "gru", "transformer", "lstm_attention")


def study_of(path):
    """The study of a config; several configs belong to the comparison."""
    name = path.stem if (ROOT / "lstm_attn" / "studies" / path.name).exists() else "compare"
    return importlib.import_module(f"lstm_attn.studies.{name}").STUDY


def load(path):
    config = runpy.run_path(str(path))["get_config"]().to_dict()
    return checked_config.checked(study_of(path).config, config)


@functools.cache
def cells_of(path):
    return study_of(path).cells(load(path), ROOT / "runs" / "none")


def models_of(path):
    """The models of a study; for the comparison, every model that it may be given."""
    if study_of(path).name == "compare":
        return COMPARED
    return dict.fromkeys(cell.model_name for cell in cells_of(path))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_config_is_a_lab_note(path):
    """Catches a docstring without command, cost or what was seen."""
    note = ast.get_docstring(ast.parse(path.read_text()))
    assert f"--config=configs/{path.name}" in note
    assert "Cost" in note
    assert "Seen 20" in note


@pytest.mark.full
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_parameters_are_near_equal_in_every_cell(path):
    """Oracle: the LSTM's count, within 10 %. Of cells that differ only in length, the last."""
    differing = {(cell.task.name, cell.model_name, cell.model): cell for cell in cells_of(path)}
    for cell in differing.values():
        budget, count = (
            models.count_parameters(models.build(name, cell.task, cell.model))
            for name in ("lstm", cell.model_name)
        )
        assert abs(count / budget - 1) < 0.10, cell.name


@pytest.mark.full_but("quick-gru")
@pytest.mark.parametrize(
    ("path", "model_name"),
    [
        pytest.param(path, name, id=f"{path.stem}-{name}")
        for path in PATHS
        for name in models_of(path)
    ],
)
def test_every_config_takes_one_step(path, model_name):
    """At the shortest length of each task, with whole batches; a config's first model is run, the
    others are traced. Catches a config that fails an hour in."""
    config = load(path)
    one_step = dataclasses.replace(
        config.training, steps=1, evaluate_every=1, warmup_steps=0, seeds=1, evaluation_sequences=4
    )
    lengths = sorted((cell.task for cell in cells_of(path)), key=lambda task: -task.length)
    for task in {task.name: task for task in lengths}.values():
        model = models.build(model_name, task, config.model)
        if model_name != next(iter(models_of(path))):
            program = training.make_program(model, task, one_step)
            active = np.ones(one_step.trials, bool)
            states, metrics = program.advance.eval_shape(program.shapes, active, program.read(0))
            assert jax.tree.structure(states) == jax.tree.structure(program.shapes)
            assert metrics["loss"].shape == (one_step.trials,)
            continue
        history = training.train(model, task, one_step).history
        assert history.steps.tolist() == [1]
        assert np.isfinite(history.metrics["loss"]).all()
        # Untrained, a model is near the baseline: within a factor of 20, not at zero.
        assert np.all(history.metrics["loss"] > 0.1 * task.baseline)
        assert np.all(history.metrics["train_loss"] < 60 * task.baseline)


def test_a_config_is_checked_before_jax_computes():
    """In a process of its own. Catches a check that computes, so that devices can't be set up."""
    code = (
        "from lstm_attn import training\n"
        "from tests.configs import test_configs\n"
        "for path in test_configs.PATHS: test_configs.load(path)\n"
        "training.use_host_cores()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
