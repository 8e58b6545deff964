"""What lengths, resets and masks hide from modules, and the room of a cache from models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, modules, ops, tasks
from lstm_attn.models import MODELS, ModelConfig
from tests import hidden_numbers

B, T, S, D, F, N = 3, 4, 5, 6, 8, 2
LENGTHS = np.array([0, 3, T])
PADDING = np.arange(T) >= LENGTHS[:, None]
RESETS = np.zeros((B, T), bool)
RESETS[:, 2] = True
rng = np.random.default_rng(0)
MODULES = {
    "LSTM": modules.LSTM(F),
    "GRU": modules.GRU(F),
    "PeepholeLSTM": modules.PeepholeLSTM(F),
    "CoupledLSTM": modules.CoupledLSTM(F),
    "LayerNormLSTM": modules.LayerNormLSTM(F),
    "Bidirectional": modules.Bidirectional(modules.LSTM(F), modules.GRU(F)),
    "MultiHeadAttention": modules.MultiHeadAttention(N, qkv_features=F),
    "AdditiveAttention": modules.AdditiveAttention(F),
    "TransformerBlock": modules.TransformerBlock(N, 2 * F),
}


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def spread(where, size):
    return np.repeat(where[..., None], size, axis=-1)


def sequences(module):
    """Padding after lengths, with resets; the outputs there are read by no one."""
    inputs, options = (normal(B, T, D),), {"seq_lengths": LENGTHS, "resets": RESETS}
    return inputs, options, (spread(PADDING, D),), PADDING


def padded(module):
    """Self-attention without the steps of the padding, as queries and as keys."""
    real = ~PADDING
    mask = (real[:, :, None] & real[:, None, :])[:, None]
    return (normal(B, T, F),), {"mask": mask}, (spread(PADDING, F),), PADDING


def crossed(module):
    """Attention over other inputs, of which a mask hides some steps from all queries."""
    mask = rng.random((B, T, S)) < 0.7
    mask[0], mask[1, 2], mask[:, :, 3] = False, False, False
    blind, unseen = ~mask.any(axis=2), ~mask.any(axis=1)
    inputs = (normal(B, T, D), normal(B, S, D), normal(B, S, D))
    is_additive = isinstance(module, modules.AdditiveAttention)
    hidden = (spread(blind, D), spread(unseen, D), spread(unseen, D))
    # A query of MultiHeadAttention without a key gives the bias, which is read.
    unread = blind if is_additive else np.zeros_like(blind)
    return inputs, {"mask": mask if is_additive else mask[:, None]}, hidden, unread


CASES = {
    **dict.fromkeys(MODULES, sequences),
    "MultiHeadAttention": crossed,
    "AdditiveAttention": crossed,
    "TransformerBlock": padded,
}


@pytest.mark.full_but("Bidirectional", "MultiHeadAttention", "TransformerBlock")
@pytest.mark.parametrize("name", CASES)
def test_what_is_hidden_reaches_neither_values_nor_gradients(name):
    """Identity: NaN, inf and 1e30 there give the bits of zeros there, and gradients of 0, of the
    parameters too. Catches 0 times NaN in the gradient of a projection of padding."""
    module = MODULES[name]
    inputs, options, hidden, blind = CASES[name](module)

    def run(arrays):
        params, inputs = arrays
        return module.apply(params, *inputs, **options)

    params = module.init(jax.random.key(0), *inputs, **options)
    nothing = jax.tree.map(lambda leaf: np.zeros(leaf.shape, bool), params)
    width = jax.eval_shape(run, (params, inputs)).shape[-1]
    arrays, hidden = (params, inputs), (nothing, hidden)
    hidden_numbers.check(run, arrays, hidden, spread(blind, width))


def test_every_module_with_a_limit_is_in_the_table():
    """Catches a module whose limits no case fills."""
    limited = {
        name
        for name in modules.__all__
        if isinstance(getattr(modules, name), type)
        and hidden_numbers.takes_a_limit(getattr(modules, name).__call__)
    }
    assert limited - {"Recurrent"} == set(CASES)


def test_outputs_of_padding_are_zeros():
    """Oracle: zero. Catches a block whose padding holds what it was filled with."""
    inputs, options, _, _ = padded(None)
    module = MODULES["TransformerBlock"]
    params = module.init(jax.random.key(0), *inputs)
    out = np.asarray(module.apply(params, *inputs, **options))
    np.testing.assert_array_equal(out[PADDING], 0)
    alone = module.apply(params, inputs[0][1:2, :3])
    np.testing.assert_allclose(out[1:2, :3], alone, atol=1e-5)


@pytest.mark.full_but("transformer")
@pytest.mark.parametrize("name", MODELS)
def test_the_room_of_a_cache_reaches_neither_values_nor_gradients(name):
    """Identity, as above, of a model's state before its first step. Catches a cache whose room is
    multiplied by weights of zero."""
    task = tasks.copy(1)
    model = models.build(name, task, ModelConfig(features=8))
    inputs = task.sample(jax.random.key(0), 2).inputs
    state = model.initial_state(2, 4)

    def run(arrays):
        params, room = arrays
        state, first = model.segment(params, room, inputs[:, :2])
        return first, model.step(params, state, inputs[:, 2])[1]

    def is_room(part):
        return isinstance(part, ops.KeyValueCache)

    hidden = jax.tree.map(
        lambda part: jax.tree.map(lambda leaf: np.full(leaf.shape, is_room(part)), part),
        state,
        is_leaf=is_room,
    )
    params = model.init(jax.random.key(1))
    nothing = jax.tree.map(lambda leaf: np.zeros(leaf.shape, bool), params)
    outputs = jax.eval_shape(run, (params, state))
    unread = jax.tree.map(lambda leaf: np.zeros(leaf.shape, bool), outputs)

    def of_room(arrays):
        params, room = arrays
        lengths = jax.tree.map(
            lambda part: part._replace(length=jnp.int32(0)) if is_room(part) else part,
            room,
            is_leaf=is_room,
        )
        return run((params, lengths))

    floats = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), state)
    hidden_numbers.check(of_room, (params, floats), (nothing, hidden), unread)
