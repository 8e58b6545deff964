"""Loss by position, by context and of a whole text, and induction, on models with known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models
from lstm_attn.analysis import text_memory
from lstm_attn.errors import UsageError
from lstm_attn.models import Model
from lstm_attn.ops.kv_cache import KeyValueCache
from lstm_attn.text import Split
from tests.analysis.looking_back import SIZE, delayed


def bigram():
    """A model that knows the probabilities of pairs, its parameters."""
    return Model(lambda key: None, lambda table, ids: table[ids])


def test_losses_are_those_of_the_pairs():
    """Oracle: the table in float64 numpy. Catches targets shifted by zero or two, nats for bits,
    and windows that the last batch loses or repeats."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(SIZE, SIZE))
    windows = rng.integers(0, SIZE, (7, 12))
    log_p = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    expected = -log_p[windows[:, :-1], windows[:, 1:]] / np.log(2)
    losses = text_memory.token_losses(bigram(), jnp.asarray(table, jnp.float32), windows, 3)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_windows_are_spread_and_do_not_overlap():
    """Oracle: tokens that are their own positions. Catches windows from the beginning alone."""
    windows = text_memory.windows_of(np.arange(1000), 30, 10)
    assert windows.shape == (10, 30)
    assert windows[0, 0] == 0
    assert windows[-1, -1] >= 960
    assert np.all(np.diff(windows, axis=1) == 1)
    assert np.all(windows[1:, 0] > windows[:-1, -1])
    assert len(text_memory.windows_of(np.arange(100), 30, 10)) == 3
    with pytest.raises(UsageError, match="expected at least 30 tokens, got 20"):
        text_memory.windows_of(np.arange(20), 30, 10)


def test_a_context_helps_from_the_step_on_that_it_reaches():
    """Closed form: a text of period 8 and a model that looks 8 steps back, so the loss is log2 5
    for contexts below 8 and -log2 .9 from there on. Catches a context that is off by one."""
    windows = np.tile(np.arange(8) % SIZE, (3, 9))[:, : 64 + 1]
    losses = text_memory.losses_by_context(delayed(8), None, windows, (1, 7, 8, 9, 64), 2)
    for context, loss in losses.items():
        expected = -np.log2(0.9) if context >= 8 else np.log2(SIZE)
        np.testing.assert_allclose(loss, np.full(3, expected), rtol=1e-5)


@pytest.mark.parametrize("distance", [6, 20])
def test_induction_is_seen_at_its_distance_and_nowhere_else(distance):
    """Closed form: a model that looks back exactly that far knows the second occurrence, -log2 .9.
    One that looks a step further does not, nor does the first on a control. Catches a distance that
    is off by one, texts and controls swapped, and a loss at the first occurrence."""
    tokens = np.random.default_rng(1).integers(0, SIZE, 500)
    again, control = text_memory.repeated_passages(tokens, 6, distance, 40, SIZE, seed=0)
    known = text_memory.passage_losses(delayed(distance), None, again, 6, 16)
    np.testing.assert_allclose(known, -np.log2(0.9), rtol=1e-5)
    for model, texts in ((delayed(distance + 1), again), (delayed(distance), control)):
        assert text_memory.passage_losses(model, None, texts, 6, 16).mean() > 1.5


def test_a_text_and_its_control_differ_in_the_first_passage_alone():
    """Identity. Catches a control with another text in between, which changes the loss too."""
    tokens = np.random.default_rng(1).integers(0, SIZE, 500)
    again, control = text_memory.repeated_passages(tokens, 6, 30, 40, SIZE, seed=0)
    assert again.shape == control.shape == (40, 36)
    np.testing.assert_array_equal(again[:, :6], again[:, -6:])
    np.testing.assert_array_equal(again[:, 6:], control[:, 6:])
    chance = np.mean([(tokens == token).mean() ** 2 for token in range(SIZE)]) * SIZE
    assert np.mean(again[:, :6] == control[:, :6]) == pytest.approx(chance, abs=0.1)


def test_passages_are_the_same_at_every_distance_and_as_frequent_as_text():
    """Oracle: counts. Catches passages that differ between points of a curve, and a uniform draw,
    with characters that the text hardly has."""
    tokens = np.repeat([0, 1, 2, 3], [500, 300, 150, 50])
    near, far = (
        text_memory.repeated_passages(tokens, 20, distance, 300, SIZE, seed=3)[0]
        for distance in (20, 90)
    )
    np.testing.assert_array_equal(near[:, :20], far[:, :20])
    shares = np.bincount(near[:, :20].ravel(), minlength=SIZE) / 6000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05, 0], atol=0.03)
    with pytest.raises(UsageError, match="distance expected at least passage=20, got 19"):
        text_memory.repeated_passages(tokens, 20, 19, 1, SIZE, seed=0)
    with pytest.raises(UsageError, match="expected at least 1180 tokens, got 1000"):
        text_memory.repeated_passages(tokens, 20, 1200, 1, SIZE, seed=0)


