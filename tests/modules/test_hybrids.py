"""Alternating layers and attention pooling against their equations in float64."""

import jax
import numpy as np
import pytest

from lstm_attn import models, modules, tasks
from lstm_attn.models import ModelConfig
from tests import oracles
from tests.modules.test_modules import BATCH, dense, initialised, inputs_of, layer_norm, multi_head


def test_alternating_blocks_are_their_equations():
    """Oracle: LSTM and attention in float64, each on the norm of the stream and added to it.
    Catches an order exchanged, a lost residual, and a norm shared by two layers."""
    inputs = inputs_of()
    module = modules.LSTMAttentionBlocks(features=4, num_heads=2, num_layers=2)
    params = initialised(module, inputs)
    x, zeros = dense(params["embed"], np.asarray(inputs, np.float64)), np.zeros((BATCH, 4))
    for n in (0, 1):
        lstm = (params[f"lstm_{n}"][name] for name in ("kernel", "recurrent_kernel", "bias"))
        x = x + oracles.lstm(*lstm, layer_norm(params[f"lstm_norm_{n}"], x), zeros, zeros)[0]
        normal = layer_norm(params[f"attention_norm_{n}"], x)
        x = x + multi_head(params[f"attention_{n}"], normal, 2)
    expected = layer_norm(params["norm"], x)
    np.testing.assert_allclose(
        module.apply({"params": params}, inputs), expected, atol=oracles.MODEL
    )


def test_attention_pooling_is_the_papers_context_at_every_step():
    """Oracle: equations 5 and 6 of Raffel & Ellis on each prefix. Catches a lost nonlinearity."""

    def leaky(x):
        return np.where(x > 0, x, 0.01 * x)

    inputs, module = inputs_of(), modules.AttentionPooling(features=4)
    params = initialised(module, inputs)
    hidden = leaky(dense(params["hidden"], np.asarray(inputs, np.float64)))
    weights = np.exp(np.tanh(dense(params["score"], hidden)))
    out = np.asarray(module.apply({"params": params}, inputs))
    for t in range(inputs.shape[1]):
        past = slice(t + 1)
        context = (weights[:, past] * hidden[:, past]).sum(1) / weights[:, past].sum(1)
        np.testing.assert_allclose(
            out[:, t], leaky(dense(params["context"], context)), atol=oracles.MODEL
        )


def test_attention_pooling_has_the_parameters_of_the_paper():
    """Oracle: the 10,602 that Raffel & Ellis count at 100 features. Catches a layer too many."""
    task = tasks.adding(50)
    network = models.Network(modules.AttentionPooling(100), task.output_features)
    shapes = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, 50, 2), np.float32))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 10_602


def test_the_hybrid_takes_any_recurrent_module():
    """Catches a hybrid that makes an LSTM whatever it is given."""
    module = modules.LSTMAttention(features=4, num_heads=2, recurrent=modules.GRU)
    params = module.init(jax.random.key(0), inputs_of())["params"]
    assert params["lstm"]["kernel"].shape == (5, 12)


@pytest.mark.full
def test_a_config_reaches_the_recurrent_part_of_every_model_that_has_one():
    """Oracle: the bias that the key asks for. Catches a key that acts on the plain LSTM alone."""
    task = tasks.adding(6)
    for placement, path in (("over_states", "lstm"), ("alternating", "lstm_0")):
        config = ModelConfig(features=8, forget_bias=3.0, attention_placement=placement)
        model = models.build("lstm_attention", task, config)
        bias = model.init(jax.random.key(0))["body"][path]["bias"]
        np.testing.assert_array_equal(oracles.gate(bias, "ifgo", "f"), 3.0)
        np.testing.assert_array_equal(oracles.gate(bias, "ifgo", "i"), 0.0)
