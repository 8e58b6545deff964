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
from lstm_attn.runner.configs import OneTaskConfig
from lstm_attn.runner.session import Session
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.runs import RunFolder
from lstm_attn.studies.gradient_reach import STUDY, GradientReachConfig, lines
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study

pytestmark = pytest.mark.usefixtures("compiled_quickly")

study = importlib.import_module("lstm_attn.studies.gradient_reach")
CONFIG = GradientReachConfig(
    models=("lstm",),
    forget_biases=(1.0,),
    task=OneTaskConfig("adding", 6),
    model=ModelConfig(features=4),
    training=TrainingConfig(
        steps=4, evaluate_every=2, warmup_steps=1, seeds=2, evaluation_sequences=20,
        confirmation_sequences=0, learning_rates=(0.1, 0.01, 0.001),
    ),
    tuning=TuningConfig(seeds=1),
    sequences=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return do_study(STUDY, CONFIG, tmp_path_factory.mktemp("run"))


@pytest.mark.full
def test_measurements_are_those_of_the_trained_parameters(done):
    """Identity with the analysis of parameters from `trained.load`, and of the first ones of seeds
    0 and 1. Catches before and after exchanged, a measured start that was not trained, gradients of
    the tuning seeds, and trials of several rates."""
    folder, _ = done
    found = folder.study("gradient_reach")
    assert [(entry["cell"], entry["phase"]) for entry in found["measured"]] == [
        ("adding-6-lstm", "before"),
        ("adding-6-lstm-chrono", "before"),
        ("adding-6-lstm", "after"),
        ("adding-6-lstm-chrono", "after"),
    ]
    chrono = trained.load(folder.path, "adding-6-lstm-chrono")
    bias = np.asarray(chrono.record["model_config"]["chrono_steps"])
    np.testing.assert_array_equal(bias, [2, 6])
    chosen = {cell["cell"]: cell["learning_rate"] for cell in folder.study("tuning")["cells"]}
    np.testing.assert_allclose(chrono.learning_rates, [chosen["adding-6-lstm-chrono"]] * 2)
    assert chrono.seeds.tolist() == [0, 1]

    def of(params):
        norms = norms_of_trials(chrono.model, params, chrono.task, sequences=5)
        return {name: reach(norms) for name, norms in norms.items()}

    before, after = found["measured"][1], found["measured"][3]
    assert after["gradients"] == of(chrono.params)
    # How training derives a trial's first parameters from its seed.
    keys = [jax.random.fold_in(jax.random.fold_in(jax.random.key(s), 0), 0) for s in range(2)]
    fresh = jax.tree.map(lambda *leaves: np.stack(leaves), *map(chrono.model.init, keys))
    for name, expected in of(fresh).items():
        np.testing.assert_allclose(before["gradients"][name]["median"], expected["median"], 2e-3)
    assert before["gradients"] != after["gradients"]
    assert [test["what"] for test in found["tests"]] == [
        "reaches farther back before training than", "reaches farther back after training than",
        "remembers on more seeds than",
    ]  # fmt: skip


@pytest.mark.full
def test_the_report_and_the_terminal_show_it(done):
    """Catches a study that the page does not know, and a table wider than a terminal."""
    folder, out = done
    page = (folder.path / "report.html").read_text()
    assert "Gradient reach: adding, T = 6" in page
    assert "Tuning" in page
    assert len(list(folder.path.glob("gradient-*.png"))) == 4
    assert len(list(folder.path.glob("reach-*.png"))) == 2
    assert f"report: {folder.path}/report.html" in out.replace("\n", "")
    row = next(line for line in out.splitlines() if "chrono" in line and "0/2" in line)
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
    """Catches a cell trained twice under two names, and chrono with another range than 2 to T."""
    both = dataclasses.replace(CONFIG, forget_biases=(0.0, 1.0))
    names = [line.cell.name for line in lines(both)]
    assert names == [
        "adding-6-lstm",
        "adding-6-lstm-forget-0",
        "adding-6-lstm",
        "adding-6-lstm-chrono",
    ]
    assert lines(both)[-1].cell.model.chrono_steps == (2.0, 6.0)
    alone = dataclasses.replace(both, models=("gru",))
    assert lines(alone)[2].cell.name == "adding-6-lstm-forget-1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("lstn",)}, "unknown model 'lstn': did you mean lstm"),
        ({"models": ()}, "models: expected at least one, got none"),
        ({"forget_biases": (1.0, 1.0)}, "forget_biases: 1.0 is given twice"),
        ({"sequences": 0}, "sequences: expected at least 1, got 0"),
        ({"model": ModelConfig(chrono_steps=(2.0, 9.0))}, "model.chrono_steps: expected ()"),
        ({"task": OneTaskConfig("adding", 1)}, "task.length: expected at least 2"),
        ({"tuning": TuningConfig(gate_bias=True)}, "tuning.gate_bias: expected False, since the study sets"),
        ({"tuning": TuningConfig(carry=True)}, "tuning.carry: expected False, since there is one"),
        ({"tuning": TuningConfig(seeds=0)}, "tuning.seeds: expected at least 1 to choose a rate"),
        ({"tuning": TuningConfig(first_seed=1)}, "tuning.first_seed: expected seeds that no test has"),
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
        steps = jnp.arange(1.0, inputs.shape[1] + 1)[None, :, None]
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


def record_of(cell, remember):
    """What a line says of a cell, whose seeds remember or do not."""
    return {
        "cell": cell.name, "parameters": 9, "trials": len(remember), "remembers": sum(remember),
        "remember_rate_low": 0.1, "remember_rate_high": 0.9, "solved": 0,
        "per_trial": [
            {"seed": seed, "learning_rate": 0.01, "share_remembered": 0.5,
             "steps_to_remember": 2 if one else None}
            for seed, one in zip(cell.training.all_seeds, remember, strict=True)
        ],
    }  # fmt: skip


def measured_of(cell, phase, values):
    """A measurement in which h of each seed reaches so far, and x the whole length."""

    def norms(values):
        return {
            "lags": [0, 1], "low": [1, 1], "median": [1, 1], "high": [1, 1], "length": 6,
            "share": 0.01, "trials": len(values),
            "reach": {"values": values, "median": 5.0, "low": 5.0, "high": 5.0},
        }  # fmt: skip

    return {
        "cell": cell.name,
        "phase": phase,
        "settings": study._settings(CONFIG, cell),
        "gradients": {"inputs": norms([6.0] * len(values)), "body": norms(values)},
    }


def test_a_start_with_other_settings_is_measured_again(tmp_path, monkeypatch):
    """Oracle: which cells are measured, by hand. Catches an old measurement, with other features,
    seeds or sequences, shown for a cell of the same name."""
    measured = []

    def measure(config, cell, phase, folder):
        measured.append(cell.name)
        return measured_of(cell, phase, [5.0, 5.0])

    monkeypatch.setattr(study, "measure", measure)
    monkeypatch.setattr(study, "_check_states", lambda cell: None)
    monkeypatch.setattr(Session, "record", lambda session, cell: record_of(cell, [False] * 2))
    monkeypatch.setattr(Session, "train", lambda session, cells: list(cells))
    folder = RunFolder.open(tmp_path / "run", {})
    training = dataclasses.replace(CONFIG.training, learning_rates=(0.01,))
    for changed, again in [({}, 4), ({}, 0), ({"features": 8}, 4)]:
        measured.clear()
        model = dataclasses.replace(CONFIG.model, **changed)
        config = dataclasses.replace(CONFIG, model=model, training=training)
        study.work(config, Session(folder, Console(file=io.StringIO())))
        assert len(measured) == again


def test_starts_are_compared_by_what_was_measured_and_remembered():
    """By hand, with seeds 3 to 14: chrono's h reaches farther after training on eleven of them, and
    the twelfth has no gradient; it remembers on ten. Catches reach paired by place where a trial is
    dead, that of x for h, phases exchanged, a model among the starts, and tests of a part of the
    measurements."""
    training = dataclasses.replace(CONFIG.training, first_seed=3, seeds=12)
    config = dataclasses.replace(CONFIG, models=("lstm", "gru"), training=training)
    drawn = lines(config)
    records = [
        record_of(line.cell, [line.label == "chrono" and place < 10 for place in range(12)])
        for line in drawn
    ]
    reaches = {("chrono", "after"): [5.0] * 3 + [None] + [5.0] * 8}
    measured = [
        measured_of(line.cell, phase, reaches.get((line.label, phase), [4.0] * 12))
        for line in drawn
        for phase in ("before", "after")
    ]
    found = study.findings(config, drawn, records, measured)
    before, after, remember = found["tests"]
    for test, ahead, pairs in ((before, 0, 12), (after, 11, 11), (remember, 10, 12)):
        assert (test["first"], test["second"]) == ("forget bias 1", "chrono")
        assert (test["first_ahead"], test["second_ahead"]) == (0, ahead)
        assert test["pairs"] == pairs
    assert after["verdict"] is None  # eleven pairs
    assert remember["verdict"].startswith("chrono remembers on more seeds than forget bias 1")
    assert (found["length"], found["budget"]) == (6, 4)
    assert [line["remembers"] for line in found["lines"]] == [0, 0, 0, 10]
    assert study.findings(config, drawn, records, measured[:-1])["tests"] == []
