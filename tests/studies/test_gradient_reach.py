"""The study of gradient reach, whole but tiny."""

import dataclasses
import importlib
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from rich.console import Console

from lstm_attn import models, trained
from lstm_attn.analysis import norms_of_trials, reach
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner import train_cells
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.session import Session
from lstm_attn.runs import RunFolder
from lstm_attn.studies.gradient_reach import STUDY, GradientReachConfig, ReachTask, lines
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study

pytestmark = pytest.mark.usefixtures("compiled_quickly")

CONFIG = GradientReachConfig(
    models=("lstm",),
    forget_biases=(1.0,),
    task=ReachTask("adding", length=6, untrained_length=12),
    model=ModelConfig(features=4),
    training=TrainingConfig(
        steps=4, evaluate_every=2, warmup_steps=1, seeds=2, evaluation_sequences=20
    ),
    sequences=5,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return do_study(STUDY, CONFIG, tmp_path_factory.mktemp("run"))


@pytest.mark.full
def test_measurements_are_those_of_the_trained_parameters(done):
    """Identity with the analysis of parameters from `trained.load`, and of the first ones of seeds
    0 and 1. Catches before and after exchanged, and a measured start that was not trained."""
    folder, _ = done
    found = folder.study("gradient_reach")
    assert [(entry["cell"], entry["phase"]) for entry in found["measured"]] == [
        ("adding-12-lstm", "before"),
        ("adding-12-lstm-chrono", "before"),
        ("adding-6-lstm", "before"),
        ("adding-6-lstm-chrono", "before"),
        ("adding-6-lstm", "after"),
        ("adding-6-lstm-chrono", "after"),
    ]
    chrono = trained.load(folder.path, "adding-6-lstm-chrono")
    bias = np.asarray(chrono.record["model_config"]["chrono_steps"])
    np.testing.assert_array_equal(bias, [2, 6])

    def of(params):
        norms = norms_of_trials(chrono.model, params, chrono.task, sequences=5)
        return {name: reach(norms) for name, norms in norms.items()}

    before, after = found["measured"][3], found["measured"][5]
    assert after["gradients"] == of(chrono.params)
    # How training derives a trial's first parameters from its seed.
    keys = [jax.random.fold_in(jax.random.fold_in(jax.random.key(s), 0), 0) for s in range(2)]
    fresh = jax.tree.map(lambda *leaves: np.stack(leaves), *map(chrono.model.init, keys))
    for name, expected in of(fresh).items():
        np.testing.assert_allclose(before["gradients"][name]["median"], expected["median"], 2e-3)
    assert before["gradients"] != after["gradients"]
    assert after["solved"] == "0/2"


@pytest.mark.full
def test_the_report_and_the_terminal_show_it(done):
    """Catches a study that the page does not know, and a table wider than a terminal."""
    folder, out = done
    page = (folder.path / "report.html").read_text()
    assert "Gradient reach" in page
    assert len(list(folder.path.glob("gradient-*.png"))) == 8
    assert f"report: {folder.path}/report.html" in out.replace("\n", "")
    row = next(line for line in out.splitlines() if "chrono" in line and "≥" in line)
    assert "…" not in row
    json.dumps(folder.study("gradient_reach"), allow_nan=False)


@pytest.mark.full
@pytest.mark.parametrize("left", [(), ({"settings": {}},)])
def test_a_rerun_does_what_is_left(done, monkeypatch, left):
    """Identity with the first run, whose last measurement is lost or is of fewer trials. Catches
    cells trained or measured again, and a measurement without the trials added since."""
    folder, _ = done
    found = folder.study("gradient_reach")
    *others, last = found["measured"]
    stale = [{**last, **change} for change in left]
    folder.write_study("gradient_reach", {**found, "measured": [*others, *stale]})
    monkeypatch.setattr(train_cells, "train_cell", None)
    monkeypatch.setattr(Cell, "make_program", None)
    do_study(STUDY, CONFIG, folder.path)
    assert folder.study("gradient_reach") == found


def test_the_start_of_the_models_is_one_cell():
    """Catches a cell trained twice under two names, and chrono with the other length's range."""
    both = dataclasses.replace(CONFIG, forget_biases=(0.0, 1.0))
    names = [line.cell.name for line in lines(both, 6)]
    assert names == [
        "adding-6-lstm",
        "adding-6-lstm-forget-0",
        "adding-6-lstm",
        "adding-6-lstm-chrono",
    ]
    assert lines(both, 12)[-1].cell.model.chrono_steps == (2.0, 12.0)
    alone = dataclasses.replace(both, models=("gru",))
    assert lines(alone, 6)[2].cell.name == "adding-6-lstm-forget-1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("lstn",)}, "unknown model 'lstn': did you mean lstm"),
        ({"models": ()}, "models: expected at least one, got none"),
        ({"forget_biases": (1.0, 1.0)}, "forget_biases: 1.0 is given twice"),
        ({"sequences": 0}, "sequences: expected at least 1, got 0"),
        ({"model": ModelConfig(chrono_steps=(2.0, 9.0))}, "model.chrono_steps: expected ()"),
        ({"task": ReachTask("adding", 6, 1)}, "task.untrained_length: expected at least 2"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_one_line(changes, message):
    """Catches a mistake that shows only after an hour of training."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        dataclasses.replace(CONFIG, **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class Averages(nn.Module):
    """Mean of the steps so far; no layer is a modules.Recurrent."""

    features: int

    @nn.compact
    def __call__(self, inputs):
        steps = jnp.arange(1.0, inputs.shape[1] + 1)[:, None]
        return nn.Dense(self.features)(jnp.cumsum(inputs, axis=1) / steps)


def test_a_model_without_hidden_states_is_refused_before_training(tmp_path, monkeypatch):
    """Catches a refusal after an hour of training, and one that names an argument which the study
    does not have."""
    monkeypatch.setitem(models.MODELS, "averages", lambda features, config: Averages(features))
    monkeypatch.setattr(Session, "train", None)
    config = dataclasses.replace(CONFIG, models=("averages",))
    message = "models: 'averages' shows no hidden states; expected .* examples/your_model.py$"
    with pytest.raises(UsageError, match=message):
        do_study(STUDY, config, tmp_path / "run")


def test_a_start_with_other_settings_is_measured_again(tmp_path, monkeypatch):
    """Oracle: which cells are measured, by hand. Catches an old measurement, with other features,
    seeds or sequences, shown for a cell of the same name that is not trained."""
    measured = []

    def note(config, cell, phase, folder):
        measured.append(cell.name)
        return {"cell": cell.name, "phase": phase, "settings": module._settings(config, cell)}

    module = importlib.import_module("lstm_attn.studies.gradient_reach")
    monkeypatch.setattr(module, "measure", note)
    monkeypatch.setattr(module, "medians_table", lambda result: "")
    monkeypatch.setattr(Session, "train", lambda session, cells: list(cells))
    folder = RunFolder.open(tmp_path / "run", {})
    for changed, again in [({}, 6), ({}, 0), ({"features": 8}, 6)]:
        measured.clear()
        config = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, **changed))
        module.work(config, Session(folder, Console(file=io.StringIO())))
        assert len(measured) == again
