"""Loss by position and context, and induction, on models whose answers are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn.analysis import text_memory
from lstm_attn.errors import UsageError
from lstm_attn.models import Model
from tests.analysis.looking_back import SIZE, delayed


def bigram():
    """A model that knows the probabilities of pairs, its parameters."""
    return Model(lambda key: None, lambda table, ids: table[ids])


def test_losses_are_those_of_the_pairs():
    """Oracle: the table in float64 numpy. Catches targets shifted by none or two, nats for bits, and
    windows that the last batch loses or doubles."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(SIZE, SIZE))
    windows = rng.integers(0, SIZE, (7, 12))
    log_p = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    expected = -log_p[windows[:, :-1], windows[:, 1:]] / np.log(2)
    losses = text_memory.token_losses(bigram(), jnp.asarray(table, jnp.float32), windows, 3)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_windows_are_spread_and_do_not_overlap():
    """Oracle: tokens that are their own places. Catches windows of the beginning alone."""
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
    below a context of 8 and -log2 .9 from there on. Catches a context that is off by one."""
    windows = np.tile(np.arange(8) % SIZE, (3, 9))[:, : 64 + 1]
    losses = text_memory.losses_by_context(delayed(8), None, windows, (1, 7, 8, 9, 64), 2)
    for context, loss in losses.items():
        expected = -np.log2(0.9) if context >= 8 else np.log2(SIZE)
        np.testing.assert_allclose(loss, np.full(3, expected), rtol=1e-5)


@pytest.mark.parametrize("distance", [6, 20])
def test_induction_is_seen_at_its_distance_and_nowhere_else(distance):
    """Closed form: a model that looks back just so far knows the second occurrence, -log2 .9; not so
    one that looks one step further, nor it where another passage stood before. Catches a distance
    that is off by one, texts and controls exchanged, and a loss at the first occurrence."""
    tokens = np.random.default_rng(1).integers(0, SIZE, 500)
    again, control = text_memory.repeated_passages(tokens, 6, distance, 40, SIZE, seed=0)
    known = text_memory.passage_losses(delayed(distance), None, again, 6, 16)
    np.testing.assert_allclose(known, -np.log2(0.9), rtol=1e-5)
    for model, texts in ((delayed(distance + 1), again), (delayed(distance), control)):
        assert text_memory.passage_losses(model, None, texts, 6, 16).mean() > 1.5


def test_a_text_and_its_control_differ_in_the_first_passage_alone():
    """Identity. Catches a control with other text in between, whose loss would differ by that."""
    tokens = np.random.default_rng(1).integers(0, SIZE, 500)
    again, control = text_memory.repeated_passages(tokens, 6, 30, 40, SIZE, seed=0)
    assert again.shape == control.shape == (40, 36)
    np.testing.assert_array_equal(again[:, :6], again[:, -6:])
    np.testing.assert_array_equal(again[:, 6:], control[:, 6:])
    chance = np.mean([(tokens == token).mean() ** 2 for token in range(SIZE)]) * SIZE
    assert np.mean(again[:, :6] == control[:, :6]) == pytest.approx(chance, abs=0.1)


def test_passages_are_the_same_at_every_distance_and_as_frequent_as_text():
    """Oracle: counts. Catches passages that differ between the points of one curve, and a uniform
    draw of signs that text hardly has."""
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


def test_bits_per_byte_count_bytes_and_what_is_unknown():
    """By hand: 10 tokens of 2 bits for 16 bytes, of which 3 had to be written out. Catches bits per
    token, which a larger vocabulary makes larger."""
    assert text_memory.bits_per_byte(np.array(2.0), 10, 16) == 20 / 16
    assert text_memory.bits_per_byte(np.array(2.0), 10, 16, 3) == (20 + 24) / 16
