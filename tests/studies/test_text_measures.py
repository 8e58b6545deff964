"""Measures of a language model's memory, on models with known answers."""

import json

import numpy as np
import pytest

from lstm_attn.analysis import mean_interval
from lstm_attn.models import Model
from lstm_attn.studies import text_measures
from tests.analysis.looking_back import SIZE, delayed

UNKNOWN, KNOWN = np.log2(SIZE), -np.log2(0.9)
PERIODIC = np.tile(np.arange(8) % SIZE, 100)


def asked(**changed):
    default = {
        "contexts": (4, 8, 32), "tokens": 20, "passage": 6, "distances": (6, 12, 40), "passages": 30
    }  # fmt: skip
    return text_measures.MemoryConfig(**{**default, **changed})


def test_context_helps_a_model_that_looks_eight_tokens_back():
    """Closed form: from eight tokens on, the next one has probability .9. Catches a fall with the
    wrong sign, one relative to the longest context, and a measure of one trial alone."""
    points = text_measures.by_context(delayed(8), [None, None], PERIODIC, asked())
    assert [point["context"] for point in points] == [4, 8, 32]
    np.testing.assert_allclose(
        [point["mean"] for point in points], [UNKNOWN, KNOWN, KNOWN], rtol=1e-5
    )
    falls = [point["fall"]["mean"] for point in points]
    np.testing.assert_allclose(falls, [0, UNKNOWN - KNOWN, UNKNOWN - KNOWN], rtol=1e-5)


def test_contexts_longer_than_the_text_are_left_out():
    """Catches an index error on a short text."""
    short = text_measures.by_context(delayed(8), [None], PERIODIC[:20], asked())
    assert [point["context"] for point in short] == [4, 8]
    far = text_measures.by_distance(delayed(8), [None], PERIODIC[:20], SIZE, asked(), 0)
    assert [point["distance"] for point in far] == [6, 12]


def test_positions_are_put_together_by_powers_of_two():
    """Closed form: of the tokens with 5 to 8 before them only the last is known. Catches bins that
    are off by one, overlap or leave a token out."""
    points = text_measures.by_position(delayed(8), [None], PERIODIC, asked())
    ends = [(point["first"], point["last"]) for point in points]
    assert ends == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32)]
    expected = [UNKNOWN] * 3 + [(3 * UNKNOWN + KNOWN) / 4, KNOWN, KNOWN]
    np.testing.assert_allclose([point["mean"] for point in points], expected, rtol=1e-5)


def test_a_passage_is_known_again_at_its_distance_alone():
    """Closed form: the loss with the passage before is -log2 .9. Catches text and control exchanged."""
    tokens = np.random.default_rng(0).integers(0, SIZE, 300)
    points = text_measures.by_distance(delayed(12), [None], tokens, SIZE, asked(), 0)
    near, at, far = (point["mean"] for point in points)
    assert at == pytest.approx(points[1]["loss"] - KNOWN, rel=1e-5)
    assert at > 1
    assert abs(near) < 0.3
    assert abs(far) < 0.3


def test_models_are_compared_block_by_block():
    """By hand: differences of -.1, -.2, -.3 are -.2 +- 4.303 * .1 / sqrt(3), though blocks differ by
    more. Catches the difference of two intervals."""
    first, second = [2.0, 3.0, 4.0], np.array([1.9, 2.8, 3.7])
    apart = text_measures.minus(second, first)
    assert apart["mean"] == pytest.approx(-0.2)
    assert apart["high"] - apart["mean"] == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert apart["high"] < mean_interval(second).high - 2
    assert text_measures.minus(second, None) is None


def test_a_model_that_diverged_is_null_in_json():
    """Oracle: JSON, which has no NaN. Catches a run that ends in a traceback after all training."""
    lost = Model(
        lambda key: None, lambda params, ids: np.full((*ids.shape, SIZE), np.nan, np.float32)
    )
    found = text_measures.by_distance(lost, [None], PERIODIC, SIZE, asked(), 0)
    assert json.loads(json.dumps(found, allow_nan=False))[0]["loss"] is None
    assert text_measures.minus(np.ones(2), [1.0, None]) == dict.fromkeys(("mean", "low", "high"))
