"""The study of the inside of models, from a config to its results, in this process."""

import dataclasses
import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import models, modules, trained
from lstm_attn.analysis import look_at_trials
from lstm_attn.models import ModelConfig
from lstm_attn.report.inside_figures import from_percent
from lstm_attn.runner.cell import TEST_SEED
from lstm_attn.runner.configs import CompareConfig, TaskConfig
from lstm_attn.studies.inside import LOOKED_AT, STUDY, in_percent
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study

pytestmark = pytest.mark.usefixtures("compiled_quickly")

CONFIG = CompareConfig(
    models=("gru", "lstm_attention"),
    task=TaskConfig(("copy",), (1,)),
    model=ModelConfig(features=4, num_heads=2, num_layers=1),
    training=TrainingConfig(
        steps=2, evaluate_every=2, warmup_steps=1, seeds=2, evaluation_sequences=10, batch_size=4
    ),
)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    return do_study(STUDY, CONFIG, tmp_path_factory.mktemp("runs") / "a")


@pytest.mark.full
def test_the_study_finds_what_the_functions_give(looked_at):
    """Oracle: `look_at_trials` on the run's own parameters. Catches before and after exchanged,
    trials mixed up, a head without its trials."""
    folder, out = looked_at
    gru, hybrid = folder.study("inside")["cells"]
    assert [cut["cut"] for cut in gru["cuts"]] == [
        "nothing", "recurrence, always", "recurrence, once"
    ]  # fmt: skip
    assert len(hybrid["cuts"]) == 7
    cell = trained.load(folder.path, "copy-1-lstm_attention")
    key = jax.random.key(TEST_SEED)
    seen = look_at_trials(cell.model, cell.task, cell.params, key, LOOKED_AT)
    slowest = [trial.time_scales["lstm"].max() for trial in seen]
    after = hybrid["gates"][0]["after"]
    np.testing.assert_allclose(after["slowest_unit"]["values"], slowest, atol=1e-3)
    assert sum(after["counts"]) == 2 * len(seen[0].time_scales["lstm"])
    distances = np.sort([trial.distances["attention"] for trial in seen], axis=1)
    for place, head in enumerate(hybrid["attention"][0]["heads"]):
        np.testing.assert_allclose(head["after"]["values"], distances[:, place], atol=1e-3)
        assert head["before"]["trials"] == 2
    assert f"report: {folder.path}/report.html" in out.replace("\n", "")
    assert "Inside the models: copy, T = 1" in (folder.path / "report.html").read_text()


@pytest.mark.full
def test_what_was_looked_at_is_not_looked_at_again(looked_at, monkeypatch):
    """Catches a rerun that trains or looks again, and a cell with new trials that is not looked at
    again."""
    folder, _ = looked_at
    found = folder.study("inside")
    before = json.dumps(found)
    found["cells"][-1]["trials"] = 1
    folder.write_study("inside", found)
    do_study(STUDY, CONFIG, folder.path)
    assert json.dumps(folder.study("inside")) == before
    monkeypatch.setattr(importlib.import_module("lstm_attn.studies.inside"), "look_inside", None)
    _, out = do_study(STUDY, CONFIG, folder.path)
    assert "0 of 2 cells to train" in out
    assert json.dumps(folder.study("inside")) == before


def test_a_model_with_nothing_to_look_at_is_refused_before_it_is_trained(tmp_path):
    """Catches a study that ends in an error after an hour."""
    config = dataclasses.replace(CONFIG, models=("attention_pooling",))
    message = r"^models: expected ones with modules.Recurrent, .*, got 'attention_pooling'$"
    with pytest.raises(ValueError, match=message):
        do_study(STUDY, config, tmp_path / "run")


class Elman(modules.Recurrent):
    """h' = tanh(x W + h U), without gates."""

    def parameters(self, features_in):
        shape = (features_in + self.features, self.features)
        return self.param("kernel", nn.initializers.glorot_uniform(), shape, self.param_dtype)

    def step(self, params, carry, x):
        h = jnp.tanh(jnp.concatenate([x, carry], axis=-1) @ params)
        return h, None


@pytest.mark.full
def test_a_recurrent_model_without_gates_is_cut(tmp_path, monkeypatch):
    """Oracle: the protocol, by which every `Recurrent` can be cut. Catches a study or a page that
    requires gates."""
    monkeypatch.setitem(models.MODELS, "elman", lambda features, config: Elman(features))
    config = dataclasses.replace(CONFIG, models=("elman",))
    folder, out = do_study(STUDY, config, tmp_path / "run")
    (cell,) = folder.study("inside")["cells"]
    assert [cut["cut"] for cut in cell["cuts"]] == [
        "nothing", "recurrence, always", "recurrence, once"
    ]  # fmt: skip
    assert cell["gates"] == cell["attention"] == []
    assert "elman" in out
    assert "recurrence, once" in (folder.path / "report.html").read_text()


def test_a_matrix_in_percent_comes_back():
    """Oracle: rounding. Catches rows and columns exchanged on the way to the report."""
    shares = np.random.default_rng(0).random((3, 4))
    np.testing.assert_allclose(from_percent(in_percent(shares)), shares, atol=0.00501)
