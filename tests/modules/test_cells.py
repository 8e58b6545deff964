"""Our cells in flax.linen.RNN, our modules in NNX, and the LSTM's variants as modules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from flax.nnx import bridge

from lstm_attn import modules
from tests import oracles
from tests.modules.test_modules import BATCH, initialised, inputs_of

LENGTHS = jnp.array([3, 6])


@pytest.mark.full_but("gru")
@pytest.mark.parametrize(
    ("cell", "whole"),
    [
        (modules.LSTMCell(4), modules.LSTM(4)),
        (modules.GRUCell(4), modules.GRU(4)),
        (modules.GRUCell(4, reset_after=False), modules.GRU(4, reset_after=False)),
    ],
    ids=["lstm", "gru", "gru, reset before"],
)
def test_a_cell_in_flax_linen_rnn_is_our_module(cell, whole):
    """Oracle: flax.linen.RNN's own scan, lengths and reversal. Catches parameters of other names,
    a carry of another shape, and lengths that mean something else."""
    inputs = inputs_of()
    params = initialised(whole, inputs)
    rnn = nn.RNN(cell, return_carry=True)
    assert jax.tree.map(jnp.shape, rnn.init(jax.random.key(0), inputs)["params"]["cell"]) == (
        jax.tree.map(jnp.shape, params)
    )
    for options in ({}, {"seq_lengths": LENGTHS}, {"reverse": True, "keep_order": True}):
        carry, expected = rnn.apply({"params": {"cell": params}}, inputs, **options)
        ours = {name: value for name, value in options.items() if name != "keep_order"}
        last, outputs = whole.apply({"params": params}, inputs, return_carry=True, **ours)
        for row, length in enumerate(ours.get("seq_lengths", [6, 6])):
            np.testing.assert_allclose(
                outputs[row, :length], expected[row, :length], atol=oracles.LAYER
            )
        for mine, theirs in zip(jax.tree.leaves(last), jax.tree.leaves(carry), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=oracles.LAYER)


@pytest.mark.full_but("GRU")
@pytest.mark.parametrize(
    "module",
    [
        modules.LSTM(4),
        modules.GRU(4),
        modules.Bidirectional(modules.LSTM(4), modules.LSTM(4)),
        modules.MultiHeadAttention(num_heads=1),
        modules.AdditiveAttention(4),
        modules.PeepholeLSTM(4),
        modules.CoupledLSTM(4),
        modules.LayerNormLSTM(4),
        modules.TransformerBlock(num_heads=1, mlp_features=4),
        modules.Transformer(4, num_heads=2, num_layers=1),
        modules.LSTMAttention(4, num_heads=2),
        modules.LSTMAttentionBlocks(4, num_heads=2, num_layers=1),
        modules.AttentionPooling(4),
    ],
    ids=lambda module: type(module).__name__,
)
def test_a_module_works_in_nnx(module):
    """Oracle: the same parameters applied in linen; gradients too. Catches state that the bridge
    cannot hold."""
    inputs = inputs_of()
    model = bridge.ToNNX(module, rngs=nnx.Rngs(0)).lazy_init(inputs)
    params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    np.testing.assert_array_equal(model(inputs), module.apply({"params": params}, inputs))

    def theirs(model):
        return jnp.mean(model(inputs) ** 2)

    def ours(params):
        return jnp.mean(module.apply({"params": params}, inputs) ** 2)

    gradients = nnx.to_pure_dict(nnx.state(nnx.grad(theirs)(model), nnx.Param))
    for mine, other in zip(
        jax.tree.leaves(jax.grad(ours)(params)), jax.tree.leaves(gradients), strict=True
    ):
        np.testing.assert_allclose(mine, other, atol=oracles.LAYER)


@pytest.mark.parametrize(
    ("module", "oracle", "names"),
    [
        (modules.PeepholeLSTM(4), oracles.peephole_lstm_step, ("kernel", "recurrent_kernel", "bias", "peephole")),
        (modules.CoupledLSTM(4), oracles.coupled_lstm_step, ("kernel", "recurrent_kernel", "bias")),
        (
            modules.LayerNormLSTM(4),
            oracles.layer_norm_lstm_step,
            ("kernel", "recurrent_kernel", "bias", "kernel_scale", "recurrent_scale", "cell_scale", "cell_bias"),
        ),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_variant_is_its_equations_with_its_named_parameters(module, oracle, names):
    """Oracle: float64 equations. Catches parameters exchanged on their way to the op."""
    inputs = inputs_of()
    params = initialised(module, inputs)
    assert set(params) == set(names)
    h = c = np.zeros((BATCH, 4))
    outputs = module.apply({"params": params}, inputs)
    for t in range(inputs.shape[1]):
        x = np.asarray(inputs[:, t], np.float64)
        h, c = oracle(*(np.asarray(params[name], np.float64) for name in names), x, h, c)
        np.testing.assert_allclose(outputs[:, t], h, atol=oracles.MODEL)


def test_a_coupled_lstm_starts_with_its_forget_gate_open():
    """Oracle: the gate order f, g, o. Catches the standard order's bias on the wrong gate."""
    bias = modules.CoupledLSTM(4).init(jax.random.key(0), inputs_of())["params"]["bias"]
    for name, expected in (("f", 1), ("g", 0), ("o", 0)):
        np.testing.assert_array_equal(oracles.gate(bias, "fgo", name), expected)


@pytest.mark.full
def test_dropout_in_nnx_acts_with_a_key_given_to_the_call():
    """Oracle: linen's rule. Catches dropout that an NNX user can't turn on or off."""
    inputs, module = inputs_of(), modules.Transformer(4, num_heads=2, num_layers=1, dropout=0.5)
    model = bridge.ToNNX(module, rngs=nnx.Rngs(0)).lazy_init(inputs)
    without = model(inputs)
    np.testing.assert_array_equal(model(inputs), without)
    dropped = [model(inputs, rngs=nnx.Rngs(0, dropout=n)) for n in (1, 2)]
    assert not np.allclose(dropped[0], without)
    assert not np.allclose(dropped[0], dropped[1])
