"""Every token of a held-out text is counted once, each given what stands before it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models
from lstm_attn.analysis import text_memory
from lstm_attn.models import Model
from lstm_attn.ops.kv_cache import KeyValueCache
from lstm_attn.text import Part

SIZE = 5
# The loss of token t hangs on all tokens before it that the model sees.
TABLE = np.random.default_rng(0).normal(size=(SIZE, SIZE))
LOG_P = TABLE - np.log(np.exp(TABLE).sum(axis=1, keepdims=True))


def of_sums(cached=False):
    """Predicts from the sum of the ids so far, modulo SIZE, which is also what it carries; or what
    says that it has a cache."""

    def segment(params, state, ids):
        sums = (state[:, None] + jnp.cumsum(ids, axis=1)) % SIZE
        return sums[:, -1], jnp.asarray(TABLE, jnp.float32)[sums]

    def initial_state(batch_size, length):
        room = jnp.zeros((batch_size, length, 1, 1))
        return KeyValueCache(room, room, jnp.int32(0)) if cached else jnp.zeros(batch_size, int)

    def apply(params, ids):
        return segment(params, jnp.zeros(ids.shape[0], int), ids)[1]

    return Model(lambda key: None, apply, initial_state=initial_state, segment=segment)


def loss_given(before, token):
    return -LOG_P[np.sum(before) % SIZE, token] / np.log(2)


def tokens_of(count):
    return np.random.default_rng(count).integers(0, SIZE, count).astype(np.uint8)


# Fewer tokens than a window, as many, one more; a part that windows fill, and one that they don't.
COUNTS = (2, 5, 8, 9, 13, 17, 50)


def test_a_model_with_a_carry_reads_all_of_it():
    """Oracle: a loop in float64 over all that stands before each token. Catches a state that is lost
    between segments, one that the filling moves, and a token of two segments."""
    for count in COUNTS:
        tokens = tokens_of(count)
        expected = [loss_given(tokens[:t], tokens[t]) for t in range(1, count)]
        found = text_memory.part_losses(of_sums(), None, tokens, 4, 2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=str(count))


@pytest.mark.parametrize("length", [8, 7])
def test_a_model_with_a_cache_sees_half_a_window_at_least(length):
    """Oracle: a loop in float64 over the windows that begin at multiples of half their length, the
    last of which ends with the text. Catches a token in no window or in two, and one that is
    predicted from too little."""
    half = length // 2
    for count in COUNTS:
        tokens = tokens_of(count)
        expected, last = {}, max(count - 1 - length, 0)
        for start in [*range(0, last, half), last]:
            for t in range(start + (half if start else 0) + 1, min(start + length, count - 1) + 1):
                expected.setdefault(t, loss_given(tokens[start:t], tokens[t]))
        assert sorted(expected) == list(range(1, count))
        found = text_memory.part_losses(of_sums(cached=True), None, tokens, length, 3)
        np.testing.assert_allclose(found, list(expected.values()), rtol=1e-5, err_msg=str(count))


class Tokens:
    """Of a task, what building a model asks for."""

    input_features = None
    output_features = SIZE
    sequence_length = 8


def test_an_lstm_in_two_segments_is_the_lstm_on_the_whole():
    """Oracle: `Model.apply` on the whole text, its softmax in float64. Catches a segment that begins
    without what is carried, and probabilities that don't add up to 1."""
    model = models.build("lstm", Tokens(), models.ModelConfig(features=4))
    params = jax.jit(model.init)(jax.random.key(0))
    tokens = tokens_of(9)
    logits = np.asarray(model.apply(params, jnp.asarray(tokens[None, :-1], jnp.int32))[0], float)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -log_p[np.arange(8), tokens[1:]] / np.log(2)
    found = text_memory.part_losses(model, params, tokens, 4, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_models_with_attention_do_not_carry_over():
    """Oracle: by hand, which of the table's models attend. Catches a cache that runs out of room, and
    a model without a step form that must show one."""
    carrying = [
        name
        for name in models.MODELS
        if models.carries_over(models.build(name, Tokens(), models.ModelConfig(features=4)), 8)
    ]
    assert carrying == ["lstm", "gru"]
    assert not models.carries_over(models.Model(lambda key: None, lambda params, ids: ids), 8)


def test_bits_a_byte_of_blocks():
    """By hand: blocks of 1, 2, 3 and 4 bits a token, two bytes a token. Catches bits a token, blocks
    that leave tokens out, and a text with fewer tokens than blocks."""
    losses = np.repeat([1.0, 2.0, 3.0, 4.0], 25)
    part = Part(np.zeros(101, np.uint8), 202, 0)
    np.testing.assert_allclose(text_memory.block_bits(losses, part, 4), [0.5, 1, 1.5, 2])
    uneven = np.repeat([1.0, 2.0], [52, 48])
    np.testing.assert_allclose(text_memory.block_bits(uneven, part, 2), [0.5, 0.98])
    assert text_memory.block_bits(losses[:1], Part(np.zeros(2, np.uint8), 2, 0)) == [1]
