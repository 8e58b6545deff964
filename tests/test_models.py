"""The MODELS table: shapes, near-equal sizes, errors."""

import chex
import jax
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import models, tasks
from lstm_attn.models import MODELS, ModelConfig

SIZES = [ModelConfig(features=32, num_heads=2, num_layers=1), ModelConfig(features=64)]


def test_the_lstm_has_as_many_parameters_as_its_equations_say():
    """Oracle: 4H(D + H + 1) and a readout of (H + 1) O, by hand. Catches a second bias."""
    task = tasks.copy(10)
    model = models.build("lstm", task, ModelConfig(features=32))
    assert models.count_parameters(model) == 4 * 32 * (10 + 32 + 1) + (32 + 1) * 9
    held = model.init(jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(held)) == models.count_parameters(model)


def test_parameters_are_made_by_one_program():
    """Oracle: Flax's own init, operation by operation. Catches parameters that differ, and seconds
    of compiling each operation."""
    task, config = tasks.adding(10), ModelConfig(features=8)
    for model in (models.build("lstm", task, config), models.of_module(nn.Dense(1), task)):
        assert isinstance(model.init, jax.stages.Wrapped)
        with jax.disable_jit():
            expected = model.init(jax.random.key(0))
        chex.assert_trees_all_close(model.init(jax.random.key(0)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.full_but("transformer-copy-64")
@pytest.mark.parametrize("config", SIZES, ids=lambda config: str(config.features))
@pytest.mark.parametrize("task", [tasks.adding(50), tasks.copy(50)], ids=lambda task: task.name)
@pytest.mark.parametrize("name", MODELS)
def test_parameter_counts_are_near_equal(name, task, config):
    """Oracle: the LSTM's count. Catches a search that stops at the wrong side of the budget."""
    budget = models.count_parameters(models.build("lstm", task, config))
    count = models.count_parameters(models.build(name, task, config))
    assert abs(count / budget - 1) < 0.10


@pytest.mark.full_but("lstm-copy")
@pytest.mark.parametrize("task", [tasks.adding(6), tasks.copy(2)], ids=lambda task: task.name)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_maps_every_task(name, task):
    """Oracle: the task's loss of a constant. Catches outputs of the wrong width or length."""
    model = models.build(name, task, SIZES[0])
    batch = task.sample(jax.random.key(0), 3)
    outputs = model.apply(model.init(jax.random.key(1)), batch.inputs)
    chex.assert_shape(outputs, (3, task.sequence_length, task.output_features))
    assert np.isfinite(task.loss(outputs, batch))


def test_an_unknown_model_names_the_nearest():
    """Catches a KeyError from the table."""
    with pytest.raises(ValueError, match=r"unknown model 'lsmt': did you mean lstm"):
        models.build("lsmt", tasks.adding(10))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"features": 10, "num_heads": 4}, "divisor of features=10, got 4"),
        ({"features": 0}, "model.features: expected at least 1, got 0"),
        ({"num_layers": 0}, "model.num_layers: expected at least 1, got 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, message):
    """Catches a failure deep in a trace."""
    with pytest.raises(ValueError, match=message):
        ModelConfig(**sizes)


@pytest.mark.full_but("lstm")
@pytest.mark.parametrize("name", MODELS)
def test_parameters_stay_float32_where_64_bit_is_enabled(name, float64):
    """Catches an initialiser that takes JAX's default dtype, and then a scan that fails."""
    task = tasks.adding(6)
    model = models.build(name, task, SIZES[0])
    params = model.init(jax.random.key(0))
    chex.assert_tree_all_finite(params)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    assert model.apply(params, task.sample(jax.random.key(1), 2).inputs).dtype == np.float32


def test_a_name_given_to_another_model_is_sized_again(monkeypatch):
    """Catches a width cached by name."""
    task = tasks.adding(6)
    monkeypatch.setitem(MODELS, "mine", MODELS["gru"])
    first = models.matched_features("mine", task, SIZES[0])
    monkeypatch.setitem(MODELS, "mine", MODELS["lstm_attention"])
    assert models.matched_features("mine", task, SIZES[0]) != first
