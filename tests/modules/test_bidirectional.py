"""Both directions, against the equations on each document alone and against flax.linen."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from lstm_attn import modules
from tests import oracles

INPUTS = jax.random.normal(jax.random.key(0), (2, 6, 3))
MODULE = modules.Bidirectional(modules.GRU(4), modules.GRU(5))


def test_packed_documents_are_as_if_each_stood_alone():
    """Oracle: the equations on each document, forward and backward. Catches a backward direction
    that resets at a document's first step instead of its last."""
    params = MODULE.init(jax.random.key(1), INPUTS)["params"]
    resets = jnp.array([[True, False, True, False, False, True], [True] + [False] * 5])
    outputs = MODULE.apply({"params": params}, INPUTS, resets=resets)

    def direction(name, x):
        p = params[name]
        order = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
        width = p["recurrent_kernel"].shape[0]
        return oracles.gru(*(p[key] for key in order), x[None], np.zeros((1, width)))[0][0]

    for row, documents in ((0, [(0, 2), (2, 5), (5, 6)]), (1, [(0, 6)])):
        for start, end in documents:
            x = np.asarray(INPUTS[row, start:end], np.float64)
            expected = np.concatenate(
                [direction("forward", x), direction("backward", x[::-1])[::-1]], axis=-1
            )
            np.testing.assert_allclose(outputs[row, start:end], expected, atol=oracles.MODEL)


def test_lengths_match_flax_linen_bidirectional():
    """Oracle: flax.linen.Bidirectional. Catches a reversal of the padding with the sequence."""
    params = MODULE.init(jax.random.key(1), INPUTS)["params"]
    lengths = jnp.array([4, 6])
    theirs = {}
    for name, direction in (("forward", "forward_rnn"), ("backward", "backward_rnn")):
        p = {k: np.asarray(v) for k, v in params[name].items()}
        cell = {}
        for gate in "rzn":
            block = {key: oracles.gate(p[key], "rzn", gate).astype(np.float32) for key in p}
            cell[f"i{gate}"] = {"kernel": block["kernel"], "bias": block["bias"]}
            cell[f"h{gate}"] = {"kernel": block["recurrent_kernel"]}
        cell["hn"]["bias"] = oracles.gate(p["recurrent_bias"], "rzn", "n").astype(np.float32)
        theirs[direction] = {"cell": cell}
    reference = nn.Bidirectional(nn.RNN(nn.GRUCell(4)), nn.RNN(nn.GRUCell(5)))
    expected = reference.apply({"params": theirs}, INPUTS, seq_lengths=lengths)
    (forward, backward), outputs = MODULE.apply(
        {"params": params}, INPUTS, seq_lengths=lengths, return_carry=True
    )
    for row, length in enumerate([4, 6]):
        np.testing.assert_allclose(
            outputs[row, :length], expected[row, :length], atol=oracles.LAYER
        )
        np.testing.assert_array_equal(outputs[row, length:], 0)
        np.testing.assert_allclose(forward[row], outputs[row, length - 1, :4], atol=oracles.LAYER)
        np.testing.assert_allclose(backward[row], outputs[row, 0, 4:], atol=oracles.LAYER)


def test_a_mark_in_the_padding_resets_nothing():
    """Oracle: the same call without that mark. Catches a backward direction that forgets its
    initial carry because a document begins in the padding."""
    params = MODULE.init(jax.random.key(1), INPUTS)["params"]
    lengths = jnp.array([4, 6])
    carries = (jnp.ones((2, 4)), jnp.ones((2, 5)))
    marks = jnp.zeros((2, 6), bool).at[0, 4].set(True)
    ours, expected = (
        MODULE.apply(
            {"params": params}, INPUTS, initial_carry=carries, seq_lengths=lengths, resets=resets
        )
        for resets in (marks, jnp.zeros((2, 6), bool))
    )
    np.testing.assert_array_equal(ours, expected)
    anew = MODULE.apply({"params": params}, INPUTS, seq_lengths=lengths)
    assert not np.allclose(expected[0, 3, 4:], anew[0, 3, 4:])
