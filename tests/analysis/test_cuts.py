"""Accuracy under cuts, of a hand-made model and of one with layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, tasks
from lstm_attn.analysis import crossing, cuts_of, metrics_when_cut
from lstm_attn.models import Model
from lstm_attn.modules.observing import Observations

TASK = tasks.copy(3)
LENGTH = TASK.sequence_length
BOTH = Observations({}, {"attention": None}, {"lstm": None})


def apply_cut(params, inputs, cut):
    """Recalls all symbols; without recurrence none, without attention the first five. The second
    trial recalls nothing."""
    symbols = inputs[:, :10, :9]
    known = ~cut.resets.any() & (cut.mask.all() | (jnp.arange(10) < 5))
    answers = symbols * params["right"] * known[None, :, None].astype(symbols.dtype)
    return jnp.zeros((*inputs.shape[:2], 9)).at[:, -10:].set(answers)


def test_accuracy_is_measured_under_each_cut():
    """Oracle: a hand-made model whose accuracy is known under each cut. Catches swapped cuts or
    trials, and a cut that lasts into the next measurement."""
    model = Model(init=lambda key: {}, apply=lambda params, inputs: inputs, apply_cut=apply_cut)
    params = {"right": np.array([1.0, 0.0], np.float32)}
    cuts = cuts_of(BOTH, LENGTH, crossing(TASK))
    found = metrics_when_cut(model, TASK, params, cuts, jax.random.key(0), 20)
    accuracy = {name: metrics["accuracy"].tolist() for name, metrics in found.items()}
    assert accuracy == {
        "nothing": [1, 0],
        "recurrence": [0, 0],
        "attention": [0.5, 0],
        "both": [0, 0],
    }
    by_position = found["attention"]["accuracy_by_position"]
    assert by_position.tolist() == [[1] * 5 + [0] * 5, [0] * 10]


@pytest.mark.full
def test_with_nothing_cut_the_metrics_are_those_of_apply():
    """Identity: the metrics of apply on the same sequences. Catches an empty cut that acts."""
    model = models.build("lstm_attention", TASK, models.ModelConfig(features=8))
    params = jax.jit(model.init)(jax.random.key(0))
    cuts = {"nothing": cuts_of(BOTH, LENGTH)["nothing"]}
    stacked = jax.tree.map(lambda leaf: leaf[None], params)
    found = metrics_when_cut(model, TASK, stacked, cuts, jax.random.key(1), 50)["nothing"]
    batch = TASK.sample(jax.random.key(1), 50)
    expected = TASK.metrics(jax.jit(model.apply)(params, batch.inputs), batch)
    np.testing.assert_allclose(found["loss"], [expected["loss"]], rtol=1e-5)


@pytest.mark.parametrize(
    ("states", "weights", "names"),
    [
        ({"body": 0}, {}, ["nothing", "recurrence"]),
        ({}, {"body": 0}, ["nothing", "attention"]),
        ({"lstm": 0}, {"attention": 0}, ["nothing", "recurrence", "attention", "both"]),
    ],
)
def test_only_paths_that_are_there_are_cut(states, weights, names):
    """Catches a bar for a cut that cuts nothing, and a layer without gates that is not cut."""
    cuts = cuts_of(Observations({}, weights, states), 5)
    assert list(cuts) == names
    for cut in cuts.values():
        assert (cut.resets is None, cut.mask is None) == (not states, not weights)


def test_a_model_without_a_path_to_cut_is_one_line():
    """Catches a study of cuts on a model that has nothing to cut."""
    with pytest.raises(ValueError, match=r"^cuts: expected a model with modules\.Recurrent or "):
        cuts_of(Observations({}, {}, {}), 5)


def test_what_must_be_remembered_lies_before_the_crossing():
    """Oracle: the sequences. Catches a crossing after the delimiter or within the first half."""
    batch = TASK.sample(jax.random.key(0), 4)
    assert (batch.inputs[:, crossing(TASK)].argmax(-1) == 9).all()
    for length in (6, 7):
        adding = tasks.adding(length)
        markers = adding.sample(jax.random.key(0), 50).inputs[..., 1]
        assert (markers[:, : crossing(adding)].sum(1) == 1).all()
        assert markers[:, crossing(adding)].any()
