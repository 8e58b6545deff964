"""Modules own parameters and call ops: names, values against oracles, causality by gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import modules, ops
from tests import oracles

BATCH, LENGTH, FEATURES_IN = 2, 6, 5


def inputs_of(features=FEATURES_IN, seed=0):
    return jax.random.normal(jax.random.key(seed), (BATCH, LENGTH, features))


def initialised(module, inputs):
    """Random parameters, biases too, so that a lost bias shows."""
    params = module.init(jax.random.key(1), inputs)["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    drawn = [
        leaf + 0.3 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, drawn)


def test_lstm_module_is_the_equations_with_its_named_parameters():
    """Oracle: float64 equations. Catches parameters exchanged on their way to the op."""
    inputs, module = inputs_of(), modules.LSTM(4)
    params = initialised(module, inputs)
    assert {name: p.shape for name, p in params.items()} == {
        "kernel": (5, 16),
        "recurrent_kernel": (4, 16),
        "bias": (16,),
    }
    rng = np.random.default_rng(0)
    carry = ops.LSTMState(*rng.normal(size=(2, BATCH, 4)).astype(np.float32))
    last, outputs = module.apply({"params": params}, inputs, initial_carry=carry, return_carry=True)
    expected, h, c = oracles.lstm(
        params["kernel"], params["recurrent_kernel"], params["bias"], inputs, *carry
    )
    np.testing.assert_allclose(outputs, expected, atol=oracles.MODEL)
    np.testing.assert_allclose(last.h, h, atol=oracles.MODEL)
    np.testing.assert_allclose(last.c, c, atol=oracles.MODEL)


def test_gru_module_is_the_equations_with_its_named_parameters():
    """Oracle: float64 equations. Catches parameters exchanged on their way to the op."""
    inputs, module = inputs_of(), modules.GRU(4)
    params = initialised(module, inputs)
    names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    assert set(params) == set(names)
    carry = np.random.default_rng(0).normal(size=(BATCH, 4)).astype(np.float32)
    last, outputs = module.apply({"params": params}, inputs, initial_carry=carry, return_carry=True)
    expected, h = oracles.gru(*(params[name] for name in names), inputs, carry)
    np.testing.assert_allclose(outputs, expected, atol=oracles.MODEL)
    np.testing.assert_allclose(last, h, atol=oracles.MODEL)


def test_multi_head_attention_matches_flax_linen_with_the_same_parameters():
    """Oracle: flax.linen.MultiHeadDotProductAttention. Catches heads split along the wrong axis."""
    inputs, module = inputs_of(8), modules.MultiHeadAttention(num_heads=2)
    params = initialised(module, inputs)
    theirs = {
        name: {
            "kernel": params[name]["kernel"].reshape(8, 2, 4),
            "bias": params[name]["bias"].reshape(2, 4),
        }
        for name in ("query", "key", "value")
    }
    theirs["out"] = {
        "kernel": params["out"]["kernel"].reshape(2, 4, 8),
        "bias": params["out"]["bias"],
    }
    expected = nn.MultiHeadDotProductAttention(num_heads=2).apply(
        {"params": theirs}, inputs, mask=nn.make_causal_mask(jnp.zeros((BATCH, LENGTH)))
    )
    out = module.apply({"params": params}, inputs, is_causal=True)
    np.testing.assert_allclose(out, expected, atol=oracles.MODEL)


def dense(params, x):
    return np.asarray(x) @ np.asarray(params["kernel"], np.float64) + np.asarray(
        params["bias"], np.float64
    )


def layer_norm(params, x):
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return normal * np.asarray(params["scale"], np.float64) + np.asarray(params["bias"], np.float64)


def multi_head(params, x, num_heads):
    """Causal heads, each a block of the features, then the output projection."""
    heads = (*x.shape[:2], num_heads, x.shape[2] // num_heads)
    query, key, value = (dense(params[n], x).reshape(heads) for n in ("query", "key", "value"))
    causal = np.tril(np.ones((x.shape[1], x.shape[1]), bool))
    return dense(params["out"], oracles.attention(query, key, value, causal).reshape(x.shape))


def test_transformer_block_is_pre_norm_with_two_residuals():
    """Oracle: the equations in float64. Catches post-norm, a lost residual, another activation."""
    inputs, module = inputs_of(8), modules.TransformerBlock(num_heads=2, mlp_features=12)
    params = initialised(module, inputs)
    x = np.asarray(inputs, np.float64)
    y = x + multi_head(params["attention"], layer_norm(params["attention_norm"], x), 2)
    hidden = dense(params["mlp_in"], layer_norm(params["mlp_norm"], y))
    gelu = 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
    expected = y + dense(params["mlp_out"], gelu)
    out = module.apply({"params": params}, inputs)
    np.testing.assert_allclose(out, expected, atol=2e-4)


def test_lstm_attention_is_its_equations():
    """Oracle: float64 LSTM, attention over its states, tanh of both. Catches a lost path."""
    inputs, module = inputs_of(), modules.LSTMAttention(features=4, num_heads=2)
    params = initialised(module, inputs)
    lstm = params["lstm"]
    zeros = np.zeros((BATCH, 4))
    states, _, _ = oracles.lstm(
        lstm["kernel"], lstm["recurrent_kernel"], lstm["bias"], inputs, zeros, zeros
    )
    attended = multi_head(params["attention"], states, 2)
    expected = np.tanh(dense(params["combine"], np.concatenate([attended, states], axis=-1)))
    out = module.apply({"params": params}, inputs)
    np.testing.assert_allclose(out, expected, atol=oracles.MODEL)


@pytest.mark.full_but("LSTM", "LSTMAttention")
@pytest.mark.parametrize(
    "module",
    [
        modules.LSTM(4),
        modules.GRU(4),
        modules.Transformer(features=4, num_heads=2, num_layers=2),
        modules.LSTMAttention(features=4, num_heads=2),
        modules.LSTMAttentionBlocks(features=4, num_heads=2, num_layers=2),
        modules.AttentionPooling(features=4),
    ],
    ids=lambda module: type(module).__name__,
)
def test_no_output_depends_on_a_later_input(module):
    """Oracle: the Jacobian, zero above the diagonal of time and not below it. Catches a leak of
    the future, and a past that is cut off."""
    inputs = inputs_of()
    params = initialised(module, inputs)

    def summed(x):
        return module.apply({"params": params}, x).sum(axis=(0, 2))  # [T]

    jacobian = jax.jacrev(summed)(inputs)  # [T, B, T, D]
    reach = np.abs(np.asarray(jacobian)).sum(axis=(1, 3))  # [output step, input step]
    assert np.all(np.triu(reach, 1) == 0)
    assert np.all(np.tril(reach) + np.triu(np.ones_like(reach), 1) > 0)


def test_heads_that_do_not_divide_the_features_are_refused():
    """Catches a reshape error from inside JAX."""
    with pytest.raises(ValueError, match="num_heads expected a divisor of features=5, got 2"):
        modules.MultiHeadAttention(num_heads=2).init(jax.random.key(0), inputs_of())