def test_a_passage_of_one_token_is_one_line():
    """Catches the mean of the whole text for that of the passage: [-0:] is all."""
    model, texts = of_sums(), np.zeros((2, 5), int)
    with pytest.raises(ValueError, match="passage_losses: passage: expected at least 2, got 1$"):
        text_memory.passage_losses(model, None, texts, 1, 2)


def test_bits_per_byte_count_bytes_and_what_is_unknown():
    """By hand: 10 tokens of 2 bits for 16 bytes; 3 unknown bytes cost 8 bits each. Catches bits per
    token, which grow with the vocabulary."""
    assert text_memory.bits_per_byte(np.array(2.0), 10, 16) == 20 / 16
    assert text_memory.bits_per_byte(np.array(2.0), 10, 16, 3) == (20 + 24) / 16


# The loss of token t depends on all tokens before it that the model sees.
TABLE = np.random.default_rng(0).normal(size=(SIZE, SIZE))
LOG_P = TABLE - np.log(np.exp(TABLE).sum(axis=1, keepdims=True))


def of_sums(cached=False):
    """Predicts from its carry, the sum of the ids so far modulo SIZE; or pretends to have a
    cache."""

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


# Shorter than a window, as long, one longer; texts that windows fill, and texts that they do not.
COUNTS = (2, 5, 8, 9, 13, 17, 50)


def test_a_model_with_a_carry_reads_all_of_it():
    """Oracle: a loop in float64 over all tokens before each token. Catches a state lost between
    segments or changed by padding, and a token counted in two segments."""
    for count in COUNTS:
        tokens = tokens_of(count)
        expected = [loss_given(tokens[:t], tokens[t]) for t in range(1, count)]
        found = text_memory.split_losses(of_sums(), None, tokens, 4, 2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=str(count))


@pytest.mark.parametrize("length", [8, 7, 1, 2, 3])
def test_a_model_with_a_cache_sees_half_a_window_at_least(length):
    """Oracle: a loop in float64 over windows that begin at multiples of half their length; the last
    one ends with the text. Catches a token in no window or in two, one predicted from too little
    context, and NaN where half a window is no token."""
    half = length // 2
    for count in COUNTS:
        tokens = tokens_of(count)
        expected, last = {}, max(count - 1 - length, 0)
        for start in [*range(0, last, max(half, 1)), last]:
            for t in range(start + (half if start else 0) + 1, min(start + length, count - 1) + 1):
                expected.setdefault(t, loss_given(tokens[start:t], tokens[t]))
        assert sorted(expected) == list(range(1, count))
        found = text_memory.split_losses(of_sums(cached=True), None, tokens, length, 3)
        np.testing.assert_allclose(found, list(expected.values()), rtol=1e-5, err_msg=str(count))


class Tokens:
    """The part of a task that building a model reads."""

    input_features = None
    output_features = SIZE
    sequence_length = 8


def test_an_lstm_in_two_segments_is_the_lstm_on_the_whole():
    """Oracle: `Model.apply` on the whole text, its softmax in float64. Catches a segment that
    begins without the carry, and probabilities that don't add up to 1."""
    model = models.build("lstm", Tokens(), models.ModelConfig(features=4))
    params = jax.jit(model.init)(jax.random.key(0))
    tokens = tokens_of(9)
    logits = np.asarray(model.apply(params, jnp.asarray(tokens[None, :-1], jnp.int32))[0], float)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -log_p[np.arange(8), tokens[1:]] / np.log(2)
    found = text_memory.split_losses(model, params, tokens, 4, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_models_with_attention_do_not_carry_over():
    """Oracle: by hand, which models of the table attend. Catches a cache that overflows, and a
    model without a step form that is asked for one."""
    carrying = [
        name
        for name in models.MODELS
        if models.carries_over(models.build(name, Tokens(), models.ModelConfig(features=4)), 8)
    ]
    assert carrying == ["lstm", "gru"]
    assert not models.carries_over(models.Model(lambda key: None, lambda params, ids: ids), 8)


def test_bits_a_byte_of_blocks():
    """By hand: blocks of 1, 2, 3 and 4 bits a token, two bytes a token. Catches bits per token,
    blocks that leave tokens out, and a text with fewer tokens than blocks."""
    losses = np.repeat([1.0, 2.0, 3.0, 4.0], 25)
    split = Split(np.zeros(101, np.uint8), 202, 0)
    np.testing.assert_allclose(text_memory.block_bits(losses, split, 4), [0.5, 1, 1.5, 2])
    uneven = np.repeat([1.0, 2.0], [52, 48])
    np.testing.assert_allclose(text_memory.block_bits(uneven, split, 2), [0.5, 0.98])
    assert text_memory.block_bits(losses[:1], Split(np.zeros(2, np.uint8), 2, 0)) == [1]
