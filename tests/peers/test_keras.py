"""Keras' own layers against ours: the same parameters, outputs and states, with masks."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

from lstm_attn import interop, modules, ops
from tests import oracles
from tests.interop.running import recurrent, run_attention

TOLERANCE = {"rtol": oracles.MODEL, "atol": oracles.MODEL}


def drawn(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def drawn_lstm(rng, features_in, features, bias=True):
    width = 4 * features
    return {
        "kernel": drawn(rng, features_in, width),
        "recurrent_kernel": drawn(rng, features, width),
        "bias": bias * drawn(rng, width),
    }


def drawn_gru(rng, features_in, features, bias=True):
    width = 3 * features
    return {
        "kernel": drawn(rng, features_in, width),
        "recurrent_kernel": drawn(rng, features, width),
        "bias": bias * drawn(rng, width),
        "recurrent_bias": bias * drawn(rng, width),
    }


def assign(layer, entries, parts=1):
    """Every weight by the end of its path, as `lstm_attn.interop.keras_layout` documents."""
    names = ["/".join(weight.path.split("/")[-parts:]) for weight in layer.weights]
    assert sorted(names) == sorted(entries)
    for name, weight in zip(names, layer.weights, strict=True):
        weight.assign(entries[name])


def read(layer, parts=1):
    return {"/".join(w.path.split("/")[-parts:]): w for w in layer.weights}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["lstm", "gru", "gru_reset_before"])
def test_keras_runs_our_parameters_as_we_do(kind, bias, seed):
    """Oracle: Keras, loaded with our exported parameters, with and without a mask. Catches a wrong
    conversion that its inverse undoes, and a final state taken from the padding."""
    rng = np.random.default_rng(seed)
    batch, length, features_in, features = rng.integers(1, 6, size=4).tolist()
    options = {"use_bias": bias, "return_sequences": True, "return_state": True}
    if kind == "lstm":
        params = drawn_lstm(rng, features_in, features, bias)
        layer, module = keras.layers.LSTM(features, **options), modules.LSTM(features)
        entries = interop.lstm_to_keras(params, bias=bias)
    else:
        after = kind == "gru"
        params = drawn_gru(rng, features_in, features, bias)
        layer = keras.layers.GRU(features, reset_after=after, **options)
        module = modules.GRU(features, reset_after=after)
        entries = interop.gru_to_keras(params, reset_after=after, bias=bias)
    inputs = drawn(rng, batch, length, features_in)
    layer.build(inputs.shape)
    assign(layer, entries)
    lengths = rng.integers(1, length + 1, size=batch)
    mask = np.arange(length) < lengths[:, None]
    for given, seq_lengths in (({}, None), ({"mask": mask}, jnp.asarray(lengths))):
        outputs, *states = layer(inputs, **given)
        carry, mine = module.apply(
            {"params": params}, inputs, seq_lengths=seq_lengths, return_carry=True
        )
        # In the padding Keras repeats the last output, where ours are zeros.
        real = mask[..., None] if given else np.ones_like(mask)[..., None]
        np.testing.assert_allclose(mine, np.where(real, outputs, 0), **TOLERANCE)
        carries = (carry.h, carry.c) if kind == "lstm" else (carry,)
        for own, theirs in zip(carries, states, strict=True):
            np.testing.assert_allclose(own, theirs, **TOLERANCE)
    back = (
        interop.lstm_from_keras(read(layer))
        if kind == "lstm"
        else interop.gru_from_keras(read(layer), reset_after=kind == "gru")
    )
    np.testing.assert_array_equal(back["kernel"], params["kernel"])
    np.testing.assert_array_equal(back["recurrent_kernel"], params["recurrent_kernel"])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_both_directions_with_a_mask(kind):
    """Oracle: keras.layers.Bidirectional. Catches forward and backward exchanged."""
    rng = np.random.default_rng(5)
    draw, to_keras, module, layer = {
        "lstm": (drawn_lstm, interop.lstm_to_keras, modules.LSTM, keras.layers.LSTM),
        "gru": (drawn_gru, interop.gru_to_keras, modules.GRU, keras.layers.GRU),
    }[kind]
    params = {direction: draw(rng, 3, 4) for direction in ("forward", "backward")}
    both = keras.layers.Bidirectional(layer(4, return_sequences=True))
    inputs = drawn(rng, 3, 5, 3)
    both.build(inputs.shape)
    assign(both.forward_layer, to_keras(params["forward"]))
    assign(both.backward_layer, to_keras(params["backward"]))
    lengths = np.array([5, 2, 4])
    mask = np.arange(5) < lengths[:, None]
    outputs = recurrent(module, params).apply(
        {"params": params}, inputs, seq_lengths=jnp.asarray(lengths)
    )
    expected = np.where(mask[..., None], both(inputs, mask=mask), 0)
    np.testing.assert_allclose(outputs, expected, **TOLERANCE)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("value_features", [None, 5], ids=["heads_alike", "values_of_other_size"])
def test_keras_attends_with_our_parameters_as_we_do(bias, value_features, seed):
    """Oracle: Keras, loaded with our exported parameters; plain, causal and with a mask of the
    values. Catches heads and features exchanged, and sizes taken from another array."""
    rng = np.random.default_rng(seed)
    batch, queries, keys, heads, features, units = rng.integers(1, 5, size=6).tolist()
    keys += 1  # Keras warns of a softmax over one key
    values = value_features or features
    layer = keras.layers.MultiHeadAttention(
        heads, features, value_dim=value_features, use_bias=bias, output_shape=units
    )
    sizes = {
        "query": (4, heads * features),
        "key": (3, heads * features),
        "value": (2, heads * values),
        "out": (heads * values, units),
    }
    params = {
        part: {"kernel": drawn(rng, *shape), "bias": bias * drawn(rng, shape[1])}
        for part, shape in sizes.items()
    }
    query, key, value = (
        drawn(rng, batch, queries, 4),
        drawn(rng, batch, keys, 3),
        drawn(rng, batch, keys, 2),
    )
    layer.build(query.shape, value.shape, key.shape)
    entries = interop.multi_head_attention_to_keras(params, heads, bias=bias)
    assign(layer, entries, parts=2)
    lengths = rng.integers(1, keys + 1, size=batch)
    mask = (np.arange(keys) < lengths[:, None])[:, None, None]
    causal = np.tril(np.ones((queries, keys), bool))
    cases = (
        ({}, True),
        ({"use_causal_mask": True}, causal),
        ({"value_mask": mask[:, 0, 0]}, mask),
    )
    for options, allowed in cases:
        # With the scores Keras takes its plain path; the other wants values as wide as keys.
        expected, _ = layer(query, value, key, return_attention_scores=True, **options)
        q, k, v = (
            (inputs @ params[part]["kernel"] + params[part]["bias"]).reshape(
                *inputs.shape[:2], heads, -1
            )
            for part, inputs in (("query", query), ("key", key), ("value", value))
        )
        attended = oracles.attention(q, k, v, allowed).reshape(batch, queries, -1)
        outputs = attended @ params["out"]["kernel"] + params["out"]["bias"]
        np.testing.assert_allclose(outputs, expected, rtol=oracles.MODEL, atol=oracles.MODEL)
        if value_features is None:
            allowed = jnp.broadcast_to(allowed, (batch, heads, queries, keys))
            outputs = run_attention(params, heads, query, key, value, mask=allowed)
            np.testing.assert_allclose(outputs, expected, rtol=oracles.MODEL, atol=oracles.MODEL)
    back = interop.multi_head_attention_from_keras(read(layer, parts=2))
    for part in params:
        for name in ("kernel", "bias"):
            np.testing.assert_array_equal(back[part][name], params[part][name])


@pytest.mark.parametrize("seed", range(3))
def test_additive_attention_is_that_of_keras(seed):
    """Oracle: keras.layers.AdditiveAttention on random sizes. Catches an inverted mask."""
    rng = np.random.default_rng(seed)
    batch, queries, keys, features = rng.integers(1, 6, size=4).tolist()
    keys += 1  # Keras warns of a softmax over one key
    query, key, value = (drawn(rng, batch, size, features) for size in (queries, keys, keys))
    layer = keras.layers.AdditiveAttention()
    layer.build([query.shape, value.shape, key.shape])
    score = drawn(rng, features)
    assign(layer, {"scale": score})
    mask = np.arange(keys) < rng.integers(1, keys + 1, size=batch)[:, None]
    expected = layer([query, value, key], mask=[None, mask])
    allowed = jnp.broadcast_to(mask[:, None], (batch, queries, keys))
    outputs = ops.additive_attention(*map(jnp.asarray, (query, key, value, score)), allowed)
    np.testing.assert_allclose(outputs, expected, **TOLERANCE)
