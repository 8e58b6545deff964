"""Cells and layers called with no, one or several batch axes, as those of flax may be."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import modules, ops
from tests import oracles

T, D, F, N = 5, 6, 8, 2
LEADING = [(), (2, 3), (1, 2, 2)]
rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.full_but("leading0-lstm", "leading1-gru")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(modules.LSTMCell, nn.LSTMCell), (modules.GRUCell, nn.GRUCell)],
    ids=["lstm", "gru"],
)
@pytest.mark.parametrize("leading", LEADING)
def test_cells_take_what_those_of_flax_take(leading, ours, theirs):
    """Oracle: flax.linen's own cell in flax.linen.RNN, for the shapes; our cell on each sequence
    alone, for the values. Catches a cell that knows [B, D] alone."""
    inputs = normal(*leading, T, D)
    rnn = nn.RNN(ours(F), return_carry=True)
    params = rnn.init(jax.random.key(0), inputs)
    carry, outputs = jax.jit(rnn.apply)(params, inputs)
    expected = nn.RNN(theirs(F), return_carry=True).init_with_output(jax.random.key(0), inputs)[0]

    def shapes(tree):
        return [leaf.shape for leaf in jax.tree.leaves(tree)]

    assert shapes((carry, outputs)) == shapes(expected)
    empty = ours(F).initialize_carry(jax.random.key(0), (*leading, D))
    assert shapes(empty) == shapes(expected[0])
    alone = jax.jit(rnn.apply)(params, inputs.reshape(-1, T, D))[1]
    np.testing.assert_allclose(outputs, alone.reshape(*leading, T, F), atol=oracles.LAYER)


@pytest.mark.full_but("leading1")
@pytest.mark.parametrize("leading", LEADING)
def test_attention_takes_what_that_of_flax_takes(leading):
    """Oracle: flax.linen.MultiHeadDotProductAttention with the same parameters. Catches a mask whose
    batch axes go to other sequences."""
    inputs = normal(*leading, T, F)
    theirs = nn.MultiHeadDotProductAttention(num_heads=N)
    params = theirs.init(jax.random.key(0), inputs)["params"]
    mine = {name: jax.tree.map(np.asarray, layer) for name, layer in params.items()}
    for layer in mine.values():
        kernel = layer["kernel"]
        layer["kernel"] = kernel.reshape(F, F)
        layer["bias"] = layer["bias"].reshape(F)
    module = modules.MultiHeadAttention(N)
    masks = [None, np.tril(np.ones((1, T, T), bool)), rng.random((*leading, 1, T, T)) < 0.7]
    if len(leading) > 1:
        masks.append(rng.random((1, *leading[1:], N, T, T)) < 0.7)
    for mask in masks:
        if mask is not None:
            mask = mask | np.eye(T, dtype=bool)
        expected = theirs.apply({"params": params}, inputs, mask=mask)
        out = module.apply({"params": mine}, inputs, mask=mask)
        np.testing.assert_allclose(out, expected, atol=oracles.LAYER)


MODULES = {
    "LSTM": modules.LSTM(F),
    "GRU": modules.GRU(F),
    "PeepholeLSTM": modules.PeepholeLSTM(F),
    "CoupledLSTM": modules.CoupledLSTM(F),
    "LayerNormLSTM": modules.LayerNormLSTM(F),
    "Bidirectional": modules.Bidirectional(modules.LSTM(F), modules.GRU(F)),
    "MultiHeadAttention": modules.MultiHeadAttention(N),
    "AdditiveAttention": modules.AdditiveAttention(F),
    "TransformerBlock": modules.TransformerBlock(N, 2 * F),
    "Transformer": modules.Transformer(F, N, 1),
    "LSTMAttention": modules.LSTMAttention(F, N),
    "LSTMAttentionBlocks": modules.LSTMAttentionBlocks(F, N, 1),
    "AttentionPooling": modules.AttentionPooling(F),
}
# The axes of an option after the leading ones.
OPTIONS = {"seq_lengths": (), "resets": (T,)}


@pytest.mark.full_but("LSTM-leading1", "Bidirectional-leading0", "Transformer-leading1")
@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("name", MODULES)
def test_layers_take_any_batch_axes(name, leading):
    """Oracle: the same layer on the sequences along one axis. Catches lengths, resets or a carry that
    go to other sequences, and positions counted along another axis."""
    module, inputs = MODULES[name], normal(*leading, T, F)
    takes = inspect.signature(type(module).__call__).parameters
    options = {
        "seq_lengths": rng.integers(0, T + 1, leading),
        "resets": rng.random((*leading, T)) < 0.3,
    }
    options = {key: value for key, value in options.items() if key in takes}
    count = int(np.prod(leading))
    flat = {key: value.reshape(count, *OPTIONS[key]) for key, value in options.items()}
    params = module.init(jax.random.key(0), inputs)
    out = module.apply(params, inputs, **options)
    expected = module.apply(params, inputs.reshape(count, T, F), **flat)
    np.testing.assert_allclose(out, expected.reshape(*leading, T, -1), atol=oracles.MODEL)


def test_every_layer_is_in_the_table():
    """Catches a layer that takes [B, T, D] alone."""
    layers = {
        name
        for name in modules.__all__
        if isinstance(getattr(modules, name), type)
        and issubclass(getattr(modules, name), nn.Module)
    }
    assert layers - {"Recurrent", "LSTMCell", "GRUCell"} == set(MODULES)


def test_a_carry_goes_in_and_out_with_its_axes():
    """Oracle: one run over all steps. Catches a carry that comes back along one axis."""
    module, inputs = modules.LSTM(F), normal(2, 3, T, D)
    params = module.init(jax.random.key(0), inputs)
    carry, first = module.apply(params, inputs[:, :, :2], return_carry=True)
    assert carry.h.shape == (2, 3, F)
    last = module.apply(params, inputs[:, :, 2:], initial_carry=carry)
    joined = jnp.concatenate([first, last], axis=2)
    np.testing.assert_allclose(joined, module.apply(params, inputs), atol=oracles.MODEL)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda lstm, x: lstm(x[0, 0, 0]),
            r"LSTM: inputs \[\.\.\., T, D\] expected at least 2 axes",
        ),
        (
            lambda lstm, x: lstm(x, seq_lengths=np.ones(2, int)),
            r"LSTM: seq_lengths expected a shape that begins with \(2, 3\), got \(2,\)",
        ),
        (
            lambda lstm, x: lstm(x, initial_carry=ops.LSTMState(*np.zeros((2, 6, F)))),
            r"LSTM: initial_carry expected a shape that begins with \(2, 3\), got \(6, 8\)",
        ),
    ],
)
def test_axes_that_do_not_fit_are_one_line(call, message):
    """Catches a reshape's error, which names neither the array nor the axes."""
    with pytest.raises(ValueError, match=message):
        modules.LSTM(F).init_with_output(
            jax.random.key(0), normal(2, 3, T, D), method=lambda lstm, x: call(lstm, x)
        )
